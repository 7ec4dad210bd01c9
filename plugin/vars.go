package plugin

import (
	"os"
	"strconv"
	"strings"
	"time"

	"headrace/conf/expr"
)

// Var appends the value of one request variable to dst. ok is false when the
// variable has no value for this request; what "no value" prints as is up to
// the caller ("-" in access logs).
type Var func(c *Ctx, dst []byte) (out []byte, ok bool)

// LookupVar compiles the name of a variable, without "$": a name of the table
// below (ai-proxy.md 7.1, gateway.md 1.4 and 7.2) or one of the families
// arg_<name>, http_<name>, sent_http_<name>, cookie_<name>, uri_param_<name>,
// post_arg_<name>, post_arg.<path>. ok is false for a name that nothing
// stands for; such a variable never has a value.
func LookupVar(name string) (v Var, ok bool) {
	if v, ok := vars[name]; ok {
		return v, true
	}
	switch {
	case strings.HasPrefix(name, "arg_"):
		arg := name[len("arg_"):]
		return func(c *Ctx, dst []byte) ([]byte, bool) { return appendArg(dst, c.Req.Query, arg) }, true
	case strings.HasPrefix(name, "http_"):
		return headerVar(name[len("http_"):]), true
	case strings.HasPrefix(name, "sent_http_"):
		header := name[len("sent_http_"):]
		return func(c *Ctx, dst []byte) ([]byte, bool) { return appendHeader(dst, c.SentHeaders(), header, true) }, true
	case strings.HasPrefix(name, "cookie_"):
		cookie := name[len("cookie_"):]
		return func(c *Ctx, dst []byte) ([]byte, bool) { return appendCookie(dst, c.Req.Headers, cookie) }, true
	case strings.HasPrefix(name, "uri_param_"):
		param := name[len("uri_param_"):]
		return func(c *Ctx, dst []byte) ([]byte, bool) { return c.appendParam(dst, param) }, true
	case strings.HasPrefix(name, "post_arg_"):
		return postFieldVar(name[len("post_arg_"):]), true
	case strings.HasPrefix(name, "post_arg."):
		if path, err := expr.ParsePath(name[len("post_arg."):]); err == nil {
			return postArgVar(path), true
		}
	}
	return func(_ *Ctx, dst []byte) ([]byte, bool) { return dst, false }, false
}

var hostname, _ = os.Hostname()

