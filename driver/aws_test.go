package driver

import (
	"strings"
	"testing"
)

const bedrockConfig = `{"provider":"bedrock","provider_conf":{"region":"eu-west-1"},"auth":{"aws":{"access_key_id":"a","secret_access_key":"b"}}`

// ai-proxy.md sections 2.8 and 3.5.
func TestBedrockPath(t *testing.T) {
	f := func(mark, more, model string, stream bool, want string) {
		t.Helper()
		in := compile(t, bedrockConfig+more+`}`)
		head, err := in.AppendHead(nil, &HeadInput{Client: BedrockConverse, Target: BedrockConverse, Model: []byte(model), Stream: stream})
		if got, _, _ := strings.Cut(string(head), "\r\ncontent-"); got != want && errText(err) != want {
			t.Errorf("%s: %v, %q, want %q", mark, err, got, want)
		}
	}
	const (
		host = " HTTP/1.1\r\nhost: bedrock-runtime.eu-west-1.amazonaws.com"
		own  = " HTTP/1.1\r\nhost: h"
	)
	f("plain", "", "m", false, "POST /model/m/converse"+host)
	f("T: br 17", "", "m", true, "POST /model/m/converse-stream"+host)
	f("T: br 14", "", "anthropic.claude-v2:0", false, "POST /model/anthropic.claude-v2%3A0/converse"+host)
	f("T: br 9", "", "arn:aws:bedrock:r:1:inference-profile/x", true, "POST /model/arn%3Aaws%3Abedrock%3Ar%3A1%3Ainference-profile%2Fx/converse-stream"+host)
	f("all but unreserved", "", "aZ09-._~@+ =&%é", false, "POST /model/aZ09-._~%40%2B%20%3D%26%25%C3%A9/converse"+host)
	f("T: br 15", "", "", true, ErrNoPath.Error())
	f("dots", "", "..", false, ErrNoPath.Error())
	f("one dot", "", ".", false, ErrNoPath.Error())
	f("three dots", "", "...", false, "POST /model/.../converse"+host)
	f("endpoint", `,"override":{"endpoint":"http://h"}`, "m", true, "POST /model/m/converse-stream"+own)
	f("its query", `,"override":{"endpoint":"http://h?a=b"}`, "m", true, "POST /model/m/converse-stream?a=b"+own)
	f("its path", `,"override":{"endpoint":"http://h/x/converse"}`, "m", true, "POST /x/converse"+own)
	f("its path, without a model", `,"override":{"endpoint":"http://h/x/converse"}`, "", false, "POST /x/converse"+own)
	f("a template's path", `,"override":{"endpoint":"http://h/model/{model}/converse"}`, "", true, "POST /model/%7Bmodel%7D/converse"+own)
	in := compile(t, bedrockConfig+`}`)
	if _, err := in.AppendHead(nil, &HeadInput{Client: Passthrough, Target: Passthrough}); err != ErrNoHost {
		t.Error(err)
	}
	if _, host, port, _ := in.Upstream(BedrockConverse); host != "bedrock-runtime.eu-west-1.amazonaws.com" || port != 443 {
		t.Error(host, port)
	}
}

func TestBedrockShape(t *testing.T) {
	f := func(mark, more, body, want string) {
		t.Helper()
		in := compile(t, bedrockConfig+more+`}`)
		out := load(t, body)
		var st Shaping
		in.Shape(out, BedrockConverse, BedrockConverse, &st)
		if got := string(out.AppendTo(nil)); got != want || st.Changed != (got != body) {
			t.Errorf("%s: %s, changed %v, want %s", mark, got, st.Changed, want)
		}
	}
	f("as it is", "", `{ "messages": [] }`, `{ "messages": [] }`)
	f("stream and model", "", `{"model":"m","messages":[],"stream":true}`, `{"messages":[]}`)
	f("options", `,"options":{"model":"x","stream":true,"system":[]}`, `{"messages":[]}`, `{"messages":[],"system":[]}`)
	f("only stream", `,"options":{"stream":true}`, `{"messages":[]}`, `{"messages":[]}`)
	const limit = `,"override":{"llm_options":{"max_tokens":5},"request_body":{"bedrock-converse":{"inferenceConfig":{"topP":1}}}}`
	f("limit", limit, `{"messages":[]}`, `{"messages":[],"inferenceConfig":{"maxTokens":5,"topP":1}}`)
	f("limit is forced", limit, `{"inferenceConfig":{"temperature":1.0,"maxTokens":9},"messages":[]}`, `{"inferenceConfig":{"temperature":1.0,"maxTokens":5,"topP":1},"messages":[]}`)
	f("limit over null", limit, `{"messages":[],"inferenceConfig":null}`, `{"messages":[],"inferenceConfig":{"maxTokens":5,"topP":1}}`)
	f("limit over options", `,"options":{"inferenceConfig":{"maxTokens":1}}`+limit, `{"messages":[]}`, `{"messages":[],"inferenceConfig":{"maxTokens":5,"topP":1}}`)
	if _, refuse := compile(t, bedrockConfig+`}`).Route(AnthropicMessages); refuse != "provider bedrock does not support anthropic-messages protocol (supported: bedrock-converse)" { // T: br 7
		t.Error(refuse)
	}
}

