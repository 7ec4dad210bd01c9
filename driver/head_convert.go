package driver

import (
	"bytes"
	"fmt"
)

// The head of a request that a converter has made one of OpenAI's (ai-proxy.md
// section 4.1.9): what only Anthropic's API reads is left out, and its key
// becomes a bearer token unless there is one. auth.header is treated like the
// client's own headers.

const keyHeader = "x-api-key"

// anthropicHeader tells the names that a provider of OpenAI's protocol does not get.
func anthropicHeader(lower []byte) bool {
	return string(lower) == keyHeader || hasPrefix(lower, "anthropic-") || hasPrefix(lower, "x-stainless-")
}

// toOpenAI tells whether rq's head is rewritten.
func (rq *HeadInput) toOpenAI() bool {
	return rq.Client == AnthropicMessages && rq.Target == OpenAIChat
}

// drops tells the headers of a client of OpenAI's that Bedrock does not get: they
// are about another API, and what it accepts is not what Bedrock answers.
func (rq *HeadInput) drops(lower []byte) bool {
	return rq.Client == OpenAIChat && rq.Target == BedrockConverse &&
		(string(lower) == "accept" || hasPrefix(lower, "openai-") || hasPrefix(lower, "x-stainless-"))
}

// compileOpenAI prepares what auth.header is in such a head.
func (in *Instance) compileOpenAI(lines Pairs) {
	for _, l := range lines {
		switch {
		case l.Name == keyHeader:
			in.apiKey = []byte(l.Value)
		case l.Name == authorization && in.gcp != nil: // the token takes its place
		case !anthropicHeader([]byte(l.Name)):
			in.openAI = fmt.Appendf(in.openAI, "%s: %s\r\n", l.Name, l.Value)
		}
	}
	in.openAI = append(in.openAI, contentLength...)
}

// appendOpenAI rewrites the lines of dst[from:], which are in normal form, and
// appends those of auth.header.
func (in *Instance) appendOpenAI(dst []byte, from int) []byte {
	key, bearer := in.apiKey, in.setsHeader([]byte(authorization))
	for rest := dst[from:]; len(rest) > 0; {
		var l line
		l, rest = nextLine(rest)
		switch string(l.name) {
		case keyHeader:
			if len(key) == 0 {
				key = l.value
			}
		case authorization:
			bearer = true
		}
	}
	end := len(dst)
	if len(key) > 0 && !bearer {
		dst = append(dst, authorization+": Bearer "...)
		dst = append(append(dst, key...), "\r\n"...)
	}
	kept := from
	for at := from; at < end; {
		n := bytes.IndexByte(dst[at:end], '\n') + 1
		if name := dst[at : at+bytes.IndexByte(dst[at:end], ':')]; !anthropicHeader(name) {
			kept += copy(dst[kept:], dst[at:at+n])
		}
		at += n
	}
	kept += copy(dst[kept:], dst[end:])
	return append(dst[:kept], in.openAI...)
}
