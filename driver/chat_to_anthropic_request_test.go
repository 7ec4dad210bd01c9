package driver

import (
	"strings"
	"testing"
)

// What only this provider has no counterpart for.
func TestNativeRequestErrors(t *testing.T) {
	g := func(members, want string) {
		t.Helper()
		raw := `{"messages":[{"role":"user","content":"x"}],` + members + `}`
		if got, err := convertedBy(t, chatToAnthropic{}, raw, new(ConvState)); errText(err) != "cannot convert "+want {
			t.Errorf("%s: %s\n got %v\nwant %s", raw, got, err, want)
		}
	}
	const tier = `service_tier: Anthropic's API has auto and default only`
	g(`"service_tier":"flex"`, tier)
	g(`"service_tier":1`, tier)
	const temperature = `temperature: Anthropic's models take none below 1 together with reasoning_effort`
	g(`"model":"claude-haiku-4-5","reasoning_effort":"low","temperature":0.5`, temperature)
	g(`"reasoning_effort":"low","temperature":0`, temperature)
	part := func(p, want string) {
		t.Helper()
		g(`"messages":[{"role":"user","content":[`+p+`]}]`, `messages[0].content[0]`+want)
	}
	for _, url := range []string{`ftp://h`, ``, `data:`, `data:image/png,AAAA`, `data:;base64,AAAA`, `http:`, `/a.png`} {
		part(`{"type":"image_url","image_url":{"url":"`+url+`"}}`, `.image_url.url: it must be an http or https URL, or a data URL in base64 with its media type`)
	}
	part(`{"type":"image_url"}`, `.image_url.url: it must be an http or https URL, or a data URL in base64 with its media type`)
	part(`{"type":"file","file":{"file_data":"data:text/plain;base64,AA=="}}`, `.file.file_data: Anthropic's API knows files of the type application/pdf only`)
}

