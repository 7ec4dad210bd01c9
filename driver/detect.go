package driver

import "bytes"

// detectionOrder is the order of ai-proxy.md section 2.3; the first match wins.
var detectionOrder = [...]Proto{
	BedrockConverse, AnthropicMessages, OpenAIResponses, OpenAIChat, OpenAIEmbeddings, Passthrough,
}

// Detect finds the protocol of a client's request. path is decoded and without
// its query. Unknown means the answer 400 NoProtocol.
func Detect(path []byte, b *Body) Proto {
	for _, p := range detectionOrder {
		if protocols[p].Match(path, b) {
			return p
		}
	}
	return Unknown
}

// NoProtocol is the text of the 400 for a body in no known protocol.
const NoProtocol = "no matching AI protocol for the request"

func endsWith(path []byte, suffix string) bool { return bytes.HasSuffix(path, []byte(suffix)) }

// hasList tells whether a member is an array, or an object: to APISIX the two
// are the same kind of table.
func hasList(b *Body, key string) bool {
	raw, _ := b.Get(key)
	k := KindOf(raw)
	return k == Array || k == Object
}

func has(b *Body, key string) bool {
	_, ok := b.Get(key)
	return ok
}
