package sse

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// owner is the Hooks of the tests: a protocol whose marks are words in the data.
type owner struct {
	settled int
	cause   error
	stats   Stats
	onEnd   func()
}

var (
	wordDone    = []byte("[DONE]")
	wordContent = []byte("content")
	wordUsage   = []byte("usage")
)

func (o *owner) Tap(ev Event) (m Mark) {
	if bytes.Contains(ev.Data, wordContent) {
		m |= Content
	}
	if bytes.Contains(ev.Data, wordUsage) {
		m |= UsageSeen
	}
	if bytes.Equal(ev.Data, wordDone) {
		m |= Done
	}
	return m
}

func (o *owner) AppendFault(dst []byte, cause error) []byte {
	if cause == ErrStalled {
		return append(dst, "data: FAULT stalled\n\n"...)
	}
	return append(dst, "data: FAULT truncated\n\n"...)
}

func (o *owner) Settle(st *Stats, cause error) {
	o.settled++
	o.cause, o.stats = cause, *st
	if o.onEnd != nil {
		o.onEnd()
	}
}

// hold gives everything at the end: a guard that buffers.
type hold struct{ b []byte }

func (h *hold) AppendChunk(dst, raw []byte, _ []Event) ([]byte, error) {
	h.b = append(h.b, raw...)
	return dst, nil
}

func (h *hold) AppendEnd(dst, _ []byte, cause error) ([]byte, error) {
	if cause != nil {
		return dst, nil
	}
	return append(dst, h.b...), nil
}

// expand gives n events for one: a converter.
type expand struct{ n int }

func (e *expand) AppendChunk(dst, _ []byte, evs []Event) ([]byte, error) {
	for _, ev := range evs {
		if ev.Data == nil {
			continue
		}
		for range e.n {
			dst = AppendEvent(dst, ev.Name, ev.Data)
		}
	}
	return dst, nil
}

func (e *expand) AppendEnd(dst, _ []byte, _ error) ([]byte, error) { return dst, nil }

var errEnough = errors.New("enough")

// early ends the stream at the event that says so.
type early struct{ expand }

func (e *early) AppendChunk(dst, raw []byte, evs []Event) ([]byte, error) {
	for i, ev := range evs {
		if string(ev.Data) == "stop" {
			dst, _ = e.expand.AppendChunk(dst, nil, evs[:i])
			return AppendData(dst, []byte("refused")), errEnough
		}
	}
	return e.expand.AppendChunk(dst, raw, evs)
}

// same gives the bytes as they are, put together from events.
type same struct{}

func (same) AppendChunk(dst, _ []byte, evs []Event) ([]byte, error) {
	for _, ev := range evs {
		dst = append(dst, ev.Raw...)
	}
	return dst, nil
}

func (same) AppendEnd(dst, rest []byte, _ error) ([]byte, error) { return append(dst, rest...), nil }

// upper is a byte filter that knows nothing of events.
type upper struct{}

func (upper) AppendChunk(dst, raw []byte, _ []Event) ([]byte, error) {
	return append(dst, bytes.ToUpper(raw)...), nil
}

func (upper) AppendEnd(dst, _ []byte, _ error) ([]byte, error) { return dst, nil }

// run relays the pieces as a transport does and shows its outputs, " | " between them.
func run(r *Relay, cause error, pieces ...string) (string, error) {
	var outs []string
	for _, p := range pieces {
		out, err := r.Step([]byte(p))
		outs = append(outs, string(out))
		if err != nil {
			cause = err
			break
		}
	}
	out, cause := r.End(cause)
	return strings.Join(append(outs, string(out)), " | "), cause
}