func TestNativeRequest(t *testing.T) {
	var st ConvState
	const said = `"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]`
	f := func(members, want string) {
		t.Helper()
		model := st.Model
		st.Reset()
		st.Model = model
		got, err := convertedBy(t, chatToAnthropic{}, `{"messages":[{"role":"user","content":"x"}]`+members+`}`, &st)
		if err != nil || got != want {
			t.Errorf("%s: %v\n got %s\nwant %s", members, err, got, want)
		}
	}
	g := func(members, before, after string) {
		t.Helper()
		f(members, `{`+before+`"max_tokens":4096,`+said+after+`}`)
	}
	g(``, ``, ``)
	g(`,"model":"m\n"`, `"model":"m\n",`, ``)
	g(`,"metadata":{"a":"b"}`, ``, ``)
	g(`,"temperature":0.70,"top_p":0.990`, ``, `,"temperature":0.70,"top_p":0.990`)
	g(`,"temperature":0`, ``, `,"temperature":0`)
	for _, one := range []string{"1", "1.0", "1.01", "2", "1e99999"} {
		g(`,"temperature":`+one+`,"top_p":1.0`, ``, ``)
	}
	g(`,"stop":"\n"`, ``, `,"stop_sequences":["\n"]`)
	g(`,"stop":["a", "b"]`, ``, `,"stop_sequences":["a", "b"]`)
	g(`,"user":"u"`, ``, `,"metadata":{"user_id":"u"}`)
	g(`,"safety_identifier":"s","user":"u"`, ``, `,"metadata":{"user_id":"s"}`)
	g(`,"service_tier":"auto"`, ``, `,"service_tier":"auto"`)
	g(`,"service_tier":"default"`, ``, `,"service_tier":"standard_only"`)
	g(`,"stream":false`, ``, `,"stream":false`)
	g(`,"stream":true,"stream_options":{"include_usage":true}`, ``, `,"stream":true`)

	// How long the answer may be, and how much thought it may take.
	f(`,"max_tokens":5`, `{"max_tokens":5,`+said+`}`)
	f(`,"max_tokens":5,"max_completion_tokens":1e2`, `{"max_tokens":1e2,`+said+`}`)
	adaptive := func(effort string) string {
		return `"thinking":{"type":"adaptive"},"max_tokens":9000,"output_config":{"effort":"` + effort + `"},`
	}
	for effort, want := range map[string]string{"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"} {
		for _, model := range []string{"claude-opus-4-6", "claude-opus-4-7", "claude-sonnet-5", "claude-opus-5-5", "other"} {
			f(`,"model":"`+model+`","max_tokens":9000,"reasoning_effort":"`+effort+`"`, `{"model":"`+model+`",`+adaptive(want)+said+`}`)
		}
	}
	f(`,"reasoning_effort":"none","max_tokens":9`, `{"thinking":{"type":"disabled"},"max_tokens":9,`+said+`}`)
	f(`,"reasoning_effort":"low","temperature":1`, `{"thinking":{"type":"adaptive"},"max_tokens":5120,"output_config":{"effort":"low"},`+said+`}`)
	f(`,"reasoning_effort":"none","temperature":0.5`, `{"thinking":{"type":"disabled"},"max_tokens":4096,`+said+`,"temperature":0.5}`)
	old := func(effort, limit, want string) {
		t.Helper()
		for _, model := range []string{"claude-3-7-sonnet-latest", "claude-opus-4-1", "claude-sonnet-4-20250514", "claude-opus-4-0", "claude-opus-4-5-20251101", "anthropic/claude-haiku-4-5"} {
			f(`,"model":"`+model+`","reasoning_effort":"`+effort+`"`+limit, `{"model":"`+model+`",`+want+said+`}`)
		}
	}
	budget := func(n, limit string) string {
		return `"thinking":{"type":"enabled","budget_tokens":` + n + `},"max_tokens":` + limit + `,`
	}
	old("none", ``, `"max_tokens":4096,`)
	old("minimal", ``, `"max_tokens":4096,`)
	old("low", ``, budget("1024", "5120"))
	old("medium", ``, budget("2048", "6144"))
	old("high", ``, budget("4096", "8192"))
	old("xhigh", ``, budget("8192", "12288"))
	old("max", ``, budget("16384", "20480"))
	old("high", `,"max_tokens":20000`, budget("4096", "20000"))
	old("high", `,"max_tokens":5000`, budget("2500", "5000"))
	old("high", `,"max_tokens":2048`, budget("1024", "2048"))
	old("high", `,"max_tokens":2047`, `"max_tokens":2047,`)
	old("high", `,"max_tokens":-1`, `"max_tokens":-1,`)
	st.Model = []byte("claude-haiku-4-5") // of options, which counts
	f(`,"model":"claude-opus-5","reasoning_effort":"low"`, `{"model":"claude-opus-5",`+budget("1024", "5120")+said+`}`)
	st.Model = nil

	// Nothing is thought within a budget where a tool must be called, or was.
	const tools, sent = `,"tools":[{"type":"function","function":{"name":"f"}}]`, `,"tools":[{"name":"f","input_schema":{"type":"object","properties":{}}}]`
	f(tools+`,"tool_choice":"required","reasoning_effort":"high"`, `{"thinking":{"type":"adaptive"},"max_tokens":8192,"output_config":{"effort":"high"},`+said+sent+`,"tool_choice":{"type":"any"}}`)
	f(tools+`,"tool_choice":"required","reasoning_effort":"none"`, `{"thinking":{"type":"disabled"},"max_tokens":4096,`+said+sent+`,"tool_choice":{"type":"any"}}`)
	f(tools+`,"tool_choice":"required","reasoning_effort":"high","temperature":0.5,"model":"claude-3-7"`, `{"model":"claude-3-7","max_tokens":4096,`+said+sent+`,"tool_choice":{"type":"any"},"temperature":0.5}`)
	for messages, thinks := range map[string]bool{
		`{"role":"tool","tool_call_id":"c","content":"r"}`: false,
		`{"role":"tool","tool_call_id":"c","content":"r"},{"role":"user","content":"x"},{"role":"assistant"},{"role":"system","content":"s"}`: false,
		`{"role":"tool","tool_call_id":"c","content":"r"},{"role":"assistant","content":"x"},{"role":"user","content":"x"}`:                   true,
		`{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"}}]},{"role":"tool","tool_call_id":"c","content":"r"}`:             false,
		`{"role":"user","content":"x"},{"role":"assistant","content":"x"},{"role":"user","content":"x"}`:                                      true,
	} {
		got, err := convertedBy(t, chatToAnthropic{}, `{"model":"claude-haiku-4-5","reasoning_effort":"low","messages":[`+messages+`]}`, new(ConvState))
		if err != nil || strings.Contains(got, "thinking") != thinks {
			t.Errorf("%s: %s %v", messages, got, err)
		}
	}

	const schema = `{"type": "object"}`
	f(`,"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":`+schema+`}}`,
		`{"max_tokens":4096,"output_config":{"format":{"type":"json_schema","schema":`+schema+`}},`+said+`}`)
}