func TestPathModel(t *testing.T) {
	f := func(p Proto, path, want string) {
		t.Helper()
		if got := string(PathModel(p, []byte(path))); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	f(BedrockConverse, "/model/m:0/converse", "m:0")
	f(BedrockConverse, "/aws/model/m/converse-stream", "m")
	f(BedrockConverse, "/model/arn:aws:bedrock:r:1:provisioned-model/x/converse", "arn:aws:bedrock:r:1:provisioned-model/x")
	f(BedrockConverse, "/model//converse", "")
	f(BedrockConverse, "/model/converse", "")
	f(BedrockConverse, "/converse", "")
	f(BedrockConverse, "", "")
	f(OpenAIChat, "/model/m/converse", "")
}

func TestBedrockStreaming(t *testing.T) {
	f := func(path, body string, want bool) {
		t.Helper()
		b := load(t, body)
		if p := Detect([]byte(path), b); p != BedrockConverse || Of(p).Streaming([]byte(path), b) != want {
			t.Errorf("%s %s: %s", path, body, p)
		}
	}
	f("/model/m/converse", `{"messages":[]}`, false)
	f("/model/m/converse", `{"messages":[],"stream":true}`, true)
	f("/model/m/converse-stream", `{"messages":[]}`, true)
	f("/x/converse-stream", `{"messages":[],"stream":false}`, true)
}

func TestAWS(t *testing.T) {
	f := func(conf, keys string, want AWS, broken string) {
		t.Helper()
		in := compile(t, `{"provider":"bedrock","provider_conf":{"region":"`+conf+`"},"auth":{"aws":{`+keys+`}}}`)
		if errText(in.Broken) != broken || broken == "" && *in.AWS() != want {
			t.Errorf("%s %s: %+v, %v", conf, keys, in.AWS(), in.Broken)
		}
	}
	f("r", `"access_key_id":"a","secret_access_key":"b","session_token":"c"`, AWS{"a", "b", "c", "r"}, "")
	f("$env://KEY", `"access_key_id":"$secret://vault/1/a","secret_access_key":"$env://key"`, AWS{"vaulted", "s3cret", "", "s3cret"}, "")
	f("r", `"access_key_id":"a","secret_access_key":"$env://GONE"`, AWS{}, `cannot use reference "$env://GONE" of auth.aws.secret_access_key: not set`)
	f("r", `"access_key_id":"$env://lines","secret_access_key":"b"`, AWS{}, `cannot use reference "$env://lines" of auth.aws.access_key_id: the value contains a control character`)
	f("$env://lines", `"access_key_id":"a","secret_access_key":"b"`, AWS{}, `cannot use reference "$env://lines" of provider_conf.region: not a region`)
	g := func(raw, want string) {
		t.Helper()
		cfg, err := ParseConfig([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := CompileInstance("one", cfg, secrets); errText(err) != want {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
	g(`{"provider":"bedrock","provider_conf":{"region":"r"},"auth":{"aws":{"access_key_id":"a\n"}}}`, "auth.aws.access_key_id: the value contains a control character")
	g(`{"provider":"bedrock","provider_conf":{"region":"r/../x"},"auth":{"aws":{}}}`, "provider_conf.region: not a region")
	g(`{"provider":"bedrock","auth":{"aws":{}}}`, "bedrock requires provider_conf.region") // T: br 5
	g(`{"provider":"bedrock","auth":{},"provider_conf":{"region":"r"}}`, "bedrock requires auth.aws")
	if in := compile(t, `{"provider":"openai","auth":{"aws":{"access_key_id":"a","secret_access_key":"b"}}}`); in.AWS() != nil {
		t.Error("signatures for a provider that wants none")
	}
}
