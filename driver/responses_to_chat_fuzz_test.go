package driver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"headrace/sse"
)

// checkResponses holds a converted stream to what the official clients rely
// on: numbered events named by their type, items and parts that are added
// before they grow and are done once, and a last event that repeats it all.
func checkResponses(t testing.TB, stream []byte) {
	t.Helper()
	var (
		items []map[string]any // as far as they have come
		done  []bool
		id    any
		ended bool
	)
	fail := func(ev sse.Event, why string) {
		t.Helper()
		t.Fatalf("%s %s: %s:\n%s", ev.Name, ev.Data, why, stream)
	}
	part := func(e map[string]any) map[string]any {
		return list(items[int(e["output_index"].(float64))]["content"])[0].(map[string]any)
	}
	for n, ev := range split(t, stream, len(stream)+1) {
		var e map[string]any
		if err := json.Unmarshal(ev.Data, &e); err != nil {
			fail(ev, err.Error())
		}
		kind, _ := e["type"].(string)
		if kind != string(ev.Name) || e["sequence_number"] != float64(n) || ended || n < 2 != (kind == "response.created" || kind == "response.in_progress") {
			fail(ev, "not the name, the number or the place")
		}
		var item map[string]any
		i, indexed := e["output_index"].(float64)
		switch {
		case kind == "response.output_item.added":
			item = obj(e["item"])
			if int(i) != len(items) || item["status"] != "in_progress" || item["id"] == nil {
				fail(ev, "not a new item")
			}
			items, done = append(items, item), append(done, false)
		case indexed:
			if int(i) >= len(items) || done[int(i)] {
				fail(ev, "no such item is open")
			}
			item = items[int(i)]
			if kind != "response.output_item.done" && e["item_id"] != item["id"] {
				fail(ev, "another item's id")
			}
		}
		switch kind {
		case "response.created", "response.in_progress", "response.completed", "response.incomplete", "response.failed":
			r := obj(e["response"])
			for _, name := range []string{"id", "created_at", "model", "output", "tools", "tool_choice", "parallel_tool_calls", "text", "metadata"} {
				if r[name] == nil {
					fail(ev, "without "+name)
				}
			}
			if id == nil {
				id = r["id"]
			}
			if r["id"] != id || kind != "response.created" && r["status"] != kind[len("response."):] {
				fail(ev, "another response")
			}
			if n < 2 {
				if len(list(r["output"])) > 0 {
					fail(ev, "output in advance")
				}
				continue
			}
			ended = true
			if kind == "response.failed" {
				if obj(r["error"])["message"] == nil {
					fail(ev, "no error")
				}
				continue
			}
			want, _ := json.Marshal(items)
			got, _ := json.Marshal(r["output"])
			if !bytes.Equal(got, want) || len(items) == 0 {
				fail(ev, "output is not "+string(want))
			}
			for i := range done {
				if !done[i] {
					fail(ev, "an item is open")
				}
			}
		case "response.output_item.added":
		case "response.content_part.added":
			if item["content"] = append(list(item["content"]), e["part"]); e["content_index"] != 0.0 || len(list(item["content"])) != 1 {
				fail(ev, "not the first part")
			}
		case "response.output_text.delta", "response.reasoning_text.delta":
			part(e)["text"] = part(e)["text"].(string) + e["delta"].(string)
		case "response.refusal.delta":
			part(e)["refusal"] = part(e)["refusal"].(string) + e["delta"].(string)
		case "response.function_call_arguments.delta":
			item["arguments"] = item["arguments"].(string) + e["delta"].(string)
		case "response.output_text.done", "response.reasoning_text.done":
			same(fail, ev, part(e)["text"], e["text"])
		case "response.refusal.done":
			same(fail, ev, part(e)["refusal"], e["refusal"])
		case "response.function_call_arguments.done":
			same(fail, ev, item["arguments"], e["arguments"])
		case "response.content_part.done":
			same(fail, ev, part(e), e["part"])
		case "response.output_item.done":
			done[int(i)] = true
			item["status"] = obj(e["item"])["status"]
			if id := item["call_id"]; item["name"] == "" || id != nil && strings.HasSuffix(item["id"].(string), strings.TrimPrefix(id.(string), "call_")) {
				// What a provider is late to say is known by now.
				item["name"], item["call_id"] = obj(e["item"])["name"], obj(e["item"])["call_id"]
			}
			same(fail, ev, item, e["item"])
			items[int(i)] = obj(e["item"])
		default:
			fail(ev, "unknown")
		}
	}
}

