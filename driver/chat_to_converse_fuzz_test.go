package driver

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

func goldenFile(t testing.TB, dir, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/chat_to_converse/" + dir + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func FuzzConverseRequest(f *testing.F) {
	for _, dir := range []string{"text", "tools", "media", "thinking", "structured"} {
		f.Add(goldenFile(f, dir, "request.json"))
	}
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a","file_data":"data:text/csv;base64,A"}},{"type":"file","file":{"filename":"a","file_data":"data:text/csv;base64,A"}}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if out := requestOf(t, chatToConverse{}, raw, 60); out != nil {
			checkConverse(t, out)
		}
	})
}

// requestOf is what c makes of any body, nil if it is none or refused. It may be
// some times as long, is valid, and the client's body stays as it was.
func requestOf(t *testing.T, c Converter, raw []byte, times int) []byte {
	t.Helper()
	var b Body
	if b.Load(raw) != nil {
		return nil
	}
	got, err := c.Request([]byte("+"), &b, new(ConvState))
	if err != nil {
		if string(got) != "+" {
			t.Errorf("%q", got)
		}
		return nil
	}
	if !json.Valid(got[1:]) {
		t.Fatalf("%s: %s", raw, got)
	}
	if most := 1000 + times*len(raw); len(got) > most {
		t.Errorf("%d bytes out of %d", len(got), len(raw))
	}
	if b.Changed() || !bytes.Equal(b.AppendTo(nil), raw) {
		t.Error("the client's body was changed")
	}
	return got[1:]
}

// checkConverse holds a request to what Bedrock checks before it asks a model.
func checkConverse(t testing.TB, body []byte) {
	t.Helper()
	var q struct {
		Messages []struct {
			Role    string
			Content []struct {
				Document *struct{ Name, Format string }
				Image    *struct{ Format string }
				ToolUse  *struct {
					ToolUseID, Name string
					Input           map[string]any
				}
			}
		}
	}
	if err := json.Unmarshal(body, &q); err != nil || len(q.Messages) == 0 {
		t.Fatalf("%s: %v", body, err)
	}
	last, names := "", map[string]bool{}
	for _, m := range q.Messages {
		if m.Role == last || m.Role != "user" && m.Role != "assistant" || len(m.Content) == 0 {
			t.Fatalf("a message of %q after one of %q, %d blocks: %s", m.Role, last, len(m.Content), body)
		}
		last = m.Role
		for _, c := range m.Content {
			if d := c.Document; d != nil {
				if names[d.Name] || len(d.Name) == 0 || len(d.Name) > 200 || d.Format == "" {
					t.Fatalf("document %+v: %s", d, body)
				}
				names[d.Name] = true
			}
			if i := c.Image; i != nil && i.Format == "" {
				t.Fatalf("%s", body)
			}
			if u := c.ToolUse; u != nil && (u.Input == nil || u.Name == "" || u.ToolUseID == "") {
				t.Fatalf("%s", body)
			}
		}
	}
}

func FuzzConverseResponse(f *testing.F) {
	for _, dir := range []string{"text", "tools", "media", "thinking", "error", "structured"} {
		f.Add(goldenFile(f, dir, "plain.json"), 200)
	}
	f.Add([]byte(`{"__type":"com.amazon.coral.validate#ValidationException","Message":"m"}`), 400)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		st := ConvState{Model: []byte("m\"")}
		out, ok, err := chatToConverse{}.AppendResponse([]byte("+"), body, status, &st)
		switch {
		case !ok:
			if string(out) != "+" {
				t.Errorf("%q", out)
			}
		case err != nil || !json.Valid(out[1:]) || !json.Valid(body):
			t.Errorf("%s: %s %v", body, out, err)
		case len(out) > 1000+40*len(body):
			t.Errorf("%d bytes out of %d", len(out), len(body))
		}
	})
}
