package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// step is something that the upstream does: after a pause, bytes or an end or both.
type step struct {
	after time.Duration
	data  string
	err   error
}

// script is a Source that follows its steps. It is a stickler for the rules
// that Source has.
type script struct {
	steps []step
	wait  time.Duration
	intr  chan struct{}
	freed int
	reuse bool
	onEnd func()
}

func newScript(steps ...step) *script {
	return &script{steps: steps, wait: time.Hour, intr: make(chan struct{}, 1)}
}

func (s *script) Read(p []byte) (int, error) {
	s.use()
	select {
	case <-s.intr:
		return 0, os.ErrDeadlineExceeded
	default:
	}
	if len(s.steps) == 0 {
		return 0, io.EOF
	}
	st := &s.steps[0]
	if st.after > 0 {
		stall := time.NewTimer(s.wait)
		defer stall.Stop()
		here := time.NewTimer(st.after)
		defer here.Stop()
		select {
		case <-stall.C:
			return 0, os.ErrDeadlineExceeded
		case <-s.intr:
			return 0, os.ErrDeadlineExceeded
		case <-here.C:
			st.after = 0
		}
	}
	n := copy(p, st.data)
	if st.data = st.data[n:]; st.data != "" {
		return n, nil
	}
	err := st.err
	s.steps = s.steps[1:]
	return n, err
}

func (s *script) Buffered() int {
	s.use()
	if len(s.steps) == 0 || s.steps[0].after > 0 {
		return 0
	}
	return len(s.steps[0].data)
}

func (s *script) SetWait(d time.Duration) {
	s.use()
	if d <= 0 {
		panic("no wait at all could mean an endless one")
	}
	s.wait = d
}

func (s *script) Interrupt() {
	s.use()
	select {
	case s.intr <- struct{}{}:
	default:
	}
}

func (s *script) Done(reuse bool) {
	s.freed++
	s.reuse = reuse
	if s.onEnd != nil {
		s.onEnd()
	}
}

func (s *script) use() {
	if s.freed > 0 {
		panic("the source is used after Done")
	}
}

// tape records each Write; it fails after a number of them if that is not 0.
type tape struct {
	writes []string
	fail   int
	slow   time.Duration
}

func (t *tape) Write(p []byte) (int, error) {
	time.Sleep(t.slow)
	if t.fail > 0 && len(t.writes)+1 >= t.fail {
		return 0, io.ErrClosedPipe
	}
	t.writes = append(t.writes, string(p))
	return len(p), nil
}

const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

const (
	evA    = "data: content a\n\n"
	evB    = "data: b\n\n"
	evDone = "data: [DONE]\n\n"
	fault  = "data: FAULT truncated\n\n"
	stall  = "data: FAULT stalled\n\n"
	end    = "0\r\n\r\n"
)

type pumpCase struct {
	tr       Transform
	lim      Limits
	fr       Framing
	length   int64
	needDone bool
	fail     int
	slow     time.Duration
	head     string
	gone     func() bool
}

// pumped is what came of a stream.
type pumped struct {
	writes []string
	err    error
	cause  error // as settled
	reuse  bool
	took   time.Duration
}

func (c pumpCase) run(t *testing.T, p *Pump, src *script) (res pumped) {
	t.Helper()
	var r Relay
	var o owner
	w := &tape{fail: c.fail, slow: c.slow}
	t0 := time.Now()
	r.Start(&o, c.tr, c.lim, t0, true, true)
	if c.needDone {
		r.NeedDone()
	}
	// Rulings 6 and the pool: settled and freed before the end of the body is written.
	before := -1
	o.onEnd = func() { before = len(w.writes) }
	src.onEnd = func() {
		if o.settled > 0 {
			t.Fatal("settled before the connection was given back")
		}
	}
	h := head
	if c.head != "" {
		h = c.head
	}
	res.err = p.Run(&r, src, w, []byte(h), c.fr, c.length, c.gone)
	if o.settled != 1 || src.freed != 1 {
		t.Fatalf("settled %d times, freed %d times", o.settled, src.freed)
	}
	if res.err == nil && c.fr != UntilClose && before != len(w.writes)-1 {
		t.Fatalf("settled after write %d of %q", before, w.writes)
	}
	if p.Sent() != (len(w.writes) > 0 || c.fail == 1) {
		t.Fatalf("sent: %v, %q", p.Sent(), w.writes)
	}
	if p.armed != nil || p.buf != nil || p.r != nil {
		t.Fatal("the pump holds on to its stream")
	}
	res.writes, res.cause, res.reuse, res.took = w.writes, o.cause, src.reuse, time.Since(t0)
	return res
}

