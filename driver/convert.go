package driver

import (
	"bytes"
	"errors"
	"time"

	"headrace/sse"
)

// Converter lets a client of one protocol reach a provider of another
// (ai-proxy.md section 4). Implementations hold no state: everything that
// belongs to one exchange is in a ConvState, so one converter serves any number
// of requests at once.
//
// A converter reads what strangers send. It answers hostile JSON with an
// error, never with a panic, and holds no event of a stream back.
type Converter interface {
	// Pair is what the converter converts between.
	Pair() (client, provider Proto)
	// Request appends the provider's request body for the client's. The
	// error's text is the error_msg of a 400; nothing is appended then. src
	// may be read until the answer is complete.
	Request(dst []byte, src *Body, st *ConvState) ([]byte, error)
	// AppendResponse appends the client's answer for a provider's whole
	// answer. The error's text is the body of a 500. status is the
	// provider's; a body that the protocol does not know is passed on as it
	// is (ok false, nothing appended).
	AppendResponse(dst, body []byte, status int, st *ConvState) (out []byte, ok bool, err error)
	// AppendEvent appends the client's events for one of the provider's.
	// What is appended is whole events.
	AppendEvent(dst []byte, ev sse.Event, st *ConvState) []byte
	// AppendEnd appends what is still owed at the end of the stream; clean
	// says that the provider ended it as it should.
	AppendEnd(dst []byte, clean bool, st *ConvState) []byte
}

// Faulter is a Converter that makes the event itself which ends a broken stream,
// where Protocol.AppendFault cannot know all of it.
type Faulter interface {
	Converter
	// AppendFault is Protocol.AppendFault for a stream that is not Ended.
	AppendFault(dst []byte, code, message string, st *ConvState) []byte
}

// ConvState is what a converter remembers of one exchange. The zero value is
// ready; it is reused by Reset and belongs to one goroutine.
type ConvState struct {
	// Model is llm_model and RequestModel what the client asked for; set by
	// the caller before Request. They are read until the answer is complete.
	Model, RequestModel []byte
	// ID and Start are the request's own, for answers that need an id and a
	// time where the provider gives none.
	ID    []byte
	Start time.Time
	// ErrorClass is the value of ErrorHeader, nil if there is none; set before
	// AppendResponse.
	ErrorClass []byte

	names      toolNames // names that the provider was given for tools
	toMessages messageStream
	toResponse responseStream
	chunks     chatChunks
}

// Reset makes st ready for another exchange and keeps its memory.
func (st *ConvState) Reset() {
	st.Model, st.RequestModel, st.ID, st.Start, st.ErrorClass = nil, nil, nil, time.Time{}, nil
	st.names.reset()
	st.toMessages.reset()
	st.toResponse.reset()
	st.chunks.reset()
}

// Ended tells whether the client has got the end of its stream, message or
// error: nothing may be added any more, whatever the provider does next.
func (st *ConvState) Ended() bool {
	return st.toMessages.stopped || st.toResponse.stopped || st.chunks.ended
}

// converters are tried in this order where a provider does not speak the
// client's protocol itself. Those of APISIX come first; the others are ours
// and not used under headrace.compat: strict.
var converters = [...]struct {
	Converter
	ours bool
}{
	{anthropicToChat{}, false},
	{embeddingsToPredict{}, false},
	{responsesToChat{}, true},
	{chatToAnthropic{}, true},
	{chatToConverse{}, true},
}

// converterFor returns the converter from client to one of the protocols that
// speaks accepts, nil if there is none.
func converterFor(client Proto, speaks func(Proto) bool, strict bool) Converter {
	for _, c := range converters {
		if from, to := c.Pair(); from == client && speaks(to) && !(strict && c.ours) {
			return c.Converter
		}
	}
	return nil
}

// IsExtension tells whether c is a conversion that APISIX does not have. Such a
// one restates every error of the provider; APISIX's leave those alone that
// another instance might have been asked for (5.2).
func IsExtension(c Converter) bool {
	for i := range converters {
		if converters[i].Converter == c {
			return converters[i].ours
		}
	}
	return false
}

// AppendRefusal appends the body of the 400 for an error of c.Request. The
// clients of our own conversions show their users the message of OpenAI's error
// object and nothing else, so theirs has both.
func AppendRefusal(dst []byte, c Converter, err error) []byte {
	text := AppendString(nil, []byte(err.Error()))
	dst = append(append(dst, `{"error_msg":`...), text...)
	if IsExtension(c) {
		dst = append(append(dst, `,"error":{"message":`...), text...)
		dst = append(dst, `,"type":"invalid_request_error","param":`...)
		if e, ok := errors.AsType[*fieldError](err); ok {
			dst = AppendString(dst, []byte(e.field))
		} else {
			dst = append(dst, "null"...)
		}
		dst = append(dst, `,"code":null}`...)
	}
	return append(dst, "}\n"...)
}

// longestName is more than any name of a protocol takes, spelled with escapes
// throughout.
const longestName = 256

// plainKey is the text of a key as it stands in a document; keys that are
// longer than any known name come back as they are.
func plainKey(key []byte) []byte {
	if len(key) > longestName || bytes.IndexByte(key, '\\') < 0 {
		return key
	}
	return appendUnescaped(nil, key)
}

// notNull is raw, nothing for null.
func notNull(raw []byte) []byte {
	if KindOf(raw) == Null {
		return nil
	}
	return raw
}

// document returns the JSON value that body consists of, nil if it is not one.
func document(body []byte) []byte {
	i := skipSpace(body, 0)
	end, w := skipValue(body, i, 0)
	if w != wantNone || skipSpace(body, end) < len(body) {
		return nil
	}
	return body[i:end]
}

// firstOf is the first element of an array, nil if there is none.
func firstOf(raw []byte) []byte {
	if e := elementsOf(raw); e.next() {
		return e.val
	}
	return nil
}
