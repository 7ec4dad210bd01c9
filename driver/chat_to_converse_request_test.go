package driver

import (
	"strings"
	"testing"
)

// What only this provider has no counterpart for.
func TestConverseRequestErrors(t *testing.T) {
	g := func(members, want string) {
		t.Helper()
		raw := `{"messages":[{"role":"user","content":"x"}],` + members + `}`
		if got, err := convertedBy(t, chatToConverse{}, raw, new(ConvState)); errText(err) != "cannot convert "+want {
			t.Errorf("%s: %s\n got %v\nwant %s", raw, got, err, want)
		}
	}
	g(`"service_tier":"scale"`, `service_tier: Bedrock knows default, flex and priority only`)
	g(`"metadata":[]`, `metadata: it must be an object`)
	const tools = `"tools":[{"type":"function","function":{"name":"f"}}]`
	g(tools+`,"parallel_tool_calls":false`, `parallel_tool_calls: Bedrock's Converse has no counterpart`)
	g(`"messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"}}]}],`+tools+`,"tool_choice":"none"`, `tool_choice: Bedrock has no choice none for a conversation with tool calls`)
	part := func(p, want string) {
		t.Helper()
		g(`"messages":[{"role":"user","content":[{"type":"text","text":"a"},`+p+`]}]`, `messages[0].content[1]`+want)
		g(`"messages":[{"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"a"},`+p+`]}]`, `messages[0].content[1]`+want)
	}
	const fetches = `.image_url.url: Bedrock fetches no images: it must be a data URL in base64 with its media type`
	part(`{"type":"image_url"}`, fetches)
	for _, url := range []string{`https://example.com/a.png`, ``, `data:image/png,AA`, `data:;base64,`, `;base64,AA`} {
		part(`{"type":"image_url","image_url":{"url":"`+url+`"}}`, fetches)
	}
	part(`{"type":"image_url","image_url":{"url":"data:image/svg+xml;base64,AA"}}`, `.image_url.url: Bedrock knows images of the types png, jpeg, gif and webp only`)
	part(`{"type":"file","file":{"file_data":"data:application/zip;base64,AA"}}`, `.file.file_data: Bedrock knows documents of the types pdf, txt, md, html, csv, doc, docx, xls and xlsx only`)
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
	f(`,"stream":true`, ``)
	f(`,"max_tokens":1e2`, `,"inferenceConfig":{"maxTokens":1e2}`)
	f(`,"m\u0061x_tokens":7,"max_completion_tokens":8`, `,"inferenceConfig":{"maxTokens":8}`)
	f(`,"stop":"a\n","top_p":1`, `,"inferenceConfig":{"topP":1,"stopSequences":["a\n"]}`)
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
	f(tools+`,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"function":{"name":"f"}}]}}`, config+`,"toolChoice":{"any":{}}}`)
	f(`,"tools":[{"function":{"name":"g"}},{"function":{"name":"f","parameters":{}}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"function":{"name":"f"}}]}}`, config+`,"toolChoice":{"auto":{}}}`)
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
