package driver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// checkStream holds a converted stream to the rules that a client of
// Anthropic's relies on: whole events of valid JSON, named by their type,
// message_start before all else, blocks opened in order and closed once, and
// nothing behind the end.
func checkStream(t testing.TB, stream []byte) {
	t.Helper()
	started, ended, open, next := false, false, -1, 0
	for _, ev := range split(t, stream, len(stream)+1) {
		var e struct {
			Type         string
			Index        int
			ContentBlock json.RawMessage `json:"content_block"`
			Message      struct {
				ID, Model *string
				Content   []any
			}
			Delta map[string]json.RawMessage
			Error *struct{ Type, Message *string }
		}
		if err := json.Unmarshal(ev.Data, &e); err != nil || e.Type != string(ev.Name) {
			t.Fatalf("event %s: %s: %v", ev.Name, ev.Data, err)
		}
		ok := started && !ended
		switch e.Type {
		case "message_start":
			ok = !started && e.Message.ID != nil && e.Message.Model != nil && e.Message.Content != nil
			started = true
		case "content_block_start":
			ok = ok && open < 0 && e.Index == next && e.ContentBlock != nil
			open, next = next, next+1
		case "content_block_delta":
			// The arguments of a call may go on after another block began.
			ok = ok && open >= 0 && (e.Index == open || e.Index < open && e.Delta["partial_json"] != nil)
		case "content_block_stop":
			ok = ok && e.Index == open
			open = -1
		case "message_delta":
			ok = ok && open < 0 && e.Delta["stop_reason"] != nil
		case "message_stop":
			ok = ok && open < 0
			ended = true
		case "error":
			ok = !ended && e.Error != nil && e.Error.Type != nil && e.Error.Message != nil
			ended = true
		case "ping":
			ok = !ended
		default:
			ok = false
		}
		if !ok {
			t.Fatalf("%s %s does not fit here:\n%s", ev.Name, ev.Data, stream)
		}
	}
}

func FuzzAnthropicStream(f *testing.F) {
	for _, s := range []string{
		`{"id":"c","model":"m","choices":[{"delta":{"content":"a","reasoning":"r","tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":"{"}}]}}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":1},{"index":1.0,"function":{"arguments":"x"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}`,
		`{"error":{"code":1}}`, `[DONE]`, `{`, "\n",
	} {
		f.Add([]byte("data: "+s+"\n\nevent: ping\n\ndata: "+s+"\n\ndata:\ndata: [DONE]\n\n"), uint16(9), true)
	}
	f.Add([]byte("error: {\"message\":\"m\"}\n\ndata: [{\"error\":{}}]\n\nevent: error\ndata: x\n\n"), uint16(3), true)
	f.Add([]byte("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\"}},{\"id\":\"b\",\"function\":{\"name\":\"f\"}}]},\"finish_reason\":\"error\"}]}\n\n"), uint16(3), true)
	f.Add([]byte("data: {\ndata: \"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n"), uint16(0), false)
	f.Fuzz(func(t *testing.T, stream []byte, cut uint16, clean bool) {
		fuzzStream(t, anthropicToChat{}, stream, cut, clean, 40, func(st *ConvState) { st.names.append(nil, []byte(`"a.b"`)) }, checkStream)
	})
}

func FuzzAnthropicResponse(f *testing.F) {
	f.Add([]byte(chatAnswer), 200)
	f.Add([]byte(`{"error":{"type":null,"code":5}}`), 404)
	f.Add([]byte(`{"choices":[{"message":{"reasoning":"r","tool_calls":[{"function":{"name":"a_b_2e7336dc","arguments":" {\"a\":[1]} "}},{}]}}]}`), 200)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		var st ConvState
		st.names.append(nil, []byte(`"a.b"`))
		fuzzResponse(t, anthropicToChat{}, &st, body, status, 40)
	})
}

func FuzzAnthropicRequest(f *testing.F) {
	for _, s := range twinBodies {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if out := fuzzRequest(t, anthropicToChat{}, new(ConvState), raw, 10); out != nil {
			checkTwin(t, raw, out)
		}
	})
}

var twinBodies = []string{
	`{"model":"m","stream":true,"max_tokens":1.50,"temperature":0,"stop_sequences":[],"metadata":{"user_id":"u"},"service_tier":"s","messages":[{"role":"user","content":"x"}]}`,
	`{"system":[{"type":"text","text":"X-Anthropic-Billing-Header: a=b; cch=1;"},{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"base64","data":"A"}},{"type":"document","source":{"type":"base64","data":"B","media_type":"c"}},{"type":"image","source":{"type":"url","url":"u"}}]}]}`,
	`{"messages":[{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"tool_use","id":"i","name":"a.b","input":{"n":1.0}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"i","content":[{"type":"text","text":"b"},{"type":"image","source":{"type":"url","url":"u"}}]},{"type":"text","text":"c"}]}]}`,
	`{"messages":[{"role":"user","content":[]}],"tools":[{"name":"f","description":"d","input_schema":{"type":"object"}},{"name":"g h"},{"type":"bash_1","name":"b"}],"tool_choice":{"type":"tool","name":"g h","disable_parallel_tool_use":true}}`,
	`{"messages":[{"role":"user","content":"x"}],"output_format":{"type":"json_schema","schema":{"type":"object","properties":{"b":{"items":{"type":"object","properties":{"c":{}}}},"a":{"anyOf":[{"type":"object","properties":{}}]}},"$defs":{"d":{"type":"object","properties":{}}}}},"thinking":{"type":"adaptive"},"output_config":{"effort":"max"}}`,
	`{"messages":[{"role":"user","content":"x"}],"thinking":{"type":"enabled","budget_tokens":2048}}`,
}

