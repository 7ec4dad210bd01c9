package driver

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLastUserText(t *testing.T) {
	f := func(p Proto, raw, want string) {
		t.Helper()
		var b Body
		if err := b.Load([]byte(raw)); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		got, ok := LastUserText([]byte("+"), p, &b)
		if want == "" {
			if ok || string(got) != "+" {
				t.Errorf("%v %s: got %q, %t; want nothing", p, raw, got, ok)
			}
		} else if !ok || string(got) != "+"+want {
			t.Errorf("%v %s: got %q, %t; want %q", p, raw, got, ok, want)
		}
	}
	f(OpenAIChat, `{"messages":[{"role":"user","content":"hi"}]}`, "hi")
	f(OpenAIChat, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"content":"c","role":"user"},{"role":"tool","content":"d"}]}`, "c")
	f(OpenAIChat, `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"u"}},{"text":"b\n","type":"text"}]}]}`, "a b\n")
	f(OpenAIChat, `{"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"image_url","text":"no"}]},{"role":"user","content":""},{"role":"user","content":null},{"role":"user"}]}`, "a")
	f(OpenAIChat, `{"messages":[{"role":"user","content":[{"type":"text","text":""},{"type":"text","text":"x"}]}]}`, "x")
	f(OpenAIChat, `{"messages":[{"r\u006fle":"us\u0065r","content":"\u00e9\ud83d\ude00"}]}`, "é😀")
	f(OpenAIChat, `{"messages":[{"role":"system","content":"s"}]}`, "")
	f(OpenAIChat, `{"messages":[]}`, "")
	f(OpenAIChat, `{"messages":{"role":"user","content":"s"}}`, "")
	f(OpenAIChat, `{"messages":["user",1,null,[{"role":"user","content":"s"}],{"role":["user"],"content":"s"},{"role":"user","content":{"text":"s"}}]}`, "")
	f(OpenAIChat, `{"messages":[{"role":"user","content":[1,"s",{"text":1},{"text":"s","type":1},{"text":"s","type":null}]}]}`, "")
	f(OpenAIChat, `{"input":"x"}`, "")
	f(OpenAIResponses, `{"input":"x"}`, "x")
	f(OpenAIResponses, `{"input":""}`, "")
	f(OpenAIResponses, `{"input":[{"role":"user","content":"x"},{"type":"function_call_output","output":"y"}]}`, "x")
	f(OpenAIResponses, `{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"x"},{"type":"input_image"},{"type":"input_text","text":"y"}]}]}`, "x y")
	f(AnthropicMessages, `{"system":"s","messages":[{"role":"user","content":[{"type":"text","text":"x"}]},{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"no"}]}]}]}`, "x")
	f(AnthropicMessages, `[]`, "")
	f(BedrockConverse, `{"messages":[{"role":"user","content":[{"text":"x"},{"image":{}},{"text":"y"}]}]}`, "x y")
	f(OpenAIEmbeddings, `{"input":"x"}`, "x")
	f(OpenAIEmbeddings, `{"input":["x"]}`, "")
	f(Passthrough, `{"messages":[{"role":"user","content":"hi"}],"input":"x"}`, "")
	f(Unknown, `{"input":"x"}`, "")
}

