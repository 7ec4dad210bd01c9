package driver

import (
	"encoding/json"
	"testing"
)

// checkChunks holds a converted stream to the rules that a client of OpenAI's
// relies on: events of data alone, chunks of one identity, the role first,
// calls in order, one finish_reason behind all content, usage behind that, and
// nothing behind the end.
func checkChunks(t testing.TB, stream []byte) {
	t.Helper()
	type identity struct {
		ID, Object, Model string
		Created           *int64
	}
	type chunk struct {
		identity
		Choices []struct {
			Index *int
			Delta *struct {
				Role      string
				ToolCalls []struct {
					Index    *int
					ID       *string
					Type     string
					Function struct{ Name, Arguments *string }
				} `json:"tool_calls"`
			}
			Finish *string `json:"finish_reason"`
		}
		Usage *struct {
			Total *int64 `json:"total_tokens"`
		}
		Error *struct{ Type, Message *string }
	}
	var first identity
	calls, started, finished, counted, ended := 0, false, false, false, false
	for _, ev := range split(t, stream, len(stream)+1) {
		if ev.Data == nil { // a ping
			continue
		}
		var c chunk
		ok := !ended && len(ev.Name) == 0
		switch err := json.Unmarshal(ev.Data, &c); {
		case string(ev.Data) == "[DONE]":
			ok, ended = ok && finished, true
		case err != nil:
			ok = false
		case c.Error != nil:
			ok, ended = ok && c.Error.Type != nil && c.Error.Message != nil, true
		case c.ID == "" || c.Object != "chat.completion.chunk" || c.Created == nil || c.Choices == nil:
			ok = false
		case started && (c.ID != first.ID || c.Model != first.Model || *c.Created != *first.Created):
			ok = false
		case len(c.Choices) == 0:
			ok = ok && finished && !counted && c.Usage != nil && c.Usage.Total != nil
			counted = true
		default:
			choice := &c.Choices[0]
			if ok = ok && !finished && len(c.Choices) == 1 && choice.Index != nil && choice.Delta != nil && c.Usage == nil; !ok {
				break
			}
			ok = started != (choice.Delta.Role == "assistant")
			if !started {
				started, first = true, c.identity
			}
			for _, call := range choice.Delta.ToolCalls {
				f := &call.Function
				if begins := call.ID != nil; begins {
					ok = ok && *call.Index == calls && call.Type == "function" && f.Name != nil
					calls++
				} else {
					ok = ok && *call.Index < calls && f.Name == nil
				}
				ok = ok && f.Arguments != nil
			}
			finished = choice.Finish != nil
		}
		if !ok {
			t.Fatalf("%q does not fit here:\n%s", ev.Data, stream)
		}
	}
}
