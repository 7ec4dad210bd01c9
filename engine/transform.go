package engine

import (
	"headrace/driver"
	"headrace/plugin"
	"headrace/sse"
)

// transform is what stands between a provider's stream and the client: the
// hiding of a usage chunk that only the gateway asked for, and the chunk
// filters of plugins, one after the other.
type transform struct {
	f       *flow
	conv    driver.Converter
	hide    bool
	filters bool
	some    bool // the converter has made something
	steps   []step[plugin.ChunkFilter]
	marks   []sse.Mark // of the events with data of the chunk at hand
	next    []byte     // output of one filter, input of the next
}

// start prepares t for a stream; events says that it is one of events.
func (t *transform) start(f *flow, events bool) {
	t.f, t.some = f, false
	if events {
		t.conv = f.conv
	}
	t.hide = events && t.conv == nil && f.ai.hideUsage && !f.askedUsage
	t.steps = append(t.steps[:0], f.snap.globals.chunk...)
	if f.rt != nil {
		t.steps = append(t.steps, f.rt.chunk...)
	}
	t.filters = len(t.steps) > 0
}

// orNil is t, or nil when it has nothing to do and bytes may pass as they are.
func (t *transform) orNil() sse.Transform {
	if t.conv != nil || t.hide || t.filters {
		return t
	}
	return nil
}

func (t *transform) reset() {
	t.f, t.conv, t.hide, t.filters, t.marks = nil, nil, false, false, t.marks[:0]
	clear(t.steps)
	t.steps = t.steps[:0]
	if cap(t.next) > keepBuffer {
		t.next = nil
	}
}

// note keeps what an event was until AppendChunk asks for it.
func (t *transform) note(m sse.Mark) {
	if t.hide {
		t.marks = append(t.marks, m)
	}
}

// AppendChunk implements sse.Transform.
func (t *transform) AppendChunk(dst, raw []byte, events []sse.Event) ([]byte, error) {
	if t.conv == nil && !t.hide {
		return t.filter(dst, raw, false), nil
	}
	if !t.filters {
		return t.made(dst, events), nil
	}
	t.next = t.made(t.next[:0], events)
	return t.filter(dst, t.next, false), nil
}

// made appends what converter or hiding make of events.
func (t *transform) made(dst []byte, events []sse.Event) []byte {
	if t.conv == nil {
		return t.shown(dst, events)
	}
	n := len(dst)
	for _, ev := range events {
		if ev = driver.FaultField(ev); ev.Data != nil {
			dst = t.conv.AppendEvent(dst, ev, &t.f.cst)
		}
	}
	t.some = t.some || len(dst) > n
	return dst
}

// shown appends every block but the ones that only report usage.
func (t *transform) shown(dst []byte, events []sse.Event) []byte {
	i := 0
	for _, ev := range events {
		if ev.Data != nil {
			only := i < len(t.marks) && t.marks[i]&sse.UsageOnly != 0
			i++
			if only {
				continue
			}
		}
		dst = append(dst, ev.Raw...)
	}
	t.marks = t.marks[:0]
	return dst
}

// AppendEnd implements sse.Transform.
func (t *transform) AppendEnd(dst, rest []byte, cause error) (out []byte, err error) {
	switch {
	case t.conv != nil:
		t.next = t.conv.AppendEnd(t.next[:0], cause == nil, &t.f.cst)
		rest = t.next
		if cause == nil && t.some && !t.f.cst.Ended() {
			err = sse.ErrTruncated // the provider's end is not that of an answer
		}
	case !t.hide:
		rest = nil // passed on as raw bytes already
	}
	if !t.filters {
		return append(dst, rest...), err
	}
	return t.filter(dst, rest, true), err
}

// filter sends chunk through every filter and appends what comes out.
func (t *transform) filter(dst, chunk []byte, last bool) []byte {
	f := t.f
	n := len(t.steps)
	if n == 0 {
		return append(dst, chunk...)
	}
	for i := range t.steps {
		s := &t.steps[i]
		if !s.b.Runs(&f.Ctx) {
			if i == n-1 {
				return append(dst, chunk...)
			}
			continue
		}
		if i == n-1 {
			return s.do.FilterChunk(&f.Ctx, dst, chunk, last)
		}
		// Each filter gets a buffer of its own: its input may be the
		// output of the one before.
		chunk = s.do.FilterChunk(&f.Ctx, nil, chunk, last)
	}
	return append(dst, chunk...)
}
