package driver

import (
	"encoding/json"
	"testing"
)

func FuzzConverseRequest(f *testing.F) {
	for _, dir := range []string{"text", "tools", "media", "thinking", "structured"} {
		f.Add(goldenFile(f, "chat_to_converse", dir, "request.json"))
	}
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a","file_data":"data:text/csv;base64,A"}},{"type":"file","file":{"filename":"a","file_data":"data:text/csv;base64,A"}}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if out := fuzzRequest(t, chatToConverse{}, new(ConvState), raw, 60); out != nil {
			checkConverse(t, out)
		}
	})
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
		f.Add(goldenFile(f, "chat_to_converse", dir, "plain.json"), 200)
	}
	f.Add([]byte(`{"__type":"com.amazon.coral.validate#ValidationException","Message":"m"}`), 400)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		fuzzResponse(t, chatToConverse{}, &ConvState{Model: []byte("m\"")}, body, status, 40)
	})
}
