package t

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The HTTP client of the scripts. It is our own because the tests look at what
// a library hides: chunks as they arrive, a body that does not end properly,
// whether the connection stays open.

// client is one connection.
type client struct {
	net.Conn
	br *bufio.Reader
}

func dial(addr string) (*client, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &client{c, bufio.NewReader(c)}, nil
}

// closed reports whether the server has closed the connection, waiting up to d
// for it.
func (c *client) closed(d time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(d))
	_, err := c.br.Peek(1)
	var ne net.Error
	return err != nil && !(errors.As(err, &ne) && ne.Timeout())
}

// reply is an answer, filled while it arrives.
type reply struct {
	mu      sync.Mutex
	interim []string // status lines of 1xx
	line    string   // status line
	status  int
	head    []string
	body    []byte
	chunks  []chunk
	took    time.Duration
	end     string // "complete", or why the body is not
	done    chan struct{}
	conn    *client
	want    string
	err     error // no answer at all
}

type chunk struct {
	at   time.Duration
	size int
}

// header returns a header of the answer.
func (r *reply) header(name string) (string, bool) {
	for _, h := range r.head {
		if n, v, _ := strings.Cut(h, ":"); strings.EqualFold(n, name) {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

// String is what the http command prints.
func (r *reply) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, l := range r.interim {
		fmt.Fprintln(&b, l)
	}
	fmt.Fprintln(&b, r.line)
	for _, h := range r.head {
		fmt.Fprintln(&b, h)
	}
	fmt.Fprintf(&b, "\n%s\n!%s\n", r.body, r.end)
	return b.String()
}

// request is what the http command sends.
type request struct {
	method, addr, target string
	headers              []string
	body                 []byte
	hasBody, chunked     bool
	http10               bool
	expect               bool // wait for 100 before the body
	within               time.Duration
	want                 string // status, "-" any
	conn                 string // name of a kept connection
	bg                   string // name under which it goes on
	stopAt               *regexp.Regexp
	leave                string // how to leave at stopAt: close, reset or half
}

// parseRequest reads the arguments of the http command:
//
//	[flags] STATUS METHOD URL [flags]
//
// STATUS is the one to expect, "-" for any. A URL may lack http://.
//
//	-H 'Name: value'  header ("Name:" removes a default)
//	-d TEXT, -D FILE  body; Content-Type is application/json unless given
//	-chunked          send the body chunked
//	-http10           speak HTTP/1.0
//	-expect           send Expect: 100-continue and wait for the answer to it
//	-within TIME      limit for all of it (10s)
//	-c NAME           use and keep the connection NAME
//	-bg NAME          go on with the script; see await, until, drop
//	-stop REGEXP      leave as soon as the body matches
//	-leave HOW        how: close (default), reset or half (close the sending side)
func (s *state) parseRequest(args []string) (*request, error) {
	r := &request{within: 10 * time.Second, leave: "close"}
	var pos []string
	headers := []string{"User-Agent: t", "Accept: */*"}
	set := func(h string) {
		name, v, _ := strings.Cut(h, ":")
		headers = slices.DeleteFunc(headers, func(o string) bool {
			n, _, _ := strings.Cut(o, ":")
			return strings.EqualFold(n, name) && (n == "User-Agent" || n == "Accept" || n == "Content-Type")
		})
		if strings.TrimSpace(v) != "" {
			headers = append(headers, h)
		}
	}
	given := []string{}
	for i := 0; i < len(args); i++ {
		value := func() string {
			i++
			if i >= len(args) {
				return ""
			}
			return args[i]
		}
		var err error
		switch args[i] {
		case "-H":
			given = append(given, value())
		case "-d":
			r.body, r.hasBody = []byte(value()), true
		case "-D":
			r.body, err = os.ReadFile(s.abs(value()))
			r.hasBody = true
		case "-chunked":
			r.chunked = true
		case "-http10":
			r.http10 = true
		case "-expect":
			r.expect = true
		case "-within":
			r.within, err = time.ParseDuration(value())
		case "-c":
			r.conn = value()
		case "-bg":
			r.bg = value()
		case "-stop":
			r.stopAt, err = regexp.Compile(value())
		case "-leave":
			r.leave = value()
		default:
			if strings.HasPrefix(args[i], "-") && args[i] != "-" {
				return nil, fmt.Errorf("unknown flag %s", args[i])
			}
			pos = append(pos, args[i])
		}
		if err != nil {
			return nil, err
		}
	}
	if len(pos) != 3 {
		return nil, fmt.Errorf("usage: http [flags] STATUS METHOD URL, got %q", pos)
	}
	r.want, r.method = pos[0], pos[1]
	link := strings.TrimPrefix(pos[2], "http://")
	var path string
	r.addr, path, _ = strings.Cut(link, "/")
	r.target = "/" + path
	if _, err := url.ParseRequestURI(r.target); err != nil && r.want != "-" {
		return nil, err
	}
	if r.hasBody {
		headers = append(headers, "Content-Type: application/json")
	}
	host := "Host: " + r.addr
	for _, h := range given {
		if name, _, _ := strings.Cut(h, ":"); strings.EqualFold(name, "host") {
			host = h
			continue
		}
		set(h)
	}
	r.headers = append([]string{host}, headers...)
	return r, nil
}

// bytes is the request as it is sent, head and body apart.
func (r *request) bytes() (head, body []byte) {
	proto := "HTTP/1.1"
	if r.http10 {
		proto = "HTTP/1.0"
	}
	b := fmt.Appendf(nil, "%s %s %s\r\n", r.method, r.target, proto)
	for _, h := range r.headers {
		b = append(append(b, h...), "\r\n"...)
	}
	body = r.body
	switch {
	case r.chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		body = nil
		for p := r.body; len(p) > 0; {
			n := min(len(p), 32<<10)
			body = fmt.Appendf(body, "%x\r\n%s\r\n", n, p[:n])
			p = p[n:]
		}
		body = append(body, "0\r\n\r\n"...)
	case r.hasBody:
		b = fmt.Appendf(b, "Content-Length: %d\r\n", len(r.body))
	}
	if r.expect {
		b = append(b, "Expect: 100-continue\r\n"...)
	}
	return append(b, "\r\n"...), body
}

// do sends r on c and reads the answer into out.
func (r *request) do(c *client, out *reply) {
	start := time.Now()
	c.SetDeadline(start.Add(r.within))
	head, body := r.bytes()
	var sent chan struct{}
	if r.expect {
		if _, err := c.Write(head); err != nil {
			out.err = err
			return
		}
	} else {
		// A server may refuse a body that it has not read: what it answers counts.
		sent = make(chan struct{})
		go func() { c.Write(append(head, body...)); close(sent) }()
		defer func() { <-sent }()
	}
	out.err = out.readHead(c, func() error {
		if r.expect {
			_, err := c.Write(body)
			return err
		}
		return nil
	})
	if out.err != nil {
		c.Close()
		return
	}
	end := out.readBody(c, r, start)
	out.mu.Lock()
	out.end, out.took = end, time.Since(start)
	out.mu.Unlock()
	if end != "complete" {
		c.Close()
	}
}

// readHead reads interim answers and the head of the final one.
func (out *reply) readHead(c *client, goOn func() error) error {
	for {
		line, lines, err := readHead(c.br)
		if err != nil {
			return fmt.Errorf("no answer: %w", err)
		}
		parts := strings.SplitN(line, " ", 3)
		status, err := strconv.Atoi(parts[min(1, len(parts)-1)])
		if err != nil {
			return fmt.Errorf("garbage for an answer: %q", line)
		}
		out.mu.Lock()
		if status >= 200 {
			out.line, out.status, out.head = line, status, lines
			out.mu.Unlock()
			return nil
		}
		out.interim = append(out.interim, line)
		out.mu.Unlock()
		if status == 100 {
			if err := goOn(); err != nil {
				return err
			}
		}
	}
}

func readHead(br *bufio.Reader) (first string, lines []string, err error) {
	for {
		l, err := br.ReadString('\n')
		if err != nil {
			return first, lines, err
		}
		l = strings.TrimRight(l, "\r\n")
		switch {
		case first == "":
			first = l
		case l == "":
			return first, lines, nil
		default:
			lines = append(lines, l)
		}
	}
}

var errLeft = errors.New("left")

// readBody reads the body by its framing and says how it ended.
func (out *reply) readBody(c *client, r *request, start time.Time) string {
	add := func(p []byte) error {
		out.mu.Lock()
		out.body = append(out.body, p...)
		out.chunks = append(out.chunks, chunk{time.Since(start), len(p)})
		stop := r.stopAt != nil && r.stopAt.Match(out.body)
		out.mu.Unlock()
		if stop {
			leave(c, r.leave)
			return errLeft
		}
		return nil
	}
	if r.method == "HEAD" || out.status == 204 || out.status == 304 {
		return "complete"
	}
	var err error
	if te, _ := out.header("Transfer-Encoding"); te == "chunked" {
		err = readChunks(c.br, add)
	} else if cl, ok := out.header("Content-Length"); ok {
		var n int64
		if n, err = strconv.ParseInt(cl, 10, 64); err == nil {
			err = copyTo(add, io.LimitReader(c.br, n), n)
		}
	} else if err = copyTo(add, c.br, -1); err == nil {
		c.Close()
	}
	switch {
	case err == nil:
		return "complete"
	case errors.Is(err, errLeft):
		return "left"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	}
	return "truncated: " + err.Error()
}

func readChunks(br *bufio.Reader, add func([]byte) error) error {
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return noEOF(err)
		}
		n, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
		if err != nil {
			return fmt.Errorf("bad chunk size %q", line)
		}
		if n > 0 {
			p := make([]byte, n)
			m, err := io.ReadFull(br, p)
			if m > 0 {
				if err := add(p[:m]); err != nil {
					return err
				}
			}
			if err != nil {
				return noEOF(err)
			}
		}
		if line, err = br.ReadString('\n'); err != nil {
			return noEOF(err)
		}
		if line != "\r\n" {
			return fmt.Errorf("bad end of chunk %q", line)
		}
		if n == 0 {
			return nil
		}
	}
}

