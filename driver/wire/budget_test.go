//go:build !race

package wire

import (
	"io"
	"testing"
	"time"
)

// An exchange on a pooled connection allocates nothing, whatever its size.
func TestBudget_ExchangeAllocatesNothing(t *testing.T) {
	f := func(answer string, body int, events bool) {
		t.Helper()
		u := serve(t, fastAnswer([]byte(answer), len(request)-2+body))
		cl := newClient(t, Options{})
		p := cl.Pool(u.target())
		head, payload, buf := []byte(request)[:len(request)-2], make([]byte, body), make([]byte, 32<<10)
		var x Exchange
		run := func() {
			x.Reset()
			if err := p.Do(&x, second, head, payload); err != nil {
				t.Fatal(err)
			}
			for {
				if events {
					x.Wait()
				}
				if _, err := x.Read(buf); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			x.Done(true)
		}
		run()
		if n := testing.AllocsPerRun(500, run); n != 0 {
			t.Errorf("%d bytes up: %v allocations", body, n)
		}
		if st := stats(cl); st.Dials != 1 {
			t.Errorf("%+v", st)
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\nhi", 1000, false)
	f("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 20000, true)
	f("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n"+string(make([]byte, 20000)), 10, true)
}

func TestBudget_WatchEventAllocatesNothing(t *testing.T) {
	w := newWatch(t)
	var c counter
	mine, theirs := pair(t)
	fd := mustFD(t, mine)
	theirs.Close()
	k, err := w.Add(fd, &c)
	if err != nil {
		t.Fatal(err)
	}
	w.Remove(k)
	if n := testing.AllocsPerRun(20, func() {
		before := c.n.Load()
		k, err := w.Add(fd, &c)
		if err != nil {
			t.Fatal(err)
		}
		for c.n.Load() == before {
			time.Sleep(100 * time.Microsecond)
		}
		w.Remove(k)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