func TestPump(t *testing.T) {
	var p Pump
	f := func(c pumpCase, wantErr, wantCause error, reuse bool, steps []step, writes ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			t.Helper()
			p.timer = nil // a timer belongs to its bubble
			res := c.run(t, &p, newScript(steps...))
			if got, want := strings.Join(res.writes, "¦"), strings.Join(writes, "¦"); got != want {
				t.Fatalf("wrote %.2000q\nwant  %.2000q", got, want)
			}
			if res.err != wantErr || res.cause != wantCause || res.reuse != reuse {
				t.Fatalf("%v, settled with %v, reuse %v", res.err, res.cause, res.reuse)
			}
		})
	}
	raw := pumpCase{}
	const s = time.Second
	eof := step{err: io.EOF}
	later := func(d string) step { return step{after: s, data: d} }

	// one write per read, the head with the first bytes that are here, the last chunk with the end
	f(raw, nil, nil, true, []step{{data: evA}, later(evB), eof}, head+chunk(evA), chunk(evB), end)
	f(raw, nil, nil, true, []step{{data: evA}, {data: evB, err: io.EOF}}, head+chunk(evA), chunk(evB)+end)
	f(raw, nil, nil, true, []step{{data: evA, err: io.EOF}}, head+chunk(evA)+end)
	f(raw, nil, nil, true, []step{later(evA), {data: ": pi"}, later("ng\n\n"), eof}, head, chunk(evA), chunk(": pi"), chunk("ng\n\n"), end)
	f(raw, nil, nil, true, []step{eof}, head, end)
	f(raw, nil, nil, true, []step{{}, {}, {data: evA, err: io.EOF}}, head, chunk(evA)+end)
	f(pumpCase{fr: UntilClose}, nil, nil, true, []step{{data: evA}, later(evB), eof}, head+evA, evB)
	big := strings.Repeat("x", 40000)
	f(raw, nil, nil, true, []step{{data: big, err: io.EOF}}, head+chunk(big[:roomData]), chunk(big[:roomData]), chunk(big[2*roomData:])+end)
	longHead := strings.Repeat("h", 5000)
	f(pumpCase{head: longHead}, nil, nil, true, []step{{data: evA, err: io.EOF}}, longHead+chunk(evA)+end)
	f(pumpCase{head: longHead}, nil, nil, true, []step{later(evA), eof}, longHead, chunk(evA), end)

	// transforms: the head waits for output, nothing is written for nothing
	f(pumpCase{tr: &expand{2}}, nil, nil, true, []step{later(": ping\n\n"), later(evA + evB), later("data: c"), later("\n\n"), eof},
		head+chunk(evA+evA+evB+evB), chunk("data: c\n\ndata: c\n\n"), end)
	f(pumpCase{tr: &hold{}}, nil, nil, true, []step{later(evA), later(evB), eof}, head+chunk(evA+evB)+end)
	f(pumpCase{tr: &early{expand{1}}}, nil, errEnough, false, []step{later(evA), later("data: stop\n\n"), later(evB)},
		head+chunk(evA), chunk("data: refused\n\n")+end)
	f(pumpCase{tr: &expand{0}}, ErrNoOutput, ErrNoOutput, true, []step{later(evA), eof})
	f(pumpCase{tr: &expand{0}}, ErrTruncated, ErrTruncated, false, []step{later(evA), {err: io.ErrUnexpectedEOF}})
	f(pumpCase{tr: &expand{0}, lim: Limits{MaxBytes: 5}}, ErrBytes, ErrBytes, false, []step{later(evA), eof})
	var much string
	for range 5000 {
		much += evA
	}
	f(pumpCase{tr: &expand{5000}}, nil, nil, true, []step{{data: evA}, eof}, head+chunk(much), end)
	f(pumpCase{tr: &expand{5000}}, nil, nil, true, []step{{data: evA, err: io.EOF}}, head+chunk(much)+end)
	f(pumpCase{tr: &expand{5000}}, nil, nil, true, []step{{data: "data: 1\n\n"}, later(evA), eof},
		head+chunk(strings.Repeat("data: 1\n\n", 5000)), chunk(much), end)

	// breaks: the fault event at a boundary, no last chunk
	broke := step{err: io.ErrUnexpectedEOF}
	stalled := step{after: 2 * time.Hour}
	f(raw, ErrTruncated, ErrTruncated, false, []step{{data: evA}, broke}, head+chunk(evA), chunk(fault))
	f(raw, ErrTruncated, ErrTruncated, false, []step{{data: evA, err: errors.New("reset")}}, head+chunk(evA+fault))
	f(raw, ErrTruncated, ErrTruncated, false, []step{{data: "data: "}, broke}, head+chunk("data: "))
	f(raw, ErrTruncated, ErrTruncated, false, []step{{after: s, err: io.ErrUnexpectedEOF}}, head, chunk(fault))
	f(raw, ErrStalled, ErrStalled, false, []step{{data: evA}, stalled}, head+chunk(evA), chunk(stall))
	full := "data: " + big[:roomData-8] + "\n\n"
	f(raw, ErrTruncated, ErrTruncated, false, []step{{data: full, err: io.ErrUnexpectedEOF}}, head+chunk(full+fault))
	f(pumpCase{tr: &expand{1}}, ErrTruncated, ErrTruncated, false, []step{{data: evA + "data: x"}, broke}, head+chunk(evA), chunk(fault))
	f(pumpCase{tr: &expand{1}}, ErrStalled, ErrStalled, false, []step{stalled})

	// limits: a clean end
	f(pumpCase{lim: Limits{MaxBytes: 20}}, nil, ErrBytes, false, []step{{data: evA}, {data: evB}, later(evDone), eof}, head+chunk(evA), chunk(evB)+end)
	f(pumpCase{lim: Limits{MaxDuration: 3 * s / 2}}, nil, ErrDuration, false, []step{later(evA), later(evB), later(evDone), eof}, head, chunk(evA), end)
	f(pumpCase{lim: Limits{MaxDuration: s}}, nil, ErrDuration, false, []step{{data: evA}, stalled}, head+chunk(evA), end)
	f(pumpCase{lim: Limits{MaxDuration: s}, tr: &expand{1}}, ErrDuration, ErrDuration, false, []step{stalled})
	f(pumpCase{lim: Limits{MaxDuration: time.Minute}}, nil, nil, true, []step{later(evA), eof}, head, chunk(evA), end)

	// ruling 8: after the terminator only what is here, then 50 ms
	ms := time.Millisecond
	f(raw, nil, nil, true, []step{{data: evA}, {data: evDone}, {after: 10 * ms, err: io.EOF}}, head+chunk(evA), chunk(evDone), end)
	f(raw, nil, nil, false, []step{{data: evDone}, {data: evB}, {after: 60 * ms, data: evA}}, head+chunk(evDone), chunk(evB), end)
	f(raw, nil, nil, false, []step{{data: evDone}, {after: 20 * ms, data: "\n"}, {after: 20 * ms, data: "\n"}, {after: 20 * ms, data: "\n"}},
		head+chunk(evDone), chunk("\n"), chunk("\n"), end)
	f(raw, nil, nil, false, []step{{data: evDone}, broke}, head+chunk(evDone), end)
	f(pumpCase{lim: Limits{MaxDuration: 20 * ms}}, nil, nil, false, []step{{data: evDone}, stalled}, head+chunk(evDone), end)

	f(pumpCase{slow: 60 * ms}, nil, nil, true, []step{{data: evDone}, {data: evB}, {data: evB, err: io.EOF}}, head+chunk(evDone), chunk(evB), chunk(evB)+end)
	f(pumpCase{slow: 60 * ms}, nil, nil, false, []step{{data: evDone}, {after: 10 * ms, data: evB}, {data: evB}}, head+chunk(evDone), chunk(evB), end)

	// ruling 9
	f(pumpCase{needDone: true}, ErrTruncated, ErrTruncated, false, []step{{data: evA}, eof}, head+chunk(evA), chunk(fault))
	f(pumpCase{needDone: true}, nil, nil, false, []step{{data: evA + evDone}, eof}, head+chunk(evA+evDone), end)

	// known lengths: as it is, exactly so many bytes
	l := func(n int) pumpCase { return pumpCase{fr: Length, length: int64(n)} }
	f(l(8), nil, nil, true, []step{{data: "{\"a\":"}, {data: "12}"}, eof}, head+"{\"a\":", "12}")
	f(l(8), nil, nil, true, []step{{data: "{\"a\":12}", err: io.EOF}}, head+"{\"a\":12}")
	f(l(0), nil, nil, true, []step{eof}, head)
	f(l(0), nil, nil, false, []step{stalled}, head)
	f(l(8), ErrTruncated, ErrTruncated, false, []step{{data: "{\"a\":"}, eof}, head+"{\"a\":")
	f(l(8), ErrTruncated, ErrTruncated, false, []step{{data: evB[:5]}, broke}, head+evB[:5])
	f(l(90), ErrTruncated, ErrTruncated, false, []step{{data: evA}, broke}, head+evA)
	f(l(3), nil, nil, false, []step{{data: "abcdef"}, eof}, head+"abc")
	f(l(3), nil, nil, false, []step{{data: "abc"}, {data: "def"}, eof}, head+"abc")
	f(pumpCase{fr: Length, length: 8, lim: Limits{MaxBytes: 3}}, ErrBytes, ErrBytes, false, []step{{data: "{\"a\":"}, {data: "12}"}, eof}, head+"{\"a\":")
	f(l(len(big)), nil, nil, true, []step{{data: big}, eof}, head+big[:roomData], big[:roomData], big[2*roomData:])

	// a client that leaves
	f(pumpCase{fail: 1}, ErrClientGone, ErrClientGone, false, []step{later(evA), eof})
	f(pumpCase{fail: 2}, ErrClientGone, ErrClientGone, false, []step{{data: evA}, later(evB), later(evA), eof}, head+chunk(evA))
	f(pumpCase{fail: 2}, ErrClientGone, nil, true, []step{{data: evA}, eof}, head+chunk(evA))
}

