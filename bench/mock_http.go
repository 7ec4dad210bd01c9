package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxHead = 1 << 20
	maxBody = 1 << 30
)

// conn is one client connection, served by one goroutine. HTTP is read and
// written here by hand: faults need the raw bytes, and net/http would cost
// more than the gateways that are measured against it.
type conn struct {
	m      *Mock
	raw    net.Conn // below TLS
	nc     net.Conn
	br     *bufio.Reader
	out    []byte // what waits for the next write
	busy   atomic.Bool
	late   bool      // a read deadline is set and in the past
	looked time.Time // until when the peer was watched
	sc     *script   // of the request under way; nil between requests
	rnd    uint64
}

// field is one header line.
type field struct{ name, value string }

// request is one message of a client. Its strings share one copy of the head.
type request struct {
	method, target, path, query, proto string
	fields                             []field
	body                               []byte

	length       int64 // -1: none given
	chunked      bool
	keepAlive    bool
	expect       bool
	scripted     bool // an x-mock- header is there
	fixture, fxs string
}

// badRequest is a message that no provider would take.
type badRequest string

func (b badRequest) Error() string { return string(b) }

var (
	errGone     = errors.New("client is gone")
	errScripted = errors.New("connection ends by script")
)

func (c *conn) serve() {
	defer c.m.drop(c)
	c.br = bufio.NewReaderSize(c.nc, 4096)
	for {
		c.busy.Store(false)
		if c.late {
			c.late = false
			c.nc.SetReadDeadline(time.Time{})
		}
		if c.m.closing.Load() {
			return
		}
		r, err := c.read()
		if err != nil {
			if bad, ok := errors.AsType[badRequest](err); ok {
				body := openAIError(nil, 400, string(bad), "")
				c.out = appendHead(c.out[:0], "HTTP/1.1", 400, "application/json", int64(len(body)), false)
				c.out = append(append(c.out, "Connection: close\r\n\r\n"...), body...)
				c.flush()
			}
			return
		}
		err = c.handle(r)
		c.sc = nil
		if err != nil || !r.keepAlive {
			return
		}
		if cap(c.out) > 64<<10 {
			c.out = nil
		}
	}
}

// read takes one request from the connection, its body included.
func (c *conn) read() (*request, error) {
	var head []byte
	for {
		line, err := c.br.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return nil, err
		}
		if len(head) == 0 {
			c.busy.Store(true)
			// Empty lines before a request are allowed (RFC 9112, 2.2).
			if len(bytes.TrimRight(line, "\r\n")) == 0 {
				continue
			}
		}
		whole := len(head) == 0 || head[len(head)-1] == '\n'
		head = append(head, line...)
		if len(head) > maxHead {
			return nil, badRequest("the head of the request is larger than 1 MiB")
		}
		if whole && (string(line) == "\r\n" || string(line) == "\n") {
			break
		}
	}
	r, err := parseHead(string(head))
	if err != nil {
		return nil, err
	}
	if r.expect && c.br.Buffered() == 0 && (r.chunked || r.length > 0) {
		if _, err := c.nc.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			return nil, err
		}
	}
	switch {
	case r.chunked:
		r.body, err = c.readChunked()
	case r.length > maxBody:
		err = badRequest("the body of the request is larger than 1 GiB")
	case r.length > 1<<20: // do not believe it before it is there
		var b bytes.Buffer
		_, err = io.CopyN(&b, c.br, r.length)
		r.body = b.Bytes()
	case r.length > 0:
		r.body = make([]byte, r.length)
		_, err = io.ReadFull(c.br, r.body)
	}
	return r, err
}

