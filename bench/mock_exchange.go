package bench

import (
	"bytes"
	"encoding/json"
	"path"
	"strconv"
	"strings"
	"time"
)

// protocol is the shape of an answer.
type protocol uint8

const (
	echo protocol = iota
	chat
	responses
	embeddings
	messages
	converse
	models
)

// exchange is one request and its answer.
type exchange struct {
	c     *conn
	m     *Mock
	r     *request
	sc    script
	rec   *record
	proto protocol
	ask   ask
	serial
	model []byte // quoted, ready for JSON

	stream  bool
	chunked bool      // framing of the body under way
	events  int       // of the stream so far
	next    time.Time // when the next paced event is due
	urgent  bool      // events do not wait: lead-in and trailer
	hold    bool      // events stay in the buffer: the end follows at once
	pending int       // events in the buffer
	dry     bool      // only count bytes into size
	size    int64
	end     string // "" while under way
	ev      []byte // the event being built
	payload []byte // of a frame
	scratch []byte
}

// serial numbers requests; ids are made of it.
type serial uint64

func (n serial) id(prefix string) string {
	const digits = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	b := append(make([]byte, 0, 40), prefix...)
	for i, v := 0, uint64(0); i < 24; i++ {
		if i%8 == 0 {
			v = mix(uint64(n)<<8 + uint64(i))
		}
		b = append(b, digits[v%uint64(len(digits))])
		v /= uint64(len(digits))
	}
	return string(b)
}

// handle answers one request. An error means that the connection is over.
func (c *conn) handle(r *request) error {
	if strings.HasPrefix(r.path, "/mock/") {
		return c.introspect(r)
	}
	x := &exchange{c: c, m: c.m, r: r, sc: c.m.base}
	x.serial = serial(mix(c.m.opts.Seed) + c.m.stats.requests.total.Add(1))
	x.rec = &record{r: r, started: time.Now()}
	c.m.last.add(x.rec)
	bad := x.sc.read(r)
	c.sc, c.rnd = &x.sc, uint64(x.serial)
	x.classify()

	c.m.stats.requests.open.Add(1)
	if x.stream {
		c.m.stats.streams.total.Add(1)
		c.m.stats.streams.open.Add(1)
	}
	var err error
	if bad != nil {
		err = x.plain(400, x.errorBody(400, bad.Error(), "mock_script_error"))
	} else {
		err = x.answer()
	}
	x.settle(endOf(err, c.m.closing.Load()))
	return err
}

// settle counts the end of the exchange. It is called before the last write,
// so that a client who has the whole answer finds it counted, and once more
// when all is over, in case that write failed.
func (x *exchange) settle(end string) {
	s := &x.m.stats
	if x.end == "" {
		s.requests.open.Add(-1)
		s.requests.add(end, 1)
		if x.stream {
			s.streams.open.Add(-1)
			s.streams.add(end, 1)
			s.events.Add(int64(x.events))
		}
	} else if x.end != end {
		s.requests.add(x.end, -1)
		s.requests.add(end, 1)
		if x.stream {
			s.streams.add(x.end, -1)
			s.streams.add(end, 1)
		}
	} else {
		return
	}
	x.end = end
	x.rec.finish(end, x.events)
}

// classify finds the protocol (ai-proxy.md 2.3, by path first) and takes what
// is needed from the body.
func (x *exchange) classify() {
	p := x.r.path
	object := len(x.r.body) > 0 && x.ask.read(x.r.body)
	switch {
	case strings.HasSuffix(p, "/models") && x.r.method == "GET":
		x.proto = models
	case x.r.method == "GET" || x.r.method == "HEAD":
	case strings.HasSuffix(p, "/v1/messages"):
		x.proto = messages
	case strings.HasSuffix(p, "/converse"), strings.HasSuffix(p, "/converse-stream"):
		x.proto = converse
		x.ask.stream = strings.HasSuffix(p, "-stream")
		// Frames have no lines.
		x.sc.eol, x.sc.comments, x.sc.bom, x.sc.stamp = "", 0, false, false
	case strings.HasSuffix(p, "/responses"):
		x.proto = responses
	case strings.HasSuffix(p, "/embeddings"):
		x.proto = embeddings
	case strings.HasSuffix(p, "/chat/completions"), object && len(x.ask.messages) > 0:
		x.proto = chat
	}
	x.stream = x.ask.stream && (x.proto == chat || x.proto == responses || x.proto == messages || x.proto == converse)
	if x.r.fixture != "" {
		x.stream = path.Ext(x.r.fixture) == ".sse"
	}
	switch {
	case x.sc.model != "":
		x.model = quote(x.sc.model)
	case len(x.ask.model) > 0:
		x.model = x.ask.model
	default:
		x.model = []byte(`"mock-model"`)
	}
}