// A client that leaves is noticed by the watch: it sets the flag, then interrupts.
func TestPumpGone(t *testing.T) {
	f := func(wantCause error, after time.Duration, writes string, steps ...step) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			t.Helper()
			var p Pump
			var mu sync.Mutex
			left := false
			src := newScript(steps...)
			time.AfterFunc(after, func() {
				mu.Lock()
				left = true
				mu.Unlock()
				src.Interrupt()
			})
			c := pumpCase{gone: func() bool { mu.Lock(); defer mu.Unlock(); return left }}
			res := c.run(t, &p, src)
			if res.err != ErrClientGone || res.cause != wantCause || res.reuse || res.took != after || strings.Join(res.writes, "") != writes {
				t.Fatalf("%+v", res)
			}
		})
	}
	f(ErrClientGone, time.Second, head, step{after: time.Minute, data: evA})
	f(ErrClientGone, time.Second, head+chunk(evA), step{data: evA}, step{after: time.Minute, data: evA})
	f(nil, 20*time.Millisecond, head+chunk(evDone), step{data: evDone}, step{after: time.Minute})
}

// A timer that fires late meets the next stream and leaves it alone.
func TestPumpLateTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pump
		short := pumpCase{lim: Limits{MaxDuration: time.Second}}
		if res := short.run(t, &p, newScript(step{data: evA, err: io.EOF})); res.err != nil {
			t.Fatal(res.err)
		}
		src := newScript(step{after: 2 * time.Second, data: evA, err: io.EOF})
		time.AfterFunc(time.Second, p.fire)
		long := pumpCase{lim: Limits{MaxDuration: time.Minute}}
		if res := long.run(t, &p, src); res.err != nil || res.cause != nil {
			t.Fatal(res.err, res.cause)
		}
		p.fire() // and between streams
		time.Sleep(time.Hour)
	})
}

