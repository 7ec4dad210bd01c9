package driver

import (
	"strings"
	"testing"
)

func converted(t testing.TB, raw string, st *ConvState) (string, error) {
	t.Helper()
	return convertedBy(t, anthropicToChat{}, raw, st)
}

func TestAnthropicRequestErrors(t *testing.T) {
	f := func(mark, raw, want string) {
		t.Helper()
		if got, err := converted(t, raw, new(ConvState)); errText(err) != want {
			t.Errorf("%s: %s: %s %v, want %s", mark, raw, got, err, want)
		}
	}
	f("T: pc 3", `{"model":"m"}`, "missing messages")
	f("T: pc 5", `{"messages":"x"}`, "missing messages")
	f("T: pc 6", `{"messages":[]}`, "missing messages")
	f("empty", `{}`, "missing messages")
	f("array", `[{"role":"user","content":"x"}]`, "missing messages")
	f("object", `{"messages":{"role":"user","content":"x"}}`, "missing messages")
	f("null", `{"messages":null}`, "missing messages")
	f("4.1.1", `{"messages":["x"]}`, "invalid message at index 1")
	f("4.1.1", `{"messages":[{"role":"user","content":"x"},{"content":"x"}]}`, "invalid message at index 2")
	f("4.1.1", `{"messages":[{"role":1,"content":"x"}]}`, "invalid message at index 1")
	f("role first", `{"messages":[{"content":1}]}`, "invalid message at index 1")
	f("4.1.1", `{"messages":[{"role":"user"}]}`, "invalid message content at index 1")
	f("4.1.1", `{"messages":[{"role":"user","content":null}]}`, "invalid message content at index 1")
	f("4.1.1", `{"messages":[{"role":"user","content":{}}]}`, "invalid message content at index 1")

	block := func(b string) string { return `{"messages":[{"role":"user","content":[` + b + `]}]}` }
	f("T: pc 30", block(`{"type":"image","source":true}`), "invalid image source at index 1")
	f("4.1.1", block(`{"type":"image","source":"x"}`), "invalid image source at index 1")
	f("4.1.1", block(`{"type":"image","source":{"type":"base64","data":{}}}`), "invalid image source at index 1")
	f("4.1.1", block(`{"type":"image","source":{"type":"base64","data":"A","media_type":[]}}`), "invalid image source at index 1")
	f("4.1.1", block(`{"type":"image","source":{"type":"url","url":1}}`), "invalid image source at index 1")
	f("4.1.1", block(`{"type":"document","source":1}`), "invalid document source at index 1")
	f("4.1.1", block(`{"type":"tool_result","tool_use_id":"i","content":[{"type":"image","source":1}]}`), "invalid image source at index 1")
}