// parseHead is strict where a lenient provider would hide a gateway's fault.
func parseHead(head string) (*request, error) {
	r := &request{length: -1, fields: make([]field, 0, 16)}
	line, rest, _ := strings.Cut(head, "\n")
	var ok1, ok2 bool
	r.method, line, ok1 = strings.Cut(strings.TrimSuffix(line, "\r"), " ")
	r.target, r.proto, ok2 = strings.Cut(line, " ")
	if !ok1 || !ok2 || r.method == "" || r.target == "" || (r.proto != "HTTP/1.1" && r.proto != "HTTP/1.0") {
		return nil, badRequest("the request line is malformed")
	}
	r.path, r.query, _ = strings.Cut(r.target, "?")
	if i := strings.Index(r.path, "://"); i > 0 { // absolute form
		if j := strings.IndexByte(r.path[i+3:], '/'); j >= 0 {
			r.path = r.path[i+3+j:]
		} else {
			r.path = "/"
		}
	}
	r.keepAlive = r.proto == "HTTP/1.1"
	hosts := 0
	for {
		line, rest, _ = strings.Cut(rest, "\n")
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, badRequest(fmt.Sprintf("the header line %.60q is malformed", line))
		}
		value = strings.Trim(value, " \t")
		r.fields = append(r.fields, field{name, value})
		if err := r.note(name, value, &hosts); err != nil {
			return nil, err
		}
	}
	if r.proto == "HTTP/1.1" && hosts != 1 {
		return nil, badRequest(fmt.Sprintf("the request has %d Host headers", hosts))
	}
	if r.chunked && r.length >= 0 {
		return nil, badRequest("the request has Content-Length and Transfer-Encoding")
	}
	return r, nil
}

// note takes what the mock itself needs from one header.
func (r *request) note(name, value string, hosts *int) error {
	// The length decides cheaply; most headers are none of these.
	switch len(name) {
	case 4:
		if strings.EqualFold(name, "Host") {
			*hosts++
		}
	case 6:
		if strings.EqualFold(name, "Expect") {
			r.expect = strings.EqualFold(value, "100-continue")
		}
	case 10:
		if strings.EqualFold(name, "Connection") {
			for v := range strings.SplitSeq(value, ",") {
				switch v = strings.TrimSpace(v); {
				case strings.EqualFold(v, "close"):
					r.keepAlive = false
				case strings.EqualFold(v, "keep-alive"):
					r.keepAlive = true
				}
			}
		}
	case 12:
		if strings.EqualFold(name, "X-AI-Fixture") {
			r.fixture = value
		}
	case 14:
		if strings.EqualFold(name, "Content-Length") {
			n, err := strconv.ParseUint(value, 10, 62)
			if err != nil || r.length >= 0 {
				return badRequest("the Content-Length is malformed or repeated")
			}
			r.length = int64(n)
		}
	case 17:
		if strings.EqualFold(name, "Transfer-Encoding") {
			if !strings.EqualFold(value, "chunked") || r.chunked {
				return badRequest("the Transfer-Encoding is not \"chunked\"")
			}
			r.chunked = true
		}
	case 19:
		if strings.EqualFold(name, "X-AI-Fixture-Status") {
			r.fxs = value
		}
	}
	if len(name) > 7 && strings.EqualFold(name[:7], "x-mock-") {
		r.scripted = true
	}
	return nil
}

func (c *conn) readChunked() ([]byte, error) {
	var body bytes.Buffer
	for {
		line, err := c.br.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		size, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimRight(size, " \t")), 16, 40)
		if err != nil || int64(n)+int64(body.Len()) > maxBody {
			return nil, badRequest(fmt.Sprintf("the chunk size %.20q is not usable", size))
		}
		if n == 0 {
			break
		}
		if _, err = io.CopyN(&body, c.br, int64(n)); err != nil {
			return nil, err
		}
		if line, err = c.br.ReadSlice('\n'); err != nil {
			return nil, err
		}
		if len(bytes.TrimRight(line, "\r\n")) != 0 {
			return nil, badRequest("a chunk is longer than its size")
		}
	}
	for { // trailers
		line, err := c.br.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return body.Bytes(), nil
		}
	}
}
