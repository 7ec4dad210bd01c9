package driver

import (
	"strings"
	"testing"
)

// ai-proxy.md section 4.1.9.
func TestHeadConverted(t *testing.T) {
	const end = "content-type: application/json\r\ncontent-length: 7\r\n\r\n"
	f := func(mark, auth, headers, extra, want string) {
		t.Helper()
		in := compile(t, `{"provider":"openai","auth":{"header":`+auth+`}}`)
		rq := HeadInput{Client: AnthropicMessages, Target: OpenAIChat, Headers: []byte(headers), Extra: []byte(extra), ContentLength: 7}
		got, err := in.AppendHead([]byte("keep"), &rq)
		want = "keepPOST /v1/chat/completions HTTP/1.1\r\nhost: api.openai.com\r\n" + want
		if err != nil || string(got) != want+end {
			t.Errorf("%s: %v\n got %q\nwant %q", mark, err, got, want+end)
		}
		if n := testing.AllocsPerRun(10, func() { got, _ = in.AppendHead(got[:0], &rq) }); n != 0 && !underRace {
			t.Errorf("%s: %v allocations", mark, n)
		}
	}
	f("none", `{}`, "", "", "")
	f("T: an 27", `{}`, "X-Api-Key: k\r\nUser-Agent: u\r\n", "", "user-agent: u\r\nauthorization: Bearer k\r\n")
	f("T: an 28", `{}`, "X-Api-Key: k\r\nAuthorization: Bearer c\r\n", "", "authorization: Bearer c\r\n")
	f("4.1.9", `{"Authorization":"Bearer a"}`, "x-api-key: k\r\nAuthorization: Bearer c\r\nA: 1\r\n", "", "a: 1\r\nauthorization: Bearer a\r\n")
	f("after auth", `{"X-Api-Key":"a","B":"2"}`, "X-Api-Key: k\r\nA: 1\r\n", "", "a: 1\r\nauthorization: Bearer a\r\nb: 2\r\n")
	f("after auth", `{"X-Api-Key":"a"}`, "Authorization: Bearer c\r\n", "", "authorization: Bearer c\r\n")
	f("empty key", `{}`, "X-Api-Key:\r\nA: 1\r\n", "", "a: 1\r\n")
	f("dropped", `{"Anthropic-Beta":"b","X-Stainless-X":"x"}`, "Anthropic-Version: 2023-06-01\r\nanthropic-beta: x\r\nX-Stainless-Lang: js\r\nAnthropicx: 1\r\nX-Stainles: 2\r\nanthropic-: 3\r\n", "anthropic-dangerous: 1\r\nX-Id: 4\r\n",
		"anthropicx: 1\r\nx-stainles: 2\r\nx-id: 4\r\n")
	f("of a plugin", `{}`, "X-Api-Key: k\r\n", "x-api-key: p\r\n", "authorization: Bearer p\r\n")
	f("hop by hop", `{}`, "Connection: x-api-key\r\nX-Api-Key: k\r\n", "", "")
	f("folded", `{}`, "X-Api-Key: k\r\n l\r\nA: 1:2\r\n", "", "a: 1:2\r\nauthorization: Bearer k   l\r\n")

	// Nothing of this where no converter is at work.
	in := compile(t, `{"provider":"anthropic","auth":{"header":{"x-api-key":"a","anthropic-version":"1"}}}`)
	const kept = "anthropic-beta: b\r\nx-stainless-os: l\r\nx-api-key: a\r\nanthropic-version: 1\r\n" + end
	for client, target := range map[Proto]Proto{AnthropicMessages: AnthropicMessages, OpenAIChat: OpenAIChat} {
		got, _ := in.AppendHead(nil, &HeadInput{Client: client, Target: target, Headers: []byte("Anthropic-Beta: b\r\nX-Stainless-OS: l\r\nX-Api-Key: k\r\n"), ContentLength: 7})
		if want := "POST " + in.Path(target) + " HTTP/1.1\r\nhost: api.anthropic.com\r\n" + kept; string(got) != want {
			t.Errorf("got %q\nwant %q", got, want)
		}
	}
}