func TestAnthropicTwin(t *testing.T) {
	for _, raw := range twinBodies {
		got, err := converted(t, raw, new(ConvState))
		if err != nil {
			t.Fatal(err)
		}
		checkTwin(t, []byte(raw), []byte(got))
	}
}

// checkTwin compares a converted request with what twin makes of the same body.
func checkTwin(t testing.TB, raw, got []byte) {
	t.Helper()
	if !plainText(raw) {
		return
	}
	in, ok := decode(t, raw).(map[string]any)
	if !ok {
		t.Fatalf("%s was converted", raw)
	}
	want, err := json.Marshal(twin(in))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := decode(t, got), decode(t, want); !reflect.DeepEqual(normal(a), normal(b)) {
		t.Errorf("%s:\n got %s\ntwin %s", raw, got, want)
	}
}

// plainText leaves out what encoding/json reads differently: broken UTF-8,
// surrogates, and the spelling of a tool's arguments.
func plainText(raw []byte) bool {
	return validText(raw) && !bytes.Contains(bytes.ToLower(raw), []byte(`\ud`)) && !bytes.ContainsRune(raw, 0xfffd)
}

// normal decodes the arguments of tool calls, whose text is the client's own.
func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			s, ok := e.(string)
			var args any
			if d := json.NewDecoder(strings.NewReader(s)); ok && k == "arguments" {
				if d.UseNumber(); d.Decode(&args) == nil {
					e = args
				}
			}
			v[k] = normal(e)
		}
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	}
	return v
}

var cchEntry = regexp.MustCompile(` ?cch=[^;]*;?`)

type object = map[string]any

