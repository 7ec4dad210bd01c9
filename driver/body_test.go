package driver

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func load(t testing.TB, raw string) *Body {
	t.Helper()
	b := new(Body)
	if err := b.Load([]byte(raw)); err != nil {
		t.Fatalf("Load(%q): %v", raw, err)
	}
	return b
}

func TestBodyKind(t *testing.T) {
	f := func(raw string, kind Kind, empty bool) {
		t.Helper()
		b := load(t, raw)
		if b.Kind() != kind || b.Empty() != empty {
			t.Errorf("%s: kind %d, empty %v", raw, b.Kind(), b.Empty())
		}
		if got := b.AppendTo(nil); string(got) != raw {
			t.Errorf("%s: came out as %s", raw, got)
		}
	}
	f(`{}`, Object, true)
	f(" {\n} ", Object, true)
	f(`{"a":1}`, Object, false)
	f(`[]`, Array, true)
	f(` [ ] `, Array, true)
	f(`[{}]`, Array, false)
	f(`"x"`, String, false)
	f(`-1.5e+3`, Number, false)
	f(`true`, True, false)
	f(`false`, False, false)
	f(`null`, Null, false)
}

// Texts follow APISIX's parser (T: ai-proxy.t 9).
func TestBodyErrorText(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		var b Body
		err := b.Load([]byte(raw))
		var se *SyntaxError
		if !errors.As(err, &se) || err.Error() != want {
			t.Errorf("%q: %v, want %s", raw, err, want)
		}
		if b.Kind() != None || b.Raw() != nil {
			t.Errorf("%q: body not empty after an error", raw)
		}
	}
	f(`{}"messages": []`, "Expected the end but found T_STRING at character 3")
	f(``, "Expected value but found T_END at character 1")
	f(`x`, "Expected value but found invalid token at character 1")
	f(`{"a":}`, "Expected value but found T_OBJ_END at character 6")
	f(`{"a":01}`, "Expected comma or object end but found T_NUMBER at character 7")
	f(`{"a":-}`, "Expected value but found invalid number at character 6")
	f(`{"a":[1,]}`, "Expected value but found T_ARR_END at character 9")
	f(`{"a":[1 2]}`, "Expected comma or array end but found T_NUMBER at character 9")
	f(`{"a":1,}`, "Expected object key string but found T_OBJ_END at character 8")
	f(`{"a" 1}`, "Expected colon but found T_NUMBER at character 6")
	f(`{"a":true false}`, "Expected comma or object end but found T_BOOLEAN at character 11")
	f(`{"a":1`, "Expected comma or object end but found T_END at character 7")
	f(`{"a":"x`, "Expected value but found unexpected end of string at character 8")
	f(`{"a":"\x"}`, "Expected value but found invalid escape code at character 7")
	f("{\"a\":\"b\nc\"}", "Expected value but found invalid token at character 8")
	f(`{"a":"\u12g4"}`, "Expected value but found invalid escape code at character 7")
	f(`[nul]`, "Expected value but found invalid token at character 2")
	f(strings.Repeat("[", 1001)+strings.Repeat("]", 1001), "Found too many nested data structures (1001)")
	f(`{"a":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+`}`, "Found too many nested data structures (1001)")
}

func TestBodyLimits(t *testing.T) {
	load(t, strings.Repeat("[", 1000)+strings.Repeat("]", 1000))
	load(t, `{"a":`+strings.Repeat("[", 999)+strings.Repeat("]", 999)+`}`)
	member := `"a":1,`
	load(t, `{`+strings.Repeat(member, maxFields-1)+`"z":1}`)
	var b Body
	if err := b.Load([]byte(`{` + strings.Repeat(member, maxFields) + `"z":1}`)); err == nil {
		t.Error("too many members were taken")
	}
}

func TestBodyGet(t *testing.T) {
	f := func(raw, key, want string, ok bool) {
		t.Helper()
		got, is := load(t, raw).Get(key)
		if is != ok || string(got) != want {
			t.Errorf("%s of %s: %s %v", key, raw, got, is)
		}
	}
	f(`{"a":1, "b" : [2, 3] }`, "b", `[2, 3]`, true)
	f(`{"a":1}`, "b", ``, false)
	f(`{"a":null}`, "a", `null`, true)
	f(`{"a":1,"a":2}`, "a", `2`, true)
	f(`{"\u0061":1}`, "a", `1`, true)
	f(`{"\u0061":1,"a":2}`, "a", `2`, true)
	f(`{"a":2,"\u0061":1}`, "a", `1`, true)
	f(`{"":1}`, "", `1`, true)
	f(`["a"]`, "a", ``, false)
	f(`"a"`, "a", ``, false)
}

func TestBodyGetString(t *testing.T) {
	f := func(raw, want string, ok bool) {
		t.Helper()
		b := load(t, `{"a":`+raw+`}`)
		if got, is := b.GetString("a"); is != ok || string(got) != want {
			t.Errorf("%s: %q %v", raw, got, is)
		}
	}
	f(`"x"`, "x", true)
	f(`""`, "", true)
	f(`1`, "", false)
	f(`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t", true)
	f(`"é\u00e9\ud83d\ude00"`, "éé😀", true)
	f(`"\ud83dx"`, "\ufffdx", true)
	f(`"\ude00"`, "\ufffd", true)
	f(`"\ud83d\u0041"`, "\ufffdA", true)
}

