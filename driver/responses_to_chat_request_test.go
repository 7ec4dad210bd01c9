package driver

import (
	"strings"
	"testing"
)

func TestResponsesRequestErrors(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		if got, err := convertedBy(t, responsesToChat{}, raw, new(ConvState)); errText(err) != want {
			t.Errorf("%s: %s %v, want %s", raw, got, err, want)
		}
	}
	const chat = " is not supported on a chat provider"
	member := func(members, want string) {
		t.Helper()
		f(`{"input":"x",`+members+`}`, want)
	}
	const state = chat + ": nothing is stored, send the whole conversation in input"
	member(`"previous_response_id":"resp_1"`, "previous_response_id"+state)
	member(`"conversation":{"id":"conv_1"}`, "conversation"+state)
	member(`"prompt":{"id":"pmpt_1"}`, "prompt"+state)
	member(`"background":true`, "background"+chat)
	member(`"max_tool_calls":3`, "max_tool_calls"+chat)
	member(`"context_management":[{"type":"compaction"}]`, "context_management"+chat)
	member(`"moderation":{}`, "moderation"+chat)
	member(`"top_logprobs":1`, "top_logprobs"+chat)
	member(`"top_logprobs":"0"`, "top_logprobs"+chat)
	member(`"truncation":"some"`, "invalid truncation")
	member(`"include":["reasoning.encrypted_content","message.output_text.logprobs"]`, `include "message.output_text.logprobs"`+chat)
	member(`"include":["file_search_call.results"]`, `include "file_search_call.results"`+chat)
	member(`"include":[1]`, `include ""`+chat)
	member(`"include":"reasoning.encrypted_content"`, "invalid include")
	member(`"seed":1`, `the member "seed"`+chat)
	member(`"messages":[]`, `the member "messages"`+chat)
	member(`"`+strings.Repeat("a", 5000)+`":1`, `the member "`+strings.Repeat("a", 64)+`"`+chat)
	member(`"reasoning":"high"`, "invalid reasoning")
	member(`"instructions":["x"]`, "invalid instructions")
	member(`"text":"json"`, "invalid text")
	member(`"text":{"format":{"type":"grammar"}}`, `text.format "grammar"`+chat)
	member(`"text":{"format":"json"}`, `text.format ""`+chat)

	member(`"tools":{}`, "invalid tools")
	for _, kind := range []string{"web_search", "web_search_preview", "file_search", "computer_use_preview", "code_interpreter", "mcp", "image_generation", "local_shell", "shell", "apply_patch", "custom", "namespace"} {
		member(`"tools":[{"type":"function","name":"f"},{"type":"`+kind+`","name":"x"}]`, `tools[1]: tool type "`+kind+`"`+chat)
	}
	member(`"tools":[{"name":"f"}]`, `tools[0]: tool type ""`+chat)
	member(`"tools":["f"]`, `tools[0]: tool type ""`+chat)
	member(`"tools":[{"type":"function","function":{"name":"f"}}]`, "invalid tools[0].name")
	member(`"tool_choice":"any"`, "invalid tool_choice")
	member(`"tool_choice":1`, "invalid tool_choice")
	member(`"tool_choice":{"type":"function"}`, "invalid tool_choice")
	member(`"tool_choice":{"type":"mcp","server_label":"s"}`, `tool_choice: tool type "mcp"`+chat)
	member(`"tool_choice":{"type":"web_search_preview"}`, `tool_choice: tool type "web_search_preview"`+chat)
	member(`"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"mcp"}]}`, `tool_choice.tools[0]: tool type "mcp"`+chat)
	member(`"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function"}]}`, "invalid tool_choice.tools[0].name")
	member(`"tool_choice":{"type":"allowed_tools","tools":[{"type":"function","name":"f"}]}`, "invalid tool_choice")

	f(`{"input":null}`, "invalid input")
	f(`{"input":{"role":"user","content":"x"}}`, "invalid input")
	f(`{"input":[]}`, "input has no messages")
	f(`{"input":[{"type":"reasoning","summary":[]}]}`, "input has no messages")
	item := func(item, want string) {
		t.Helper()
		f(`{"input":[{"role":"user","content":"x"},`+item+`]}`, want)
	}
	item(`"x"`, "invalid input[1].type")
	item(`null`, "invalid input[1].type")
	item(`{"type":1}`, "invalid input[1].type")
	item(`{"role":"tool","content":"x"}`, "invalid input[1].role")
	item(`{"type":"message","content":"x"}`, "invalid input[1].role")
	item(`{"role":1,"content":"x"}`, "invalid input[1].role")
	item(`{"role":"user"}`, "invalid input[1].content")
	item(`{"role":"user","content":null}`, "invalid input[1].content")
	item(`{"type":"item_reference","id":"msg_1"}`, `input[1]: item type "item_reference"`+chat)
	item(`{"id":"msg_1"}`, `input[1]: item type "item_reference"`+chat)
	for _, kind := range []string{"computer_call", "computer_call_output", "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "local_shell_call", "mcp_call", "mcp_list_tools", "custom_tool_call", "custom_tool_call_output", "compaction"} {
		item(`{"type":"`+kind+`","id":"x"}`, `input[1]: item type "`+kind+`"`+chat)
	}
	item(`{"type":"function_call","name":"f","arguments":"{}"}`, "invalid input[1].call_id")
	item(`{"type":"function_call","call_id":"c","arguments":"{}"}`, "invalid input[1].name")
	item(`{"type":"function_call","call_id":"c","name":"f","arguments":{}}`, "invalid input[1].arguments")
	item(`{"role":"assistant","content":"a"},{"type":"function_call"}`, "invalid input[2].call_id")
	item(`{"type":"function_call_output","output":"x"}`, "invalid input[1].call_id")
	item(`{"type":"function_call_output","call_id":"c","output":{}}`, "invalid input[1].output")
	item(`{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","file_id":"file_1"}]}`, "input[1].output[0]: a file that is not in the request"+chat)
	part := func(part, want string) {
		t.Helper()
		item(`{"role":"user","content":[{"type":"input_text","text":"a"},`+part+`]}`, want)
	}
	part(`"x"`, "invalid input[1].content[1]")
	part(`{"text":"x"}`, "invalid input[1].content[1]")
	part(`{"type":"input_text"}`, "invalid input[1].content[1].text")
	part(`{"type":"refusal","text":"x"}`, "invalid input[1].content[1].text")
	part(`{"type":"text","text":"x"}`, `input[1].content[1]: part type "text"`+chat)
	part(`{"type":"input_audio","input_audio":{}}`, `input[1].content[1]: part type "input_audio"`+chat)
	part(`{"type":"input_image","file_id":"file_1"}`, "input[1].content[1]: a file that is not in the request"+chat)
	part(`{"type":"input_image","image_url":null}`, "input[1].content[1]: a file that is not in the request"+chat)
	part(`{"type":"input_file","file_id":"file_1"}`, "input[1].content[1]: a file that is not in the request"+chat)
	part(`{"type":"input_file","file_url":"https://h/a.pdf"}`, "input[1].content[1]: a file that is not in the request"+chat)
	item(`{"role":"assistant","content":[{"type":"input_image","image_url":"u"}]}`, "input[1].content: media of the assistant"+chat)
	item(`{"role":"assistant","content":[{"type":"tool_use"}]}`, `input[1].content[0]: part type "tool_use"`+chat)
	member(`"tools":[{"type":"\ud800\u0000\n"}]`, `tools[0]: tool type "`+"\ufffd"+`\x00\n"`+chat)
}