// twin is the slow and obvious conversion of a request that can be converted.
func twin(in object) object {
	out := object{}
	str := func(to string, v any) {
		if s, ok := v.(string); ok {
			out[to] = s
		}
	}
	for to, from := range map[string]string{"stream": "stream", "max_completion_tokens": "max_tokens", "temperature": "temperature", "top_p": "top_p"} {
		if in[from] != nil {
			out[to] = in[from]
		}
	}
	if in["stream"] == true {
		out["stream_options"] = object{"include_usage": true}
	}
	str("model", in["model"])
	str("user", obj(in["metadata"])["user_id"])
	str("service_tier", in["service_tier"])
	if list, ok := in["stop_sequences"].([]any); ok {
		out["stop"] = list
	}
	switch th := obj(in["thinking"]); th["type"] {
	case "enabled":
		n, _ := th["budget_tokens"].(json.Number)
		v, _ := n.Float64()
		out["reasoning_effort"] = map[int]string{0: "minimal", 1: "low", 2: "medium", 3: "high"}[btoi(v >= 1024)+btoi(v >= 2048)+btoi(v >= 4096)]
	case "adaptive":
		out["reasoning_effort"] = "medium"
		if s, _ := obj(in["output_config"])["effort"].(string); s != "" {
			out["reasoning_effort"] = s
		}
	}
	twinTools(in, out)
	format := obj(in["output_format"])
	if len(format) == 0 {
		format = obj(obj(in["output_config"])["format"])
	}
	if schema := obj(format["schema"]); format["type"] == "json_schema" && len(schema) > 0 {
		out["response_format"] = object{"type": "json_schema", "json_schema": object{"name": "structured_output", "schema": twinStrict(schema), "strict": true}}
	}
	out["messages"] = twinMessages(in)
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func obj(v any) object { o, _ := v.(object); return o }

func list(v any) []any { l, _ := v.([]any); return l }

func twinName(s string) string {
	raw, _ := json.Marshal(s)
	var n toolNames
	mapped := n.append(nil, raw)
	return string(mapped[1 : len(mapped)-1])
}

func twinTools(in, out object) {
	var tools []any
	declared := map[string]bool{}
	for _, v := range list(in["tools"]) {
		t := obj(v)
		kind, _ := t["type"].(string)
		name, _ := t["name"].(string)
		if name == "" || slices.ContainsFunc(builtIn[:], func(p string) bool { return strings.HasPrefix(kind, p) }) {
			continue
		}
		fn := object{"name": twinName(name)}
		if t["description"] != nil {
			fn["description"] = t["description"]
		}
		if t["input_schema"] != nil {
			fn["parameters"] = t["input_schema"]
		}
		declared[name] = true
		tools = append(tools, object{"type": "function", "function": fn})
	}
	if tools == nil {
		return
	}
	out["tools"] = tools
	choice := obj(in["tool_choice"])
	name, named := choice["name"].(string)
	switch kind := choice["type"]; {
	case kind == "auto" || kind == "none":
		out["tool_choice"] = kind
	case kind == "any":
		out["tool_choice"] = "required"
	case kind == "tool" && named:
		if declared[name] {
			name = twinName(name)
		}
		out["tool_choice"] = object{"type": "function", "function": object{"name": name}}
	default:
		return
	}
	if choice["disable_parallel_tool_use"] == true {
		out["parallel_tool_calls"] = false
	}
}

func twinStrict(v any) any {
	s := obj(v)
	if s == nil {
		return v
	}
	s = maps.Clone(s)
	each := func(v any) any {
		o := maps.Clone(obj(v))
		for k := range o {
			o[k] = twinStrict(o[k])
		}
		return o
	}
	for _, k := range []string{"properties", "$defs", "definitions"} {
		if obj(s[k]) != nil {
			s[k] = each(s[k])
		}
	}
	if obj(s["items"]) != nil {
		s["items"] = twinStrict(s["items"])
	}
	for _, k := range []string{"anyOf", "oneOf", "allOf"} {
		if l := slices.Clone(list(s[k])); l != nil {
			for i := range l {
				l[i] = twinStrict(l[i])
			}
			s[k] = l
		}
	}
	if p := obj(s["properties"]); p != nil && s["type"] == "object" {
		s["additionalProperties"] = false
		s["required"] = append([]string{}, slices.Sorted(maps.Keys(p))...)
	}
	return s
}

func twinMedia(b object) any {
	source := obj(b["source"])
	if u, _ := source["url"].(string); b["type"] == "image" && source["type"] == "url" && u != "" {
		return object{"type": "image_url", "image_url": object{"url": u}}
	}
	data, _ := source["data"].(string)
	media, _ := source["media_type"].(string)
	if media == "" {
		kind, _ := b["type"].(string)
		media = map[string]string{"image": "image/png", "document": "application/pdf"}[kind]
	}
	if media == "" || source["type"] != "base64" || data == "" || b["type"] != "image" && b["type"] != "document" {
		return nil
	}
	return object{"type": "image_url", "image_url": object{"url": fmt.Sprintf("data:%s;base64,%s", media, data)}}
}

// twinParts gives the parts of a list of blocks, their text, and whether there is media.
func twinParts(blocks any) (parts []any, text string, media bool) {
	for _, v := range list(blocks) {
		b := obj(v)
		if s, ok := b["text"].(string); ok && b["type"] == "text" {
			parts, text = append(parts, object{"type": "text", "text": s}), text+s
		} else if m := twinMedia(b); m != nil {
			parts, media = append(parts, m), true
		}
	}
	return parts, text, media
}

func twinMessages(in object) (out []any) {
	system, _ := in["system"].(string)
	for _, v := range list(in["system"]) {
		s, ok := obj(v)["text"].(string)
		if !ok || obj(v)["type"] != "text" {
			continue
		}
		if len(s) >= len(billingHeader) && strings.ToLower(s[:len(billingHeader)]) == billingHeader {
			if s = strings.Trim(cchEntry.ReplaceAllString(s[len(billingHeader):], ""), "; "); s != "" {
				s = billingHeader + s
			}
		}
		system += s
	}
	if system != "" {
		out = append(out, object{"role": "system", "content": system})
	}
	for _, v := range list(in["messages"]) {
		m := obj(v)
		role := m["role"]
		if s, ok := m["content"].(string); ok {
			out = append(out, object{"role": role, "content": s})
			continue
		}
		parts, text, _ := twinParts(m["content"])
		var calls, results []any
		for _, v := range list(m["content"]) {
			b := obj(v)
			id, isID := b["id"].(string)
			name, isName := b["name"].(string)
			if b["type"] == "tool_use" && isID && isName {
				args := []byte("{}")
				if b["input"] != nil {
					args, _ = json.Marshal(b["input"])
				}
				calls = append(calls, object{"id": id, "type": "function", "function": object{"name": twinName(name), "arguments": string(args)}})
			}
			if ref, ok := b["tool_use_id"].(string); ok && b["type"] == "tool_result" {
				var content any
				parts, text, media := twinParts(b["content"])
				if content = text; media {
					content = parts
				}
				if s, ok := b["content"].(string); ok {
					content = s
				}
				results = append(results, object{"role": "tool", "tool_call_id": ref, "content": content})
			}
		}
		msg := object{"role": role, "content": text}
		switch {
		case results != nil:
			if out = append(out, results...); parts == nil {
				continue
			}
			msg["content"] = parts
		case calls != nil:
			if msg["tool_calls"] = calls; text == "" {
				delete(msg, "content")
			}
		case parts != nil && role != "assistant":
			msg["content"] = parts
		}
		out = append(out, msg)
	}
	return out
}
