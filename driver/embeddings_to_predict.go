package driver

import (
	"errors"
	"fmt"
	"strconv"

	"headrace/sse"
)

// An OpenAI embeddings client on Vertex AI's predict (ai-proxy.md section 4.4).
// What predict has no word for (dimensions, encoding_format, user) is left out
// as in APISIX; options may set parameters.

type embeddingsToPredict struct{}

func (embeddingsToPredict) Pair() (client, provider Proto) { return OpenAIEmbeddings, VertexPredict }

func (embeddingsToPredict) Request(dst []byte, src *Body, _ *ConvState) ([]byte, error) {
	return appendPredict(dst, rawOf(src, "input"))
}

func (embeddingsToPredict) AppendResponse(dst, body []byte, status int, st *ConvState) (out []byte, ok bool, err error) {
	return appendEmbeddings(dst, body, status, st.RequestModel)
}

// Predict has no streams.
func (embeddingsToPredict) AppendEvent(dst []byte, _ sse.Event, _ *ConvState) []byte { return dst }

func (embeddingsToPredict) AppendEnd(dst []byte, _ bool, _ *ConvState) []byte { return dst }

// Errors of the conversion, spelled as APISIX spells them.
var (
	errNoInput       = errors.New("`input` is required for embeddings")
	errInputKind     = errors.New("`input` must be string or array")
	errNoPredictions = errors.New("vertex response missing predictions")
)

// appendPredict appends the request for an input, which is nil if there is none.
func appendPredict(dst, input []byte) ([]byte, error) {
	start := len(dst)
	dst = append(dst, `{"instances":[`...)
	switch KindOf(input) {
	case None, Null, False:
		return dst[:start], errNoInput
	case String:
		dst = appendContent(dst, input)
	case Array:
		n := 0
		for e := elementsOf(input); e.next(); n++ {
			if n > 0 {
				dst = append(dst, ',')
			}
			ok := KindOf(e.val) == String
			if ok {
				dst = appendContent(dst, e.val)
			} else {
				dst, ok = appendTokens(dst, e.val)
			}
			if !ok {
				return dst[:start], fmt.Errorf("unsupported input type at index %d", n+1)
			}
		}
	default:
		return dst[:start], errInputKind
	}
	return append(dst, "]}"...), nil
}

// appendContent appends an instance for the JSON string raw, as it is written.
func appendContent(dst, raw []byte) []byte {
	return append(append(append(dst, `{"content":`...), raw...), '}')
}

// appendTokens appends an instance for a list of tokens, false if raw is none.
func appendTokens(dst, raw []byte) ([]byte, bool) {
	if KindOf(raw) != Array {
		return dst, false
	}
	dst = append(dst, `{"content":"`...)
	first := true
	for e := elementsOf(raw); e.next(); first = false {
		if !first {
			dst = append(dst, ' ')
		}
		switch KindOf(e.val) {
		case Number:
			dst = append(dst, e.val...)
		case String:
			dst = append(dst, e.val[1:len(e.val)-1]...)
		default:
			return dst, false
		}
	}
	return append(dst, `"}`...), true
}

// appendEmbeddings appends the client's answer for a provider's. model is what
// the client asked for. An error of the provider is not converted, which is
// neither an answer nor an error.
func appendEmbeddings(dst, body []byte, status int, model []byte) (out []byte, ok bool, err error) {
	start := len(dst)
	predictions := predictionsOf(body)
	if KindOf(predictions) != Array {
		if status >= 400 {
			return dst, false, nil
		}
		return dst, false, errNoPredictions
	}
	dst = append(dst, `{"object":"list","data":[`...)
	var total int64
	n := 0
	for e := elementsOf(predictions); e.next(); n++ {
		values, tokens := prediction(e.val)
		if KindOf(values) != Array {
			return dst[:start], false, fmt.Errorf("invalid embedding at index %d", n+1)
		}
		total = addTokens(total, tokens)
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"object":"embedding","index":`...), int64(n), 10)
		dst = appendCompact(append(dst, `,"embedding":`...), values)
		dst = append(dst, '}')
	}
	if len(model) == 0 {
		model = unknownModel
	}
	dst = AppendString(append(dst, `],"model":`...), model)
	dst = strconv.AppendInt(append(dst, `,"usage":{"prompt_tokens":`...), total, 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), total, 10)
	return append(dst, "}}"...), true, nil
}

// predictionsOf is lookup for bytes that may be no document, or not a whole one.
func predictionsOf(body []byte) (val []byte) {
	m := membersOf(body)
	for m.next() {
		if keyIs(m.key, "predictions") {
			val = m.val
		}
	}
	if i := skipSpace(body, m.i); val == nil || i >= len(body) || body[i] != '}' || skipSpace(body, i+1) < len(body) {
		return nil
	}
	return val
}

var unknownModel = []byte("unknown")

// appendCompact appends the array raw without the space between its elements:
// Google puts each number on a line of its own.
func appendCompact(dst, raw []byte) []byte {
	dst = append(dst, '[')
	first := true
	for e := elementsOf(raw); e.next(); first = false {
		if !first {
			dst = append(dst, ',')
		}
		dst = append(dst, e.val...)
	}
	return append(dst, ']')
}
