package driver

import "headrace/sse"

// How providers of the chat protocol say that an answer failed, beside the
// object error of OpenAI's.

// unwrapped is data, or the first element of an array: Google's APIs put an
// error into one.
func unwrapped(data []byte) []byte {
	if len(data) > 0 && data[0] == '[' {
		return firstOf(document(data))
	}
	return data
}

// bareFault is an error with nothing around it, as AI/ML API and older versions
// of vLLM send in place of an answer, nil if doc is none.
func bareFault(doc []byte) []byte {
	for m := membersOf(doc); m.next(); {
		if string(plainKey(m.key)) == "message" && KindOf(m.val) == String {
			return doc
		}
	}
	return nil
}

// failed tells whether the provider gave the answer up half way: OpenRouter has
// an error in the choice, or nothing but the finish_reason "error"; DeepSeek
// runs out of resources.
func (c *chatChoice) failed() bool {
	if KindOf(c.fault) == Object || nonEmptyString(c.fault) {
		return true
	}
	switch string(trimmed(c.finish)) {
	case "error", lackOfResources:
		return true
	}
	return false
}

const lackOfResources = "insufficient_system_resource"

// appendFault appends Anthropic's error object for a choice that failed.
func (c *chatChoice) appendFault(dst []byte) []byte {
	if KindOf(c.fault) == Object || nonEmptyString(c.fault) {
		return appendFaultBody(dst, c.fault)
	}
	kind, reason := "api_error", "error"
	if string(trimmed(c.finish)) == lackOfResources {
		kind, reason = "overloaded_error", lackOfResources
	}
	dst = append(append(dst, `{"type":"error","error":{"type":"`...), kind...)
	dst = append(append(dst, `","message":"`...), reason...)
	return append(dst, `: the provider did not finish its answer"}}`...)
}

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
