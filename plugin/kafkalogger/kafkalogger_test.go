package kafkalogger

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"headrace/plugin"
	"headrace/plugin/logentry/logtest"
)

const topic = "logs"

// kafka is a cluster of Kafka in this process.
type kafka struct {
	*kfake.Cluster
	t *testing.T
}

func newKafka(t *testing.T, opts ...kfake.Opt) *kafka {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(3, topic)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	k := &kafka{c, t}
	t.Cleanup(k.Close)
	return k
}

// brokers is the member "brokers" of a configuration, with more in each.
func (k *kafka) brokers(more string) string {
	var list []string
	for _, addr := range k.ListenAddrs() {
		host, port, _ := net.SplitHostPort(addr)
		list = append(list, fmt.Sprintf(`{"host":%q,"port":%s%s}`, host, port, more))
	}
	return `"brokers":[` + strings.Join(list, ",") + `]`
}

// read returns the next n messages of a topic.
func (k *kafka) read(topic string, n int, opts ...kgo.Opt) (all []*kgo.Record) {
	k.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(k.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, opts...)...)
	if err != nil {
		k.t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for len(all) < n {
		fetched := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			k.t.Fatalf("%d messages of %d: %v", len(all), n, fetched.Err())
		}
		all = append(all, fetched.Records()...)
	}
	return all
}

// refuseLogin has the cluster say that a login is wrong, as Kafka does; kfake
// closes the connection.
func (k *kafka) refuseLogin() {
	k.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return resp, nil, true
	})
}

func values(all []*kgo.Record) string {
	var list []string
	for _, r := range all {
		list = append(list, string(r.Value))
	}
	return strings.Join(list, "\n")
}

func TestDelivery(t *testing.T) {
	f := func(config, want string, messages int) {
		t.Helper()
		k := newKafka(t)
		g := logtest.New(t, &Spec)
		b := g.Bind(`{` + k.brokers("") + `,"kafka_topic":"logs","log_format":{"q":"$args"}` + config + `}`)
		logtest.Serve(b, "a=1")
		logtest.Serve(b, "a=2")
		g.Close()
		if got := values(k.read(topic, messages)); got != want || g.Log.String() != "" {
			t.Errorf("%s: got\n%s\nwant\n%s\n%s", config, got, want, &g.Log)
		}
	}
	const one, two = `{"q":"a=1","route_id":"r1"}`, `{"q":"a=2","route_id":"r1"}`
	f(``, "["+one+","+two+"]", 1)
	f(`,"producer_type":"sync","required_acks":-1`, "["+one+","+two+"]", 1)
	f(`,"producer_batch_size":0,"api_version":2,"cluster_name":3`, "["+one+","+two+"]", 1)
	f(`,"producer_batch_size":1060,"key":"k"`, "["+one+"]\n["+two+"]", 2) // the batch would be too long
}

func TestSingle(t *testing.T) {
	k := newKafka(t)
	g := logtest.New(t, &Spec)
	host, port, _ := net.SplitHostPort(k.ListenAddrs()[0])
	b := g.Bind(fmt.Sprintf(`{"broker_list":{%q:%s},"kafka_topic":"logs","batch_max_size":1}`, host, port))
	logtest.Serve(b, "a=1")
	g.Counts("1 0 0")
	r := k.read(topic, 1)[0]
	var e map[string]any
	if err := json.Unmarshal(r.Value, &e); err != nil || e["route_id"] != "r1" || r.Key != nil || time.Since(r.Timestamp) > time.Minute || strings.Contains(string(r.Value), "sk-client") {
		t.Errorf("%v %q at %v: %s", err, r.Key, r.Timestamp, r.Value)
	}
}

func TestPartitions(t *testing.T) {
	f := func(config string, want map[int32]int) {
		t.Helper()
		k := newKafka(t)
		g := logtest.New(t, &Spec)
		b := g.Bind(`{` + k.brokers("") + `,"kafka_topic":"logs","batch_max_size":1` + config + `}`)
		for range 6 {
			logtest.Serve(b, "")
		}
		g.Counts("6 0 0")
		got := map[int32]int{}
		for _, r := range k.read(topic, 6) {
			got[r.Partition]++
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", config, got, want)
		}
	}
	f(``, map[int32]int{0: 2, 1: 2, 2: 2})
	for _, key := range []string{"", "key1", "key2", "other"} {
		f(`,"key":"`+key+`"`, map[int32]int{int32(crc32.ChecksumIEEE([]byte(key)) % 3): 6})
	}
}

