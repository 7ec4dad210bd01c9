package driver

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"headrace/sse"
)

// convertedBy converts a client's body and checks that the result is one that
// can be sent.
func convertedBy(t testing.TB, c Converter, raw string, st *ConvState) (string, error) {
	t.Helper()
	out, err := c.Request([]byte("+"), load(t, raw), st)
	if err != nil {
		if string(out) != "+" {
			t.Errorf("%s: %s appended in spite of %v", raw, out, err)
		}
		return "", err
	}
	load(t, string(out[1:]))
	return string(out[1:]), nil
}

// split gives the events of a stream one by one.
func split(t testing.TB, stream []byte, limit int) (events []sse.Event) {
	t.Helper()
	var sc sse.Scanner
	sc.Init(limit)
	sc.Reset(stream)
	for sc.Next() {
		ev := sc.Event()
		events = append(events, sse.Event{Name: bytes.Clone(ev.Name), Data: bytes.Clone(ev.Data)})
	}
	if !sc.AtBoundary() {
		t.Fatalf("stream ends inside an event: %q", sc.Rest())
	}
	return events
}

// eventsOf is split for a file of testdata.
func eventsOf(t testing.TB, file []byte) []sse.Event { return split(t, file, 1<<20) }

// streamedBy converts a stream of lines, each an event: data, or a name before
// a bar and data.
func streamedBy(c Converter, st *ConvState, clean bool, lines ...string) string {
	var out []byte
	for _, l := range lines {
		ev := sse.Event{Data: []byte(l)}
		if name, data, ok := strings.Cut(l, "|"); ok {
			ev = sse.Event{Name: []byte(name), Data: []byte(data)}
		}
		out = c.AppendEvent(out, ev, st)
	}
	return string(c.AppendEnd(out, clean, st))
}

// convertAll runs a stream as the relay does: through a scanner, piece by piece.
func convertAll(c Converter, st *ConvState, stream []byte, cuts ...int) []byte {
	var sc sse.Scanner
	sc.Init(1 << 20)
	var out []byte
	from := 0
	for _, to := range append(slices.Clone(cuts), len(stream)) {
		piece := bytes.Clone(stream[from:to])
		sc.Reset(piece)
		for from = to; sc.Next(); {
			if ev := FaultField(sc.Event()); ev.Data != nil {
				out = c.AppendEvent(out, ev, st)
			}
		}
		clear(piece) // events are valid during the call only
	}
	return c.AppendEnd(out, true, st)
}

// fuzzRequest converts any body that is JSON and checks what holds for every
// converter; nothing comes back where there is no request. Of each byte at most
// times come out.
func fuzzRequest(t *testing.T, c Converter, st *ConvState, raw []byte, times int) []byte {
	var b Body
	if b.Load(raw) != nil {
		return nil
	}
	out, err := c.Request([]byte("+"), &b, st)
	if err != nil {
		if string(out) != "+" || len(err.Error()) > 1000 {
			t.Errorf("%q, %v", out, err)
		}
		return nil
	}
	if !json.Valid(out[1:]) {
		t.Fatalf("%s: %s", raw, out)
	}
	if most := 1000 + times*len(raw); len(out) > most {
		t.Errorf("%d bytes out of %d", len(out), len(raw))
	}
	if b.Changed() || !bytes.Equal(b.AppendTo(nil), raw) {
		t.Error("the client's body was changed")
	}
	return out[1:]
}

// fuzzResponse is fuzzRequest for an answer of the provider.
func fuzzResponse(t *testing.T, c Converter, st *ConvState, body []byte, status, times int) {
	out, ok, err := c.AppendResponse([]byte("+"), body, status, st)
	switch {
	case !ok:
		if string(out) != "+" {
			t.Errorf("%q", out)
		}
	case err != nil || !json.Valid(out[1:]) || !json.Valid(body):
		t.Errorf("%s: %s %v", body, out, err)
	case len(out) > 1000+times*len(body):
		t.Errorf("%d bytes out of %d", len(out), len(body))
	}
}

// fuzzStream converts any bytes, whole, in pieces and as a single event. setup
// prepares a state, check holds a stream to the rules of the client's protocol.
func fuzzStream(t *testing.T, c Converter, stream []byte, cut uint16, clean bool, times int, setup func(*ConvState), check func(testing.TB, []byte)) {
	var st ConvState
	again := func() *ConvState {
		st.Reset()
		setup(&st)
		return &st
	}
	out := convertAll(c, again(), stream, min(int(cut), len(stream)))
	check(t, out)
	if most := 4000 + times*len(stream); len(out) > most {
		t.Errorf("%d bytes out of %d", len(out), len(stream))
	}
	if whole := convertAll(c, again(), stream); !bytes.Equal(whole, out) {
		t.Errorf("split at %d: %s\nwhole: %s", cut, out, whole)
	}
	one := c.AppendEvent(nil, sse.Event{Data: stream}, again())
	one = c.AppendEnd(one, clean, &st)
	for _, ev := range split(t, one, len(one)+1<<20) {
		if ev.Data != nil && string(ev.Data) != "[DONE]" && !json.Valid(ev.Data) {
			t.Errorf("%s", ev.Data)
		}
	}
}

