package driver

import "headrace/sse"

// How providers of the chat protocol say that an answer failed, beside the
// object error of OpenAI's.

// fault is an error as OpenAI and Anthropic tell it. Its fields are JSON as it
// stands there, nil for what is not.
type fault struct{ kind, code, message []byte }

// readFault reads an error object; of some providers the error is a text.
func readFault(raw []byte) (f fault) {
	if KindOf(raw) == String {
		f.message = raw
	}
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "type":
			f.kind = m.val
		case "code":
			f.code = m.val
		case "message":
			f.message = m.val
		}
	}
	return f
}

// isFault tells whether a member named error reports one.
func isFault(raw []byte) bool { return KindOf(raw) == Object || nonEmptyString(raw) }

// unwrapped is data, or the first element of an array: Google's APIs put an
// error into one.
func unwrapped(data []byte) []byte {
	if len(data) > 0 && data[0] == '[' {
		return firstOf(document(data))
	}
	return data
}

// isBareFault tells whether doc is an error with nothing around it, as AI/ML API
// and older versions of vLLM send in place of an answer.
func isBareFault(doc []byte) bool { return KindOf(lookup(doc, "message")) == String }

// failure tells whether the provider gave the answer up half way: OpenRouter has
// an error in the choice, or nothing but the finish_reason "error"; DeepSeek
// runs out of resources.
func (c *chatChoice) failure() (f fault, failed bool) {
	if isFault(c.fault) {
		return readFault(c.fault), true
	}
	switch string(trimmed(c.finish)) {
	case "error":
		return notFinished, true
	case "insufficient_system_resource":
		return noResources, true
	}
	return fault{}, false
}

var (
	notFinished = fault{
		kind:    []byte(`"api_error"`),
		message: []byte(`"error: the provider did not finish its answer"`),
	}
	noResources = fault{
		kind:    []byte(`"overloaded_error"`),
		message: []byte(`"insufficient_system_resource: the provider did not finish its answer"`),
	}
)

// FaultField makes an event of a block without data that says what went wrong
// in a field of its own: llama.cpp named it error until late in 2025. Other
// blocks without data come back as they are.
func FaultField(ev sse.Event) sse.Event {
	const field = "error: "
	if ev.Data != nil || !hasPrefix(ev.Raw, field) {
		return ev
	}
	end := len(field)
	for end < len(ev.Raw) && ev.Raw[end] != '\n' && ev.Raw[end] != '\r' {
		end++
	}
	return sse.Event{Name: faultName, Data: ev.Raw[len(field):end], Raw: ev.Raw}
}

var faultName = []byte("error")
