package driver

// chatToAnthropic lets OpenAI's chat clients reach Anthropic's Messages API
// where an instance asks for it (provider_conf.api). APISIX has no such
// conversion; docs/providers.md says what becomes of each field.
type chatToAnthropic struct{}

func (chatToAnthropic) Pair() (client, provider Proto) { return OpenAIChat, AnthropicMessages }

// AppendResponse implements Converter. Error objects become OpenAI's, whatever
// the status; what is neither one nor a message is passed on.
func (chatToAnthropic) AppendResponse(dst, body []byte, status int, st *ConvState) ([]byte, bool, error) {
	var m anthropicMessage
	m.read(document(body))
	if isFault(m.fault) {
		f := readFault(m.fault)
		return f.appendChat(dst, status), true, nil
	}
	if KindOf(m.content) != Array {
		return dst, false, nil
	}
	r := chatReply{id: m.id, model: m.model, content: m.content, read: readBlock, stop: m.stop}
	if KindOf(m.usage) == Object {
		r.usage = anthropicUsage(m.usage)
	}
	return r.appendTo(dst, st), true, nil
}

// anthropicMessage is what counts in an answer of Anthropic's, or in the
// beginning of a stream. All fields are JSON as it stands there.
type anthropicMessage struct{ id, model, content, stop, usage, fault []byte }

func (m *anthropicMessage) read(raw []byte) {
	for f := membersOf(raw); f.next(); {
		switch string(plainKey(f.key)) {
		case "id":
			m.id = f.val
		case "model":
			m.model = f.val
		case "content":
			m.content = f.val
		case "stop_reason":
			m.stop = f.val
		case "usage":
			m.usage = f.val
		case "error":
			m.fault = f.val
		}
	}
}