func TestNativeRequestTools(t *testing.T) {
	f := func(members, want string) {
		t.Helper()
		got, err := convertedBy(t, chatToAnthropic{}, `{"messages":[{"role":"user","content":"x"}],`+members+`}`, new(ConvState))
		if want = `{"max_tokens":4096,"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]` + want + `}`; err != nil || got != want {
			t.Errorf("%s: %v\n got %s\nwant %s", members, err, got, want)
		}
	}
	tool := func(name string) string {
		return `{"name":"` + name + `","input_schema":{"type":"object","properties":{}}}`
	}
	f(`"tools":[{"type":"function","function":{"name":"f","description":null,"parameters":null,"strict":null}}]`, `,"tools":[`+tool("f")+`]`)
	f(`"tools":[{"type":"function","function":{"strict":true,"parameters":{"type": "object"},"description":"d\n","name":"f"}}]`,
		`,"tools":[{"name":"f","description":"d\n","input_schema":{"type": "object"},"strict":true}]`)

	const some = `"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]`
	both := `,"tools":[` + tool("f") + `,` + tool("g") + `]`
	choice := func(kind string) string { return `,"tool_choice":{"type":"` + kind + `"}` }
	f(some, both)
	f(some+`,"tool_choice":"auto"`, both+choice("auto"))
	f(some+`,"tool_choice":"required"`, both+choice("any"))
	f(some+`,"tool_choice":"none"`, both+choice("none"))
	f(some+`,"tool_choice":{"type":"function","function":{"name":"g"}}`, both+`,"tool_choice":{"type":"tool","name":"g"}`)
	f(some+`,"parallel_tool_calls":true`, both)
	f(some+`,"parallel_tool_calls":false`, both+`,"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`)
	f(some+`,"parallel_tool_calls":false,"tool_choice":"none"`, both+choice("none"))
	f(some+`,"parallel_tool_calls":false,"tool_choice":{"type":"function","function":{"name":"g"}}`, both+`,"tool_choice":{"type":"tool","name":"g","disable_parallel_tool_use":true}`)

	// What is not allowed is not declared.
	f(some+`,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"\u0067"}},{"type":"function","function":{"name":"h"}}]}}`,
		`,"tools":[`+tool("g")+`]`+choice("auto"))
	f(some+`,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"function":{"name":"g"}},{"function":{"name":"f"}}]}}`, both+choice("any"))
}