var vars = map[string]Var{
	"remote_addr": func(c *Ctx, dst []byte) ([]byte, bool) {
		if !c.Req.Remote.IsValid() {
			return dst, false
		}
		return c.Req.Remote.Addr().Unmap().AppendTo(dst), true
	},
	"remote_port": func(c *Ctx, dst []byte) ([]byte, bool) {
		return strconv.AppendUint(dst, uint64(c.Req.Remote.Port()), 10), c.Req.Remote.Port() != 0
	},
	"server_addr": func(c *Ctx, dst []byte) ([]byte, bool) {
		if !c.Req.Local.IsValid() {
			return dst, false
		}
		return c.Req.Local.Addr().Unmap().AppendTo(dst), true
	},
	"server_port": func(c *Ctx, dst []byte) ([]byte, bool) {
		return strconv.AppendUint(dst, uint64(c.Req.Local.Port()), 10), c.Req.Local.IsValid()
	},
	"remote_user": remoteUser,
	"hostname":    func(_ *Ctx, dst []byte) ([]byte, bool) { return append(dst, hostname...), hostname != "" },
	"pid":         func(_ *Ctx, dst []byte) ([]byte, bool) { return strconv.AppendInt(dst, int64(os.Getpid()), 10), true },
	"time_local": func(_ *Ctx, dst []byte) ([]byte, bool) {
		return time.Now().AppendFormat(dst, "02/Jan/2006:15:04:05 -0700"), true
	},
	"time_iso8601": func(_ *Ctx, dst []byte) ([]byte, bool) {
		return time.Now().AppendFormat(dst, "2006-01-02T15:04:05-07:00"), true
	},
	"msec": func(_ *Ctx, dst []byte) ([]byte, bool) {
		return appendSeconds(dst, time.Duration(time.Now().UnixMilli())*time.Millisecond), true
	},
	"request_method":   func(c *Ctx, dst []byte) ([]byte, bool) { return appendFound(dst, c.Req.Method) },
	"method":           func(c *Ctx, dst []byte) ([]byte, bool) { return appendFound(dst, c.Req.Method) },
	"request":          requestLine,
	"request_line":     requestLine,
	"request_uri":      func(c *Ctx, dst []byte) ([]byte, bool) { return appendFound(dst, c.Req.URI) },
	"real_request_uri": func(c *Ctx, dst []byte) ([]byte, bool) { return appendFound(dst, c.Req.URI) },
	"uri":              func(c *Ctx, dst []byte) ([]byte, bool) { return appendFound(dst, c.Req.Path) },
	"document_uri":     func(c *Ctx, dst []byte) ([]byte, bool) { return appendFound(dst, c.Req.Path) },
	"args":             func(c *Ctx, dst []byte) ([]byte, bool) { return appendFound(dst, c.Req.Query) },
	"query_string":     func(c *Ctx, dst []byte) ([]byte, bool) { return appendFound(dst, c.Req.Query) },
	"is_args": func(c *Ctx, dst []byte) ([]byte, bool) {
		if len(c.Req.Query) > 0 {
			dst = append(dst, '?')
		}
		return dst, true
	},
	"scheme": func(c *Ctx, dst []byte) ([]byte, bool) {
		return append(dst, c.Req.scheme()...), true
	},
	"server_protocol": func(c *Ctx, dst []byte) ([]byte, bool) { return appendFound(dst, c.Req.Protocol) },
	"host": func(c *Ctx, dst []byte) ([]byte, bool) {
		return appendHost(dst, c.Req.Host), len(c.Req.Host) > 0
	},
	"server_name": func(c *Ctx, dst []byte) ([]byte, bool) {
		return appendHost(dst, c.Req.Host), len(c.Req.Host) > 0
	},
	"http_host":      func(c *Ctx, dst []byte) ([]byte, bool) { return appendFound(dst, c.Req.Host) },
	"content_type":   headerVar("content_type"),
	"content_length": headerVar("content_length"),
	"request_length": func(c *Ctx, dst []byte) ([]byte, bool) { return strconv.AppendInt(dst, c.Req.Length, 10), true },
	"status": func(c *Ctx, dst []byte) ([]byte, bool) {
		if c.Status == 0 {
			return append(dst, "000"...), true
		}
		return strconv.AppendInt(dst, int64(c.Status), 10), true
	},
	"body_bytes_sent":   func(c *Ctx, dst []byte) ([]byte, bool) { return strconv.AppendInt(dst, c.Sent, 10), true },
	"request_time":      func(c *Ctx, dst []byte) ([]byte, bool) { return appendSeconds(dst, c.Times.Total), true },
	"request_id":        func(c *Ctx, dst []byte) ([]byte, bool) { return append(dst, c.ID[:]...), true },
	"apisix_request_id": requestID,

	"route_id":      info(func(i *Info) string { return i.RouteID }),
	"route_name":    info(func(i *Info) string { return i.RouteName }),
	"service_id":    info(func(i *Info) string { return i.ServiceID }),
	"service_name":  info(func(i *Info) string { return i.ServiceName }),
	"matched_uri":   info(func(i *Info) string { return i.MatchedURI }),
	"matched_host":  info(func(i *Info) string { return i.MatchedHost }),
	"consumer_name": func(c *Ctx, dst []byte) ([]byte, bool) { return append(dst, c.ConsumerName()...), c.Consumer != nil },
	"consumer_group_id": func(c *Ctx, dst []byte) ([]byte, bool) {
		if c.Consumer == nil || c.Consumer.Group == "" {
			return dst, false
		}
		return append(dst, c.Consumer.Group...), true
	},
	"response_source": func(c *Ctx, dst []byte) ([]byte, bool) { return append(dst, c.Source...), c.Source != "" },

	"upstream_addr": func(c *Ctx, dst []byte) ([]byte, bool) {
		return attempts(c, dst, func(dst []byte, a *Attempt) []byte { return append(dst, a.Addr...) })
	},
	"upstream_status": func(c *Ctx, dst []byte) ([]byte, bool) {
		return attempts(c, dst, func(dst []byte, a *Attempt) []byte {
			if a.Status == 0 {
				return append(dst, '-')
			}
			return strconv.AppendInt(dst, int64(a.Status), 10)
		})
	},
	"upstream_response_time": responseTimes,
	"upstream_connect_time": func(c *Ctx, dst []byte) ([]byte, bool) {
		return attempts(c, dst, func(dst []byte, a *Attempt) []byte { return appendSeconds(dst, a.Connect) })
	},
	"upstream_header_time": func(c *Ctx, dst []byte) ([]byte, bool) {
		return attempts(c, dst, func(dst []byte, a *Attempt) []byte { return appendSeconds(dst, a.Header) })
	},
	"upstream_response_length": func(c *Ctx, dst []byte) ([]byte, bool) {
		return attempts(c, dst, func(dst []byte, a *Attempt) []byte { return strconv.AppendInt(dst, a.Length, 10) })
	},
	"upstream_scheme": func(c *Ctx, dst []byte) ([]byte, bool) {
		if c.Scheme == "" {
			return append(dst, "http"...), true // what APISIX starts with
		}
		return append(dst, c.Scheme...), true
	},
	"upstream_host": func(c *Ctx, dst []byte) ([]byte, bool) {
		if len(c.Upstream.Host) == 0 {
			return append(dst, c.Req.Host...), true
		}
		return append(dst, c.Upstream.Host...), true
	},
	"upstream_uri": func(c *Ctx, dst []byte) ([]byte, bool) { return append(dst, c.Upstream.URI...), true },
	"balancer_ip": func(c *Ctx, dst []byte) ([]byte, bool) {
		if n := len(c.Attempts); n > 0 {
			return append(dst, c.Attempts[n-1].Instance...), true
		}
		return dst, false
	},

	"request_type": func(c *Ctx, dst []byte) ([]byte, bool) { return append(dst, c.RequestType()...), true },
	"request_llm_model": func(c *Ctx, dst []byte) ([]byte, bool) {
		return append(dst, c.RequestModel...), true
	},
	"llm_model":               func(c *Ctx, dst []byte) ([]byte, bool) { return append(dst, c.Model...), true },
	"llm_time_to_first_token": func(c *Ctx, dst []byte) ([]byte, bool) { return appendMillis(dst, c.Times.FirstToken), true },
	"apisix_upstream_response_time": func(c *Ctx, dst []byte) ([]byte, bool) {
		if !c.AI {
			return responseTimes(c, dst)
		}
		return appendMillis(dst, c.Times.Upstream), true
	},
	"llm_prompt_tokens":               tokens(func(c *Ctx) int64 { return c.Capture.Usage.Prompt }),
	"llm_completion_tokens":           tokens(func(c *Ctx) int64 { return c.Capture.Usage.Completion }),
	"llm_total_tokens":                tokens(func(c *Ctx) int64 { return c.Capture.Usage.Total }),
	"llm_cache_read_input_tokens":     tokens(func(c *Ctx) int64 { return c.Capture.Usage.CacheRead }),
	"llm_cache_creation_input_tokens": tokens(func(c *Ctx) int64 { return c.Capture.Usage.CacheCreation }),
	"llm_reasoning_tokens":            tokens(func(c *Ctx) int64 { return c.Capture.Usage.Reasoning }),
	"llm_tool_count":                  tokens(func(c *Ctx) int64 { return int64(c.ToolCount) }),
	"llm_stream":                      flag(func(c *Ctx) bool { return c.AI && c.Stream }),
	"llm_has_tool_calls":              flag(func(c *Ctx) bool { return c.Capture.ToolCalls }),
	"llm_end_reason":                  func(c *Ctx, dst []byte) ([]byte, bool) { return append(dst, c.EndReason...), c.EndReason != "" },
	"upstream_request_id": func(c *Ctx, dst []byte) ([]byte, bool) {
		return append(dst, c.UpstreamID...), len(c.UpstreamID) > 0
	},
	"llm_end_user_id":        func(c *Ctx, dst []byte) ([]byte, bool) { return append(dst, c.EndUser...), true },
	"llm_content_risk_level": func(_ *Ctx, dst []byte) ([]byte, bool) { return dst, true },
	"rate_limiting_info":     rateLimitingInfo,
}

// RequestType is the value of $request_type (ai-proxy.md 2.3).
func (c *Ctx) RequestType() string {
	switch {
	case !c.AI:
		return "traditional_http"
	case c.Stream:
		return "ai_stream"
	}
	return "ai_chat"
}
