package driver

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func compile(t testing.TB, raw string) *Instance {
	t.Helper()
	cfg, err := ParseConfig([]byte(raw))
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	in, err := CompileInstance("one", cfg, secrets)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return in
}

func secrets(ref string) (string, error) {
	switch strings.ToLower(ref) {
	case "$env://key":
		return "s3cret", nil
	case "$env://lines":
		return "s3cret\r\nx: y", nil
	case "$env://url":
		return "http://10.0.0.1:8000", nil
	case "$secret://vault/1/a":
		return "vaulted", nil
	}
	return "", errors.New("not set")
}

// ai-proxy.md section 1.5, rows 3 to 7, and 1.6.2.
func TestValidate(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		cfg, err := ParseConfig([]byte(raw))
		if err == nil {
			_, err = cfg.Validate()
		}
		if got := errText(err); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
	f(`{"provider":"openai","auth":{}}`, "")
	f(`{"provider":"openai","auth":{},"model":"stray"}`, "")                                   // T: ai-proxy.t 12
	f(`{"provider":"openai","auth":{},"override":{"endpoint":"ftp://x"}}`, "invalid endpoint") // T: ai-proxy-multi.t 15
	f(`{"provider":"x","auth":{},"override":{"endpoint":"ftp://x"}}`, "invalid endpoint")
	f(`{"provider":"x","auth":{}}`, "ai provider: x is not supported.")
	f(`{"provider":"vertex-ai","auth":{"gcp":{"service_account_json":"{x"}}}`, "invalid gcp service_account_json: Expected object key string but found invalid token at character 2")
	f(`{"provider":"vertex-ai","auth":{"gcp":{"service_account_json":"$env://X"}},"provider_conf":{"project_id":"p","region":"r"}}`, "")
	f(`{"provider":"vertex-ai","auth":{},"provider_conf":{"region":"r"}}`, "vertex-ai requires either provider_conf (project_id + region) or override.endpoint")
	f(`{"provider":"vertex-ai","auth":{},"override":{"endpoint":"https://x"}}`, "")
	f(`{"provider":"bedrock","auth":{}}`, "bedrock requires provider_conf.region")
	f(`{"provider":"bedrock","auth":{},"provider_conf":{"region":"r"}}`, "bedrock requires auth.aws")
	f(`{"auth":{},"model":{"provider":"some-unique","name":"m"}}`, "provider: some-unique is not supported.")
	f(`{"auth":{},"model":{"provider":"openai","name":"m"}}`, "")
	f(`{"provider":"openai","auth":{"header":{"a":1}}}`, `cannot decode instance: property "a": wrong type: expected string`)
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestValidateWarnings(t *testing.T) {
	f := func(raw string, n int) {
		t.Helper()
		if in := compile(t, raw); len(in.Warnings) != n {
			t.Errorf("%s: %q", raw, in.Warnings)
		}
	}
	f(`{"provider":"openai","auth":{}}`, 0)
	f(`{"provider":"openai-compatible","auth":{}}`, 1)
	f(`{"provider":"azure-openai","auth":{}}`, 1)
	f(`{"provider":"azure-openai","auth":{},"override":{"endpoint":"https://x"}}`, 0)
	f(`{"provider":"openai","auth":{"header":{"Host":"x"}}}`, 1)
	f(`{"provider":"openai","auth":{},"options":{"max_tokens":5}}`, 1)
	f(`{"provider":"deepseek","auth":{},"options":{"max_tokens":5}}`, 0)
}

func TestCompileErrors(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		cfg, err := ParseConfig([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := CompileInstance("one", cfg, secrets); errText(err) != want {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
	f(`{"provider":"openai","auth":{"header":{"x":"a\nb"}}}`, "auth.header.x: the value contains a control character")
	f(`{"provider":"openai","auth":{"header":{"x y":"a"}}}`, "auth.header.x y: not a header name")
	f(`{"provider":"openai","auth":{},"options":[]}`, "cannot read options: not an object")
	f(`{"provider":"openai","auth":{},"override":{"request_body":{"x":{}}}}`, `override.request_body: unknown protocol "x"`)
}

// References: whole strings anywhere in the document; a missing one breaks the
// instance and is named, its value never.
func TestSecrets(t *testing.T) {
	in := compile(t, `{"provider":"openai","auth":{"header":{"Authorization":"$ENV://KEY"},"query":{"k":"$secret://vault/1/a"}},
		"options":{"model":"$env://key","a":["x$env://key",{"b":"$env://key"}]},"override":{"endpoint":"$env://url","request_body":{"openai-chat":{"u":"$env://KEY"}}}}`)
	if in.Broken != nil {
		t.Fatal(in.Broken)
	}
	head, _ := in.AppendHead(nil, &HeadInput{Target: OpenAIChat})
	if s := string(head); !strings.Contains(s, "\r\nauthorization: s3cret\r\n") || !strings.HasPrefix(s, "POST /v1/chat/completions?k=vaulted HTTP/1.1\r\nhost: 10.0.0.1:8000\r\n") {
		t.Errorf("%s", head)
	}
	out := load(t, `{"messages":[]}`)
	in.Shape(out, OpenAIChat, OpenAIChat, &Shaping{})
	if got := string(out.AppendTo(nil)); got != `{"messages":[],"a":["x$env://key",{"b":"s3cret"}],"model":"s3cret","u":"s3cret"}` {
		t.Error(got)
	}
	f := func(raw, want string) {
		t.Helper()
		if got := errText(compile(t, raw).Broken); got != want || strings.Contains(got, "s3cret") {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
	f(`{"provider":"openai","auth":{"header":{"X":"$env://GONE"}}}`, `cannot use reference "$env://GONE" of auth.header.X: not set`)
	f(`{"provider":"openai","auth":{"query":{"q":"$secret://x"}}}`, `cannot use reference "$secret://x" of auth.query.q: not set`)
	f(`{"provider":"openai","auth":{"header":{"X":"$env://lines"}}}`, `cannot use reference "$env://lines" of auth.header.X: the value contains a control character`)
	f(`{"provider":"openai","auth":{},"override":{"endpoint":"$env://key"}}`, `cannot use reference "$env://key" of override.endpoint: invalid endpoint`)
	f(`{"provider":"openai","auth":{},"options":{"a":[1,{"b":"$env://GONE"}]}}`, `cannot use reference "$env://GONE" of options.a[1].b: not set`)
	cfg, _ := ParseConfig([]byte(`{"provider":"openai","auth":{"header":{"X":"$env://KEY"}}}`))
	if in, err := CompileInstance("one", cfg, nil); err != nil || in.Broken == nil {
		t.Error("a reference passed without a resolver")
	}
}

func TestIsReference(t *testing.T) {
	f := func(s string, want bool) {
		t.Helper()
		if IsReference(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
	f("$env://A", true)
	f("$ENV://A", true)
	f("$secret://a/b/c", true)
	f("$Secret://a", false)
	f("Bearer $env://A", false)
	f("", false)
}

// The older form of ai-proxy, 1.6.2.
func TestOlderForm(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		in := compile(t, raw)
		out := load(t, `{"messages":[]}`)
		in.Shape(out, OpenAIChat, OpenAIChat, &Shaping{})
		if got := string(out.AppendTo(nil)); got != want || in.Provider != "deepseek" {
			t.Errorf("%s: %s %s", raw, in.Provider, got)
		}
	}
	f(`{"auth":{},"model":{"provider":"deepseek","name":"m","options":{"temperature":1.0}}}`, `{"messages":[],"model":"m","temperature":1.0}`)
	f(`{"auth":{},"model":{"provider":"deepseek","name":"m","options":{"model":"x"}}}`, `{"messages":[],"model":"x"}`)
	f(`{"auth":{},"model":{"provider":"deepseek"}}`, `{"messages":[]}`)
}

// The paths of 3.1 and the refusals of 2.4.
func TestRoute(t *testing.T) {
	strict := false
	f := func(provider string, client Proto, path, refuse string) {
		t.Helper()
		in, err := CompileInstance("i", &Config{Provider: provider, Strict: strict}, nil)
		if err != nil {
			t.Fatal(err)
		}
		target, text := in.Route(client)
		want := client
		if c := in.Converter(client); c != nil {
			_, want = c.Pair()
		}
		if text != refuse || refuse == "" && (target != want || in.Path(target) != path) {
			t.Errorf("%s %s: %s %q %q", provider, client, target, in.Path(target), text)
		}
	}
	for _, p := range []string{"openai", "openai-compatible"} {
		f(p, OpenAIChat, "/v1/chat/completions", "")
		f(p, OpenAIResponses, "/v1/responses", "")
		f(p, OpenAIEmbeddings, "/v1/embeddings", "")
		f(p, Passthrough, "", "")
		f(p, AnthropicMessages, "/v1/chat/completions", "")
		f(p, BedrockConverse, "", "provider "+p+" does not support bedrock-converse protocol (supported: openai-chat, openai-embeddings, openai-responses)")
	}
	for p, path := range map[string]string{
		"deepseek": "/chat/completions", "aimlapi": "/v1/chat/completions", "openrouter": "/api/v1/chat/completions",
		"gemini": "/v1beta/openai/chat/completions", "azure-openai": "/completions",
	} {
		f(p, OpenAIChat, path, "")
		f(p, AnthropicMessages, path, "")
		f(p, Passthrough, "", "")
		f(p, OpenAIEmbeddings, "", "provider "+p+" does not support openai-embeddings protocol (supported: openai-chat)")
		f(p, OpenAIResponses, path, "")
	}
	f("anthropic", AnthropicMessages, "/v1/messages", "")
	f("anthropic", OpenAIChat, "/v1/chat/completions", "")
	f("anthropic", OpenAIResponses, "/v1/chat/completions", "")

	// What APISIX does not convert.
	strict = true
	for _, p := range []string{"deepseek", "aimlapi", "openrouter", "gemini", "azure-openai"} {
		f(p, OpenAIResponses, "", "provider "+p+" does not support openai-responses protocol (supported: openai-chat)")
	}
	f("deepseek", AnthropicMessages, "/chat/completions", "")
	f("openai", OpenAIResponses, "/v1/responses", "")
	f("anthropic", OpenAIResponses, "", "provider anthropic does not support openai-responses protocol (supported: anthropic-messages, openai-chat)")
}

// ai-proxy.md section 2.5.
func TestModel(t *testing.T) {
	f := func(options, body, want string) {
		t.Helper()
		in := compile(t, `{"provider":"openai","auth":{},"options":`+options+`}`)
		if got := string(in.Model(load(t, body))); got != want {
			t.Errorf("%s %s: %q", options, body, got)
		}
	}
	f(`{"model":"a\"b"}`, `{"model":"c"}`, `a"b`)
	f(`{}`, `{"model":"c\n"}`, "c\n")
	f(`null`, `{"model":12}`, "12")
	f(`{}`, `{"model":null}`, "")
	f(`{}`, `{}`, "")
	f(`{}`, `[1]`, "")
}

// ai-proxy.md sections 2.6, 3.2 and 3.3.
func TestShape(t *testing.T) {
	f := func(mark, config string, p Proto, body, want string) {
		t.Helper()
		in := compile(t, config)
		b, st := load(t, body), Shaping{}
		var out Body
		b.Fork(&out)
		in.Shape(&out, p, p, &st)
		if got := string(out.AppendTo(nil)); got != want || st.Changed != out.Changed() {
			t.Errorf("%s: %s %s:\n got %s\nwant %s (changed %v)", mark, config, body, got, want, st.Changed)
		}
		if b.Changed() {
			t.Errorf("%s: the client's body was edited", mark)
		}
	}
	chat := `{"messages":[], "max_tokens": 5}`
	f("T: ro 3a", `{"provider":"openai","auth":{},"options":{}}`, OpenAIChat, chat, chat)
	f("T: ro 4b", `{"provider":"openai","auth":{},"override":{"llm_options":{}}}`, OpenAIChat, chat, chat)
	f("options win", `{"provider":"openai","auth":{},"options":{"model":"m","temperature":0.50}}`, OpenAIChat,
		`{"model":"c","messages":[]}`, `{"model":"m","messages":[],"temperature":0.50}`)
	f("step 1 before 2", `{"provider":"openai","auth":{},"options":{"stream":true}}`, OpenAIChat, `{"messages":[]}`, `{"messages":[],"stream":true}`)
	f("stream", `{"provider":"openai","auth":{}}`, OpenAIChat, `{"messages":[],"stream":true}`, `{"messages":[],"stream":true,"stream_options":{"include_usage":true}}`)
	f("options over stream_options", `{"provider":"openai","auth":{},"options":{"stream_options":{}}}`, OpenAIChat, `{"messages":[],"stream":true}`, `{"messages":[],"stream":true,"stream_options":{}}`)

	llm := func(p string) string {
		return `{"provider":"` + p + `","auth":{},"override":{"llm_options":{"max_tokens":9}}}`
	}
	f("T: ro 8", llm("openai"), OpenAIChat, chat, `{"messages":[],"max_completion_tokens":9}`)
	f("T: ro 9", llm("openai-compatible"), OpenAIChat, chat, `{"messages":[], "max_tokens": 9}`)
	f("T: ro 10", llm("openai"), OpenAIResponses, `{"input":"x"}`, `{"input":"x","max_output_tokens":9}`)
	f("3.2", llm("openai-compatible"), OpenAIResponses, `{"input":"x"}`, `{"input":"x","max_output_tokens":9}`)
	f("3.2", llm("gemini"), OpenAIChat, chat, `{"messages":[], "max_tokens": 5,"max_completion_tokens":9}`)
	f("3.2", llm("anthropic"), AnthropicMessages, chat, `{"messages":[], "max_tokens": 9}`)
	for _, p := range []string{"azure-openai", "deepseek", "aimlapi", "openrouter", "anthropic"} {
		f("3.2", llm(p), OpenAIChat, chat, `{"messages":[], "max_tokens": 9}`)
	}
	f("no mapping", llm("openai"), OpenAIEmbeddings, `{"input":"x"}`, `{"input":"x"}`)
	f("no mapping", llm("openai"), Passthrough, `{"x":1}`, `{"x":1}`)

	f("T: ro 21", `{"provider":"openai-compatible","auth":{},"override":{"llm_options":{"max_tokens":9},"request_body":{"openai-chat":{"max_tokens":1}},"request_body_force_override":true}}`,
		OpenAIChat, chat, `{"messages":[], "max_tokens": 1}`)
	f("not forced", `{"provider":"openai-compatible","auth":{},"override":{"llm_options":{"max_tokens":9},"request_body":{"openai-chat":{"max_tokens":1}}}}`,
		OpenAIChat, chat, `{"messages":[], "max_tokens": 9}`)
	f("T: ro 16", `{"provider":"openai","auth":{},"override":{"request_body":{"anthropic-messages":{"a":1}}}}`, OpenAIChat, chat, chat)
	f("T: pt 8", `{"provider":"openai","auth":{},"options":{"model":"m"},"override":{"request_body":{"passthrough":{"n":{"x":1}}}}}`,
		Passthrough, `{"model":"c"}`, `{"model":"m","n":{"x":1}}`)
	f("3.3", `{"provider":"azure-openai","auth":{},"options":{"model":"m"}}`, OpenAIChat, `{"messages":[]}`, `{"messages":[]}`)
	f("3.3 last of all", `{"provider":"azure-openai","auth":{},"override":{"request_body":{"openai-chat":{"model":"m"}},"request_body_force_override":true}}`, OpenAIChat, `{"model":"c","messages":[]}`, `{"messages":[]}`)
}

// ai-proxy.md section 2.8.
func TestUpstream(t *testing.T) {
	f := func(endpoint string, tls bool, host string, port int, hostHeader, path, query string) {
		t.Helper()
		in := compile(t, `{"provider":"openai","auth":{},"override":{"endpoint":"`+endpoint+`"}}`)
		gotTLS, gotHost, gotPort, sni := in.Upstream(OpenAIChat)
		if gotTLS != tls || gotHost != host || gotPort != port || sni != host {
			t.Errorf("%s: %v %s %d %s", endpoint, gotTLS, gotHost, gotPort, sni)
		}
		head, _ := in.AppendHead(nil, &HeadInput{Target: OpenAIChat})
		want := "POST " + path + query + " HTTP/1.1\r\nhost: " + hostHeader + "\r\n"
		if !strings.HasPrefix(string(head), want) {
			t.Errorf("%s: %s", endpoint, head)
		}
	}
	const chat = "/v1/chat/completions"
	f("https://h", true, "h", 443, "h", chat, "")
	f("http://h", false, "h", 80, "h", chat, "")
	f("http://h:1", false, "h", 1, "h:1", chat, "")
	f("http://h:1/", false, "h", 1, "h:1", "/", "")
	f("http://h:80/x", false, "h", 80, "h", "/x", "")
	f("https://h:80/x", true, "h", 80, "h:80", "/x", "")
	f("http://h:/x", false, "h", 80, "h", "/x", "")
	f("https://h/a/b?api-version=1&x", true, "h", 443, "h", "/a/b", "?api-version=1&x")
	f("https://h?api-version=1", true, "h", 443, "h", chat, "?api-version=1")
	f("https://h/a b%20é#frag", true, "h", 443, "h", "/a%20b%20%C3%A9", "")
	f("http://[::1]:8080/x", false, "::1", 8080, "[::1]:8080", "/x", "")
	for _, bad := range []string{"h", "ftp://h", "https://", "https:///x", "http://:80", "http://u:p@h/", "http://h:0", "http://h:70000", "http://h:x", "http://h\n/", "http://[::1", "http://[::1]x"} {
		if _, err := parseEndpoint(bad); errText(err) != "invalid endpoint" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	in := compile(t, `{"provider":"openai-compatible","auth":{}}`)
	if _, host, _, _ := in.Upstream(OpenAIChat); host != "" {
		t.Error("a host out of nowhere")
	}
	if _, err := in.AppendHead(nil, &HeadInput{Target: OpenAIChat}); !errors.Is(err, ErrNoHost) {
		t.Error(err)
	}
	in = compile(t, `{"provider":"openai","auth":{}}`)
	if _, host, port, _ := in.Upstream(OpenAIChat); host != "api.openai.com" || port != 443 {
		t.Error(host, port)
	}
	if _, err := in.AppendHead(nil, &HeadInput{Target: AnthropicMessages}); !errors.Is(err, ErrNoPath) {
		t.Error(err)
	}
}

func TestPairs(t *testing.T) {
	var ps Pairs
	if err := json.Unmarshal([]byte(`{"z":"1","a":"\u0041","z":"2"}`), &ps); err != nil || len(ps) != 2 || ps[0] != (Pair{"z", "2"}) || ps[1] != (Pair{"a", "A"}) {
		t.Errorf("%v %v", ps, err)
	}
	if out, err := json.Marshal(ps); err != nil || string(out) != `{"z":"2","a":"A"}` {
		t.Errorf("%s %v", out, err)
	}
	if err := json.Unmarshal([]byte(`[]`), &ps); err == nil {
		t.Error("an array was taken")
	}
}