// The same spelling in every splice: 2.6 and architecture.md section 8.
func TestBodyEdit(t *testing.T) {
	f := func(raw, want string, edits ...string) {
		t.Helper()
		b := load(t, raw)
		var fork Body
		b.Fork(&fork)
		for _, e := range edits {
			if k, v, set := strings.Cut(e, "="); set {
				fork.Set(k, []byte(v))
			} else {
				fork.Delete(k)
			}
		}
		if got := fork.AppendTo(nil); string(got) != want {
			t.Errorf("%s with %q:\n got %s\nwant %s", raw, edits, got, want)
		}
		if got := bytes.Join(fork.Segments(nil), nil); string(got) != want {
			t.Errorf("%s with %q: segments %s", raw, edits, got)
		}
		if b.Changed() || string(b.AppendTo(nil)) != raw {
			t.Errorf("%s with %q: the edits show in the origin", raw, edits)
		}
	}
	f(`{"a":1, "b":2}`, `{"a":1, "b":2}`)
	f(`{"a":1, "b":2}`, `{"a":1, "b":2}`, "c")
	f(`{"a":1, "b":2}`, `{"a":9, "b":2}`, "a=9")
	f(` { "a" : 1 , "b" : 2 } `, ` { "a" : 1 , "b" : 9 } `, "b=9")
	f(`{"a":1, "b":2,"c":3}`, `{"b":2,"c":3}`, "a")
	f(`{"a":1, "b":2,"c":3}`, `{"a":1,"c":3}`, "b")
	f(`{"a":1, "b":2,"c":3}`, `{"a":1, "b":2}`, "c")
	f(`{"a":1, "b":2,"c":3}`, `{"c":3}`, "a", "b")
	f(`{"a":1, "b":2,"c":3}`, `{"c":7}`, "a", "b", "c=7")
	f(`{"a":1, "b":2,"c":3}`, `{}`, "a", "b", "c")
	f(`{"a":1, "b":2,"c":3}`, `{"x":0}`, "a", "b", "c", "x=0")
	f(`{"a":1, "b":2,"c":3}`, `{"b":5}`, "a", "c", "b", "b=5")
	f(`{}`, `{"x":0,"y":1}`, "y=1", "x=0")
	f(`{ }`, `{"x":0 }`, "x=0")
	f(`{"m":1.50}`, `{"m":1.50,"a":1,"b":2,"z":3}`, "z=3", "a=1", "b=2")
	f(`{"m":1}`, `{"m":1}`, "z=3", "z")
	f(`{"a":1,"a":2,"b":3}`, `{"a":2,"b":9}`, "b=9")
	f(`{"a":1,"b":3,"a":2}`, `{"b":3}`, "a")
	f(`{"a":1,"b":3,"a":2}`, `{"b":3,"a":7}`, "a=7")
	f(`{"a":1}`, `{"a":1,"q\"\\\n":true}`, "q\"\\\n=true")
	f(`{"\u0061":1}`, `{"\u0061":2}`, "a=2")
	f(`[1]`, `[1]`, "a=2", "b")
	long := strings.Repeat("x", 5000)
	f(`{"a":"`+long+`","b":1}`, `{"a":"`+long+`","b":2,"c":3}`, "b=2", "c=3")
}