// What is not a message.
func TestResponsesRequest(t *testing.T) {
	f := func(members, want string) {
		t.Helper()
		got, err := convertedBy(t, responsesToChat{}, `{"input":"x"`+members+`}`, new(ConvState))
		if want = `{"messages":[{"role":"user","content":"x"}]` + want + `}`; err != nil || got != want {
			t.Errorf("%s: %v\n got %s\nwant %s", members, err, got, want)
		}
	}
	f(``, ``)
	f(`,"store":true,"metadata":{"a":"b"},"stream_options":{"include_obfuscation":true},"prompt_cache_key":"k","prompt_cache_retention":"24h","prompt_cache_options":{},"client_metadata":{}`, ``)
	f(`,"previous_response_id":null,"conversation":null,"prompt":null,"background":null,"tools":null,"tool_choice":null,"text":null,"reasoning":null,"include":null,"max_tool_calls":null,"seed":null,"truncation":null`, ``)
	f(`,"background":false,"top_logprobs":0,"truncation":"auto","include":["reasoning.encrypted_content"]`, ``)
	f(`,"stream":true`, `,"stream":true,"stream_options":{"include_usage":true}`)
	f(`,"stream":false`, `,"stream":false`)
	f(`,"max_output_tokens":1e2,"temperature":0.70,"top_p":1.0`, `,"max_completion_tokens":1e2,"temperature":0.70,"top_p":1.0`)
	f(`,"user":"u","safety_identifier":"s","service_tier":"flex"`, `,"user":"u","safety_identifier":"s","service_tier":"flex"`)
	f(`,"reasoning":{"effort":"none","summary":"detailed","generate_summary":"auto"}`, `,"reasoning_effort":"none"`)
	f(`,"reasoning":{"effort":null}`, ``)
	f(`,"r\u0065asoning":{"\u0065ffort":"low"}`, `,"reasoning_effort":"low"`)
	f(`,"max_output_tokens":7,"max_output_tokens":8`, `,"max_completion_tokens":8`)
	f(`,"text":{"format":{"type":"text"},"verbosity":"low"}`, `,"verbosity":"low"`)
	f(`,"text":{"format":null,"verbosity":null}`, ``)
	f(`,"text":{"format":{"type":"json_object"}}`, `,"response_format":{"type":"json_object"}`)
	f(`,"text":{"format":{"type":"json_schema","name":"n","description":"d","strict":false,"schema":{"a":1.0},"other":1}}`,
		`,"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","strict":false,"schema":{"a":1.0}}}`)

	fn := func(s string) string { return `{"type":"function","function":{"name":` + s + `}}` }
	f(`,"tools":[{"type":"function","name":"f","description":"d","parameters":{"type": "object"},"strict":true,"output_schema":{}}]`,
		`,"tools":[`+fn(`"f","description":"d","parameters":{"type": "object"},"strict":true`)+`]`)
	f(`,"tools":[{"type":"function","name":"f","description":null,"parameters":null,"strict":null}]`, `,"tools":[`+fn(`"f"`)+`]`)
	f(`,"tools":[],"tool_choice":"auto","parallel_tool_calls":false`, ``)
	f(`,"tool_choice":"none"`, ``)
	f(`,"tool_choice":"required"`, `,"tool_choice":"required"`)
	one, tools := `,"tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}],"tool_choice":`, `,"tools":[`+fn(`"f"`)+`,`+fn(`"g"`)+`]`
	f(one+`"auto","parallel_tool_calls":false`, tools+`,"parallel_tool_calls":false,"tool_choice":"auto"`)
	f(one+`"none"`, tools+`,"tool_choice":"none"`)
	f(one+`{"type":"function","name":"g"}`, tools+`,"tool_choice":`+fn(`"g"`))
	f(one+`{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"\u0067"}]}`, `,"tools":[`+fn(`"g"`)+`],"tool_choice":"auto"`)
	f(one+`{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"g"},{"type":"function","name":"f"}]}`, tools+`,"tool_choice":"required"`)
	f(one+`{"type":"allowed_tools","mode":"auto","tools":[]}`, ``)
	long, cut := strings.Repeat("a", 70), strings.Repeat("a", 55)+"_6bd5e503"
	f(`,"tools":[{"type":"function","name":"`+long+`"}],"tool_choice":{"type":"function","name":"`+long+`"}`, `,"tools":[`+fn(`"`+cut+`"`)+`],"tool_choice":`+fn(`"`+cut+`"`))

	got, err := convertedBy(t, responsesToChat{}, `{"input":"x","model":"m"}`, new(ConvState))
	if want := `{"model":"m","messages":[{"role":"user","content":"x"}]}`; err != nil || got != want {
		t.Errorf("%s %v", got, err)
	}
}

