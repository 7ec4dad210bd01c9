//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// provider answers plain requests from within the load's own process. It skips
// the body unread, where the mock provider checks it, counts its words and so
// needs 200 µs for 16 KB: behind the mock every gateway would idle.
type provider struct {
	ln      net.Listener
	answers [][]byte

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func startProvider() (*provider, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot start the plain provider: %w", err)
	}
	p := &provider{ln: ln, conns: map[net.Conn]struct{}{}}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 64 {
		p.answers = append(p.answers, chatAnswer(rnd, i))
	}
	go p.serve()
	return p, nil
}

func (p *provider) addr() string { return p.ln.Addr().String() }

func (p *provider) stop() {
	p.ln.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for nc := range p.conns {
		nc.Close()
	}
}

func (p *provider) serve() {
	for i := 0; ; i++ {
		nc, err := p.ln.Accept()
		if err != nil {
			return
		}
		rc, err := nc.(*net.TCPConn).SyscallConn()
		if err != nil {
			nc.Close()
			continue
		}
		p.mu.Lock()
		p.conns[nc] = struct{}{}
		p.mu.Unlock()
		c := &providerConn{p: p, rc: rc, next: i, head: make([]byte, 0, 4096)}
		go func() {
			c.serve()
			nc.Close()
			p.mu.Lock()
			delete(p.conns, nc)
			p.mu.Unlock()
		}()
	}
}

// providerConn is one connection of a gateway.
type providerConn struct {
	p    *provider
	rc   syscall.RawConn
	next int // answer
	head []byte
	left int64 // of the body; -1: in the head
}

// serve runs until the peer leaves or sends what no gateway should.
func (c *providerConn) serve() {
	c.left = -1
	c.rc.Read(c.readable)
}

// readable returns true when the connection is over.
func (c *providerConn) readable(fd uintptr) bool {
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := unix.Read(int(fd), buf[:])
		switch {
		case err == unix.EAGAIN:
			return false
		case err == unix.EINTR:
			continue
		case err != nil || n == 0:
			return true
		}
		for p := buf[:n]; len(p) > 0; {
			if c.left < 0 {
				var ok bool
				if p, ok = c.headBytes(p); !ok {
					return true
				}
			} else {
				skip := min(c.left, int64(len(p)))
				p = p[skip:]
				c.left -= skip
			}
			if c.left == 0 {
				if !c.answer(int(fd)) {
					return true
				}
				c.left = -1
			}
		}
		if n < len(buf) {
			return false
		}
	}
}

// headBytes takes what belongs to the head and returns the rest.
func (c *providerConn) headBytes(p []byte) (rest []byte, ok bool) {
	old := len(c.head)
	c.head = append(c.head, p...)
	end := bytes.Index(c.head[max(0, old-3):], []byte("\r\n\r\n"))
	if end < 0 {
		return nil, len(c.head) < 64<<10
	}
	end += max(0, old-3) + 4
	length := contentLength(c.head[:end])
	c.head = c.head[:0]
	c.left = length
	return p[end-old:], length >= 0
}

// contentLength returns -1 if there is none.
func contentLength(head []byte) int64 {
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, newline)
		if len(line) > 15 && line[14] == ':' && bytes.EqualFold(line[:14], []byte("Content-Length")) {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(line[15:])), 10, 62)
			if err != nil {
				return -1
			}
			return n
		}
	}
	return -1
}

// answer writes one of the answers. It fits into an empty socket buffer.
func (c *providerConn) answer(fd int) bool {
	a := c.p.answers[c.next%len(c.p.answers)]
	c.next++
	n, err := unix.Write(fd, a)
	return err == nil && n == len(a)
}

// chatAnswer is a complete answer, such as the mock's.
func chatAnswer(rnd *rand.Rand, i int) []byte {
	var text bytes.Buffer
	for range 8 + rnd.IntN(40) {
		fmt.Fprintf(&text, " %d%s", rnd.IntN(1000), [...]string{"", " mills", " gates,", "\\n", " rivers"}[rnd.IntN(5)])
	}
	body := fmt.Sprintf(`{"id":"chatcmpl-%016x%08d","object":"chat.completion","created":1760000000,"model":"%s","choices":[{"index":0,`+
		`"message":{"role":"assistant","content":"%s","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0}},`+
		`"service_tier":"default","system_fingerprint":"fp_load"}`, rnd.Uint64(), i, servedModel, text.String(), 100+i, 20+i, 120+2*i)
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: headrace-load\r\nDate: Tue, 21 Oct 2025 10:00:00 GMT\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nx-request-id: req_%016x\r\n\r\n%s", len(body), rnd.Uint64(), body)
}