// A long span is handed out, never copied.
func TestBodySegmentsShare(t *testing.T) {
	raw := []byte(`{"messages":"` + strings.Repeat("x", 100000) + `"}`)
	var b Body
	if err := b.Load(raw); err != nil {
		t.Fatal(err)
	}
	b.Set("stream", []byte("true"))
	segs := b.Segments(nil)
	if len(segs) != 2 || &segs[0][0] != &raw[0] {
		t.Errorf("%d segments", len(segs))
	}
}

func TestBodyFork(t *testing.T) {
	b := load(t, `{"a":1,"\u0062":"x\ny"}`)
	b.Set("c", []byte("3"))
	var one, two Body
	b.Fork(&one)
	one.Set("a", []byte("9"))
	one.Delete("c")
	b.Fork(&two)
	if got := string(two.AppendTo(nil)); got != `{"a":1,"\u0062":"x\ny","c":3}` {
		t.Errorf("an edit of one attempt shows in the next: %s", got)
	}
	if s, _ := two.GetString("b"); string(s) != "x\ny" {
		t.Errorf("b = %q", s)
	}
	b.Fork(&one)
	if got := string(one.AppendTo(nil)); got != `{"a":1,"\u0062":"x\ny","c":3}` {
		t.Errorf("a reused layer keeps old edits: %s", got)
	}
}

func TestBodyReset(t *testing.T) {
	b := load(t, `{"a":"`+strings.Repeat(`\n`, 100000)+`"}`)
	b.GetString("a")
	b.Set("b", []byte("1"))
	b.AppendTo(nil)
	b.Reset()
	if b.Kind() != None || b.Changed() || b.Raw() != nil || cap(b.arena) > keepCap {
		t.Errorf("after Reset: %+v", b)
	}
	for _, f := range b.fields[:cap(b.fields)] {
		if f.key != nil || f.val != nil {
			t.Fatal("the table holds on to the old document")
		}
	}
}

// ------------------------------------------------------------------ twins

// valid is encoding/json's verdict, with the differences that Load documents.
func valid(raw []byte) bool {
	if !json.Valid(raw) {
		return false
	}
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest <= maxDepth
}

func decode(t testing.TB, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return v
}

