package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// heap is what is in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// zeros gives n bytes and looks at the heap on the way.
type zeros struct {
	n, max int64
	base   int64
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	if z.n%(8<<20) < int64(len(p)) {
		z.max = max(z.max, heap()-z.base)
	}
	k := min(int64(len(p)), z.n)
	clear(p[:k])
	z.n -= k
	return int(k), nil
}

const big = 100 << 20

func TestProxyLargeUpload(t *testing.T) {
	r := newRig(t, Options{})
	up := r.node(func(w http.ResponseWriter, req *http.Request) {
		n, err := io.Copy(io.Discard, req.Body)
		fmt.Fprint(w, n, err, req.ContentLength)
	})
	r.proxied("1", "/u", "{"+nodes(up)+"}", "")
	for _, chunked := range []bool{false, true} {
		z := &zeros{n: big, base: heap()}
		req, _ := http.NewRequest("POST", r.url+"/u", z)
		want := fmt.Sprint(big, " <nil> ", big)
		if req.ContentLength = big; chunked {
			req.ContentLength, want = -1, fmt.Sprint(big, " <nil> ", -1)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != want {
			t.Errorf("chunked %v: the upstream got %s, want %s", chunked, b, want)
		}
		if z.max > 4<<20 {
			t.Errorf("chunked %v: the heap grew by %d bytes", chunked, z.max)
		}
	}
	if n := r.e.conns.len(); n != 1 {
		t.Errorf("%d connections: they were not kept", n)
	}
}

func TestProxyLargeDownload(t *testing.T) {
	r := newRig(t, Options{})
	up := r.node(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.RawQuery == "" {
			w.Header().Set("Content-Length", fmt.Sprint(big))
		}
		io.Copy(w, io.LimitReader(endless{}, big))
	})
	r.proxied("1", "/d", "{"+nodes(up)+"}", "")
	for _, q := range []string{"", "?chunked"} {
		base := heap()
		resp, err := http.Get(r.url + "/d" + q)
		if err != nil {
			t.Fatal(err)
		}
		var n, most int64
		buf := make([]byte, 1<<20)
		for i := 0; err == nil; i++ {
			var k int
			k, err = resp.Body.Read(buf)
			if n += int64(k); i%200 == 0 {
				most = max(most, heap()-base)
			}
		}
		resp.Body.Close()
		if err != io.EOF || n != big || (resp.ContentLength == big) != (q == "") {
			t.Errorf("%q: %d bytes, length %d, %v", q, n, resp.ContentLength, err)
		}
		if most > 4<<20 {
			t.Errorf("%q: the heap grew by %d bytes", q, most)
		}
	}
	if n := r.e.conns.len(); n != 1 {
		t.Errorf("%d connections: they were not kept", n)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// An upstream that refuses a body while it is being sent has its answer heard.
func TestProxyEarlyAnswer(t *testing.T) {
	r := newRig(t, Options{})
	up := r.answering("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
	r.proxied("1", "/e", "{"+nodes(up)+"}", "")
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", big)
	go io.Copy(c, io.LimitReader(endless{}, big))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 413 || string(b) != "big" || !resp.Close {
		t.Errorf("%d %s, close %v", resp.StatusCode, b, resp.Close)
	}
}

func TestProxyBodyLimit(t *testing.T) {
	r := newRig(t, Options{MaxBody: 100_000})
	r.proxied("1", "/b", "{"+nodes(r.node(dump))+"}", "")
	for _, body := range []io.Reader{strings.NewReader(strings.Repeat("x", 100_001)), io.LimitReader(endless{}, 100_001)} {
		resp, err := http.Post(r.url+"/b", "", body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 413 {
			t.Errorf("%T: %d", body, resp.StatusCode)
		}
	}
	head := "POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: "
	if got := r.talk(head + "100001\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 413") {
		t.Errorf("expect: %s", got)
	}
	if got := r.talk(head + "2\r\n\r\nhi"); !strings.HasPrefix(got, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200") || strings.Contains(got, "Expect") {
		t.Errorf("expect: %s", got)
	}
}

// A client that leaves frees the upstream at once, whatever is going on.
func TestProxyClientGone(t *testing.T) {
	r := newRig(t, Options{})
	open := make(chan struct{}, 1)
	closed := make(chan struct{}, 1)
	up := r.serving(func(c net.Conn, br *bufio.Reader) {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		switch {
		case strings.HasPrefix(req.URL.RawQuery, "up"):
			io.ReadFull(br, make([]byte, 4))
		case req.URL.RawQuery == "down":
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nsome")
		case req.URL.RawQuery == "full":
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
			open <- struct{}{}
			io.Copy(c, io.LimitReader(endless{}, 100000000))
			closed <- struct{}{}
			return
		}
		open <- struct{}{}
		io.Copy(io.Discard, br)
		closed <- struct{}{}
	})
	r.proxied("1", "/g", "{"+nodes(up)+"}", "")
	for _, request := range []string{
		"GET /g?head HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /g?down HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /g?full HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /g?up HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome",
		"POST /g?upchunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
		"POST /g?up HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("some", 50_000),
	} {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, request)
		<-open
		if strings.Contains(request, "full") {
			time.Sleep(50 * time.Millisecond) // until all buffers on the way are full
		}
		start := time.Now()
		c.Close()
		<-closed
		if d := time.Since(start); d > time.Second {
			t.Errorf("%.40q: upstream freed only after %v", request, d)
		}
	}
	poll(t, "no client is left", func() bool { return r.e.conns.len() == 0 })
}

// A client that is too slow with its body is told so.
func TestProxySlowClient(t *testing.T) {
	r := newRig(t, Options{BodyTimeout: 200 * time.Millisecond})
	r.proxied("1", "/s", "{"+nodes(r.node(dump))+"}", "")
	got := r.talk("POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome")
	if !strings.HasPrefix(got, "HTTP/1.1 408") {
		t.Errorf("%s", got)
	}
	got = r.talk("POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 400") {
		t.Errorf("%s", got)
	}
}
