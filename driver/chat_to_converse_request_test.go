package driver

import (
	"strings"
	"testing"
)

// What has no counterpart is refused by name.
func TestConverseRefusals(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		out, err := chatToConverse{}.Request([]byte("+"), load(t, raw), new(ConvState))
		if !strings.HasPrefix(errText(err), "cannot convert "+want) || string(out) != "+" {
			t.Errorf("%s: %s %v, want %s", raw, out, err, want)
		}
	}
	for _, list := range []string{``, `"messages":null`, `"messages":{}`, `"messages":[]`, `"messages":[{"role":"system","content":"a"}]`,
		`"messages":[{"role":"user","content":""}]`, `"messages":[{"role":"user","content":" \n\r\t "},{"role":"assistant"}]`} {
		f("{"+list+"}", "messages: a conversation needs a message with content")
	}
	m := func(message, want string) {
		t.Helper()
		f(`{"messages":[{"role":"user","content":"a"},`+message+`]}`, "messages[1]"+want)
	}
	m(`1`, ".role: ")
	m(`{"content":"a"}`, ".role: ")
	m(`{"role":"function","name":"f","content":"a"}`, ".role: it must be system, developer, user, assistant or tool")
	m(`{"role":"user"}`, ".content: it must be a string or a list of parts")
	m(`{"role":"user","content":1}`, ".content: ")
	m(`{"role":"system","content":null}`, ".content: ")
	m(`{"role":"system","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}`, ".content[1]: only text")
	m(`{"role":"assistant","content":[{"type":"file","file":{}}]}`, ".content[0]: only text")
	m(`{"role":"assistant","audio":{"id":"a"}}`, ".audio: ")
	m(`{"role":"assistant","function_call":{"name":"f","arguments":"{}"}}`, ".function_call: ")
	m(`{"role":"assistant","tool_calls":{}}`, ".tool_calls: it must be a list")
	m(`{"role":"tool","content":"a"}`, ".tool_call_id: ")
	m(`{"role":"tool","tool_call_id":"c"}`, ".content: ")
	part := func(part, want string) {
		t.Helper()
		m(`{"role":"user","content":[{"type":"text","text":"a"},`+part+`]}`, ".content[1]"+want)
		m(`{"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"a"},`+part+`]}`, ".content[1]"+want)
	}
	part(`1`, ": Bedrock's Converse takes parts of the types text, image_url and file")
	part(`{"type":"text"}`, ": ")
	part(`{"text":"a"}`, ": ")
	part(`{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}`, ": ")
	part(`{"type":"image_url"}`, ": ")
	part(`{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}`, ".image_url: Bedrock fetches no images")
	part(`{"type":"image_url","image_url":{"url":""}}`, ".image_url: Bedrock fetches no images")
	part(`{"type":"image_url","image_url":{"url":"data:image/png,AA"}}`, ".image_url: Bedrock fetches no images")
	part(`{"type":"image_url","image_url":{"url":"data:;base64,"}}`, ".image_url: Bedrock fetches no images")
	part(`{"type":"image_url","image_url":{"url":";base64,AA"}}`, ".image_url: Bedrock fetches no images")
	part(`{"type":"image_url","image_url":{"url":"data:image/svg+xml;base64,AA"}}`, ".image_url: Bedrock knows images of the types png")
	part(`{"type":"file"}`, ": ")
	part(`{"type":"file","file":{"file_id":"file-1"}}`, ".file.file_data: Bedrock has no uploaded files")
	part(`{"type":"file","file":{"file_data":"AAAA"}}`, ".file.file_data: it must be a data URL")
	part(`{"type":"file","file":{"file_data":"data:application/zip;base64,AA"}}`, ".file.file_data: Bedrock knows documents of the types pdf")
	call := func(call, want string) {
		t.Helper()
		m(`{"role":"assistant","tool_calls":[`+call+`]}`, ".tool_calls: "+want)
	}
	call(`1`, "each call needs")
	call(`{"id":"c","type":"custom","custom":{"name":"f","input":""}}`, "each call needs")
	call(`{"type":"function","function":{"name":"f","arguments":"{}"}}`, "each call needs")
	for _, args := range []string{`"x"`, `"{"`, `"{}{}"`, `"[1]"`, `"null"`, `"\"a\""`, `1`, `[]`} {
		call(`{"id":"c","type":"function","function":{"name":"f","arguments":`+args+`}}`, "arguments must be a JSON object")
	}

	o := func(members, want string) {
		t.Helper()
		f(`{"messages":[{"role":"user","content":"a"}],`+members+`}`, want)
	}
	for _, name := range []string{"n", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "seed"} {
		o(`"`+name+`":2`, name+": ")
	}
	for _, member := range []string{`"logprobs":true`, `"n":"1"`, `"presence_penalty":-0.1`, `"logit_bias":{"50256":-100}`, `"modalities":["text","audio"]`, `"modalities":"text"`,
		`"audio":{"voice":"alloy","format":"wav"}`, `"prediction":{"type":"content","content":"x"}`, `"functions":[{"name":"f"}]`, `"function_call":"auto"`, `"web_search_options":{}`} {
		o(member, member[1:strings.Index(member, `":`)]+": ")
	}
	o(`"max_tokens":"9"`, "max_tokens: it must be a number")
	o(`"max_completion_tokens":true,"max_tokens":9`, "max_completion_tokens: ")
	o(`"temperature":[]`, "temperature: ")
	o(`"top_p":"x"`, "top_p: ")
	o(`"stop":1`, "stop: ")
	o(`"stop":["a",1]`, "stop: ")
	o(`"response_format":"text"`, "response_format.type: ")
	o(`"response_format":{"type":"json_object"}`, "response_format.type: ")
	o(`"response_format":{"type":"json_schema"}`, "response_format.json_schema.schema: ")
	o(`"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":true}}`, "response_format.json_schema.schema: ")
	o(`"reasoning_effort":"huge"`, "reasoning_effort: ")
	o(`"reasoning_effort":1`, "reasoning_effort: ")
	o(`"service_tier":"scale"`, "service_tier: ")
	o(`"metadata":[]`, "metadata: ")
	o(`"tools":{}`, "tools: ")
	o(`"tools":[{"type":"custom","custom":{"name":"f"}}]`, "tools[0].type: ")
	o(`"tools":[{"type":"function","function":{"name":"f"}},{"type":"function"}]`, "tools[1].function.name: ")
	o(`"tools":[{"type":"function","function":{"name":"f","parameters":true}}]`, "tools[0].function.parameters: ")
	const tools = `"tools":[{"type":"function","function":{"name":"f"}}]`
	o(`"tool_choice":"required"`, "tool_choice: there are no tools")
	o(`"tools":[],"tool_choice":{"type":"function","function":{"name":"f"}}`, "tool_choice: there are no tools")
	for _, choice := range []string{`"any"`, `1`, `{}`, `{"type":"function"}`, `{"type":"custom","custom":{"name":"f"}}`, `{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}`} {
		o(tools+`,"tool_choice":`+choice, "tool_choice: it must be auto, none, required or a function")
	}
	o(tools+`,"parallel_tool_calls":false`, "parallel_tool_calls: ")
	f(`{"messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"}}]}],`+tools+`,"tool_choice":"none"}`, "tool_choice: Bedrock has no choice none")
}