// The scalars of 4.1.2 and 4.1.3, and whatever else is not a message.
func TestAnthropicRequest(t *testing.T) {
	f := func(mark, members, want string) {
		t.Helper()
		got, err := converted(t, `{"messages":[{"role":"user","content":"x"}]`+members+`}`, new(ConvState))
		if want = `{"messages":[{"role":"user","content":"x"}]` + want + `}`; err != nil || got != want {
			t.Errorf("%s: %s: %v\n got %s\nwant %s", mark, members, err, got, want)
		}
	}
	f("nothing", ``, ``)
	f("T: an 15", `,"max_tokens":1e2,"top_k":5,"metadata":{"a":"b"},"container":"c","mcp_servers":[{}],"betas":[]`, `,"max_completion_tokens":1e2`)
	f("T: an 40", `,"stream":true`, `,"stream":true,"stream_options":{"include_usage":true}`)
	f("4.1.2", `,"stream":false`, `,"stream":false`)
	f("number texts", `,"temperature":0.70,"top_p":1.0`, `,"temperature":0.70,"top_p":1.0`)
	f("T: an 38", `,"stop_sequences":["a", "b"]`, `,"stop":["a", "b"]`)
	f("4.1.2", `,"stop_sequences":"a"`, ``)
	f("T: an 42", `,"metadata":{"user_id":"u\n"}`, `,"user":"u\n"`)
	f("4.1.2", `,"metadata":{"user_id":1}`, ``)
	f("T: an 46", `,"service_tier":"auto"`, `,"service_tier":"auto"`)
	f("nulls", `,"model":null,"stream":null,"max_tokens":null,"temperature":null,"top_p":null,"stop_sequences":null,"metadata":null,"service_tier":null,
		"thinking":null,"tools":null,"tool_choice":null,"output_format":null,"output_config":null,"system":null`, ``)
	f("nulls inside", `,"metadata":{"user_id":null},"thinking":{"type":null},"output_config":{"effort":null,"format":null}`, ``)
	f("escaped keys", `,"m\u0061x_tokens":7,"metad\u0061ta":{"user\u005fid":"u"}`, `,"max_completion_tokens":7,"user":"u"`)
	f("the last of equal keys", `,"max_tokens":7,"max_tokens":8`, `,"max_completion_tokens":8`)

	effort := func(mark, thinking, want string) {
		t.Helper()
		if want != "" {
			want = `,"reasoning_effort":"` + want + `"`
		}
		f(mark, `,"thinking":`+thinking, want)
	}
	effort("T: an 18", `{"type":"enabled","budget_tokens":1023}`, "minimal")
	effort("T: an 18", `{"type":"enabled","budget_tokens":1024}`, "low")
	effort("T: an 18", `{"type":"enabled","budget_tokens":2047.9}`, "low")
	effort("T: an 18", `{"type":"enabled","budget_tokens":2048}`, "medium")
	effort("T: an 18", `{"type":"enabled","budget_tokens":4096}`, "high")
	effort("4.1.3", `{"type":"enabled","budget_tokens":1e999}`, "high")
	effort("4.1.3", `{"type":"enabled","budget_tokens":-5}`, "minimal")
	effort("4.1.3", `{"type":"enabled","budget_tokens":"9"}`, "minimal")
	effort("4.1.3", `{"type":"enabled"}`, "minimal")
	effort("T: an 59", `{"type":"adaptive"},"output_config":{"effort":"xhigh"}`, "xhigh")
	effort("T: an 59", `{"type":"adaptive"},"output_config":{"effort":""}`, "medium")
	effort("T: an 59", `{"type":"adaptive"}`, "medium")
	effort("4.1.3", `{"type":"disabled","budget_tokens":9}`, "")
	effort("4.1.3", `"enabled"`, "")
}

func TestAnthropicRequestSystem(t *testing.T) {
	f := func(mark, system, want string) {
		t.Helper()
		got, err := converted(t, `{"system":`+system+`,"messages":[{"role":"user","content":"x"}]}`, new(ConvState))
		if want != "" {
			want = `{"role":"system","content":` + want + `},`
		}
		if want = `{"messages":[` + want + `{"role":"user","content":"x"}]}`; err != nil || got != want {
			t.Errorf("%s: %s: %v\n got %s\nwant %s", mark, system, err, got, want)
		}
	}
	f("string", `"s\n"`, `"s\n"`)
	f("empty", `""`, ``)
	f("concatenated", `[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b\u00e9"}]`, `"ab\u00e9"`)
	f("other blocks", `[1,null,"x",{"type":"image","source":true},{"text":"no"},{"type":"text"},{"type":"text","text":1},{"type":"text","text":"a"}]`, `"a"`)
	f("nothing left", `[{"type":"text","text":""}]`, ``)
	f("object", `{"type":"text","text":"a"}`, ``)
	f("number", `5`, ``)

	bill := func(text, want string) {
		t.Helper()
		f("T: an 29", `[{"type":"text","text":"`+text+`"},{"type":"text","text":"s"}]`, `"`+want+`s"`)
	}
	bill(`x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli; cch=abc12;`, `x-anthropic-billing-header:cc_version=2.1; cc_entrypoint=cli`)
	bill(`X-Anthropic-Billing-Header: cch=1; a=b; cch=2;c`, `x-anthropic-billing-header:a=b;c`)
	bill(`x-anthropic-billing-header: cch=1`, ``)
	bill(`x-anthropic-billing-header:; ;`, ``)
	bill(`x-anthropic-billing-header:`, ``)
	bill(`x\u002danthropic-billing-header: a=\"\u00e9\"; cch=1;`, `x-anthropic-billing-header:a=\"é\"`)
	bill(`X-Anthropic-Billing-Header: \u0061=b; cch=\u0031; cch=2; c=\u0064; cch=`, `x-anthropic-billing-header:a=b; c=d`)
	bill(`x-anthropic-billing-heade: cch=1;`, `x-anthropic-billing-heade: cch=1;`)
	bill(` x-anthropic-billing-header: cch=1;`, ` x-anthropic-billing-header: cch=1;`)
	f("array form only", `"x-anthropic-billing-header: cch=1;"`, `"x-anthropic-billing-header: cch=1;"`)
}