// answer goes through the script in the order in which an answer unfolds.
func (x *exchange) answer() error {
	sc := &x.sc
	switch {
	case sc.closeHead:
		return errScripted
	case sc.hang:
		return x.untilGone()
	}
	wait := sc.delay
	if !x.stream {
		wait += sc.first // nothing of a plain answer is there before its first token
	}
	if wait > 0 {
		if err := x.c.waitUntil(time.Now().Add(wait)); err != nil {
			return err
		}
	}
	if sc.garbage == "head" {
		x.c.out = append(x.c.out, "HTPP/9 \x00\x01 this is no answer\r\nnor: is\r\n\r\n"...)
		x.c.flush()
		return errScripted
	}
	if sc.earlyHints {
		x.c.out = append(x.c.out, "HTTP/1.1 103 Early Hints\r\nLink: </mock>; rel=preconnect\r\n\r\n"...)
	}
	status := 200
	if sc.status > 0 {
		status = sc.status
	}
	switch {
	case x.r.fixture != "":
		return x.fixture()
	case sc.body != nil:
		return x.plain(status, []byte(*sc.body))
	case status == 204 || status == 304:
		return x.plain(status, nil)
	case status >= 300:
		return x.plain(status, x.errorBody(status, "the mock was told to answer "+strconv.Itoa(status), sc.errType))
	case x.proto != echo && x.proto != models && !x.ask.ok:
		return x.plain(400, x.errorBody(400, "We could not parse the JSON body of your request.", "invalid_request_error"))
	}
	switch x.proto {
	case chat:
		return x.chat(status)
	case responses:
		return x.responses(status)
	case messages:
		return x.messages(status)
	case converse:
		return x.converse(status)
	case embeddings:
		return x.plain(status, x.embeddings())
	case models:
		return x.plain(status, x.models())
	}
	return x.plain(status, x.r.json(true))
}

// tokens is how many content events the answer has.
func (x *exchange) tokens() int {
	if x.sum() {
		return len(sumTokens)
	}
	return x.sc.tokens
}

// sum says whether the prompt asks for 1+1, the example of APISIX's docs.
func (x *exchange) sum() bool { return x.ask.sum && !x.sc.tokensSet }

// appendToken writes the text of content event i, which needs no escapes.
func (x *exchange) appendToken(b []byte, i int) []byte {
	if x.sc.bigEvent > 0 && i == 0 {
		return appendText(b, x.m.opts.Seed, 0, x.sc.bigEvent)
	}
	if x.sum() {
		return append(b, sumTokens[i]...)
	}
	return appendText(b, x.m.opts.Seed, i, x.sc.bytes)
}

// appendAll writes the whole text.
func (x *exchange) appendAll(b []byte) []byte {
	for i := range x.tokens() {
		b = x.appendToken(b, i)
	}
	return b
}

// errorBody is an error as the protocol's provider would write it.
func (x *exchange) errorBody(status int, msg, typ string) []byte {
	switch x.proto {
	case messages:
		return anthropicError(nil, status, msg, typ, x.id("req_"))
	case converse:
		if typ == "" {
			typ = errorClass(status)
		}
		x.sc.headers = append(x.sc.headers[:len(x.sc.headers):len(x.sc.headers)], "x-amzn-ErrorType: "+typ)
		return append(append([]byte(`{"message":`), quote(msg)...), '}')
	}
	return openAIError(nil, status, msg, typ)
}

func openAIError(b []byte, status int, msg, typ string) []byte {
	t, code := "invalid_request_error", "null"
	switch {
	case status == 401:
		code = `"invalid_api_key"`
	case status == 404:
		code = `"model_not_found"`
	case status == 429:
		t, code = "requests", `"rate_limit_exceeded"`
	case status >= 500:
		t = "server_error"
	}
	if typ != "" {
		t = typ
	}
	b = append(append(b, `{"error":{"message":`...), quote(msg)...)
	b = append(append(b, `,"type":`...), quote(t)...)
	return append(append(append(b, `,"param":null,"code":`...), code...), `}}`...)
}

func anthropicError(b []byte, status int, msg, typ, id string) []byte {
	if typ == "" {
		switch status {
		case 401:
			typ = "authentication_error"
		case 403:
			typ = "permission_error"
		case 404:
			typ = "not_found_error"
		case 413:
			typ = "request_too_large"
		case 429:
			typ = "rate_limit_error"
		case 529:
			typ = "overloaded_error"
		default:
			typ = "invalid_request_error"
			if status >= 500 {
				typ = "api_error"
			}
		}
	}
	b = append(append(b, `{"type":"error","error":{"type":`...), quote(typ)...)
	b = append(append(b, `,"message":`...), quote(msg)...)
	return append(append(append(b, `},"request_id":`...), quote(id)...), '}')
}

func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(s)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