func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","messages":[{"role":"user","content":"hi \"x\" \u00e9"}],"stream":true}`,
		`{}`, `[]`, ` [1,2.5e-3,-0,{"a":[[]]}] `, `{"a":1,"a":2,"\u0061":3}`, `"x"`, `nul`, `{"a":"` + "\x01" + `"}`,
		`{"a":{"b":{"c":null}},"d":[true,false]}`, `{"a":1,"b":2,"c":3,"stream":false,"x":"\ud800"}`, `1e`, `-`, `[`, `{"`, `"\`,
	} {
		f.Add([]byte(s), uint64(1))
	}
	f.Fuzz(func(t *testing.T, raw []byte, seed uint64) {
		var b Body
		err := b.Load(raw)
		if (err == nil) != valid(raw) {
			t.Fatalf("%q: %v, encoding/json says valid %v", raw, err, json.Valid(raw))
		}
		if err != nil {
			_ = err.Error()
			return
		}
		if got := b.AppendTo(nil); !bytes.Equal(got, raw) {
			t.Fatalf("%q came out as %q", raw, got)
		}
		want, isObject := decode(t, raw).(map[string]any)
		if !isObject {
			return
		}
		rnd := rand.New(rand.NewPCG(seed, 7))
		keys := []string{"a", "b", "stream", "model", "new", "\u00e9\n"}
		for k := range want {
			// encoding/json repairs keys that are not UTF-8, Body keeps them.
			if !strings.Contains(k, "\ufffd") {
				keys = append(keys, k)
			}
			if _, ok := b.Get(k); !ok && !strings.Contains(k, "\ufffd") {
				t.Fatalf("%q has no %q", raw, k)
			}
		}
		slices.Sort(keys)
		var fork Body
		b.Fork(&fork)
		for range rnd.IntN(6) {
			k := keys[rnd.IntN(len(keys))]
			if rnd.IntN(2) == 0 {
				fork.Set(k, []byte(`{"n":1}`))
				want[k] = map[string]any{"n": json.Number("1")}
			} else {
				fork.Delete(k)
				delete(want, k)
			}
		}
		out := fork.AppendTo(nil)
		if got := decode(t, out); !reflect.DeepEqual(got, any(want)) {
			t.Fatalf("%q: got %q\n%v\n%v", raw, out, got, want)
		}
		if segs := bytes.Join(fork.Segments(nil), nil); !bytes.Equal(segs, out) {
			t.Fatalf("segments %q, AppendTo %q", segs, out)
		}
		if b.Changed() {
			t.Fatal("an edit of the fork shows in the origin")
		}
		sorted, err := AppendSorted(nil, raw)
		if err != nil || !reflect.DeepEqual(decode(t, sorted), decode(t, raw)) {
			t.Fatalf("%q sorted: %q %v", raw, sorted, err)
		}
	})
}

func TestScanPlain(t *testing.T) {
	for n := range 80 {
		p := bytes.Repeat([]byte{0xc3}, n)
		if got := scanPlain(p, 0); got != n {
			t.Fatalf("%d plain bytes: %d", n, got)
		}
		for c := range 256 {
			for _, fill := range []byte{' ', '!', '#', '[', ']', 0x7f, 0x80, 0xff} {
				for k := range n {
					p := bytes.Repeat([]byte{fill}, n)
					p[k] = byte(c)
					want := n
					if c < 0x20 || c == '"' || c == '\\' {
						want = k
					}
					if got := scanPlain(p, 0); got != want {
						t.Fatalf("%#x at %d of %d in %#x: %d", c, k, n, fill, got)
					}
				}
			}
		}
	}
}

func TestScanNames(t *testing.T) {
	text := []byte(`"e""t"xx""u"!"v"#e"u`)
	for pad := range 20 {
		p := append(bytes.Repeat([]byte{' '}, pad), text...)
		for i := 0; i <= len(p); i++ {
			want := len(p)
			for k := len(p) - 2; k >= i; k-- {
				if p[k] == '"' && bytes.IndexByte([]byte("etu"), p[k+1]) >= 0 {
					want = k
				}
			}
			if got := scanNames(p, i); got != want {
				t.Fatalf("%q from %d: %d, want %d", p, i, got, want)
			}
		}
	}
}

func TestAppendString(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		got := AppendString(nil, []byte(s))
		if string(got) != want {
			t.Errorf("%q: %s", s, got)
		}
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") {
			t.Errorf("%q: reads back as %q, %v", s, back, err)
		}
	}
	f("", `""`)
	f("a\"b\\c\nd\x01é</script>", `"a\"b\\c\nd\u0001é</script>"`)
	f("a\xffb\r\n", "\"a\ufffdb\\r\\n\"")
	f(strings.Repeat("x", 50)+"\t", `"`+strings.Repeat("x", 50)+`\t"`)
}

// validText tells whether keys compare alike for encoding/json and for Body.
func validText(raw []byte) bool {
	return utf8.Valid(raw) && !bytes.Contains(bytes.ToLower(raw), []byte(`\ud`)) && !bytes.Contains(bytes.ToLower(raw), []byte(`\ufffd`))
}