func TestAnthropicRequestTools(t *testing.T) {
	var st ConvState
	f := func(mark, members, want string) {
		t.Helper()
		st.Reset()
		got, err := converted(t, `{"messages":[{"role":"user","content":"x"}]`+members+`}`, &st)
		if want = `{"messages":[{"role":"user","content":"x"}]` + want + `}`; err != nil || got != want {
			t.Errorf("%s: %s: %v\n got %s\nwant %s", mark, members, err, got, want)
		}
	}
	fn := func(s string) string { return `{"type":"function","function":{"name":` + s + `}}` }
	f("T: an 25, 41", `,"tools":[{"name":"f","description":"d","input_schema":{"type": "object","properties":{}},"cache_control":{"type":"ephemeral"},"strict":true}]`,
		`,"tools":[`+fn(`"f","description":"d","parameters":{"type": "object","properties":{}}`)+`]`)
	f("custom", `,"tools":[{"type":"custom","name":"f","description":null,"input_schema":null}]`, `,"tools":[`+fn(`"f"`)+`]`)
	f("T: an 22", `,"tools":[],"tool_choice":{"type":"auto"}`, ``)
	f("T: an 43", `,"tools":[{"type":"computer_20250124","name":"computer"},{"type":"bash_2","name":"bash"},{"type":"text_editor_2","name":"e"},
		{"type":"web_search_20250305","name":"w"},{"type":"code_execution_2","name":"c"},{"type":"web_fetch_1","name":"f"}]`, `,"tools":[`+fn(`"f"`)+`]`)
	f("T: an 52", `,"tools":[{"type":"bash_1","name":"b"},1,null,{"name":""},{"name":2},{}],"tool_choice":{"type":"any","disable_parallel_tool_use":true}`, ``)
	f("no list", `,"tools":{"name":"f"}`, ``)

	one, tools := `,"tools":[{"name":"f"}],"tool_choice":`, `,"tools":[`+fn(`"f"`)+`]`
	f("T: an 16", one+`{"type":"auto"}`, tools+`,"tool_choice":"auto"`)
	f("T: an 16", one+`{"type":"any"}`, tools+`,"tool_choice":"required"`)
	f("T: an 16", one+`{"type":"none"}`, tools+`,"tool_choice":"none"`)
	f("T: an 16", one+`{"type":"tool","name":"f"}`, tools+`,"tool_choice":`+fn(`"f"`))
	f("T: an 17", one+`{"type":"auto","disable_parallel_tool_use":true}`, tools+`,"tool_choice":"auto","parallel_tool_calls":false`)
	f("T: an 17", one+`{"type":"tool","name":"f","disable_parallel_tool_use":true}`, tools+`,"tool_choice":`+fn(`"f"`)+`,"parallel_tool_calls":false`)
	f("4.1.4", one+`{"type":"any","disable_parallel_tool_use":1}`, tools+`,"tool_choice":"required"`)
	f("other", one+`{"type":"some","disable_parallel_tool_use":true}`, tools)
	f("other", one+`"auto"`, tools)
	f("other", one+`{"type":"tool"}`, tools)

	// The name map, with the vector of section 11.
	long, cut := strings.Repeat("a", 70), strings.Repeat("a", 55)+"_6bd5e503"
	f("T: an 45", `,"tools":[{"name":"`+long+`"}]`, `,"tools":[`+fn(`"`+cut+`"`)+`]`)
	f("4.1.4", `,"tools":[{"name":"`+long[:64]+`"}]`, `,"tools":[`+fn(`"`+long[:64]+`"`)+`]`)
	f("T: an 64", `,"tools":[{"name":"`+long+`"}],"tool_choice":{"type":"tool","name":"\u0061`+long[1:]+`"}`, `,"tools":[`+fn(`"`+cut+`"`)+`],"tool_choice":`+fn(`"`+cut+`"`))
	f("T: an 64", `,"tools":[{"name":"f"}],"tool_choice":{"type":"tool","name":"a.b"}`, `,"tools":[`+fn(`"f"`)+`],"tool_choice":`+fn(`"a.b"`))
	f("T: an 64, not forwarded", `,"tools":[{"name":"f"},{"name":"a.b","type":"bash_1"}],"tool_choice":{"type":"tool","name":"a.b"}`, `,"tools":[`+fn(`"f"`)+`],"tool_choice":`+fn(`"a.b"`))
	f("renamed", `,"tools":[{"name":"a.b"},{"name":"a b"},{"name":"\u00e9"}]`, `,"tools":[`+fn(`"a_b_2e7336dc"`)+`,`+fn(`"a_b_c8687a08"`)+`,`+fn(`"___4a99557e"`)+`]`)
	names := func(mapped, want string) {
		t.Helper()
		if got := string(st.names.appendClient(nil, []byte(mapped))); got != want {
			t.Errorf("%s is %s, want %s", mapped, got, want)
		}
	}
	names(`"___4a99557e"`, `"\u00e9"`)
	names(`"a_b\u005f2e7336dc"`, `"a.b"`)
	names(`"f"`, `"f"`)
	names(`1`, `""`)
	st.Reset()
	names(`"a_b_2e7336dc"`, `"a_b_2e7336dc"`)
}