func TestConverseRequest(t *testing.T) {
	f := func(members, want string) {
		t.Helper()
		out, err := chatToConverse{}.Request(nil, load(t, `{"model":"m","messages":[{"role":"user","content":"x"}]`+members+`}`), new(ConvState))
		if want = `{"messages":[{"role":"user","content":[{"text":"x"}]}]` + want + `}`; err != nil || string(out) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", members, err, out, want)
		}
	}
	f(``, ``)
	f(`,"stream":true,"stream_options":{"include_usage":true},"store":true,"verbosity":"low","prompt_cache_key":"k","prediction":null,"top_k":5`, ``)
	f(`,"n":1.0,"top_logprobs":0,"logit_bias":{ },"functions":[],"modalities":["text"],"parallel_tool_calls":false,"tool_choice":"auto"`, ``)
	f(`,"max_tokens":null,"max_completion_tokens":null,"temperature":null,"top_p":null,"stop":null,"tools":null,"tool_choice":null,"response_format":null,
		"reasoning_effort":null,"service_tier":null,"metadata":null,"user":null,"logprobs":null,"logit_bias":null,"audio":null,"seed":null`, ``)
	f(`,"max_tokens":1e2`, `,"inferenceConfig":{"maxTokens":1e2}`)
	f(`,"m\u0061x_tokens":7,"max_completion_tokens":8`, `,"inferenceConfig":{"maxTokens":8}`)
	f(`,"stop":"a\n","top_p":1`, `,"inferenceConfig":{"topP":1,"stopSequences":["a\n"]}`)
	f(`,"stop":[]`, ``)
	for from, to := range map[string]string{"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"} {
		f(`,"reasoning_effort":"`+from+`"`, `,"outputConfig":{"effort":"`+to+`"}`)
	}
	f(`,"reasoning_effort":"none","service_tier":"auto","response_format":{"type":"text"}`, ``)
	f(`,"service_tier":"priority"`, `,"serviceTier":{"type":"priority"}`)
	f(`,"safety_identifier":"s@x.org","user":"a,b"`, `,"requestMetadata":{"safety_identifier":"s@x.org"}`)
	f(`,"user":"u","metadata":{"user":"own","a b":"","":"x","n":1,"q\"":"x"}`, `,"requestMetadata":{"user":"own","a b":""}`)
	f(`,"metadata":{"k":"`+strings.Repeat("x", 257)+`"},"user":""`, ``)
	var many strings.Builder
	for i := range 20 {
		many.WriteString(`,"k` + string(rune('a'+i)) + `":"v"`)
	}
	f(`,"metadata":{`+many.String()[1:]+`}`, `,"requestMetadata":{`+many.String()[1:16*9]+`}`)
	const tools, config = `,"tools":[{"function":{"name":"f"}}]`, `,"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object","properties":{}}}}}]`
	f(tools, config+`}`)
	f(tools+`,"tool_choice":"auto","parallel_tool_calls":true`, config+`,"toolChoice":{"auto":{}}}`)
	f(tools+`,"tool_choice":"required"`, config+`,"toolChoice":{"any":{}}}`)
	f(tools+`,"tool_choice":{"type":"function","function":{"name":"g"}}`, config+`,"toolChoice":{"tool":{"name":"g"}}}`)
	f(tools+`,"tool_choice":"none"`, ``)
}

