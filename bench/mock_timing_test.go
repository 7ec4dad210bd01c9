package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestPace: the first event and the gaps come when they should. It may try
// several times, because it may share its machine.
func TestPace(t *testing.T) {
	m := startMock(t, Options{})
	for range 10 {
		at := arrivals(t, m)
		if len(at) != 21 || at[0] < 50*time.Millisecond || at[20] < 250*time.Millisecond {
			t.Fatalf("too few or too early: %v", at)
		}
		var gaps []time.Duration
		for i := range at[1:] {
			gaps = append(gaps, at[i+1]-at[i])
		}
		slices.Sort(gaps)
		t.Logf("first %v, median gap %v, largest %v", at[0], gaps[10], gaps[19])
		if at[0] < 60*time.Millisecond && gaps[10] > 9*time.Millisecond && gaps[10] < 11*time.Millisecond {
			return
		}
	}
	t.Error("the pace is off")
}

// arrivals are the times of the content events of a paced stream.
func arrivals(t *testing.T, m *Mock) (at []time.Duration) {
	t.Helper()
	c := dial(t, m)
	start := time.Now()
	c.post("/v1/chat/completions", "x-mock-first: 50ms\r\nx-mock-gap: 10ms\r\nx-mock-tokens: 21\r\n", streamChat)
	br := bufio.NewReader(c.response().Body)
	for {
		line, err := br.ReadString('\n')
		if err == io.EOF {
			return at
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, `"delta":{"content":"`) {
			at = append(at, time.Since(start))
		}
	}
}

// TestManyStreams: 2,000 open streams, noticed when they go.
func TestManyStreams(t *testing.T) {
	const n = 2000
	m := startMock(t, Options{})
	before, began := memory(), time.Now()
	conns := make([]net.Conn, n)
	req := fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nx-mock-gap: 50ms\r\nx-mock-tokens: 100000\r\nContent-Length: %d\r\n\r\n%s", len(streamChat), streamChat)
	for i := range conns {
		nc, err := net.Dial("tcp", m.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		io.WriteString(nc, req)
		conns[i] = nc
	}
	dialed := time.Since(began)
	poll(t, "not all streams open", func() bool { return m.stats.streams.open.Load() == n })
	t.Logf("dialed in %v, all open after %v", dialed, time.Since(began))
	t.Logf("%d KB per open stream (without the client's side)", (memory()-before)/n/1024)
	for _, nc := range conns {
		nc.Close()
	}
	left := time.Now()
	poll(t, "streams stay open", func() bool { return m.stats.streams.gone.Load() == n && m.stats.connsOpen.Load() == 0 })
	t.Logf("all departures noticed %v after the last one", time.Since(left))
}

func memory() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapInuse + s.StackInuse
}

// BenchmarkEvents counts events through loopback, one write each; the reader
// runs on the other core. On one core: GOMAXPROCS=1 and taskset.
func BenchmarkEvents(b *testing.B) {
	for _, streams := range []int{1, 16} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) { benchmarkEvents(b, streams) })
	}
}

func benchmarkEvents(b *testing.B, streams int) {
	m := startMock(b, Options{})
	var wg sync.WaitGroup
	b.ReportAllocs()
	for range streams {
		c := dial(b, m)
		c.SetDeadline(time.Time{})
		wg.Add(1)
		c.post("/v1/chat/completions", fmt.Sprintf("x-mock-tokens: %d\r\n", b.N/streams+1), streamChat)
		go func() {
			defer wg.Done()
			buf := make([]byte, 256<<10)
			for {
				n, err := c.Read(buf)
				if err != nil || bytes.HasSuffix(buf[:n], []byte("0\r\n\r\n")) {
					return
				}
			}
		}()
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkPlain(b *testing.B) {
	m := startMock(b, Options{})
	c := dial(b, m)
	c.SetDeadline(time.Time{})
	req := fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(plainChat), plainChat)
	buf := make([]byte, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		c.write(req)
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}