// Section 4.1.5.
func TestAnthropicRequestSchema(t *testing.T) {
	f := func(mark, members, schema string) {
		t.Helper()
		got, err := converted(t, `{"messages":[{"role":"user","content":"x"}]`+members+`}`, new(ConvState))
		want := `{"messages":[{"role":"user","content":"x"}]}`
		if schema != "" {
			want = want[:len(want)-1] + `,"response_format":{"type":"json_schema","json_schema":{"name":"structured_output","schema":` + schema + `,"strict":true}}}`
		}
		if err != nil || got != want {
			t.Errorf("%s: %s: %v\n got %s\nwant %s", mark, members, err, got, want)
		}
	}
	format := func(schema string) string { return `,"output_format":{"type":"json_schema","schema":` + schema + `}` }
	const flat = `{"type":"string"}`
	f("T: an 23", format(flat), flat)
	f("T: an 24", `,"output_config":{"format":{"type":"json_schema","schema":`+flat+`}}`, flat)
	f("T: an 60", `,"output_format":{},"output_config":{"format":{"type":"json_schema","schema":`+flat+`}}`, flat)
	f("output_format wins", format(flat)+`,"output_config":{"format":{"type":"json_schema","schema":{"a":1}}}`, flat)
	f("empty", format(`{}`), "")
	f("no object", format(`true`), "")
	f("other type", `,"output_format":{"type":"json_object","schema":{"a":1}}`, "")

	s := func(in, want string) {
		t.Helper()
		f("strict", format(in), want)
	}
	const none = `"additionalProperties":false,"required":[]`
	s(`{"type":"object","properties":{}}`, `{"type":"object","properties":{},`+none+`}`)
	s(`{ "properties" : { "b":{"type":"string"}, "a":1 , "\u0061b":true } , "type":"object","required":["a"],"additionalProperties":{}}`,
		`{"properties" : {"b":{"type":"string"},"a":1,"\u0061b":true},"type":"object","additionalProperties":false,"required":["a","ab","b"]}`)
	s(`{"type":"object","required":["a"],"additionalProperties":{"x":1.0}}`, `{"type":"object","additionalProperties":{"x":1.0},"required":["a"]}`)
	s(`{"type":["object"],"properties":{"a":{}}}`, `{"type":["object"],"properties":{"a":{}}}`)
	s(`{"type":"object","properties":[]}`, `{"type":"object","properties":[]}`)
	const obj, strict = `{"type":"object","properties":{}}`, `{"type":"object","properties":{},` + none + `}`
	s(`{"items":`+obj+`}`, `{"items":`+strict+`}`)
	s(`{"items":[`+obj+`]}`, `{"items":[`+obj+`]}`)
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		s(`{"`+key+`":[`+obj+`, 1,`+obj+`]}`, `{"`+key+`":[`+strict+`,1,`+strict+`]}`)
		s(`{"`+key+`":[ ]}`, `{"`+key+`":[]}`)
		s(`{"`+key+`":`+obj+`}`, `{"`+key+`":`+obj+`}`)
	}
	for _, key := range []string{"$defs", "definitions"} {
		s(`{"`+key+`":{"x":`+obj+`,"y":[]}}`, `{"`+key+`":{"x":`+strict+`,"y":[]}}`)
	}
	s(`{"not":`+obj+`}`, `{"not":`+obj+`}`)
	s(`{"type":"object","properties":{"properties":{"type":"object","properties":{"required":`+obj+`}}}}`,
		`{"type":"object","properties":{"properties":{"type":"object","properties":{"required":`+strict+`},"additionalProperties":false,"required":["required"]}},"additionalProperties":false,"required":["properties"]}`)
	s(`{"type":"object","properties":{"a":{},"a":{}}}`, `{"type":"object","properties":{"a":{},"a":{}},"additionalProperties":false,"required":["a"]}`)
}