func copyTo(add func([]byte) error, r io.Reader, want int64) error {
	buf := make([]byte, 64<<10)
	var got int64
	for {
		n, err := r.Read(buf)
		if n > 0 {
			got += int64(n)
			if err := add(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			if want >= 0 && got < want {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// leave is how a client goes away.
func leave(c *client, how string) {
	switch t, _ := c.Conn.(*net.TCPConn); {
	case how == "reset" && t != nil:
		t.SetLinger(0)
		c.Close()
	case how == "half" && t != nil:
		t.CloseWrite()
	default:
		c.Close()
	}
}

// cmdHTTP sends a request and prints the whole answer: status line, headers,
// a blank line, the body and "!complete", or why it is not. The body is also
// in the file resp.body, the sizes of the pieces as they came in resp.chunks.
func (s *state) cmdHTTP(args []string) (string, error) {
	r, err := s.parseRequest(args)
	if err != nil {
		return "", err
	}
	c := s.conns[r.conn]
	if r.conn == "" || c == nil {
		if c, err = dial(r.addr); err != nil {
			return "", err
		}
		s.track(c)
		if r.conn != "" {
			s.conns[r.conn] = c
		}
	}
	out := &reply{done: make(chan struct{}), conn: c, want: r.want}
	if r.bg != "" {
		if s.background[r.bg] != nil {
			return "", fmt.Errorf("there is a %s already", r.bg)
		}
		s.background[r.bg] = out
		go func() { defer close(out.done); r.do(c, out) }()
		return "", nil
	}
	r.do(c, out)
	close(out.done)
	return s.judge(out, r.conn == "")
}

// judge looks at a finished answer and keeps it.
func (s *state) judge(out *reply, shut bool) (string, error) {
	if shut && out.end != "left" {
		out.conn.Close()
	}
	if out.err != nil {
		return "", out.err
	}
	s.resp = out
	os.WriteFile(s.abs("resp.body"), out.body, 0o644)
	var b bytes.Buffer
	for _, c := range out.chunks {
		fmt.Fprintln(&b, c.size)
	}
	os.WriteFile(s.abs("resp.chunks"), b.Bytes(), 0o644)
	text := out.String()
	if out.want != "-" && out.want != strconv.Itoa(out.status) {
		return text, fmt.Errorf("status %d, want %s:\n%s", out.status, out.want, text)
	}
	return text, nil
}

// cmdAwait waits for a request in the background and prints it like http.
// With -within TIME it must end in that time.
func (s *state) cmdAwait(args []string) (string, error) {
	d, args, err := within(args, 10*time.Second)
	if err != nil || len(args) != 1 || s.background[args[0]] == nil {
		return "", errors.Join(err, fmt.Errorf("usage: await [-within TIME] NAME: %q", args))
	}
	out := s.background[args[0]]
	select {
	case <-out.done:
	case <-time.After(d):
		return "", fmt.Errorf("%s has not ended in %v:\n%s", args[0], d, out)
	}
	delete(s.background, args[0])
	return s.judge(out, true)
}

// cmdUntil waits until the answer in the background, its head and what has
// come of its body, matches: until [-within TIME] NAME REGEXP.
func (s *state) cmdUntil(args []string) (string, error) {
	d, args, err := within(args, 5*time.Second)
	if err != nil || len(args) != 2 || s.background[args[0]] == nil {
		return "", errors.Join(err, fmt.Errorf("usage: until [-within TIME] NAME REGEXP: %q", args))
	}
	re, err := regexp.Compile("(?m)" + args[1])
	if err != nil {
		return "", err
	}
	out := s.background[args[0]]
	return "", eventually(d, func() error {
		if text := out.String(); !re.MatchString(text) {
			return fmt.Errorf("no %q in %v in:\n%s", args[1], d, text)
		}
		return nil
	})
}

// cmdDrop makes the client of a request in the background leave:
// drop NAME [close|reset|half].
func (s *state) cmdDrop(args []string) (string, error) {
	if len(args) == 0 || s.background[args[0]] == nil {
		return "", fmt.Errorf("usage: drop NAME [close|reset|half]: %q", args)
	}
	out := s.background[args[0]]
	leave(out.conn, strings.Join(args[1:], ""))
	delete(s.background, args[0])
	return "", nil
}

// cmdConn says whether a kept connection is open or closed by the server:
// conn NAME open|closed. "conn NAME drop" closes and forgets it.
func (s *state) cmdConn(args []string) (string, error) {
	if len(args) != 2 || s.conns[args[0]] == nil {
		return "", fmt.Errorf("usage: conn NAME open|closed|drop: %q", args)
	}
	c := s.conns[args[0]]
	switch args[1] {
	case "open":
		if c.closed(30 * time.Millisecond) {
			return "", errors.New("the connection is closed")
		}
	case "closed":
		if !c.closed(5 * time.Second) {
			return "", errors.New("the connection is open")
		}
		delete(s.conns, args[0])
	case "drop":
		c.Close()
		delete(s.conns, args[0])
	}
	return "", nil
}

// cmdRaw sends bytes as they are and prints what comes back, then "!closed" or
// "!open":
//
//	raw [flags] ADDR BYTES...
//
// BYTES are texts with Go's escapes, or @FILE.
//
//	-within TIME   wait so long for the end (3s)
//	-until REGEXP  stop waiting when what has come matches
//	-drip TIME     send a byte at a time with this pause
//	-half          close the sending side afterwards
func (s *state) cmdRaw(args []string) (string, error) {
	limit, drip, half := 3*time.Second, time.Duration(0), false
	var until *regexp.Regexp
	var pos []string
	var err error
	for i := 0; i < len(args) && err == nil; i++ {
		switch args[i] {
		case "-within", "-drip", "-until":
			if i+1 == len(args) {
				return "", fmt.Errorf("%s wants a value", args[i])
			}
			switch args[i] {
			case "-within":
				limit, err = time.ParseDuration(args[i+1])
			case "-drip":
				drip, err = time.ParseDuration(args[i+1])
			default:
				until, err = regexp.Compile(args[i+1])
			}
			i++
		case "-half":
			half = true
		default:
			pos = append(pos, args[i])
		}
	}
	if err != nil || len(pos) < 1 {
		return "", fmt.Errorf("usage: raw [flags] ADDR BYTES...: %w", err)
	}
	var data []byte
	for _, p := range pos[1:] {
		if name, ok := strings.CutPrefix(p, "@"); ok {
			b, err := os.ReadFile(s.abs(name))
			if err != nil {
				return "", err
			}
			data = append(data, b...)
			continue
		}
		text, err := strconv.Unquote(`"` + strings.ReplaceAll(p, `"`, `\"`) + `"`)
		if err != nil {
			return "", fmt.Errorf("cannot read %q: %w", p, err)
		}
		data = append(data, text...)
	}
	c, err := dial(pos[0])
	if err != nil {
		return "", err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c.SetDeadline(time.Now().Add(limit))
	written := make(chan struct{})
	go func() {
		defer close(written)
		if drip == 0 {
			c.Write(data)
		} else {
			tick := time.NewTicker(drip)
			defer tick.Stop()
			for i := range data {
				if _, err := c.Write(data[i : i+1]); err != nil {
					return
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		}
		if half {
			leave(c, "half")
		}
	}()
	var got []byte
	buf := make([]byte, 32<<10)
	end := ""
	for end == "" {
		n, err := c.br.Read(buf)
		got = append(got, buf[:n]...)
		switch {
		case until != nil && until.Match(got):
			end = "!matched"
		case errors.Is(err, os.ErrDeadlineExceeded):
			end = "!open"
		case err != nil:
			end = "!closed"
		}
	}
	cancel()
	c.Close()
	<-written
	return strings.ReplaceAll(string(got), "\r\n", "\n") + "\n" + end + "\n", nil
}

// within takes a leading -within TIME off args.
func within(args []string, d time.Duration) (time.Duration, []string, error) {
	if len(args) < 2 || args[0] != "-within" {
		return d, args, nil
	}
	d, err := time.ParseDuration(args[1])
	return d, args[2:], err
}
