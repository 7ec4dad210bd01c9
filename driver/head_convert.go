package driver

import (
	"bytes"
	"fmt"
)

// The head of a request that a converter has made one of the other's
// protocol: OpenAI's for a client of Anthropic's (ai-proxy.md section 4.1.9) or
// the other way round. What only the client's own provider reads is left out,
// and the key is told in the way of the one that gets it.

const (
	keyHeader     = "x-api-key"
	versionHeader = "anthropic-version"

	// anthropicVersion is the version of Anthropic's API that converters write.
	anthropicVersion = versionHeader + ": 2023-06-01\r\n"

	// oauthToken begins the tokens of Anthropic's that are no keys.
	oauthToken = "sk-ant-oat"
)

// anthropicHeader tells the names that a provider of OpenAI's protocol does not get.
func anthropicHeader(lower []byte) bool {
	return string(lower) == keyHeader || hasPrefix(lower, "anthropic-") || hasPrefix(lower, "x-stainless-")
}

// openAIHeader tells the names that a provider of Anthropic's protocol does not get.
func openAIHeader(lower []byte) bool {
	return hasPrefix(lower, "openai-") || hasPrefix(lower, "x-stainless-")
}

// credentialHeader is for a client none of whose credentials are passed on.
func credentialHeader(lower []byte) bool {
	return openAIHeader(lower) || string(lower) == keyHeader || string(lower) == authorization
}

// bearerHeader is for a client that has a key, and a bearer token beside it.
func bearerHeader(lower []byte) bool {
	return openAIHeader(lower) || string(lower) == authorization
}

// bearerKey returns the key that the value of an Authorization header holds,
// nothing if it holds something else.
func bearerKey(value []byte) []byte {
	const scheme = "bearer "
	if len(value) <= len(scheme) || !equalLower(value[:len(scheme)], []byte(scheme)) {
		return nil
	}
	if key := trim(value[len(scheme):]); !hasPrefix(key, oauthToken) {
		return key
	}
	return nil
}

// toOpenAI tells whether rq's head is made one of OpenAI's.
func (rq *HeadInput) toOpenAI() bool {
	return rq.Client == AnthropicMessages && rq.Target == OpenAIChat
}

// toAnthropic tells whether rq's head is made one of Anthropic's.
func (rq *HeadInput) toAnthropic() bool {
	return rq.Client == OpenAIChat && rq.Target == AnthropicMessages
}

// drops tells the headers of a client of OpenAI's that Bedrock does not get: they
// are about another API, and what it accepts is not what Bedrock answers.
func (rq *HeadInput) drops(lower []byte) bool {
	return rq.Client == OpenAIChat && rq.Target == BedrockConverse &&
		(string(lower) == "accept" || hasPrefix(lower, "openai-") || hasPrefix(lower, "x-stainless-"))
}

// compileOpenAI prepares what auth.header is in a head of OpenAI's; there it
// is treated like the client's own headers.
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

// compileAnthropic prepares what auth.header is in a head of Anthropic's. A
// key in it stands before a bearer token in it.
func (in *Instance) compileAnthropic(lines Pairs) {
	for _, l := range lines {
		key := bearerKey([]byte(l.Value))
		switch {
		case l.Name == authorization && in.gcp != nil: // the token takes its place
		case l.Name == authorization && key != nil && lines.index(keyHeader) < 0:
			in.anthropic = fmt.Appendf(in.anthropic, keyHeader+": %s\r\n", key)
		case !openAIHeader([]byte(l.Name)):
			in.anthropic = fmt.Appendf(in.anthropic, "%s: %s\r\n", l.Name, l.Value)
		}
	}
	in.keyed = in.gcp != nil || lines.index(keyHeader) >= 0 || lines.index(authorization) >= 0
	in.anthropic = append(in.anthropic, contentLength...)
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
	return append(withoutLines(dst, from, end, anthropicHeader), in.openAI...)
}

// appendAnthropic is appendOpenAI the other way round. The instance's
// credentials stand before the client's, and the client's key before its
// bearer token. What follows dst[:end] is the instance's own.
func (in *Instance) appendAnthropic(dst []byte, from, end int) []byte {
	var token []byte
	key, version := false, in.setsHeader([]byte(versionHeader))
	for rest := dst[from:end]; len(rest) > 0; {
		var l line
		l, rest = nextLine(rest)
		switch string(l.name) {
		case keyHeader:
			key = len(l.value) > 0
		case authorization:
			token = bearerKey(l.value)
		case versionHeader:
			version = true
		}
	}
	drop := openAIHeader
	switch {
	case in.keyed:
		drop = credentialHeader
	case token != nil && key:
		drop = bearerHeader
	case token != nil:
		drop = credentialHeader // a key without a value too
		dst = append(append(append(dst, keyHeader+": "...), token...), "\r\n"...)
	}
	if !version {
		dst = append(dst, anthropicVersion...)
	}
	return append(withoutLines(dst, from, end, drop), in.anthropic...)
}

// withoutLines takes the lines that drop names out of dst[from:end].
func withoutLines(dst []byte, from, end int, drop func(lower []byte) bool) []byte {
	kept := from
	for at := from; at < end; {
		n := bytes.IndexByte(dst[at:end], '\n') + 1
		if name := dst[at : at+bytes.IndexByte(dst[at:end], ':')]; !drop(name) {
			kept += copy(dst[kept:], dst[at:at+n])
		}
		at += n
	}
	kept += copy(dst[kept:], dst[end:])
	return dst[:kept]
}