func TestPumpSurvivesPanic(t *testing.T) {
	var p Pump
	var r Relay
	src := newScript(step{data: evA})
	func() {
		defer func() { recover() }()
		r.Start(panics{}, nil, Limits{MaxDuration: time.Hour}, time.Now(), true, true)
		p.Run(&r, src, io.Discard, []byte(head), Chunked, 0, nil)
		t.Error("no panic")
	}()
	if src.freed != 1 || src.reuse || p.armed != nil || p.buf != nil {
		t.Fatalf("freed %d times", src.freed)
	}
	if res := (pumpCase{}).run(t, &p, newScript(step{data: evA, err: io.EOF})); res.err != nil {
		t.Fatal(res.err)
	}
}

type panics struct{ *owner }

func (panics) Tap(Event) Mark           { panic("tap") }
func (panics) Settle(_ *Stats, _ error) {}

// What the client decodes is what was put in, whatever the sizes are.
func TestPumpChunksDecode(t *testing.T) {
	f := func(tr Transform, size, n int) {
		t.Helper()
		var p Pump
		body := strings.Repeat("data: "+strings.Repeat("x", size)+"\n\n", n)
		src := newScript(step{data: body, err: io.EOF})
		res := pumpCase{tr: tr}.run(t, &p, src)
		_, coded, _ := strings.Cut(strings.Join(res.writes, ""), "\r\n\r\n")
		got, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(coded)))
		if err != nil || res.err != nil || !bytes.Equal(got, []byte(body)) {
			t.Fatalf("size %d: %d bytes of %d, %v, %v", size, len(got), len(body), err, res.err)
		}
	}
	for _, size := range []int{1, 7, 8, 15, 16, 100, 255, 256, 4096, roomData - 9, roomData - 8, roomData - 7, 50000} {
		f(nil, size, 9)
		f(same{}, size, 9)
		f(&expand{1}, size, 9)
	}
}