func TestResponsesRequestInput(t *testing.T) {
	f := func(name, items, want string) {
		t.Helper()
		got, err := convertedBy(t, responsesToChat{}, `{"input":[`+items+`]}`, new(ConvState))
		if want = `{"messages":[` + want + `]}`; err != nil || got != want {
			t.Errorf("%s: %s: %v\n got %s\nwant %s", name, items, err, got, want)
		}
	}
	message := func(role, content string) string { return `{"role":"` + role + `","content":` + content + `}` }
	const a, b, partA, partB = `{"type":"input_text","text":"a"}`, `{"type":"input_text","text":"b"}`, `{"type":"text","text":"a"}`, `{"type":"text","text":"b"}`
	f("strings", message("user", `"a\n"`)+`,{"content":"b","role":"system","type":"message","status":"completed"},`+message("developer", `"c"`),
		message("user", `"a\n"`)+`,`+message("system", `"b"`)+`,`+message("system", `"c"`))
	f("one part", message("user", `[`+a+`]`), message("user", `"a"`))
	f("parts", message("user", `[`+a+`,`+b+`]`), message("user", `[`+partA+`,`+partB+`]`))
	f("no parts", message("user", `[]`), message("user", `""`))
	f("parts of a system", message("developer", `[`+a+`,`+b+`]`), message("system", `"ab"`))
	f("an image", message("user", `[{"type":"input_image","image_url":"http:\/\/h","detail":null}]`), message("user", `[{"type":"image_url","image_url":{"url":"http:\/\/h"}}]`))
	f("a file without a name", message("user", `[{"type":"input_file","file_data":"data:,x","file_id":null}]`), message("user", `[{"type":"file","file":{"file_data":"data:,x"}}]`))
	f("the assistant", `{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[]},{"type":"refusal","refusal":"b"}],"phase":"final_answer"}`, message("assistant", `"ab"`))
	f("the assistant said nothing", message("assistant", `[]`), message("assistant", `""`))
	f("a run of messages", message("assistant", `"a"`)+`,`+message("assistant", `"b"`)+`,`+message("user", `"c"`), message("assistant", `"a\n\nb"`)+`,`+message("user", `"c"`))

	call := func(id string) string {
		return `{"type":"function_call","call_id":"` + id + `","name":"f","arguments":"{\"a\": 1.0}"}`
	}
	made := func(id string) string {
		return `{"id":"` + id + `","type":"function","function":{"name":"f","arguments":"{\"a\": 1.0}"}}`
	}
	result := func(id, output string) string {
		return `{"type":"function_call_output","call_id":"` + id + `","output":` + output + `}`
	}
	tool := func(id, content string) string {
		return `{"role":"tool","tool_call_id":"` + id + `","content":` + content + `}`
	}
	f("calls", call("1")+`,`+call("2")+`,`+result("1", `"r"`)+`,`+result("2", `[`+a+`,`+b+`]`), `{"role":"assistant","tool_calls":[`+made("1")+`,`+made("2")+`]},`+tool("1", `"r"`)+`,`+tool("2", `"ab"`))
	f("one after the other", call("1")+`,`+result("1", `"r"`)+`,`+call("2")+`,`+result("2", `null`), `{"role":"assistant","tool_calls":[`+made("1")+`]},`+tool("1", `"r"`)+`,{"role":"assistant","tool_calls":[`+made("2")+`]},`+tool("2", `""`))
	f("text around a call", message("assistant", `"a"`)+`,`+call("1")+`,`+message("assistant", `"b"`)+`,`+result("1", `""`), `{"role":"assistant","content":"a\n\nb","tool_calls":[`+made("1")+`]},`+tool("1", `""`))
	f("no arguments", `{"type":"function_call","call_id":"1","name":"a.b"}`, `{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"a_b_2e7336dc","arguments":"{}"}}]}`)

	thought := func(text string) string {
		return `{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"no"}],"content":[{"type":"reasoning_text","text":"` + text + `"}]}`
	}
	const sealed = `{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}`
	f("thoughts", thought("t")+`,`+sealed+`,`+message("assistant", `"a"`)+`,`+thought("u")+`,`+call("1"), `{"role":"assistant","content":"a","reasoning_content":"t\n\nu","tool_calls":[`+made("1")+`]}`)
	f("sealed thoughts", sealed+`,`+message("assistant", `"a"`), message("assistant", `"a"`))
	f("thoughts alone", message("user", `"a"`)+`,`+thought("t")+`,`+message("user", `"b"`)+`,`+sealed, message("user", `"a"`)+`,`+message("user", `"b"`))

	got, err := convertedBy(t, responsesToChat{}, `{"instructions":"s","input":""}`, new(ConvState))
	if want := `{"messages":[` + message("system", `"s"`) + `,` + message("user", `""`) + `]}`; err != nil || got != want {
		t.Errorf("%s %v", got, err)
	}
}

// Names that a provider does not take are the client's again in what it hears.
func TestResponsesNames(t *testing.T) {
	var st ConvState
	if _, err := convertedBy(t, responsesToChat{}, `{"input":"x","tools":[{"type":"function","name":"a.b"}]}`, &st); err != nil {
		t.Fatal(err)
	}
	got := streamedBy(responsesToChat{}, &st, true, `{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"a_b_2e7336dc"}}]}}]}`, "[DONE]")
	if strings.Count(got, `"name":"a.b"`) != 3+4 || strings.Contains(got, "2e7336dc") {
		t.Error(got)
	}
}
