package engine

import (
	"headrace/plugin"
	"headrace/plugin/logfile"
)

// DefaultAccessLogFormat is APISIX's (gateway.md 7.2).
const DefaultAccessLogFormat = `$remote_addr - $remote_user [$time_local] $http_host "$request" $status ` +
	`$body_bytes_sent $request_time "$http_referer" "$http_user_agent" $upstream_addr $upstream_status ` +
	`$upstream_response_time "$upstream_scheme://$upstream_host$upstream_uri" "$apisix_request_id"`

// accessLog writes one line per request. The zero value writes nothing.
type accessLog struct {
	format *plugin.Template
	file   *logfile.File
}

// write appends the line of a finished request; it never waits.
func (l *accessLog) write(f *flow) {
	if l.file == nil {
		return
	}
	f.line = append(l.format.Append(f.line[:0], &f.Ctx), '\n')
	l.file.Append(f.line)
}