// Only the client's own wish brings a report of usage.
func TestConverseUsageWish(t *testing.T) {
	for options, want := range map[string]bool{``: false, `,"stream_options":null`: false, `,"stream_options":{"include_usage":false}`: false, `,"stream_options":{"include_usage":true}`: true} {
		var st ConvState
		if _, err := (chatToConverse{}).Request(nil, load(t, `{"messages":[{"role":"user","content":"x"}],"stream":true`+options+`}`), &st); err != nil || st.chunks.usage != want {
			t.Errorf("%s: %v %v", options, st.chunks.usage, err)
		}
		if st.Reset(); st.chunks.usage {
			t.Error("Reset keeps the wish")
		}
	}
}

// The 400 is in the words of both: APISIX's and those that OpenAI's clients show.
func TestAppendRefusal(t *testing.T) {
	_, err := chatToConverse{}.Request(nil, load(t, `{"messages":[{"role":"user","content":[{"type":"x"}]}]}`), new(ConvState))
	const text = `"cannot convert messages[0].content[0]: Bedrock's Converse takes parts of the types text, image_url and file"`
	if got := string(AppendRefusal(nil, chatToConverse{}, err)); got != `{"error_msg":`+text+`,"error":{"message":`+text+`,"type":"invalid_request_error","param":"messages[0].content[0]","code":null}}`+"\n" {
		t.Error(got)
	}
	if got := string(AppendRefusal(nil, chatToConverse{}, errNoOutput)); !strings.HasSuffix(got, `,"param":null,"code":null}}`+"\n") {
		t.Error(got)
	}
	if got := string(AppendRefusal(nil, anthropicToChat{}, errNoMessages)); got != `{"error_msg":"missing messages"}`+"\n" {
		t.Error(got)
	}
}

func TestConverseRoute(t *testing.T) {
	f := func(strict bool, want string) {
		t.Helper()
		cfg, err := ParseConfig([]byte(bedrockConfig + `}`))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Strict = strict
		in, err := CompileInstance("i", cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		target, refusal := in.Route(OpenAIChat)
		if got := target.String() + refusal; got != want || IsExtension(in.Converter(OpenAIChat)) == strict {
			t.Errorf("strict %v: %s", strict, got)
		}
	}
	f(false, "bedrock-converse")
	f(true, "provider bedrock does not support openai-chat protocol (supported: bedrock-converse)")
}