func TestOrigin(t *testing.T) {
	f := func(config, want string) {
		t.Helper()
		k := newKafka(t)
		g := logtest.New(t, &Spec)
		g.Metadata = `{"log_format":{"x":"y"}}`
		b := g.Bind(`{` + k.brokers("") + `,"kafka_topic":"logs","meta_format":"origin","include_resp_body":true` + config + `}`)
		l := b.Value.(plugin.BodyLogger)
		c := logtest.Request("a=1&token=sk-client")
		c.ReqBody, c.RespBody = []byte("abc\xffdef"), []byte("answer")
		if _, resp := l.Bodies(); resp != 0 {
			t.Error("the answer's body is kept, but there is no place for it")
		}
		l.Log(c)
		g.Close()
		if got := values(k.read(topic, 1)); got != want {
			t.Errorf("%s: %q", config, got)
		}
	}
	const head = "GET /?a=1&token=*** HTTP/1.1\r\nhost: h\r\nauthorization: ***\r\n\r\n"
	quoted := strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(head)
	f(`,"batch_max_size":1`, head)
	f(`,"batch_max_size":1,"include_req_body":true`, head+"abc\xffdef")
	f(`,"include_req_body":true,"max_req_body_bytes":5`, `["`+quoted+"abc\uFFFDd"+`"]`)
	f(`,"include_req_body":true,"include_req_body_expr":[["arg_a","==","2"]]`, `["`+quoted+`"]`)
}

func TestSASL(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		k := newKafka(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "admin", "sk-admin"))
		f := func(password, counts string) (log string) {
			t.Helper()
			g := logtest.New(t, &Spec)
			g.Vars["PASSWORD"] = password
			g.Env.Source = "routes/" + mechanism
			logtest.Serve(g.Bind(`{`+k.brokers(`,"sasl_config":{"mechanism":"`+mechanism+`","user":"admin","password":"$env://PASSWORD"}`)+
				`,"kafka_topic":"logs","batch_max_size":1,"timeout":1}`), "")
			g.Counts(counts)
			if strings.Contains(g.Log.String(), password) {
				t.Errorf("%s: the error log shows the password: %s", mechanism, &g.Log)
			}
			return g.Log.String()
		}
		if log := f("sk-admin", "1 0 0"); log != "" {
			t.Errorf("%s: %s", mechanism, log)
		}
		if mechanism != "PLAIN" {
			continue
		}
		k.refuseLogin()
		if log := f("sk-wrong", "0 1 0"); !strings.Contains(log, "failed to send data to Kafka topic") || !strings.Contains(log, "unable to initialize sasl") {
			t.Errorf("%s: the log does not say why: %s", mechanism, log)
		}
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	k := newKafka(t, kfake.TLS(&tls.Config{Certificates: server.TLS.Certificates}))
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	f := func(config string, roots *x509.CertPool, counts, log string) {
		t.Helper()
		g := logtest.New(t, &Spec)
		g.Env.RootCAs = roots
		logtest.Serve(g.Bind(`{`+k.brokers("")+`,"kafka_topic":"logs","batch_max_size":1,"timeout":1`+config+`}`), "")
		g.Counts(counts)
		if !strings.Contains(g.Log.String(), log) {
			t.Errorf("%s: %s", config, &g.Log)
		}
	}
	f(`,"tls":{}`, nil, "1 0 0", "")
	f(`,"tls":{"verify":true}`, trusted, "1 0 0", "")
	f(`,"tls":{"verify":true}`, nil, "0 1 0", "failed to verify certificate")
}

// A reference in place of a password is not sent.
func TestUnresolved(t *testing.T) {
	g := logtest.New(t, &Spec)
	b := g.Bind(`{"brokers":[{"host":"127.0.0.1","port":1,"sasl_config":{"user":"u","password":"$env://NONE"}}],"kafka_topic":"t"}`)
	if _, ok := b.Value.(plugin.Logger); ok || !strings.Contains(g.Log.String(), "kafka-logger sends nothing") || !strings.Contains(g.Log.String(), "brokers.sasl_config.password") {
		t.Error(&g.Log)
	}
}

// TestBrokerGone holds what happens when a cluster goes away and comes back,
// with a topic of the same name that is another one.
func TestBrokerGone(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	k := newKafka(t, kfake.Ports(port))
	g := logtest.New(t, &Spec)
	b := g.Bind(`{` + k.brokers("") + `,"kafka_topic":"logs","batch_max_size":1,"timeout":1,"max_retry_count":10,"retry_delay":0}`)
	logtest.Serve(b, "n=1")
	g.Counts("1 0 0")
	k.Close()
	start := time.Now()
	logtest.Serve(b, "n=2")
	if d := time.Since(start); d > 100*time.Millisecond {
		t.Errorf("a request waited %v for a broker that is gone", d)
	}
	logtest.Await(t, func() bool { return strings.Contains(g.Log.String(), "failed to send data to Kafka topic") }, g.Log.String)
	k = newKafka(t, kfake.Ports(port))
	g.Counts("2 0 0")
	if got := values(k.read(topic, 1)); !strings.Contains(got, `"n":"2"`) {
		t.Error(got)
	}
}

// TestBrokerDown holds that a cluster that is not there is said, counted and
// given up at the end.
func TestBrokerDown(t *testing.T) {
	g := logtest.New(t, &Spec)
	b := g.Bind(`{"brokers":[{"host":"127.0.0.1","port":1}],"kafka_topic":"logs","batch_max_size":1,"timeout":1}`)
	logtest.Serve(b, "")
	g.Counts("0 1 0")
	if log := g.Log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "connection refused") || !strings.Contains(log, "brokers: 127.0.0.1:1") {
		t.Error(log)
	}
	logtest.Serve(b, "")
	start := time.Now()
	g.Close()
	if d := time.Since(start); d > 8*time.Second {
		t.Errorf("the end took %v", d)
	}
}

