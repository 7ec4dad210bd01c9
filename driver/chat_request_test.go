package driver

import (
	"strings"
	"testing"
)

// chatConverters are those that read chat requests, by what errors call their
// provider.
var chatConverters = map[string]Converter{"Anthropic's API": chatToAnthropic{}, "Bedrock's Converse": chatToConverse{}}

// What no converter has a counterpart for is refused by name.
func TestChatReaderErrors(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		for to, c := range chatConverters {
			want := "cannot convert " + strings.ReplaceAll(want, "TO", to)
			if got, err := convertedBy(t, c, raw, new(ConvState)); errText(err) != want {
				t.Errorf("%s: %s\n got %v\nwant %s", raw, got, err, want)
			}
		}
	}
	const nothing = `messages: a conversation needs a message with content`
	for _, raw := range []string{`{}`, `[]`, `{"messages":null}`, `{"messages":[]}`, `{"messages":"x"}`, `{"messages":{"role":"user","content":"x"}}`,
		`{"messages":[{"role":"system","content":"s"}]}`, `{"messages":[{"role":"user","content":""}]}`, `{"messages":[{"role":"user","content":[{"type":"text","text":"\t"}]}]}`,
		`{"messages":[{"role":"user","content":" \n\r\t "},{"role":"assistant"},{"role":"assistant","content":"","refusal":"","tool_calls":[]}]}`} {
		f(raw, nothing)
	}
	// The first fault is told, members before messages.
	f(`{"messages":[1],"n":3,"seed":1}`, `n: TO gives one answer`)

	g := func(members, want string) {
		t.Helper()
		f(`{"messages":[{"role":"user","content":"x"}],`+members+`}`, want)
	}
	const none = ": TO has no counterpart"
	g(`"n":2`, `n: TO gives one answer`)
	g(`"n":"1"`, `n: TO gives one answer`)
	g(`"logprobs":true`, `logprobs`+none)
	g(`"logprobs":2`, `logprobs`+none)
	g(`"top_logprobs":3`, `top_logprobs`+none)
	g(`"logit_bias":{"50256":-100}`, `logit_bias`+none)
	g(`"logit_bias":[]`, `logit_bias`+none)
	g(`"seed":0`, `seed`+none)
	g(`"frequency_penalty":0.1`, `frequency_penalty`+none)
	g(`"presence_penalty":-1`, `presence_penalty`+none)
	g(`"audio":{"voice":"alloy","format":"mp3"}`, `audio`+none)
	g(`"prediction":{"type":"content","content":"x"}`, `prediction`+none)
	g(`"web_search_options":{}`, `web_search_options`+none)
	g(`"moderation":{}`, `moderation`+none)
	for _, modalities := range []string{`["text","audio"]`, `["audio"]`, `[]`, `"text"`} {
		g(`"modalities":`+modalities, `modalities: TO answers in text only`)
	}
	g(`"functions":[{"name":"f"}]`, `functions: it is deprecated, use tools and tool_choice`)
	g(`"function_call":"auto"`, `function_call: it is deprecated, use tools and tool_choice`)
	g(`"top_k":5`, `"top_k": the field is not known`)
	g(`"\u0074op_k\n":5`, `"top_k\n": the field is not known`)
	g(`"`+strings.Repeat("a", 1000)+`":5`, `"`+strings.Repeat("a", 64)+`": the field is not known`)

	g(`"model":1`, `model: it must be a string`)
	g(`"max_tokens":"5"`, `max_tokens: it must be a number`)
	g(`"max_tokens":"5","max_completion_tokens":5`, `max_tokens: it must be a number`)
	g(`"max_completion_tokens":true`, `max_completion_tokens: it must be a number`)
	g(`"temperature":"1"`, `temperature: it must be a number`)
	g(`"top_p":[]`, `top_p: it must be a number`)
	g(`"stop":5`, `stop: it must be a string or an array of strings`)
	g(`"stop":["a",5]`, `stop: it must be a string or an array of strings`)
	g(`"stop":[null]`, `stop: it must be a string or an array of strings`)
	g(`"user":5`, `user: it must be a string`)
	g(`"safety_identifier":{}`, `safety_identifier: it must be a string`)
	g(`"stream":"yes"`, `stream: it must be a boolean`)
	g(`"reasoning_effort":"most"`, `reasoning_effort: it must be none, minimal, low, medium, high, xhigh or max`)
	g(`"reasoning_effort":5`, `reasoning_effort: it must be none, minimal, low, medium, high, xhigh or max`)
	g(`"response_format":{"type":"json_object"}`, `response_format.type: TO gives JSON for a json_schema only`)
	g(`"response_format":{"type":"grammar"}`, `response_format.type: it must be text or json_schema`)
	g(`"response_format":"text"`, `response_format.type: it must be text or json_schema`)
	g(`"response_format":{"type":"json_schema"}`, `response_format.json_schema.schema: it must be an object`)
	g(`"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":true}}`, `response_format.json_schema.schema: it must be an object`)

	g(`"tools":{}`, `tools: it must be an array`)
	g(`"tools":[{"type":"custom","custom":{"name":"c"}}]`, `tools[0].type: only functions can be converted`)
	g(`"tools":[{"type":"function","function":{"name":"f"}},1]`, `tools[1].function.name: it must be a string`)
	g(`"tools":[{"type":"function"}]`, `tools[0].function.name: it must be a string`)
	g(`"tools":[{"type":"function","function":{"name":""}}]`, `tools[0].function.name: it must be a string`)
	g(`"tools":[{"type":"function","function":{"name":"f","description":1}}]`, `tools[0].function.description: it must be a string`)
	g(`"tools":[{"type":"function","function":{"name":"f","parameters":"{}"}}]`, `tools[0].function.parameters: it must be an object`)
	g(`"tools":[{"type":"function","function":{"name":"f","strict":"yes"}}]`, `tools[0].function.strict: it must be a boolean`)
	const tools = `"tools":[{"type":"function","function":{"name":"f"}}],`
	g(tools+`"parallel_tool_calls":0`, `parallel_tool_calls: it must be a boolean`)
	for _, choice := range []string{`"any"`, `1`, `{}`, `{"type":"custom","custom":{"name":"f"}}`} {
		g(tools+`"tool_choice":`+choice, `tool_choice: it must be none, auto, required, a function or allowed_tools`)
	}
	g(tools+`"tool_choice":{"type":"function"}`, `tool_choice.function.name: it must be a string`)
	const allowed = `"tool_choice":{"type":"allowed_tools","allowed_tools":`
	g(tools+allowed+`{"mode":"none","tools":[]}}`, `tool_choice.allowed_tools: it must have tools and a mode, which is auto or required`)
	g(tools+allowed+`{"mode":"auto"}}`, `tool_choice.allowed_tools: it must have tools and a mode, which is auto or required`)
	g(tools+allowed+`{"mode":"auto","tools":[{"type":"custom"}]}}`, `tool_choice.allowed_tools.tools: only functions are supported`)
	g(tools+allowed+`{"mode":"auto","tools":[`+strings.Repeat(`{"function":{"name":"f"}},`, 128)+`{"function":{"name":"f"}}]}}`, `tool_choice.allowed_tools.tools: at most 128 are supported`)
	g(tools+allowed+`{"mode":"auto","tools":[{"function":{"name":"g"}}]}}`, `tool_choice: there is no tool to choose`)
	g(`"tool_choice":"required"`, `tool_choice: there is no tool to choose`)
	g(`"tools":[],"tool_choice":{"type":"function","function":{"name":"f"}}`, `tool_choice: there is no tool to choose`)

	m := func(message, want string) {
		t.Helper()
		f(`{"messages":[{"role":"user","content":"x"},`+message+`]}`, "messages[1]"+want)
	}
	const role = `.role: it must be system, developer, user, assistant or tool`
	m(`{"role":"function","name":"f","content":"x"}`, `.role: function is deprecated, use tool`)
	m(`{"role":"critic","content":"x"}`, role)
	m(`{"content":"x"}`, role)
	m(`"x"`, role)
	m(`null`, role)
	const content = `.content: it must be a string or an array`
	m(`{"role":"user"}`, content)
	m(`{"role":"user","content":{}}`, content)
	m(`{"role":"system"}`, content)
	m(`{"role":"system","content":1}`, content)
	m(`{"role":"assistant","content":true}`, content)
	m(`{"role":"tool","tool_call_id":"c","content":1}`, content)
	m(`{"role":"tool","content":"x"}`, `.tool_call_id: it must be a string`)
	m(`{"role":"assistant","function_call":{"name":"f","arguments":"{}"}}`, `.function_call: it is deprecated, use tool_calls`)
	m(`{"role":"assistant","audio":{"id":"a"}}`, `.audio: TO takes no audio`)
	m(`{"role":"assistant","refusal":1}`, `.refusal: it must be a string`)
	m(`{"role":"assistant","tool_calls":{}}`, `.tool_calls: it must be an array`)
	call := func(s string) string { return `{"role":"assistant","tool_calls":[` + s + `]}` }
	m(call(`{"id":"c","type":"custom","custom":{}}`), `.tool_calls[0].type: only functions can be converted`)
	m(call(`1`), `.tool_calls[0].id: it must be a string`)
	m(call(`{"type":"function","function":{"name":"f","arguments":"{}"}}`), `.tool_calls[0].id: it must be a string`)
	m(call(`{"id":"c","type":"function"}`), `.tool_calls[0].function.name: it must be a string`)
	for _, args := range []string{`"x"`, `"{"`, `"[1]"`, `"null"`, `"{}{}"`, `"\"a\""`, `[]`, `5`} {
		m(call(`{"id":"c","function":{"name":"f"}},{"id":"c","function":{"name":"f","arguments":`+args+`}}`),
			`.tool_calls[1].function.arguments: it must be a string with a JSON object`)
	}
	part := func(p, want string) {
		t.Helper()
		m(`{"role":"user","content":[{"type":"text","text":"a"},`+p+`]}`, `.content[1]`+want)
		m(`{"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"a"},`+p+`]}`, `.content[1]`+want)
	}
	const kinds = `: TO takes parts of the types text, image_url and file`
	part(`"x"`, kinds)
	part(`{"text":"x"}`, kinds)
	part(`{"type":"video_url"}`, kinds)
	part(`{"type":"refusal","refusal":"x"}`, kinds)
	part(`{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}`, `: TO takes no audio`)
	part(`{"type":"text"}`, `.text: it must be a string`)
	for _, file := range []string{`"file":{"file_id":"f"}`, `"file":{"file_data":"JVBERi0="}`, `"file":{"file_data":"data:application/pdf;base64,"}`, `"file":{"file_data":"data:;base64,AA"}`, `"file":1`, `"f":1`} {
		part(`{"type":"file",`+file+`}`, `.file.file_data: it must be a data URL in base64 with its media type`)
	}
	m(`{"role":"system","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}`, `.content[1]: only text is possible here`)
	m(`{"role":"system","content":[{"type":"refusal","refusal":"x"}]}`, `.content[0]: only text is possible here`)
	m(`{"role":"assistant","content":[{"type":"file","file":{}}]}`, `.content[0]: only text is possible here`)
	m(`{"role":"assistant","content":[{"type":"refusal"}]}`, `.content[0].refusal: it must be a string`)
}

