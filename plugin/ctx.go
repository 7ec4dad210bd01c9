package plugin

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/driver"
)

// Info is what a compiled route is called; it is shared by all its requests.
type Info struct {
	RouteID, RouteName     string
	ServiceID, ServiceName string
	MatchedURI             string // the pattern that matched, as the route spells it
	MatchedHost            string
	Labels                 map[string]string
}

// Attempt is one call of an upstream, for log variables and metrics.
type Attempt struct {
	Instance string // name of the instance, "ai-proxy-<provider>" for the single plugin
	Addr     string // host:port as configured
	Status   int    // the upstream's, or 500/504 when there was no answer; 0: none yet
	Connect  time.Duration
	Header   time.Duration
	Total    time.Duration
	Length   int64 // body bytes read
}

// Times are the moments of a request. Zero values mean "did not happen".
type Times struct {
	Start      time.Time     // the head was read
	FirstToken time.Duration // llm_time_to_first_token: since the attempt's start
	Upstream   time.Duration // apisix_upstream_response_time: of the last attempt
	Total      time.Duration // whole request, set before the log phase
}

// Request is what the client sent, without its body, as plugins have left it.
// The byte slices alias memory of the server until the handler returns, then a
// copy; they are valid through the log phase. A plugin may put others in the
// place of Method and Headers (see SetHeader), Path and Query (SetTarget), and
// another address in that of Remote (port 0: unknown); URI stays what was sent.
type Request struct {
	Method   []byte
	URI      []byte // as sent, with query
	Path     []byte // decoded and normalised
	Query    []byte // raw, without "?"
	Target   []byte // what an upstream is asked for; nil: URI
	Host     []byte // as sent, with port
	AskHost  []byte // the Host that an ordinary upstream gets with pass_host "pass"; nil: Host
	Protocol []byte // "HTTP/1.1"
	Headers  []byte // the header lines as received, each ended by CRLF
	Remote   netip.AddrPort
	Local    netip.AddrPort
	Length   int64 // bytes of head and body
	TLS      bool
	Trust    Trust
	own      uint8 // a bit per Forwarded that a plugin has set
}

// Ctx is one request as plugins see it. It lives inside the engine's pooled
// request object: nothing of it may be kept after the log phase. It is used by
// one goroutine at a time.
type Ctx struct {
	HTTP   *fasthttp.RequestCtx // nil once a stream has left the server's hands
	Owner  any                  // the engine's own request object
	Req    Request
	Info   *Info
	Params []Param  // of the path
	ID     [32]byte // request id, hexadecimal

	// RequestID is the id that a plugin has given to the request; "": it has
	// none but ID.
	RequestID string

	Directory Directory // the consumers of the configuration in force

	// The AI side; zero for other requests.
	AI           bool // the AI proxy's access phase has accepted the request
	Body         driver.Body
	Proto        driver.Proto // the client's protocol
	Instance     *driver.Instance
	Stream       bool   // the client asked for a stream
	RequestModel []byte // "model" of the client's body
	Model        []byte // llm_model
	EndUser      []byte
	ToolCount    int
	Capture      driver.Capture // usage, text and tool calls of the answer
	LogSummary   bool           // logging.summaries of the AI proxy
	LogPayload   bool           // logging.payloads

	// The answer.
	Status     int
	Head       []byte // status line and headers as sent; nil: HTTP has them, if not nil too
	Sent       int64  // body bytes written to the client
	Source     string
	Attempts   []Attempt
	Scheme     string // of the last attempt
	Upstream   UpstreamRef
	EndReason  string    // of an AI stream that has ended: "complete", "client_gone", ...
	UpstreamID []byte    // the provider's own id of the request, nil or empty for none
	Consumer   *Consumer // who the caller is; nil: nobody knows
	Times      Times

	// What came and went, as far as a BodyLogger wants it; in the log phase only.
	ReqBody  []byte // as received
	RespBody []byte // as sent

	reply   Reply
	limited rateLimit
	ends    []Ender
	kept    []kept
}

// UpstreamRef names the last upstream for the $upstream_ variables.
type UpstreamRef struct{ Host, URI []byte }

// Reply is an answer made by the gateway itself.
type Reply struct {
	ContentType string
	Body        []byte
}