// goldenFile is a file of an exchange in testdata.
func goldenFile(t testing.TB, folder, exchange, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", folder, exchange, name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// benchEvent measures an event of a stream. setup prepares a state for it, now
// and then anew, since some converters keep what a stream says.
func benchEvent(b *testing.B, c Converter, ev sse.Event, setup func(*ConvState)) {
	var st ConvState
	setup(&st)
	dst := c.AppendEvent(nil, ev, &st)
	if len(dst) == 0 {
		b.Fatal("nothing comes of it")
	}
	b.SetBytes(int64(len(ev.Data)))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%(1<<14) == 0 {
			st.Reset()
			setup(&st)
		}
		dst = c.AppendEvent(dst[:0], ev, &st)
	}
}

func benchRequests(b *testing.B, c Converter, folder string) {
	for _, name := range []string{"text", "tools"} {
		b.Run(name, func(b *testing.B) {
			raw := goldenFile(b, folder, name, "request.json")
			var st ConvState
			var dst []byte
			body := load(b, string(raw))
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				st.Reset()
				dst, _ = c.Request(dst[:0], body, &st)
			}
		})
	}
}

func benchResponse(b *testing.B, c Converter, folder string) {
	body := goldenFile(b, folder, "text", "plain.json")
	var st ConvState
	var dst []byte
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		dst, _, _ = c.AppendResponse(dst[:0], body, 200, &st)
	}
}

// budgetExchanges holds exchanges of a folder of testdata to most allocations for
// a request, and to none for whole answers and streams. events gives those of
// a stream's file.
func budgetExchanges(t *testing.T, c Converter, most float64, folder, stream string, events func(t testing.TB, file []byte) []sse.Event, exchanges ...string) {
	t.Helper()
	var st ConvState
	var dst []byte
	for _, name := range exchanges {
		body := load(t, string(goldenFile(t, folder, name, "request.json")))
		ask := func() {
			st.Reset()
			dst, _ = c.Request(dst[:0], body, &st)
		}
		budget(t, name+", the request", most, ask)
		all := events(t, goldenFile(t, folder, name, stream))
		budget(t, name+", a whole stream", most, func() {
			ask()
			dst = dst[:0]
			for _, ev := range all {
				dst = c.AppendEvent(dst, ev, &st)
			}
			dst = c.AppendEnd(dst, true, &st)
		})
		answer := goldenFile(t, folder, name, "plain.json")
		budget(t, name+", a whole answer", 0, func() { dst, _, _ = c.AppendResponse(dst[:0], answer, 200, &st) })
	}
}

// budgetEvents holds each event to no allocation; setup prepares a state.
func budgetEvents(t *testing.T, c Converter, most float64, setup func(*ConvState), events ...sse.Event) {
	t.Helper()
	var dst []byte
	for _, ev := range events {
		var st ConvState
		setup(&st)
		budget(t, string(ev.Data), most, func() { dst = c.AppendEvent(dst[:0], ev, &st) })
		if len(dst) == 0 {
			t.Errorf("%s: nothing comes of it", ev.Data)
		}
	}
}

func fresh(*ConvState) {}

// provider_conf.api chooses between the two protocols of a provider.
func TestNative(t *testing.T) {
	f := func(config string, strict bool, client, target Proto, conv Converter) {
		t.Helper()
		cfg, err := ParseConfig([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Strict = strict
		in, err := CompileInstance("one", cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, refuse := in.Route(client)
		if c := in.Converter(client); got != target || refuse != "" || c != conv || conv != nil && !IsExtension(c) {
			t.Errorf("%s, strict %t: %v to %v, %q, %v", config, strict, client, got, refuse, c)
		}
	}
	const native, layer, plain = `{"provider":"anthropic","auth":{},"provider_conf":{"api":"native"}}`, `{"provider":"anthropic","auth":{},"provider_conf":{"api":"openai"}}`, `{"provider":"anthropic","auth":{}}`
	f(native, false, OpenAIChat, AnthropicMessages, chatToAnthropic{})
	f(native, true, OpenAIChat, OpenAIChat, nil)
	f(native, false, AnthropicMessages, AnthropicMessages, nil)
	f(layer, false, OpenAIChat, OpenAIChat, nil)
	f(plain, false, OpenAIChat, OpenAIChat, nil)
	f(plain, false, AnthropicMessages, AnthropicMessages, nil)
	f(`{"provider":"openai","auth":{},"provider_conf":{"api":"native"}}`, false, OpenAIChat, OpenAIChat, nil)
}