// OpenAI's head for Anthropic's API.
func TestHeadToAnthropic(t *testing.T) {
	const version = "anthropic-version: 2023-06-01\r\n"
	f := func(auth, headers, extra, want string) {
		t.Helper()
		in := compile(t, `{"provider":"anthropic","provider_conf":{"api":"native"},"auth":`+auth+`}`)
		rq := HeadInput{Client: OpenAIChat, Target: AnthropicMessages, Headers: []byte(headers), Extra: []byte(extra), ContentLength: 7, Bearer: []byte("gcp")}
		got, err := in.AppendHead([]byte("keep"), &rq)
		want = "keepPOST /v1/messages HTTP/1.1\r\nhost: api.anthropic.com\r\n" + want + "content-type: application/json\r\ncontent-length: 7\r\n\r\n"
		if err != nil || string(got) != want {
			t.Errorf("%s %q: %v\n got %q\nwant %q", auth, headers, err, got, want)
		}
		if n := testing.AllocsPerRun(10, func() { got, _ = in.AppendHead(got[:0], &rq) }); n != 0 && !underRace {
			t.Errorf("%s %q: %v allocations", auth, headers, n)
		}
	}
	const none = `{}`
	header := func(members string) string { return `{"header":{` + members + `}}` }
	f(none, "", "", version)
	f(none, "Authorization: Bearer k\r\nUser-Agent: u\r\n", "", "user-agent: u\r\nx-api-key: k\r\n"+version)
	f(none, "authorization: bEARER  k \r\n", "", "x-api-key: k\r\n"+version)
	f(none, "X-Api-Key: a\r\nAuthorization: Bearer k\r\n", "", "x-api-key: a\r\n"+version)
	f(none, "X-Api-Key:\r\nAuthorization: Bearer k\r\n", "", "x-api-key: k\r\n"+version)
	f(none, "X-Api-Key: a\r\n", "", "x-api-key: a\r\n"+version)
	f(none, "Authorization: Bearer sk-ant-oat01-x\r\n", "", "authorization: Bearer sk-ant-oat01-x\r\n"+version)
	f(none, "Authorization: Basic eA==\r\n", "", "authorization: Basic eA==\r\n"+version)
	f(none, "Authorization: Bearer \r\n", "", "authorization: Bearer\r\n"+version)
	f(none, "Authorization: Bearer k\r\n", "authorization: Bearer p\r\n", "x-api-key: p\r\n"+version)

	// The route's credentials stand for the client's, whatever those are.
	f(header(`"X-Api-Key":"a"`), "Authorization: Bearer k\r\nX-Api-Key: c\r\nA: 1\r\n", "", "a: 1\r\n"+version+"x-api-key: a\r\n")
	f(header(`"x-api-key":"a"`), "Authorization: Bearer sk-ant-oat01-x\r\n", "", version+"x-api-key: a\r\n")
	f(header(`"Authorization":"Bearer a"`), "Authorization: Bearer k\r\nX-Api-Key: c\r\n", "", version+"x-api-key: a\r\n")
	f(header(`"Authorization":"Bearer sk-ant-oat01-a"`), "Authorization: Bearer k\r\nX-Api-Key: c\r\n", "", version+"authorization: Bearer sk-ant-oat01-a\r\n")
	f(header(`"Authorization":"Basic eA=="`), "X-Api-Key: c\r\n", "", version+"authorization: Basic eA==\r\n")
	f(header(`"Authorization":"Bearer b","x-api-key":"a"`), "", "", version+"authorization: Bearer b\r\nx-api-key: a\r\n")
	f(`{"header":{"Authorization":"Bearer a"},"gcp":{}}`, "Authorization: Bearer k\r\nX-Api-Key: c\r\n", "", "authorization: Bearer gcp\r\n"+version)

	f(none, "Anthropic-Version: 2024-01-01\r\nAnthropic-Beta: b\r\n", "", "anthropic-version: 2024-01-01\r\nanthropic-beta: b\r\n")
	f(header(`"Anthropic-Version":"v"`), "Anthropic-Version: 2024-01-01\r\n", "", "anthropic-version: v\r\n")
	f(header(`"OpenAI-Beta":"b","X-Stainless-X":"x","B":"2"`), "OpenAI-Organization: o\r\nopenai-project: p\r\nX-Stainless-Lang: js\r\nOpenAIx: 1\r\n", "openai-x: 1\r\nX-Id: 4\r\n",
		"openaix: 1\r\nx-id: 4\r\n"+version+"b: 2\r\n")

	// Nothing of this on Anthropic's layer of OpenAI's protocol.
	in := compile(t, `{"provider":"anthropic","auth":{}}`)
	got, _ := in.AppendHead(nil, &HeadInput{Client: OpenAIChat, Target: OpenAIChat, Headers: []byte("Authorization: Bearer k\r\nOpenAI-Beta: b\r\n"), ContentLength: 7})
	if want := "POST /v1/chat/completions HTTP/1.1\r\nhost: api.anthropic.com\r\nauthorization: Bearer k\r\nopenai-beta: b\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n"; string(got) != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// Bedrock gets what a client of OpenAI's says but for what is about OpenAI's API.
func TestHeadConverse(t *testing.T) {
	in := compile(t, bedrockConfig+`}`)
	f := func(client Proto, want string) {
		t.Helper()
		const headers = "Accept: application/json\r\nOpenAI-Organization: o\r\nX-Stainless-Lang: js\r\nUser-Agent: u\r\nOpenAI: 1\r\n"
		got, err := in.AppendHead(nil, &HeadInput{Client: client, Target: BedrockConverse, Headers: []byte(headers), Model: []byte("m"), Stream: true, ContentLength: 7})
		_, lines, _ := strings.Cut(string(got), "\r\n")
		_, lines, _ = strings.Cut(lines, "\r\n") // the host
		if lines, _, _ = strings.Cut(lines, "content-type"); err != nil || lines != want {
			t.Errorf("%v: got %q\nwant %q", err, lines, want)
		}
	}
	f(OpenAIChat, "user-agent: u\r\nopenai: 1\r\n")
	f(BedrockConverse, "accept: application/json\r\nopenai-organization: o\r\nx-stainless-lang: js\r\nuser-agent: u\r\nopenai: 1\r\n")
}