// What asks for nothing is no reason to refuse a request, and changes nothing.
func TestChatReader(t *testing.T) {
	for to, c := range chatConverters {
		var st ConvState
		plain, err := convertedBy(t, c, `{"messages":[{"role":"user","content":"x"}]}`, &st)
		if err != nil || st.chunks.usage {
			t.Fatalf("%s: %v, usage %v", to, err, st.chunks.usage)
		}
		f := func(members string) {
			t.Helper()
			st.Reset()
			if got, err := convertedBy(t, c, `{"messages":[{"role":"user","content":"x"}],`+members+`}`, &st); err != nil || got != plain {
				t.Errorf("%s: %s: %v\n got %s\nwant %s", to, members, err, got, plain)
			}
		}
		f(`"n":1.0,"top_logprobs":0,"frequency_penalty":-0.0,"presence_penalty":0e5,"logprobs":false,"logit_bias":{ },"modalities":[ "t\u0065xt" ],"functions":[ ],"stop":[]`)
		f(`"store":true,"prompt_cache_key":"k","prompt_cache_retention":"24h","prompt_cache_options":{},"verbosity":"high","metadata":{}`)
		f(`"model":null,"n":null,"logprobs":null,"top_logprobs":null,"logit_bias":null,"seed":null,"audio":null,"prediction":null,"web_search_options":null,
			"functions":null,"function_call":null,"modalities":null,"moderation":null,"store":null,"stop":null,"stream":null,"stream_options":null,"tools":null,"tool_choice":null,
			"parallel_tool_calls":null,"temperature":null,"top_p":null,"max_tokens":null,"max_completion_tokens":null,"user":null,"safety_identifier":null,"metadata":null,
			"service_tier":null,"reasoning_effort":null,"response_format":null,"what":null`)
		f(`"tools":[],"tool_choice":"none","parallel_tool_calls":false,"response_format":{"type":"text"}`)
		f(`"tool_choice":"auto","stream_options":{"include_usage":false}`)
		if st.chunks.usage {
			t.Errorf("%s: usage was not asked for", to)
		}
		if f(`"stream_options":{"include_usage":true}`); !st.chunks.usage {
			t.Errorf("%s: usage was asked for", to)
		}
	}
}

func TestDataURL(t *testing.T) {
	f := func(url, media, data string) {
		t.Helper()
		if m, d := dataURL([]byte(`"` + url + `"`)); string(m) != media || string(d) != data {
			t.Errorf("%s: %s, %s", url, m, d)
		}
	}
	f(`data:image/png;base64,QUJD`, "image/png", "QUJD")
	f(`DATA:image\/png;x=y;Base64,QUJD\/`, "image/png", `QUJD\/`)
	f(`data:a\"b;base64,\"\\`, `a"b`, `\"\\`)
	for _, none := range []string{``, `,`, `data:`, `data:,A`, `data:image/png;base64`, `data:image/png;base64,`, `data:image/png,AAAA`, `data:;base64,AAAA`, `data:;x;base64,AAAA`, `;base64,AA`, `http://h/data:a;base64,AA`} {
		f(none, "", "")
	}
}