// Reply sets the body of the answer that ends the request and returns the
// verdict for it, so that a phase can end with "return c.Reply(...)". A nil
// body is an empty answer. body must stay valid until the request ends.
func (c *Ctx) Reply(status int, contentType string, body []byte) Verdict {
	c.reply = Reply{contentType, body}
	return Verdict(status)
}

// Answer returns what Reply was given last.
func (c *Ctx) Answer() Reply { return c.reply }

// Content types of answers that the gateway makes (gateway.md 1.7).
const (
	JSON = "application/json"
	Text = "text/plain; charset=utf-8"
)

// Message is {"message":"<text>"} and a newline, the body of most answers that
// plugins make.
func Message(text string) []byte { return textBody("message", text) }

// ErrorMessage is {"error_msg":"<text>"} and a newline, the body of answers of
// plugins that limit.
func ErrorMessage(text string) []byte { return textBody("error_msg", text) }

func textBody(key, text string) []byte {
	return append(driver.AppendString([]byte(`{"`+key+`":`), []byte(text)), "}\n"...)
}

// Header returns the first value of a request header, by the name's lower or
// upper case alike; nil if the client did not send it.
func (c *Ctx) Header(name string) []byte { return c.Req.Header(name) }

// SentHeaders returns the header lines of the answer as the client got them,
// nil if they are not known any more. They are valid until the answer changes.
func (c *Ctx) SentHeaders() []byte {
	head := c.Head
	if head == nil && c.HTTP != nil {
		head = c.HTTP.Response.Header.Header()
	}
	_, lines, _ := bytes.Cut(head, []byte("\n")) // behind the status line
	return lines
}

// Header is Ctx.Header.
func (r *Request) Header(name string) []byte {
	v, _, _ := nextHeader(r.Headers, name, false)
	return v
}

// Arg returns the first value of a query argument, decoded; nil if there is
// none. The bytes must not be changed and are valid as long as the query is.
func (c *Ctx) Arg(name string) []byte {
	for rest := c.Req.Query; len(rest) > 0; {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte{'&'})
		key, v, is := bytes.Cut(pair, []byte{'='})
		switch {
		case string(unescaped(key)) != name:
		case !is:
			return []byte{} // not nil: the argument is there
		default:
			return unescaped(v)
		}
	}
	return nil
}

// unescaped is s decoded: s itself where there is nothing to decode.
func unescaped(s []byte) []byte {
	if bytes.IndexByte(s, '%') < 0 && bytes.IndexByte(s, '+') < 0 {
		return s[:len(s):len(s)]
	}
	return AppendUnescaped(make([]byte, 0, len(s)), s)
}

// Cookie returns the value of a cookie, nil if the client did not send it.
func (c *Ctx) Cookie(name string) []byte {
	v, _ := findCookie(c.Req.Headers, name)
	return v
}

// BodyReader is what Ctx.Owner is to plugins that read the client's body.
type BodyReader interface {
	// ClientBody returns the whole body, at most limit bytes of it. The
	// verdict is 0, or the answer for a body that is larger or does not arrive.
	ClientBody(limit int64) ([]byte, Verdict)
}

// ReadBody reads the client's body before anybody else does, for a phase that
// has to know it. It is passed on unharmed and may be read again, by any
// plugin. The bytes must not be changed and are valid through the log phase.
// A verdict other than 0 ends the request; its answer is set.
func (c *Ctx) ReadBody(limit int64) ([]byte, Verdict) { return c.Owner.(BodyReader).ClientBody(limit) }

// keepAttempts bounds the list that stays with a pooled Ctx, at about 64 KiB.
const keepAttempts = 500

// Reset makes c ready for another request. Buffers up to 64 KiB are kept.
func (c *Ctx) Reset() {
	c.Body.Reset()
	c.Capture.Reset()
	clear(c.kept)
	body, capture, attempts, id, kept := c.Body, c.Capture, c.Attempts[:0], c.UpstreamID[:0], c.kept[:0]
	if cap(attempts) > keepAttempts {
		attempts = nil
	}
	key, ends := c.limited.key[:0], c.ends[:0]
	*c = Ctx{Body: body, Capture: capture, Attempts: attempts, UpstreamID: id, limited: rateLimit{key: key}, ends: ends, kept: kept}
}
