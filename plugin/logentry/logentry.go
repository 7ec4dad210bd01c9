// Package logentry makes the JSON object that logger plugins write for a
// request: APISIX's default entry or a log_format of the user's, with the LLM
// parts that ai-proxy's logging asks for (gateway.md 8.7, ai-proxy.md 7.2).
package logentry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"headrace/driver"
	"headrace/plugin"
)

// Format is a compiled log_format; the zero value is the default entry. It is
// immutable.
type Format struct {
	custom *node // nil: the default entry
	extra  *node
}

// node is one value of a format: an object, a text with a variable, or a constant.
type node struct {
	keys  []string
	kids  []*node
	v     plugin.Var
	fixed []byte // JSON
}

const maxDepth = 5

// Compile reads log_format and log_format_extra; either may be nil. Objects
// nest up to five deep, a string that begins with "$" is a variable, every
// other value stands for itself.
func Compile(format, extra json.RawMessage) (*Format, error) {
	f := new(Format)
	var err error
	if f.custom, err = object(format, 1); err != nil {
		return nil, fmt.Errorf("log_format: %w", err)
	}
	if f.extra, err = object(extra, 1); err != nil {
		return nil, fmt.Errorf("log_format_extra: %w", err)
	}
	return f, nil
}

func object(raw json.RawMessage, depth int) (*node, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if depth > maxDepth {
		return nil, errors.New("nested deeper than 5")
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, errors.New("wrong type: expected object")
	}
	if len(m) == 0 {
		return nil, nil
	}
	n := new(node)
	for key := range m {
		n.keys = append(n.keys, key)
	}
	slices.Sort(n.keys)
	for _, key := range n.keys {
		kid, err := value(m[key], depth)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		n.kids = append(n.kids, kid)
	}
	return n, nil
}

func value(raw json.RawMessage, depth int) (*node, error) {
	switch raw[0] {
	case '{':
		kid, err := object(raw, depth+1)
		if kid == nil && err == nil {
			kid = &node{fixed: []byte("{}")}
		}
		return kid, err
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		if name, ok := strings.CutPrefix(s, "$"); ok {
			v, _ := plugin.LookupVar(strings.TrimSuffix(strings.TrimPrefix(name, "{"), "}"))
			return &node{v: v}, nil
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return nil, err
	}
	return &node{fixed: compact.Bytes()}, nil
}

var hostname, _ = os.Hostname()

// Append writes the entry of a finished request as one JSON object.
func (f *Format) Append(dst []byte, c *plugin.Ctx) []byte {
	dst = append(dst, '{')
	start := len(dst)
	if f.custom != nil {
		dst = f.custom.members(dst, start, c)
		dst = text(key(dst, start, "route_id"), routeID(c))
	} else {
		dst = standard(dst, start, c)
	}
	if f.extra != nil {
		dst = f.extra.members(dst, start, c)
	}
	if c.AI && c.LogSummary {
		dst = summary(key(dst, start, "llm_summary"), c)
	}
	if c.AI && c.LogPayload {
		dst = payload(dst, start, c)
	}
	return append(dst, '}')
}

func routeID(c *plugin.Ctx) string {
	if c.Info == nil {
		return ""
	}
	return c.Info.RouteID
}

func (n *node) members(dst []byte, start int, c *plugin.Ctx) []byte {
	for i, name := range n.keys {
		kid := n.kids[i]
		if kid.v != nil {
			at := len(dst)
			out, ok := kid.v(c, dst)
			if !ok {
				dst = out[:at] // an absent variable is an absent member
				continue
			}
			// The value stands where its key has to be: move it.
			v := string(out[at:])
			dst = text(key(out[:at], start, name), v)
			continue
		}
		dst = key(dst, start, name)
		if kid.fixed != nil {
			dst = append(dst, kid.fixed...)
			continue
		}
		dst = append(dst, '{')
		dst = kid.members(dst, len(dst), c)
		dst = append(dst, '}')
	}
	return dst
}

// standard writes APISIX's default entry.
func standard(dst []byte, start int, c *plugin.Ctx) []byte {
	r := &c.Req
	dst = append(key(dst, start, "request"), '{')
	in := len(dst)
	dst = variable(key(dst, in, "url"), c, "scheme", "://", "http_host", "", "request_uri")
	dst = text(key(dst, in, "uri"), string(r.URI))
	dst = text(key(dst, in, "method"), string(r.Method))
	dst = headers(key(dst, in, "headers"), r.Headers)
	dst = query(key(dst, in, "querystring"), r.Query)
	dst = append(strconv.AppendInt(key(dst, in, "size"), r.Length, 10), '}')
	dst = append(key(dst, start, "response"), '{')
	in = len(dst)
	dst = strconv.AppendInt(key(dst, in, "status"), int64(c.Status), 10)
	dst = append(strconv.AppendInt(key(dst, in, "size"), c.Sent, 10), '}')
	dst = append(key(dst, start, "server"), '{')
	in = len(dst)
	dst = text(key(dst, in, "hostname"), hostname)
	dst = append(text(key(dst, in, "version"), "headrace"), '}')
	if n := len(c.Attempts); n > 0 {
		dst = text(key(dst, start, "upstream"), c.Attempts[n-1].Addr)
	}
	if c.Info != nil {
		dst = text(key(dst, start, "service_id"), c.Info.ServiceID)
	}
	dst = text(key(dst, start, "route_id"), routeID(c))
	if c.Consumer != "" {
		dst = append(key(dst, start, "consumer"), '{')
		dst = append(text(key(dst, len(dst), "username"), c.Consumer), '}')
	}
	dst = variable(key(dst, start, "client_ip"), c, "remote_addr")
	dst = strconv.AppendInt(key(dst, start, "start_time"), c.Times.Start.UnixMilli(), 10)
	dst = millis(key(dst, start, "latency"), float64(c.Times.Total.Microseconds())/1000)
	if len(c.Attempts) > 0 {
		dst = millis(key(dst, start, "upstream_latency"), float64(c.Times.Upstream.Microseconds())/1000)
	}
	return millis(key(dst, start, "apisix_latency"), float64(max(0, c.Times.Total-c.Times.Upstream).Microseconds())/1000)
}

func millis(dst []byte, ms float64) []byte { return strconv.AppendFloat(dst, ms, 'f', -1, 64) }

// summary writes llm_summary.
func summary(dst []byte, c *plugin.Ctx) []byte {
	u := &c.Capture.Usage
	dst = append(dst, '{')
	in := len(dst)
	dst = text(key(dst, in, "request_model"), string(c.RequestModel))
	dst = text(key(dst, in, "model"), string(c.Model))
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"duration", c.Times.FirstToken.Milliseconds()},
		{"prompt_tokens", u.Prompt}, {"completion_tokens", u.Completion}, {"total_tokens", u.Total},
		{"upstream_response_time", c.Times.Upstream.Milliseconds()},
		{"tool_count", int64(c.ToolCount)},
		{"cache_read_input_tokens", u.CacheRead}, {"cache_creation_input_tokens", u.CacheCreation},
		{"reasoning_tokens", u.Reasoning},
	} {
		dst = strconv.AppendInt(key(dst, in, n.name), n.value, 10)
	}
	dst = strconv.AppendBool(key(dst, in, "stream"), c.Stream)
	dst = strconv.AppendBool(key(dst, in, "has_tool_calls"), c.Capture.ToolCalls)
	dst = text(key(dst, in, "end_user_id"), string(c.EndUser))
	return append(text(key(dst, in, "content_risk_level"), ""), '}')
}