// TestShared holds that configurations of one cluster share its connections,
// until the last one goes.
func TestShared(t *testing.T) {
	k := newKafka(t)
	g := logtest.New(t, &Spec)
	bind := func(config string) *sender {
		b := g.Bind(`{` + k.brokers("") + `,"kafka_topic":"logs"` + config + `}`)
		logtest.Serve(b, "")
		for _, key := range g.Keys() {
			if strings.Contains(key, "127.0.0.1") {
				t.Errorf("the key %s shows the configuration", key)
			}
		}
		return nil
	}
	bind("")
	bind(`,"key":"k"`)
	bind(`,"kafka_topic":"others"`)
	bind(`,"timeout":4`)
	producers := 0
	g.Each(func(v any) {
		if _, ok := v.(*producer); ok {
			producers++
		}
	})
	if producers != 2 {
		t.Errorf("%d producers", producers)
	}
}

func TestCheck(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		_, _, err := Spec.Validate([]byte(raw))
		if err == nil {
			err = errors.New("")
		}
		if err.Error() != want {
			t.Errorf("%s: %v", raw, err)
		}
	}
	broker := func(b string) string { return `{"kafka_topic":"t","brokers":[` + b + `]}` }
	f(`{"kafka_topic":"test","key":"key1","broker_list":{"127.0.0.1":3},"name":"x","producer_type":"sync","tls":{"verify":true},"api_version":2,"meta_refresh_interval":1}`, "")
	f(broker(`{"host":"$env://HOST","port":9092,"sasl_config":{"user":"u","password":"$env://P"}}`), "")
	const none = "value should match only one schema, but matches none"
	f(`{"kafka_topic":"test","key":"key1"}`, none)
	f(`{"broker_list":{"127.0.0.1":3}}`, none)
	f(`{"broker_list":{"127.0.0.1":3},"kafka_topic":"t","timeout":"10"}`, `property "timeout" validation failed: wrong type: expected integer, got string`)
	f(`{"broker_list":{"127.0.0.1":3},"kafka_topic":"t","required_acks":10}`, `property "required_acks" validation failed: matches none of the enum values`)
	f(`{"broker_list":{"127.0.0.1":3},"kafka_topic":"t","api_version":3}`, `property "api_version" validation failed: matches none of the enum values`)
	f(`{"broker_list":{},"kafka_topic":"t"}`, `property "broker_list" validation failed: expect object to have at least 1 properties`)
	f(`{"broker_list":{"127.0.0.1":"9092"},"kafka_topic":"t"}`, `property "broker_list" validation failed: failed to validate 127.0.0.1 (matching ".*"): wrong type: expected integer, got string`)
	f(`{"broker_list":{"127.0.0.1":65536},"kafka_topic":"t"}`, `property "broker_list" validation failed: failed to validate 127.0.0.1 (matching ".*"): expected 65536 to be at most 65535`)
	f(broker(``), `property "brokers" validation failed: expect array to have at least 1 items`)
	f(broker(`{"host":"127.0.0.1"}`), `property "brokers" validation failed: failed to validate item 1: property "port" is required`)
	f(broker(`{"port":1}`), `property "brokers" validation failed: failed to validate item 1: property "host" is required`)
	f(broker(`{"host":"a","port":1,"sasl_config":{"mechanism":"INVALID","user":"a","password":"b"}}`),
		`property "brokers" validation failed: failed to validate item 1: property "sasl_config" validation failed: property "mechanism" validation failed: matches none of the enum values`)
	f(broker(`{"host":"a","port":1,"sasl_config":{"user":"a"}}`),
		`property "brokers" validation failed: failed to validate item 1: property "sasl_config" validation failed: property "password" is required`)
	f(`{"broker_list":{"a":1},"kafka_topic":"t","tls":{"verify":"yes"}}`, `property "tls" validation failed: property "verify" validation failed: wrong type: expected boolean, got string`)
	f(`{"broker_list":{"a":1},"kafka_topic":"t","include_req_body_expr":[["a","<>",1]]}`, `failed to validate the 'include_req_body_expr' expression: invalid operator '<>'`)
	f(`{"broker_list":{"a":1},"kafka_topic":""}`, `kafka_topic must not be empty`)

	w := func(raw string, want int) {
		t.Helper()
		if got := Spec.Warn([]byte(raw)); len(got) != want {
			t.Errorf("%s: %q", raw, got)
		}
	}
	login := func(user string) string {
		return `{"host":"a","port":1,"sasl_config":{"user":"` + user + `","password":"p"}}`
	}
	w(broker(`{"host":"a","port":1}`), 0)
	w(broker(login("a")+","+login("a")), 0)
	w(broker(login("a")+","+login("b")), 1)
	w(broker(`{"host":"a","port":1},`+login("b")), 1)
}
