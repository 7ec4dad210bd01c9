package driver

import (
	"errors"
	"fmt"
)

// responsesToChat lets clients of OpenAI's Responses API reach providers of its
// chat protocol. APISIX has no such conversion; docs/providers.md says what is
// lost on the way.
//
// A response names its request's settings, so the client's body is read until
// the answer is complete. Its last event repeats the whole output: a stream's
// text is kept, up to maxOutput.
type responsesToChat struct{}

func (responsesToChat) Pair() (client, provider Proto) { return OpenAIResponses, OpenAIChat }

// unsupported is the error for what a chat completion has no counterpart of.
func unsupported(what string) error {
	return fmt.Errorf("%s is not supported on a chat provider", what)
}

// unsupportedType is unsupported for a type that the client names by the JSON
// string raw.
func unsupportedType(what string, raw []byte) error {
	var name []byte
	if KindOf(raw) == String {
		name, _ = unquoted(raw, nil)
	}
	return unsupported(fmt.Sprintf("%s %.64q", what, name))
}

func invalid(what string) error { return errors.New("invalid " + what) }

// responseStatus is the status of a response that ends with a finish_reason,
// whose text it gets, and why it is incomplete if it is.
func responseStatus(finish []byte) (status, reason string) {
	switch string(finish) {
	case "length":
		return statusIncomplete, "max_output_tokens"
	case "content_filter":
		return statusIncomplete, "content_filter"
	}
	return statusCompleted, ""
}

// Statuses of responses and their items.
const (
	statusInProgress = "in_progress"
	statusCompleted  = "completed"
	statusIncomplete = "incomplete"
	statusFailed     = "failed"
)
