//go:build linux

package main

// headraceConfig takes the ports of traffic and control, the access log and
// the port of the metrics.
const headraceConfig = `apisix:
  node_listen:
    - {ip: 127.0.0.1, port: %d}
  enable_admin: false
  enable_control: true
  control: {ip: 127.0.0.1, port: %d}
  ssl: {enable: false}
deployment:
  role: data_plane
  role_data_plane: {config_provider: yaml}
nginx_config:
  http:
    enable_access_log: true
    access_log: %s
plugin_attr:
  prometheus:
    enable_export_server: true
    export_addr: {ip: 127.0.0.1, port: %d}
`

// headraceRoute takes the model and the addresses of the mock and of the plain
// provider.
const headraceRoute = `routes:
  - id: chat
    uri: /v1/chat/completions
    methods: [POST]
    plugins:
      prometheus: {}
      ai-proxy:
        provider: openai
        auth:
          header: {Authorization: Bearer sk-of-the-provider}
        options: {model: %[1]s}
        override: {endpoint: "http://%[2]s/v1/chat/completions"}
  - id: plain
    uri: /plain/v1/chat/completions
    methods: [POST]
    plugins:
      prometheus: {}
      ai-proxy:
        provider: openai
        auth:
          header: {Authorization: Bearer sk-of-the-provider}
        options: {model: %[1]s}
        override: {endpoint: "http://%[3]s/v1/chat/completions"}
#END
`

// nginxConfig takes the user line, the folder, the access log, the mock, the
// port, the plain provider and the number of connections. The log is buffered as APISIX (and Headrace) buffer theirs.
const nginxConfig = `%[1]s
daemon off;
worker_processes 1;
worker_rlimit_nofile %[7]d;
pid %[2]s/nginx.pid;
error_log stderr error;
events { worker_connections %[7]d; }
http {
  access_log %[3]s combined buffer=16k flush=3s;
  client_body_temp_path %[2]s/nginx-body;
  proxy_temp_path %[2]s/nginx-proxy;
  fastcgi_temp_path %[2]s/nginx-fastcgi;
  uwsgi_temp_path %[2]s/nginx-uwsgi;
  scgi_temp_path %[2]s/nginx-scgi;
  client_body_buffer_size 512k;
  client_max_body_size 64m;
  keepalive_requests 100000000;
  upstream mock {
    server %[4]s;
    keepalive 64;
    keepalive_requests 100000000;
  }
  upstream plain {
    server %[6]s;
    keepalive 64;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:%[5]d backlog=4096;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffering off;
    proxy_read_timeout 300s;
    location / { proxy_pass http://mock; }
    location /plain/ { proxy_pass http://plain; }
  }
}
`

// haproxyConfig takes the port, the mock, the plain provider and the number
// of clients. Its log goes to standard output, that is to a file.
const haproxyConfig = `global
  nbthread 1
  maxconn %[4]d
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  http-reuse always
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 60s
frontend traffic
  bind 127.0.0.1:%[1]d backlog 4096
  use_backend plain if { path_beg /plain/ }
  default_backend mock
backend mock
  server mock %[2]s
backend plain
  server plain %[3]s
`