// maxPayload bounds what one body adds to a line.
const maxPayload = 64 << 10

// payload writes llm_request and llm_response_text.
func payload(dst []byte, start int, c *plugin.Ctx) []byte {
	dst = append(key(dst, start, "llm_request"), '{')
	in := len(dst)
	if m := driver.Of(c.Proto).LogMessages(&c.Body); m != nil {
		dst = key(dst, in, "messages")
		if len(m) > maxPayload {
			dst = text(dst, strings.ToValidUTF8(string(m[:maxPayload]), ""))
		} else {
			dst = append(dst, m...)
		}
	}
	dst = append(strconv.AppendBool(key(dst, in, "stream"), c.Stream), '}')
	dst = append(key(dst, start, "llm_response_text"), '{')
	return append(text(key(dst, len(dst), "content"), string(c.Capture.Text)), '}')
}

// key writes a member's name; start is where the object's members begin.
func key(dst []byte, start int, name string) []byte {
	if len(dst) > start {
		dst = append(dst, ',')
	}
	return append(driver.AppendString(dst, []byte(name)), ':')
}

func text(dst []byte, s string) []byte {
	return driver.AppendString(dst, []byte(strings.ToValidUTF8(s, "\uFFFD")))
}

// variable writes a string that is made of variables, at even places, and of
// the texts between them.
func variable(dst []byte, c *plugin.Ctx, parts ...string) []byte {
	var b []byte
	for i, p := range parts {
		if i%2 == 1 {
			b = append(b, p...)
			continue
		}
		v, _ := plugin.LookupVar(p)
		b, _ = v(c, b)
	}
	return text(dst, string(b))
}

// secretHeaders never appear in a log.
var secretHeaders = []string{"authorization", "x-api-key", "api-key", "apikey", "cookie", "proxy-authorization", "x-amz-security-token"}

// headers writes the request's headers as an object, with credentials masked.
func headers(dst []byte, lines []byte) []byte {
	dst = append(dst, '{')
	start := len(dst)
	seen := map[string]bool{}
	for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
		name, v, ok := bytes.Cut(line, []byte(":"))
		lower := strings.ToLower(string(name))
		if !ok || seen[lower] {
			continue
		}
		seen[lower] = true
		value := string(bytes.TrimSpace(v))
		if slices.Contains(secretHeaders, lower) {
			value = "***"
		}
		dst = text(key(dst, start, lower), value)
	}
	return append(dst, '}')
}

func query(dst, raw []byte) []byte {
	dst = append(dst, '{')
	start := len(dst)
	for kv := range bytes.SplitSeq(raw, []byte("&")) {
		k, v, _ := bytes.Cut(kv, []byte("="))
		if len(k) > 0 {
			dst = text(key(dst, start, string(k)), string(v))
		}
	}
	return append(dst, '}')
}
