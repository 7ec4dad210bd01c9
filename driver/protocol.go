package driver

import (
	"strconv"

	"headrace/sse"
)

// Proto names a protocol that clients and providers speak. The zero value
// means that none was recognised.
type Proto uint8

// The protocols. VertexPredict is spoken by providers only.
const (
	Unknown Proto = iota
	BedrockConverse
	AnthropicMessages
	OpenAIResponses
	OpenAIChat
	OpenAIEmbeddings
	Passthrough
	VertexPredict

	protoCount
)

var protoNames = [protoCount]string{
	BedrockConverse:   "bedrock-converse",
	AnthropicMessages: "anthropic-messages",
	OpenAIResponses:   "openai-responses",
	OpenAIChat:        "openai-chat",
	OpenAIEmbeddings:  "openai-embeddings",
	Passthrough:       "passthrough",
	VertexPredict:     "vertex-predict",
}

// String gives the name that configuration and error texts use, empty for Unknown.
func (p Proto) String() string {
	if p >= protoCount {
		return ""
	}
	return protoNames[p]
}

// ParseProto is the reverse of String; Unknown if there is no such name.
func ParseProto(name string) Proto {
	for p := Unknown + 1; p < protoCount; p++ {
		if protoNames[p] == name {
			return p
		}
	}
	return Unknown
}

// Codes of the error event that ends a broken stream (ai-proxy.md section 5.5).
const (
	CodeTruncated = "upstream_stream_truncated"
	CodeTimeout   = "upstream_stream_timeout"
)

// Shaping is what Shape found out on the way. The zero value is ready.
type Shaping struct {
	// Changed says that the body no longer is the client's own bytes.
	Changed bool
	// ClientUsage says that the client of a streaming chat had asked for
	// include_usage itself; otherwise the usage chunk is the gateway's own
	// doing and may be hidden.
	ClientUsage bool
}

// Protocol is what the gateway knows about one protocol. Implementations hold
// no state: all methods may be called concurrently, on bodies and captures
// that belong to the caller.
type Protocol interface {
	// Match tells whether a request is in this protocol (2.3); path is
	// decoded and without its query.
	Match(path []byte, b *Body) bool
	// Streaming tells whether the client asked for a stream; path is as for Match.
	Streaming(path []byte, b *Body) bool
	// Prepare edits a body that is about to go to a provider speaking this
	// protocol (2.6 step 1) and tells whether it did.
	Prepare(b *Body, st *Shaping) bool
	// Event reads one event of an answer. It takes any bytes and does not allocate.
	// After the first Content mark later ones are reported only as far as
	// they cost nothing, unless the capture wants text.
	Event(c *Capture, ev sse.Event) sse.Mark
	// Response reads a whole answer; anything but the expected JSON is ignored.
	Response(c *Capture, body []byte)
	// AppendFault appends the event that says why a stream breaks off (5.5),
	// nothing where the protocol has none.
	AppendFault(dst []byte, code, message string) []byte
	// LogMessages returns what payload logs show as messages (7.2), nil for nothing.
	LogMessages(b *Body) []byte
	// EndUser returns llm_end_user_id (7.1), nil for none.
	EndUser(b *Body) []byte
	// ToolCount returns llm_tool_count (7.1).
	ToolCount(b *Body) int
}

var protocols = [protoCount]Protocol{
	Unknown:           passthrough{},
	BedrockConverse:   bedrockConverse{},
	AnthropicMessages: anthropicMessages{},
	OpenAIResponses:   openaiResponses{},
	OpenAIChat:        openaiChat{},
	OpenAIEmbeddings:  openaiEmbeddings{},
	Passthrough:       passthrough{},
	VertexPredict:     vertexPredict{},
}

// Of returns the protocol that p names. Unknown behaves like passthrough, and so
// does VertexPredict, which no client speaks, but for the usage in its answers.
func Of(p Proto) Protocol {
	if p >= protoCount {
		p = Unknown
	}
	return protocols[p]
}

// base is what most protocols have in common.
type base struct{}

func (base) Streaming(_ []byte, b *Body) bool           { return b.IsTrue("stream") }
func (base) Prepare(*Body, *Shaping) bool               { return false }
func (base) Event(*Capture, sse.Event) sse.Mark         { return 0 }
func (base) Response(*Capture, []byte)                  {}
func (base) AppendFault(dst []byte, _, _ string) []byte { return dst }
func (base) LogMessages(*Body) []byte                   { return nil }
func (base) EndUser(*Body) []byte                       { return nil }
func (base) ToolCount(b *Body) int                      { return countElements(b, "tools") }

func countElements(b *Body, key string) (n int) {
	raw, _ := b.Get(key)
	for e := elementsOf(raw); e.next(); {
		n++
	}
	return n
}

func rawOf(b *Body, key string) []byte {
	raw, _ := b.Get(key)
	return raw
}

// stringIn returns the text of a string member of the object raw.
func stringIn(raw []byte, key string) []byte {
	s := lookup(raw, key)
	if KindOf(s) != String {
		return nil
	}
	s, _ = unquoted(s, nil)
	return s
}

// openaiUser is the end user of chat and Responses requests.
func openaiUser(b *Body) []byte {
	if s, ok := b.GetString("safety_identifier"); ok {
		return s
	}
	s, _ := b.GetString("user")
	return s
}

// appendOpenAIFault is the error event of OpenAI-like streams.
func appendOpenAIFault(dst []byte, code, message string) []byte {
	dst = append(dst, `data: {"error":{"message":`...)
	dst = AppendString(dst, []byte(message))
	dst = append(dst, `,"type":"upstream_error","code":`...)
	dst = AppendString(dst, []byte(code))
	return append(dst, "}}\n\n"...)
}

// integer reads a count out of a JSON number; anything else and negative
// numbers are 0.
func integer(raw []byte) (n int64) {
	for _, c := range raw {
		if c -= '0'; c > 9 || n > 1<<58 {
			// Some providers write 12.0 or 1e3.
			f, err := strconv.ParseFloat(string(raw), 64)
			if err != nil || !(f >= 0 && f < 1<<62) {
				return 0
			}
			return int64(f)
		}
		n = n*10 + int64(c)
	}
	return n
}