// same compares what has been gathered with what the provider says it is. A
// surrogate pair that was cut in two is read as two faults in the pieces.
func same(fail func(sse.Event, string), ev sse.Event, have, want any) {
	a, _ := json.Marshal(have)
	b, _ := json.Marshal(want)
	if !bytes.Equal(a, b) && !strings.Contains(string(a), "\ufffd") && !strings.Contains(string(a), `\ufffd`) {
		fail(ev, fmt.Sprintf("gathered %s", a))
	}
}

var responsesBodies = []string{
	`{"model":"m","input":"x","instructions":"s","stream":true,"max_output_tokens":1.50,"temperature":0,"reasoning":{"effort":"low"},"metadata":{"a":"b"}}`,
	`{"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"u"}]},{"type":"function_call","call_id":"i","name":"a.b","arguments":"{}"},{"type":"function_call_output","call_id":"i","output":"r"},{"type":"reasoning","content":[{"type":"reasoning_text","text":"t"}]},{"role":"assistant","content":"b"}]}`,
	`{"input":[],"instructions":"s","tools":[{"type":"function","name":"f","description":"d","parameters":{` + "\r\n" + `"a":1},"strict":false}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]},"text":{"format":{"type":"json_schema","name":"n","schema":{}},"verbosity":"low"}}`,
	`{"input":[{"id":"x"}],"include":["reasoning.encrypted_content"]}`, `{"input":{},"previous_response_id":null}`,
}

func FuzzResponsesRequest(f *testing.F) {
	for _, s := range responsesBodies {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var st ConvState
		out := fuzzRequest(t, responsesToChat{}, &st, raw, 40)
		if out == nil {
			return
		}
		if len(list(obj(decode(t, out))["messages"])) == 0 {
			t.Errorf("%s: no messages in %s", raw, out)
		}
		// What the response repeats of the request keeps to one line.
		answer, ok, err := responsesToChat{}.AppendResponse(nil, []byte(`{"choices":[{"message":{"content":"a"}}]}`), 200, &st)
		if !ok || err != nil || !json.Valid(answer) || bytes.ContainsAny(answer, "\r\n") {
			t.Errorf("%s: %v", answer, err)
		}
	})
}

func FuzzResponsesStream(f *testing.F) {
	for _, s := range []string{
		`{"id":"c","model":"m","choices":[{"delta":{"content":"a","reasoning":"r","refusal":"n","tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":"{"}}]}}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":1},{"index":1.0,"function":{"arguments":"x"}},{"id":"i","function":{"name":"g"}},{"function":{"arguments":{"a":1}}}]},"finish_reason":"length"}],"usage":{"prompt_tokens":1}}`,
		`{"error":{"code":1}}`, `[DONE]`, `{`, "\n",
	} {
		f.Add([]byte("data: "+s+"\n\nevent: ping\n\ndata: "+s+"\n\ndata:\ndata: [DONE]\n\n"), uint16(9), true)
	}
	f.Add([]byte("data: {\ndata: \"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n"), uint16(0), false)
	f.Add([]byte("data:{\"choices\":[{\"delta\":{\"tool_calls\":[{}]}}]}\n\ndata:{\"choices\":[{\"delta\":{\"refusal\":\"0\",\"tool_calls\":[{\"id\":\"t\",\"function\":{\"name\":\"0\"}}]}}]}\n\n"), uint16(60), false)
	f.Fuzz(func(t *testing.T, stream []byte, cut uint16, clean bool) {
		setup := func(st *ConvState) {
			st.names.append(nil, []byte(`"a.b"`))
			st.ID = []byte("id")
		}
		fuzzStream(t, responsesToChat{}, stream, cut, clean, 200, setup, func(t testing.TB, out []byte) {
			if bytes.Equal(out, bytes.ToValidUTF8(out, nil)) { // else json.Unmarshal replaces bytes
				checkResponses(t, out)
			}
		})
	})
}

func FuzzResponsesResponse(f *testing.F) {
	f.Add([]byte(chatAnswer), 200)
	f.Add([]byte(`{"error":{"type":null,"code":5}}`), 200)
	f.Add([]byte(`{"choices":[{"message":{"reasoning":"r","tool_calls":[{"function":{"name":"a_b_2e7336dc","arguments":" {\"a\":[1]} "}},{}]}}]}`), 200)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		var st ConvState
		st.names.append(nil, []byte(`"a.b"`))
		fuzzResponse(t, responsesToChat{}, &st, body, status, 200)
	})
}