// Section 4.1.7.
func TestAnthropicRequestMessages(t *testing.T) {
	f := func(mark, messages, want string) {
		t.Helper()
		got, err := converted(t, `{"messages":[`+messages+`]}`, new(ConvState))
		if want = `{"messages":[` + want + `]}`; err != nil || got != want {
			t.Errorf("%s: %s: %v\n got %s\nwant %s", mark, messages, err, got, want)
		}
	}
	user := func(blocks string) string { return `{"role":"user","content":[` + blocks + `]}` }
	assistant := func(blocks string) string { return `{"role":"assistant","content":[` + blocks + `]}` }
	const a, b, partA, partB = `{"type":"text","text":"a","cache_control":{}}`, `{"type":"text","text":"b"}`, `{"type":"text","text":"a"}`, `{"type":"text","text":"b"}`
	url := func(s string) string { return `{"type":"image_url","image_url":{"url":"` + s + `"}}` }

	f("strings", `{"role":"user","content":"a\n"}, {"content":"","role":"x","extra":1}`, `{"role":"user","content":"a\n"},{"role":"x","content":""}`)
	f("T: an 63", user(a+","+b), user(partA+","+partB))
	f("T: an 63", assistant(a+","+b), `{"role":"assistant","content":"ab"}`)
	f("4.1.7 rule 3", user(``), `{"role":"user","content":""}`)
	f("4.1.7", user(`1,null,"x",[],{},{"type":"thinking","thinking":"t"},{"type":"redacted_thinking"},{"type":"text"},{"type":"text","text":null},{"type":null}`), `{"role":"user","content":""}`)
	f("T: an 19", user(`{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"QUJD"}}`), user(url("data:image/jpeg;base64,QUJD")))
	f("T: an 19", user(`{"type":"image","source":{"type":"base64","data":"QUJD"}}`), user(url("data:image/png;base64,QUJD")))
	f("T: an 19", user(`{"type":"image","source":{"type":"base64","media_type":null,"data":"QUJD"}},{"type":"image","source":{"type":"base64","data":""}},{"type":"image"}`), user(url("data:image/png;base64,QUJD")))
	f("T: an 39", user(`{"type":"image","source":{"type":"url","url":"http://h\/i"}},{"type":"image","source":{"type":"url","url":""}},{"type":"image","source":{"type":"file"}}`), user(url(`http://h\/i`)))
	f("T: an 20", user(`{"type":"document","source":{"type":"base64","data":"QUJD"}},{"type":"document","source":{"type":"base64","media_type":"text/plain","data":"QQ=="}}`),
		user(url("data:application/pdf;base64,QUJD")+","+url("data:text/plain;base64,QQ==")))
	f("documents", user(`{"type":"document","source":{"type":"url","url":"http://h"}},{"type":"document","source":{"type":"text","data":"x"}},{"type":"document"}`), `{"role":"user","content":""}`)
	f("rule 4", assistant(`{"type":"image","source":{"type":"url","url":"http://h"}}`), `{"role":"assistant","content":""}`)

	call := func(id, name, args string) string {
		return `{"id":"` + id + `","type":"function","function":{"name":"` + name + `","arguments":` + args + `}}`
	}
	f("T: an 5", assistant(`{"type":"tool_use","id":"t1","name":"f","input":{"a": 1.0,"s":"\n"}}`), `{"role":"assistant","tool_calls":[`+call("t1", "f", `"{\"a\": 1.0,\"s\":\"\\n\"}"`)+`]}`)
	f("T: an 26", assistant(`{"type":"tool_use","id":"t1","name":"f"},{"type":"tool_use","id":"t2","name":"f","input":null},{"type":"tool_use","id":"t3","name":"f","input":{}}`),
		`{"role":"assistant","tool_calls":[`+call("t1", "f", `"{}"`)+`,`+call("t2", "f", `"{}"`)+`,`+call("t3", "f", `"{}"`)+`]}`)
	f("T: an 37", assistant(a+`,{"type":"tool_use","id":"t1","name":"f"},`+b+`,{"type":"tool_use","id":1,"name":"f"},{"type":"tool_use","id":"x"}`), `{"role":"assistant","content":"ab","tool_calls":[`+call("t1", "f", `"{}"`)+`]}`)
	f("T: an 61", assistant(`{"type":"tool_use","id":"t1","name":"a.b"}`), `{"role":"assistant","tool_calls":[`+call("t1", "a_b_2e7336dc", `"{}"`)+`]}`)

	result := func(id, content string) string {
		return `{"role":"tool","tool_call_id":"` + id + `","content":` + content + `}`
	}
	f("T: an 21", user(`{"type":"tool_result","tool_use_id":"t1","content":"r","is_error":true}`), result("t1", `"r"`))
	f("T: an 21", user(`{"type":"tool_result","tool_use_id":"t1","content":[`+a+`,1,`+b+`]}`), result("t1", `"ab"`))
	f("T: an 21", user(`{"type":"tool_result","tool_use_id":"t1","content":[`+a+`,{"type":"image","source":{"type":"url","url":"u"}}]}`), result("t1", `[`+partA+`,`+url("u")+`]`))
	f("4.1.7", user(`{"type":"tool_result","tool_use_id":"t1"},{"type":"tool_result","tool_use_id":"t2","content":{"a":1}},{"type":"tool_result","content":"no"}`), result("t1", `""`)+`,`+result("t2", `""`))
	f("T: an 35, 36", user(a+`,{"type":"tool_result","tool_use_id":"t1","content":"r"},`+b+`,{"type":"tool_result","tool_use_id":"t2","content":"s"}`),
		result("t1", `"r"`)+`,`+result("t2", `"s"`)+`,`+user(partA+","+partB))
	f("T: an 56, 57, 58", user(`{"type":"image","source":{"type":"url","url":"u"}},{"type":"tool_use","id":"t9","name":"f"},{"type":"tool_result","tool_use_id":"t1","content":"r"}`), result("t1", `"r"`)+`,`+user(url("u")))
}
