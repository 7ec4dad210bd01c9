package sse

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"time"
)

// header is one header of a frame: its type and, ready for the wire, its value.
type header struct {
	name  string
	typ   byte
	value string
}

// str is a header whose value is a string.
func str(name, value string) header {
	return header{name, 7, string(binary.BigEndian.AppendUint16(nil, uint16(len(value)))) + value}
}

// seal puts prelude and checksums around headers and payload.
func seal(headers, payload string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(headers)+len(payload)+16))
	b = binary.BigEndian.AppendUint32(b, uint32(len(headers)))
	return sum(b, headers+payload)
}

// sum finishes a frame that begins with the two lengths in b, whatever they say.
func sum(b []byte, rest string) string {
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	b = append(b, rest...)
	return string(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)))
}

func awsFrame(payload string, headers ...header) string {
	var h string
	for _, x := range headers {
		h += string(byte(len(x.name))) + x.name + string(x.typ) + x.value
	}
	return seal(h, payload)
}

// event is a frame as Bedrock sends it.
func event(name, payload string) string {
	return awsFrame(payload, str(":event-type", name), str(":content-type", "application/json"), str(":message-type", "event"))
}

var delta = event("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":" content"},"p":"abcdefghijklm"}`)

// frames is what Bedrock sends, and what nobody should.
var frames = []string{
	"",
	event("messageStart", `{"role":"assistant"}`),
	delta,
	event("metadata", `{"usage":{"inputTokens":1}}`),
	awsFrame("", str(":event-type", "messageStop"), str(":message-type", "event")),
	awsFrame(`{"message":"slow down"}`, str(":exception-type", "throttlingException"), str(":message-type", "exception")),
	awsFrame("", str(":message-type", "error"), str(":error-code", "x"), str(":event-type", "lost")),
	awsFrame("{}"),
	awsFrame("all", header{"t", 0, ""}, header{"f", 1, ""}, header{"b", 2, "1"}, header{"s", 3, "12"}, header{"i", 4, "1234"},
		header{"l", 5, "12345678"}, header{":event-type", 6, "\x00\x03raw"}, header{"at", 8, "12345678"}, header{"u", 9, "1234567890123456"}),
	awsFrame("numbers are no names", header{":event-type", 4, "1234"}, header{"", 0, ""}, str(":message-type", "")),
	awsFrame("last", str(":event-type", "a"), str(":event-type", "b")),
	event("big", strings.Repeat("x", 700)),
}

// wrong frames; after those with a false prelude nothing is read.
var damaged = []string{
	awsFrame("type", header{"x", 10, ""}),
	awsFrame("short value", header{"x", 9, "123"}),
	awsFrame("short length", header{"x", 7, "1"}),
	awsFrame("long length", header{"x", 7, "\xff\xffab"}),
	seal("\x05ab", "short name"),
	seal("\x02ab", "no type"),
	seal("\x00", "no name and no type"),
	sum([]byte{0, 0, 0, 20, 0, 0, 0, 5}, "1234"), // headers beyond the payload
	sum([]byte{0, 0, 0, 20, 255, 255, 255, 255}, "1234"),
	strings.Replace(delta, "content\"", "Content\"", 1), // message CRC
	strings.Replace(delta, "contentBlockD", "ContentBlockD", 1),
}

var lost = []string{
	"\x00" + strings.Repeat("x", 40),
	strings.Repeat("\x00", 40),
	sum([]byte{0, 0, 0, 15, 0, 0, 0, 0}, ""),
	sum([]byte{1, 0, 0, 1, 0, 0, 0, 0}, "one byte too many"),
	sum([]byte{255, 255, 255, 255, 0, 0, 0, 0}, ""),
	delta[:9] + "\x00" + delta[10:],
	"event: x\ndata: y\n\n",
}

// naiveFrames reads pieces in the most obvious way.
func naiveFrames(pieces ...string) (evs []Event, rest string, corrupt bool) {
	gone := false
	for _, piece := range pieces {
		if gone {
			continue
		}
		rest += piece
		for len(rest) >= 12 {
			total := uint64(binary.BigEndian.Uint32([]byte(rest[:4])))
			headers := uint64(binary.BigEndian.Uint32([]byte(rest[4:8])))
			if total < 16 || total > 16<<20 || crc32.ChecksumIEEE([]byte(rest[:8])) != binary.BigEndian.Uint32([]byte(rest[8:12])) {
				gone, corrupt, rest = true, true, ""
				break
			}
			if uint64(len(rest)) < total {
				break
			}
			frame := rest[:total]
			rest = rest[total:]
			body := frame[:total-4]
			ok := crc32.ChecksumIEEE([]byte(body)) == binary.BigEndian.Uint32([]byte(frame[total-4:])) && headers <= total-16
			var name string
			if ok {
				name, ok = naiveName(strings.NewReader(body[12 : 12+headers]))
			}
			if !ok {
				corrupt, rest = true, ""
				break
			}
			ev := Event{Data: []byte(body[12+headers:]), Raw: []byte(frame)}
			if name != "" {
				ev.Name = []byte(name)
			}
			evs = append(evs, ev)
		}
	}
	return evs, rest, corrupt
}

func naiveName(r *strings.Reader) (name string, ok bool) {
	texts := map[string]string{}
	for r.Len() > 0 {
		n, _ := r.ReadByte()
		key := make([]byte, n)
		if _, err := io.ReadFull(r, key); err != nil {
			return "", false
		}
		typ, err := r.ReadByte()
		if err != nil {
			return "", false
		}
		var size uint16
		switch typ {
		case 0, 1:
		case 2:
			size = 1
		case 3:
			size = 2
		case 4:
			size = 4
		case 5, 8:
			size = 8
		case 9:
			size = 16
		case 6, 7:
			if binary.Read(r, binary.BigEndian, &size) != nil {
				return "", false
			}
		default:
			return "", false
		}
		value := make([]byte, size)
		if _, err := io.ReadFull(r, value); err != nil {
			return "", false
		}
		if typ == 6 || typ == 7 {
			texts[string(key)] = string(value)
		}
	}
	if t := texts[":message-type"]; t == "exception" || t == "error" {
		return t, true
	}
	return texts[":event-type"], true
}

// scanFrames is scanAll for frames.
func scanFrames(f *Frames, pieces ...string) (evs []Event, rest string, corrupt bool) {
	for _, piece := range pieces {
		p := []byte(piece)
		f.Reset(p)
		var here []Event
		for f.Next() {
			here = append(here, f.Event())
		}
		if f.Next() {
			panic("Next goes on after false")
		}
		for _, ev := range here {
			evs = append(evs, Event{Raw: bytes.Clone(ev.Raw), Name: bytes.Clone(ev.Name), Data: append([]byte{}, ev.Data...)})
		}
		for i := range p {
			p[i] = '\n'
		}
	}
	return evs, string(f.Rest()), f.Corrupt()
}

// checkFrames compares f with its twin over pieces.
func checkFrames(t *testing.T, f *Frames, pieces ...string) {
	t.Helper()
	f.Init()
	want, wantRest, wantCorrupt := naiveFrames(pieces...)
	got, rest, corrupt := scanFrames(f, pieces...)
	if d := diff(got, want, rest, wantRest); d != "" || corrupt != wantCorrupt {
		t.Fatalf("%q: %s, corrupt %v", pieces, d, corrupt)
	}
	if f.AtBoundary() != (rest == "" && !corrupt) {
		t.Fatalf("%q: boundary %v", pieces, f.AtBoundary())
	}
	var all []byte
	for _, ev := range got {
		all = append(all, ev.Raw...)
		if name := FrameHeader(ev.Raw, ":event-type"); FrameHeader(ev.Raw, ":exception-type") == nil && !bytes.Equal(name, ev.Name) &&
			!bytes.Equal(FrameHeader(ev.Raw, ":message-type"), ev.Name) {
			t.Fatalf("%q: the header says %q, the event %q", ev.Raw, name, ev.Name)
		}
	}
	if in := strings.Join(pieces, ""); !corrupt && string(all)+rest != in {
		t.Fatalf("%q: raw %q and rest %q are not the input", pieces, all, rest)
	}
}

func TestFramesSplits(t *testing.T) {
	var f Frames
	all := strings.Join(frames, "")
	ins := []string{all[:400], delta + delta + delta[:30]}
	for _, list := range [][]string{frames, damaged, lost} {
		for _, x := range list {
			ins = append(ins, x, delta+x+delta)
		}
	}
	for _, in := range ins {
		checkFrames(t, &f, in)
		checkFrames(t, &f, strings.Split(in, "")...)
		for i := range len(in) + 1 {
			checkFrames(t, &f, in[:i], in[i:])
			checkFrames(t, &f, in[:i], "", in[i:], delta)
			if len(in) > 60 {
				continue
			}
			for j := i; j <= len(in); j++ {
				checkFrames(t, &f, in[:i], in[i:j], in[j:])
			}
		}
	}
	for size := 1; size < 300; size++ {
		var pieces []string
		for p := all; p != ""; {
			n := min(size, len(p))
			pieces = append(pieces, p[:n])
			p = p[n:]
		}
		checkFrames(t, &f, pieces...)
	}
}

func TestFramesEvents(t *testing.T) {
	f := func(want string, pieces ...string) {
		t.Helper()
		var fr Frames
		evs, rest, corrupt := scanFrames(&fr, pieces...)
		var got string
		for _, ev := range evs {
			got += string(ev.Name) + "=" + string(ev.Data) + "|"
		}
		if got += rest; corrupt {
			got += "!"
		}
		if got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	ok := event("e", "1")
	f(`messageStart={"role":"assistant"}|`, frames[1])
	f("messageStop=|", frames[4])
	f(`exception={"message":"slow down"}|`, frames[5])
	f("error=|", frames[6])
	f("={}|", frames[7])
	f("raw=all|", frames[8])
	f("=numbers are no names|", frames[9])
	f("b=last|", frames[10])
	for _, x := range damaged {
		f("e=1|!", ok+x+ok)         // what follows in the batch goes too
		f("e=1|e=1|!", ok+x+ok, ok) // the next batch does not
	}
	for _, x := range lost {
		f("e=1|!", ok+x+ok, ok)
	}
}

func TestFrameHeader(t *testing.T) {
	f := func(frame, name, want string) {
		t.Helper()
		if got := FrameHeader([]byte(frame), name); string(got) != want {
			t.Errorf("%s of %q is %q, want %q", name, frame, got, want)
		}
	}
	f(frames[5], ":exception-type", "throttlingException")
	f(frames[5], ":message-type", "exception")
	f(frames[5], ":event-type", "")
	f(frames[6], ":error-code", "x")
	f(frames[8], ":event-type", "raw") // behind headers of all types
	f(frames[10], ":event-type", "b")
	for _, x := range append(append([]string{"", "x", delta[:15], delta[:len(delta)-1]}, lost...), damaged[:9]...) {
		f(x, "none", "")
	}
}

// A frame of 16 MiB is one, and what its prelude only promises takes no memory.
func TestFramesLargest(t *testing.T) {
	var f Frames
	big := seal("", strings.Repeat("x", 16<<20-16))
	if evs, _, _ := scanFrames(&f, big[:1<<20], big[1<<20:]); len(evs) != 1 || len(evs[0].Raw) != 16<<20 {
		t.Fatal("frame is missing")
	}
	f.Init()
	if cap(f.carry)+cap(f.held) > 2*maxKept {
		t.Fatal("large buffers are kept")
	}
	scanFrames(&f, big[:100])
	if cap(f.carry) > 1024 {
		t.Fatalf("%d bytes for 100", cap(f.carry))
	}
}

func TestFramesPanicsOnLostBytes(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	var f Frames
	f.Reset([]byte(delta + delta))
	f.Next()
	f.Reset(nil)
}

func FuzzFrames(f *testing.F) {
	for i, list := range [][]string{frames, damaged, lost} {
		for _, x := range list {
			f.Add([]byte(delta+x+delta), []byte{byte(i), 7})
			f.Add([]byte(x+delta), []byte{})
		}
	}
	f.Fuzz(func(t *testing.T, in, sizes []byte) {
		var fr Frames
		for range 2 { // the second time with used buffers
			checkFrames(t, &fr, cut(in, sizes)...)
		}
		FrameHeader(in, ":event-type") // no panic
		// The same headers and payload in a sound frame.
		if len(in) > 0 {
			n := int(in[0]) % len(in)
			checkFrames(t, &fr, cut([]byte(seal(string(in[:n]), string(in[n:]))+delta), sizes)...)
		}
	})
}

// named is an owner whose marks are the names of frames.
type named struct{ owner }

func (n *named) Tap(ev Event) (m Mark) {
	switch string(ev.Name) {
	case "contentBlockDelta":
		return Content
	case "messageStop":
		return Stopped
	case "metadata":
		return Done | UsageSeen
	}
	return 0
}

// texts makes server-sent events of frames.
type texts struct{ expand }

func TestRelayFrames(t *testing.T) {
	var r Relay
	const fault = "data: FAULT truncated\n\n"
	stop, usage := frames[4], frames[3]
	f := func(tr Transform, cause error, want string, wantCause error, events int, pieces ...string) {
		t.Helper()
		var o named
		r.StartFrames(&o, tr, Limits{}, time.Now(), true)
		got, c := run(&r, cause, pieces...)
		if got = strings.ReplaceAll(got, " | ", ""); got != want || c != wantCause || o.settled != 1 || o.stats.Events != events {
			t.Fatalf("%q: %q, %v, %+v", pieces, got, c, o.stats)
		}
	}
	all := delta + stop + usage
	f(nil, nil, all, nil, 3, all)
	f(nil, nil, all, nil, 3, all[:50], all[50:300], all[300:])
	f(nil, ErrTruncated, delta, ErrTruncated, 1, delta) // no fault event among frames
	f(nil, ErrTruncated, delta+stop, nil, 2, delta, stop)
	f(nil, nil, damaged[0]+delta+lost[0]+delta, nil, 1, damaged[0], delta, lost[0], delta)
	if !r.Corrupt() {
		t.Error("not corrupt")
	}
	sse := func(payloads ...string) (s string) {
		for _, p := range payloads {
			s += string(AppendEvent(nil, []byte("e"), []byte(p)))
		}
		return s
	}
	one, two := event("e", "1"), event("e", "2")
	f(&texts{expand{1}}, nil, sse("1", "2"), nil, 2, one+two[:20], two[20:])
	f(&texts{expand{1}}, ErrTruncated, sse("1")+fault, ErrTruncated, 1, one+two[:20])
	f(&texts{expand{1}}, nil, sse("1")+fault, ErrCorrupt, 1, one+damaged[0]+two, two)
	f(&texts{expand{1}}, nil, fault[:0], ErrCorrupt, 0, lost[0], two)
	f(same{}, nil, one+two[:20], nil, 1, one+two[:20])
	if r.Start(&owner{}, nil, Limits{}, time.Now(), true, true); r.Corrupt() {
		t.Error("still framed")
	}
	if !Broken(fmt.Errorf("x: %w", ErrCorrupt)) {
		t.Error("a corrupt stream ends as it should")
	}
}

// The usage comes behind messageStop: the pump waits for it as for any event.
func TestPumpWaitsForReport(t *testing.T) {
	var r Relay
	var p Pump
	var w bytes.Buffer
	o := &named{}
	src := &waits{loop: loop{data: []byte(frames[4]), n: 3, last: io.EOF}}
	r.StartFrames(o, nil, Limits{}, time.Now(), true)
	if err := p.Run(&r, src, &w, []byte(head), Chunked, 0, nil); err != nil || src.set != 0 {
		t.Fatalf("%v, %d waits", err, src.set)
	}
	src = &waits{loop: loop{data: []byte(frames[3]), n: 3, last: io.EOF}}
	r.StartFrames(o, nil, Limits{}, time.Now(), true)
	if err := p.Run(&r, src, &w, []byte(head), Chunked, 0, nil); err != nil || src.set == 0 {
		t.Fatalf("%v, %d waits", err, src.set)
	}
}

// waits counts how often the pump shortens its wait.
type waits struct {
	loop
	set int
}

func (w *waits) SetWait(time.Duration) { w.set++ }

func TestFramesBudget(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	f := func(name string, fn func()) {
		t.Helper()
		fn()
		if n := testing.AllocsPerRun(200, fn); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	in := []byte(strings.Repeat(delta+frames[5]+frames[3], 20))
	var fr Frames
	var r Relay
	o := &named{}
	three := &expand{3}
	for _, size := range []int{len(in), 97} {
		each := func(do func(p []byte)) {
			for p := in; len(p) > 0; p = p[min(size, len(p)):] {
				do(p[:min(size, len(p))])
			}
		}
		f("scan", func() {
			fr.Init()
			each(func(p []byte) {
				fr.Reset(p)
				for fr.Next() {
				}
			})
		})
		for _, tr := range []Transform{nil, three} {
			f("relay", func() {
				r.StartFrames(o, tr, Limits{}, time.Now(), true)
				each(func(p []byte) { r.Step(p) })
				r.End(nil)
			})
		}
	}
}