func TestNativeRequestMessages(t *testing.T) {
	f := func(messages, want string) {
		t.Helper()
		got, err := convertedBy(t, chatToAnthropic{}, `{"messages":[`+messages+`]}`, new(ConvState))
		if want = `{"max_tokens":4096,` + want + `}`; err != nil || got != want {
			t.Errorf("%s: %v\n got %s\nwant %s", messages, err, got, want)
		}
	}
	user := func(blocks ...string) string {
		return `{"role":"user","content":[` + strings.Join(blocks, ",") + `]}`
	}
	assistant := func(blocks ...string) string {
		return `{"role":"assistant","content":[` + strings.Join(blocks, ",") + `]}`
	}
	text := func(s string) string { return `{"type":"text","text":"` + s + `"}` }
	g := func(messages string, want ...string) {
		t.Helper()
		f(messages, `"messages":[`+strings.Join(want, ",")+`]`)
	}
	g(`{"role":"user","content":"a\n"}`, user(text(`a\n`)))
	g(`{"role":"user","content":"a","name":"n","extra":1},{"content":"b","role":"us\u0065r"}`, user(text("a"), text("b")))
	for _, nothing := range []string{`"content":""`, `"content":null,"tool_calls":[ ],"refusal":" "`, `"x":1`, `"content":[]`, `"content":[{"type":"text","text":""},{"type":"refusal","refusal":"\n"}]`} {
		g(`{"role":"user","content":"a"},{"role":"assistant",`+nothing+`},{"role":"tool","tool_call_id":"c","content":""},{"role":"user","content":[{"type":"text","text":""}]}`,
			user(`{"type":"tool_result","tool_use_id":"c","content":""}`, text("a")))
	}
	g(`{"role":"assistant","content":null,"refusal":"no","reasoning_content":"r","annotations":[]}`, assistant(text("no")))
	g(`{"role":"assistant"},{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"refusal","refusal":"b"}]}`, assistant(text("a"), text("b")))

	f(`{"role":"user","content":"a"},{"role":"developer","content":"d"},{"role":"user","content":"b"},{"role":"system","content":[{"type":"text","text":"e"}]}`,
		`"system":[`+text("d")+`,`+text("e")+`],"messages":[`+user(text("a"), text("b"))+`]`)
	f(`{"role":"system","content":" "},{"role":"system","content":[]},{"role":"user","content":"a"}`, `"messages":[`+user(text("a"))+`]`)

	call := func(id, name, input string) string {
		return `{"type":"tool_use","id":"` + id + `","name":"` + name + `","input":` + input + `}`
	}
	for args, want := range map[string]string{`""`: `{}`, `{"a": 1}`: `{"a": 1}`, `" \n"`: `{}`, `null`: `{}`, `" {\"a\" : [1.0]} "`: `{"a" : [1.0]}`, `"\u007b\"\\u0061\":\"\\\\\"}"`: `{"\u0061":"\\"}`} {
		g(`{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":`+args+`}}]}`, assistant(call("c", "f", want)))
	}
	g(`{"role":"assistant","content":"a","tool_calls":[{"id":"c","function":{"name":"f"}}]},{"role":"assistant","content":"b","tool_calls":[]}`,
		assistant(text("a"), call("c", "f", "{}"), text("b")))

	result := func(id, content string) string {
		return `{"type":"tool_result","tool_use_id":"` + id + `"` + content + `}`
	}
	g(`{"role":"tool","tool_call_id":"c","content":"r\n"}`, user(result("c", `,"content":"r\n"`)))
	g(`{"role":"tool","tool_call_id":"c","content":""},{"role":"tool","tool_call_id":"d"},{"role":"tool","tool_call_id":"e","content":[{"type":"text","text":"a"},{"type":"text","text":""}]}`,
		user(result("c", `,"content":""`), result("d", ``), result("e", `,"content":[`+text("a")+`]`)))
	g(`{"role":"user","content":"a"},{"role":"tool","tool_call_id":"c","content":"r"},{"role":"user","content":"b"},{"role":"system","content":""},{"role":"tool","tool_call_id":"d","content":"s"},{"role":"assistant","content":"x"},{"role":"tool","tool_call_id":"e","content":"t"}`,
		user(result("c", `,"content":"r"`), result("d", `,"content":"s"`), text("a"), text("b")), assistant(text("x")), user(result("e", `,"content":"t"`)))

	image := func(s string) string { return `{"type":"image","source":{` + s + `}}` }
	g(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/gif;base64,QUJD"}},{"type":"image_url","image_url":{"url":"HTTPS:\/\/h/a"}},{"type":"text","text":"a"}]}`,
		user(image(`"type":"base64","media_type":"image/gif","data":"QUJD"`), image(`"type":"url","url":"HTTPS:\/\/h/a"`), text("a")))
	g(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:a\"b;x=\n;base64,\"\\"}}]}`,
		user(image(`"type":"base64","media_type":"a\"b","data":"\"\\"`)))
	g(`{"role":"user","content":[{"type":"file","file":{"filename":"","file_data":"data:Application/PDF;base64,QQ=="}}]}`,
		user(`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"QQ=="}}`))
}
