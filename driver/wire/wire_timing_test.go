package wire

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// fastAnswer writes answer for every n bytes that come; it allocates nothing
// per request.
func fastAnswer(answer []byte, n int) func(net.Conn, int) {
	return func(c net.Conn, _ int) {
		b := make([]byte, 64<<10)
		for got := 0; ; {
			k, err := c.Read(b)
			if err != nil {
				return
			}
			for got += k; got >= n; got -= n {
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}
	}
}

var answers = []struct{ name, text string }{
	{"json", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: x\r\nX-Request-Id: 0123456789abcdef\r\nContent-Length: 600\r\n\r\n" + strings.Repeat("x", 600)},
	{"events", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n" +
		strings.Repeat("64\r\n"+strings.Repeat("x", 100)+"\r\n", 20) + "0\r\n\r\n"},
}

// BenchmarkExchange is Do, reading to the end and Done on a pooled connection;
// the upstream's work is in the figure.
func BenchmarkExchange(b *testing.B) {
	for _, a := range answers {
		for _, size := range []int{1 << 10, 16 << 10} {
			b.Run(fmt.Sprintf("%s/%dK", a.name, size>>10), func(b *testing.B) {
				head := []byte(request)
				u := serve(b, fastAnswer([]byte(a.text), len(head)+size))
				cl := newClient(b, Options{})
				p := cl.Pool(u.target())
				body, buf := make([]byte, size), make([]byte, 16<<10)
				var x Exchange
				b.ReportAllocs()
				for b.Loop() {
					x.Reset()
					if err := p.Do(&x, second, head, body); err != nil {
						b.Fatal(err)
					}
					for {
						if _, err := x.Read(buf); err != nil {
							break
						}
					}
					if !x.Complete() {
						b.Fatal("incomplete")
					}
					x.Done(true)
				}
			})
		}
	}
}

// BenchmarkBareSocket is the same bytes with nothing in between: the floor.
func BenchmarkBareSocket(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10} {
		b.Run(fmt.Sprintf("json/%dK", size>>10), func(b *testing.B) {
			u := serve(b, fastAnswer([]byte(answers[0].text), len(request)+size))
			c, err := net.Dial("tcp", u.l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			out, in := make([]byte, len(request)+size), make([]byte, 16<<10)
			b.ReportAllocs()
			for b.Loop() {
				c.Write(out)
				if _, err := io.ReadFull(c, in[:len(answers[0].text)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNetHTTP is the standard library's client on the same upstream.
func BenchmarkNetHTTP(b *testing.B) {
	// Its head has another length: the upstream counts bodies by its own reader.
	u := serve(b, answering(answers[0].text))
	url := fmt.Sprintf("http://127.0.0.1:%d/", u.port)
	body := strings.Repeat("x", 1<<10)
	buf := make([]byte, 16<<10)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	hc := &http.Client{Transport: tr}
	b.ReportAllocs()
	for b.Loop() {
		resp, err := hc.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = resp.Body.Read(buf)
		}
		resp.Body.Close()
	}
}

func BenchmarkHeadParse(b *testing.B) {
	head, _, _ := strings.Cut(answers[0].text, "xxx")
	var h Head
	in := []byte(head)
	b.ReportAllocs()
	for b.Loop() {
		if headEnd(in, 0) < 0 || h.parse(in) != nil {
			b.Fatal("bad")
		}
	}
}

func BenchmarkChunkDecode(b *testing.B) {
	text := strings.Repeat("64\r\n"+strings.Repeat("x", 100)+"\r\n", 40)
	p := make([]byte, len(text))
	var d chunker
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		copy(p, text)
		if _, _, _, err := d.decode(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWatchAddRemove(b *testing.B) {
	w := newWatch(b)
	mine, _ := pair(b)
	fd := mustFD(b, mine)
	var c counter
	b.ReportAllocs()
	for b.Loop() {
		k, err := w.Add(fd, &c)
		if err != nil {
			b.Fatal(err)
		}
		w.Remove(k)
	}
}