func TestRelay(t *testing.T) {
	var r Relay
	const a, b, done = "data: content a\n\n", "data: b\n\n", "data: [DONE]\n\n"
	f := func(tr Transform, lim Limits, known bool, cause error, want string, wantCause error, pieces ...string) {
		t.Helper()
		var o owner
		r.Start(&o, tr, lim, time.Now(), known, true)
		got, c := run(&r, cause, pieces...)
		if got != want || c != wantCause {
			t.Fatalf("%q: %q, %v", pieces, got, c)
		}
		if o.settled != 1 || o.cause != wantCause {
			t.Fatalf("%q: settled %d times with %v", pieces, o.settled, o.cause)
		}
		if n := len(strings.ReplaceAll(want, " | ", "")); o.stats.BytesOut != int64(n) || r.Output() != int64(n) {
			t.Fatalf("%q: %d bytes out", pieces, o.stats.BytesOut)
		}
		if out, c := r.End(ErrStalled); out != nil || c != wantCause || o.settled != 1 {
			t.Fatal("a second End does something")
		}
	}
	none := Limits{}

	// as they come, comments and parts of events too
	f(nil, none, true, nil, a+" | "+b+" | ", nil, a, b)
	f(nil, none, true, nil, ": ping\n\nda | ta: x\n | \n | ", nil, ": ping\n\nda", "ta: x\n", "\n")
	f(nil, none, true, nil, "data: x | ", nil, "data: x")
	f(nil, none, true, nil, "", nil)

	// a break: one fault event, at a boundary of a known protocol only
	f(nil, none, true, ErrTruncated, a+" | data: FAULT truncated\n\n", ErrTruncated, a)
	f(nil, none, true, ErrStalled, a+" | data: FAULT stalled\n\n", ErrStalled, a)
	f(nil, none, false, ErrStalled, a+" | ", ErrStalled, a)
	f(nil, none, true, ErrStalled, a+"data: | ", ErrStalled, a+"data:")
	f(nil, none, true, ErrStalled, a+"\n | data: FAULT stalled\n\n", ErrStalled, a+"\n")
	f(nil, none, true, ErrClientGone, a+" | ", ErrClientGone, a)
	f(nil, none, true, ErrTruncated, "", ErrTruncated) // nothing sent: becomes a status
	f(&expand{1}, none, true, ErrTruncated, " | ", ErrTruncated, ":x\n\n")
	f(&expand{1}, none, true, ErrTruncated, a+" | data: FAULT truncated\n\n", ErrTruncated, a+"data: c")
	f(upper{}, none, true, ErrTruncated, "DATA: C | ", ErrTruncated, "data: c")
	f(upper{}, none, true, ErrTruncated, "DATA: C\n\n | data: FAULT truncated\n\n", ErrTruncated, "data: c\n\n")

	// a break after the terminator is none
	f(nil, none, true, ErrTruncated, a+done+" | ", nil, a+done)
	f(nil, none, true, ErrStalled, done+" | \n | ", nil, done, "\n")
	f(nil, none, true, ErrClientGone, done+" | ", ErrClientGone, done)

	// transforms
	f(&expand{3}, none, true, nil, a+a+a+" |  | "+b+b+b+" | ", nil, a+"da", "ta: b", "\n\n")
	f(&hold{}, none, true, nil, " |  | "+a+b, nil, a, b)
	f(&hold{}, none, true, ErrTruncated, " |  | ", ErrTruncated, a, b)
	f(&early{expand{1}}, none, true, nil, a+" | "+b+"data: refused\n\n | ", errEnough, a, b+"data: stop\n\n"+a, a)
	f(same{}, none, true, nil, a+": c\n\n | "+b+" | data: x", nil, a+": c\n\n", b+"data: x")
	f(&expand{0}, none, true, nil, " |  | ", ErrNoOutput, a, done)
	f(&expand{1}, none, true, nil, "", ErrNoOutput)
	f(&expand{0}, none, true, ErrClientGone, " | ", ErrClientGone, a)

	// limits: what crossed them goes out, then a clean end without a fault
	f(nil, Limits{MaxBytes: 20}, true, nil, a+" | "+b+" | ", ErrBytes, a, b, done)
	f(nil, Limits{MaxBytes: int64(len(a + b))}, true, nil, a+" | "+b+" | ", nil, a, b)
	f(&hold{}, Limits{MaxBytes: 20}, true, nil, " |  | ", ErrBytes, a, b, done)
}

func TestRelayHeadSent(t *testing.T) {
	var r Relay
	var o owner
	r.Start(&o, nil, Limits{}, time.Now(), true, true)
	r.HeadSent()
	if got, _ := run(&r, ErrStalled); got != "data: FAULT stalled\n\n" {
		t.Fatalf("%q", got)
	}
}

// Ruling 9: what closes its connection without the terminator is truncated.
func TestRelayNeedDone(t *testing.T) {
	f := func(known bool, want error, pieces ...string) {
		t.Helper()
		var r Relay
		var o owner
		r.Start(&o, nil, Limits{}, time.Now(), known, true)
		r.NeedDone()
		got, cause := run(&r, nil, pieces...)
		if cause != want || o.cause != want || strings.Contains(got, "FAULT") != (want != nil) {
			t.Fatalf("%q: %q, %v", pieces, got, cause)
		}
	}
	f(true, ErrTruncated, "data: a\n\n")
	f(true, nil, "data: a\n\n", "data: [DONE]\n\n")
	f(false, nil, "data: a\n\n")
}

// A filter may leave out everything, for the stream that asks for it alone.
func TestRelayMayBeEmpty(t *testing.T) {
	var r Relay
	var o owner
	r.Start(&o, &expand{0}, Limits{}, time.Now(), false, false)
	r.MayBeEmpty()
	if got, cause := run(&r, nil, "abc"); got != " | " || cause != nil {
		t.Errorf("%q, %v", got, cause)
	}
	r.Start(&o, &expand{0}, Limits{}, time.Now(), false, false)
	if _, cause := run(&r, nil, "abc"); cause != ErrNoOutput {
		t.Errorf("the next one: %v", cause)
	}
}

func TestRelayStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Relay
		var o owner
		r.Start(&o, nil, Limits{}, time.Now(), true, true)
		for _, p := range []string{": ping\n\n", "data: role\n\n", "data: content\n\ndata: con", "tent\n\n", "data: usage\n\n"} {
			time.Sleep(time.Second)
			r.Step([]byte(p))
		}
		r.Step(nil)
		r.End(nil)
		want := Stats{BytesIn: 63, BytesOut: 63, Events: 4, FirstByte: time.Second, FirstToken: 3 * time.Second,
			LastByte: 5 * time.Second, Seen: Content | UsageSeen}
		if o.stats != want || *r.Stats() != want {
			t.Fatalf("%+v", o.stats)
		}
	})
}

func TestRelayDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Relay
		var o owner
		t0 := time.Now()
		r.Start(&o, nil, Limits{MaxDuration: 2 * time.Second}, t0, true, true)
		if _, err := r.Step([]byte("data: a\n\n")); err != nil || r.Expired(time.Now()) {
			t.Fatal("too early")
		}
		time.Sleep(2 * time.Second)
		out, err := r.Step([]byte("data: b"))
		if string(out) != "data: b" || err != ErrDuration || !r.Expired(time.Now()) {
			t.Fatalf("%q, %v", out, err)
		}
		if out, cause := r.End(err); len(out) > 0 || cause != ErrDuration {
			t.Fatalf("%q, %v", out, cause)
		}
	})
}

func TestRelayWithoutEvents(t *testing.T) {
	var r Relay
	var o owner
	r.Start(&o, nil, Limits{}, time.Now(), true, false)
	if got, _ := run(&r, ErrTruncated, "{\"content\":\n\n", "1}"); got != "{\"content\":\n\n | 1} | " || o.stats.Events != 0 {
		t.Fatalf("%q, %d events", got, o.stats.Events)
	}
}

func TestRelayHugeEvent(t *testing.T) {
	huge := "data: " + strings.Repeat("x", 1<<20)
	f := func(tr Transform, n int, want error, over bool) {
		t.Helper()
		var r Relay
		var o owner
		r.Start(&o, tr, Limits{}, time.Now(), true, true)
		var err error
		total := 0
		for range n {
			var out []byte
			if out, err = r.Step([]byte(huge)); err != nil {
				break
			}
			total += len(out)
		}
		if err == nil {
			_, err = r.Step([]byte("\n\ndata: content\n\n"))
		}
		if _, cause := r.End(err); cause != want || r.Overflowed() != over || want == nil && o.stats.Seen != Content {
			t.Fatalf("%v, %+v", cause, o.stats)
		}
		if tr == nil && total != n*len(huge) {
			t.Fatalf("%d bytes of %d", total, n*len(huge))
		}
	}
	f(nil, 3, nil, true)
	f(&expand{1}, 3, nil, false)
	f(&expand{1}, 17, ErrTooLarge, true)
}

func TestBroken(t *testing.T) {
	f := func(err error, want bool) {
		t.Helper()
		if Broken(err) != want {
			t.Fatalf("%v: %v", err, !want)
		}
	}
	f(nil, false)
	f(ErrDuration, false)
	f(ErrBytes, false)
	f(errEnough, false)
	f(ErrTruncated, true)
	f(ErrStalled, true)
	f(ErrNoOutput, true)
	f(ErrClientGone, true)
	f(fmt.Errorf("frame 3: %w", ErrTooLarge), true)
}

// TestRelayCopy holds that the copy is the beginning of the output, whatever
// makes it, and that the next stream begins without one.
func TestRelayCopy(t *testing.T) {
	var r Relay
	f := func(tr Transform, cause error, max int, pieces ...string) {
		t.Helper()
		var copied []byte
		r.Start(&owner{}, tr, Limits{}, time.Now(), true, true)
		r.Copy(&copied, max)
		out, _ := run(&r, cause, pieces...)
		out = strings.ReplaceAll(out, " | ", "")
		if want := out[:min(max, len(out))]; string(copied) != want {
			t.Errorf("%T, %d: %q of %q", tr, max, copied, out)
		}
		r.Start(&owner{}, tr, Limits{}, time.Now(), true, true)
		n := len(copied)
		if run(&r, nil, pieces...); len(copied) != n {
			t.Errorf("%T: the next stream is copied, too", tr)
		}
	}
	for _, max := range []int{0, 1, 10, 1000} {
		f(nil, nil, max, "data: a\n\n", "data: b\n\n", "tail")
		f(nil, ErrTruncated, max, "data: a\n\n", "data: b\n\n")
		f(&expand{3}, nil, max, "data: a\n\ndata: b", "\n\n")
		f(&hold{}, nil, max, "data: a\n\n", "data: b\n\n")
	}
}