func TestLastUserTextMax(t *testing.T) {
	f := func(content string, limit int, want string) {
		t.Helper()
		var b Body
		if err := b.Load([]byte(`{"messages":[{"role":"user","content":` + content + `}]}`)); err != nil {
			t.Fatal(err)
		}
		got, ok := LastUserTextMax([]byte("+"), OpenAIChat, &b, limit)
		if !ok || string(got) != "+"+want {
			t.Errorf("%.40s cut at %d: got %.40q, want %.40q", content, limit, got, want)
		}
	}
	f(`"abcdef"`, 6, "abcdef")
	f(`"abcdef"`, 5, "abcde")
	f(`"ab\u00e9"`, 4, "abé")
	f(`"ab\u00e9"`, 3, "ab")
	f(`"a😀"`, 5, "a😀")
	f(`"a😀"`, 4, "a")
	f(`"a😀"`, 2, "a")
	f(`"\ud83d\ude00x"`, 4, "😀")
	f(`"\ud83d\ude00x"`, 3, "")
	f(`[{"text":"ab"},{"text":"cd"}]`, 5, "ab cd")
	f(`[{"text":"ab"},{"text":"cd"}]`, 4, "ab c")
	f(`[{"text":"ab"},{"text":"cd"}]`, 3, "ab")
	f(`[{"text":"ab"},{"text":"cd"},{"text":"cd"}]`, 2, "ab")
	f(`[{"text":"a\u0800"},{"text":"b"}]`, 3, "a")
	f("\"\x80\x80\x80\x80\x80\x80\"", 5, "\x80\x80\x80\x80\x80") // not UTF-8: cut anywhere
	f(`"`+strings.Repeat(`\u00e9`, 20000)+`"`, 16384, strings.Repeat("é", 8192))
	f(`"`+strings.Repeat(`\u00e9`, 20000)+`"`, 16383, strings.Repeat("é", 8191))
	f(`"x`+strings.Repeat(`\ud83d\ude00`, 20000)+`"`, 16384, "x"+strings.Repeat("😀", 4095))
	f(`"`+strings.Repeat(`\\`, 20000)+`"`, 16384, strings.Repeat(`\`, 16384))
}

func TestBudgetLastUserText(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	var b Body
	if err := b.Load([]byte(`{"messages":[{"role":"system","content":"x"},{"role":"user","content":[{"type":"text","text":"a\n"},{"type":"text","text":"b\u00e9"}]},{"r\u006fle":"us\u0065r","content":"hi\n"}]}`)); err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() { dst, _ = LastUserText(dst[:0], OpenAIChat, &b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// lastUserSlow is the obvious twin of LastUserText.
func lastUserSlow(p Proto, raw []byte) (string, bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var top map[string]any
	if d.Decode(&top) != nil {
		return "", false
	}
	var list any
	switch p {
	case OpenAIChat, AnthropicMessages, BedrockConverse:
		list = top["messages"]
	case OpenAIResponses, OpenAIEmbeddings:
		list = top["input"]
		if s, ok := list.(string); ok {
			return s, s != ""
		}
		if p == OpenAIEmbeddings {
			return "", false
		}
	}
	messages, _ := list.([]any)
	for i := len(messages) - 1; i >= 0; i-- {
		m, _ := messages[i].(map[string]any)
		if m["role"] != "user" {
			continue
		}
		var texts []string
		switch c := m["content"].(type) {
		case string:
			texts = append(texts, c)
		case []any:
			for _, part := range c {
				o, _ := part.(map[string]any)
				kind, typed := o["type"]
				if s, _ := o["text"].(string); s != "" && (!typed || kind == "text" || kind == "input_text") {
					texts = append(texts, s)
				}
			}
		}
		if s := strings.Join(texts, " "); s != "" {
			return s, true
		}
	}
	return "", false
}

func FuzzLastUserText(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"text","text":"a\ud83d\ude00"},{"text":"b"}]},{"role":"user","content":""}]}`), uint8(OpenAIChat), 7)
	f.Add([]byte(`{"input":[{"role":"user","content":"x\u00e9\\"}]}`), uint8(OpenAIResponses), 2)
	f.Add([]byte(`{"input":"x","input":"y"}`), uint8(OpenAIEmbeddings), 0)
	f.Add([]byte(`{"messages":[{"role":"user","content":"\ud83d`), uint8(OpenAIChat), 3)
	f.Fuzz(func(t *testing.T, raw []byte, proto uint8, limit int) {
		p := Proto(proto)
		// Bytes that nobody has validated reach the walk as well.
		var wild Body
		if wild.Load([]byte(`{}`)) == nil && len(raw) > 0 {
			wild.Set("messages", raw)
			wild.Set("input", raw)
			LastUserText(nil, p, &wild)
		}
		var b Body
		if b.Load(raw) != nil {
			return
		}
		got, ok := LastUserText(nil, p, &b)
		want, wok := lastUserSlow(p, raw)
		if ok != wok || string([]rune(string(got))) != want {
			t.Fatalf("%v %q: got %q, %t; want %q, %t", p, raw, got, ok, want, wok)
		}
		limit &= 31
		if cut, ok := LastUserTextMax(nil, p, &b, limit); ok {
			if len(cut) > limit || utf8.Valid(got) && (!utf8.Valid(cut) || len(cut) < min(limit-3, len(got))-1) || !bytes.HasPrefix(got, cut) {
				t.Fatalf("%v %q cut at %d: %q of %q", p, raw, limit, cut, got)
			}
		}
	})
}

func BenchmarkLastUserText(b *testing.B) {
	raw := chatBody(6 << 10)
	var body Body
	if err := body.Load(raw); err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = LastUserText(dst[:0], OpenAIChat, &body)
	}
}
