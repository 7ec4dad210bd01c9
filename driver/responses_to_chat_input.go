package driver

import (
	"errors"
	"fmt"
)

// The input of a Responses request as messages of a chat.

var errEmptyInput = errors.New("input has no messages")

// messages writes what the client says, instructions first. Its developer is
// the provider's system: only OpenAI's own models know the difference.
func (q *responsesRequest) messages() error {
	q.key("messages")
	q.raw("[")
	empty := len(q.dst)
	if raw := q.get("instructions"); raw != nil {
		if KindOf(raw) != String {
			return invalid("instructions")
		}
		q.open("system")
		q.member("content", raw)
		q.raw("}")
	}
	switch raw := q.get("input"); KindOf(raw) {
	case String:
		q.open("user")
		q.member("content", raw)
		q.raw("}")
	case Array:
		if err := q.items(raw); err != nil {
			return err
		}
	default:
		return invalid("input")
	}
	if len(q.dst) == empty {
		return errEmptyInput
	}
	q.raw("]")
	return nil
}

// inputKind says what an item of the input is.
type inputKind uint8

const (
	inputMessage   inputKind = iota // of user, system or developer
	inputAnswer                     // a message of the assistant
	inputReasoning                  // what it thought
	inputCall                       // a call of a function by it
	inputResult                     // what the function returned
)

// spoken tells whether an item comes from the model.
func (k inputKind) spoken() bool { return inputAnswer <= k && k <= inputCall }

// inputItem is an item of the input; all fields but kind are JSON as it stands
// in the request.
type inputItem struct {
	kind    inputKind
	role    []byte // of a message
	content []byte // of a message, of reasoning; of a result: its output
	callID  []byte // a string
	name    []byte // a string
	args    []byte // a string, nil for none
}

func readInputItem(raw []byte, i int) (it inputItem, err error) {
	var kind, id, output []byte
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "type":
			kind = notNull(m.val)
		case "role":
			it.role = m.val
		case "content":
			it.content = m.val
		case "call_id":
			it.callID = m.val
		case "name":
			it.name = m.val
		case "arguments":
			it.args = notNull(m.val)
		case "output":
			output = notNull(m.val)
		case "id":
			id = m.val
		}
	}
	what := ""
	switch {
	case isText(kind, "message") || kind == nil && it.role != nil:
		what = it.message()
	case isText(kind, "reasoning"):
		it.kind = inputReasoning
	case isText(kind, "function_call"):
		it.kind = inputCall
		switch {
		case !nonEmptyString(it.callID):
			what = "call_id"
		case !nonEmptyString(it.name):
			what = "name"
		case !stringOrNone(it.args):
			what = "arguments"
		}
	case isText(kind, "function_call_output"):
		it.kind, it.content = inputResult, output
		switch {
		case !nonEmptyString(it.callID):
			what = "call_id"
		case KindOf(output) != String && KindOf(output) != Array && output != nil:
			what = "output"
		}
	case kind == nil && id != nil: // the short form of a reference
		return it, unsupported(fmt.Sprintf("input[%d]: item type %q", i, "item_reference"))
	case KindOf(kind) == String:
		return it, unsupportedType(fmt.Sprintf("input[%d]: item type", i), kind)
	default:
		what = "type"
	}
	if what != "" {
		return it, invalid(fmt.Sprintf("input[%d].%s", i, what))
	}
	return it, nil
}

// message checks a message and returns the name of a member that is wrong.
func (it *inputItem) message() (what string) {
	switch {
	case isText(it.role, "assistant"):
		it.kind = inputAnswer
	case !isText(it.role, "user") && !isText(it.role, "system") && !isText(it.role, "developer"):
		return "role"
	}
	if k := KindOf(it.content); k != String && k != Array {
		return "content"
	}
	return ""
}

// items writes a message for each item of the client's, one for all that the
// assistant said and called between two of them.
func (q *responsesRequest) items(raw []byte) error {
	e := elementsOf(raw)
	for i, more := 0, e.next(); more; {
		it, err := readInputItem(e.val, i)
		if err != nil {
			return err
		}
		if it.kind.spoken() {
			if e, i, more, err = q.turn(e, i); err != nil {
				return err
			}
			continue
		}
		at := place{i, "content"}
		switch {
		case it.kind == inputResult:
			at.member = "output"
			q.open("tool")
			q.member("tool_call_id", it.callID)
		case isText(it.role, "user"):
			q.open("user")
		default:
			q.open("system")
		}
		if err := q.content(it.content, at, !isText(it.role, "user")); err != nil {
			return err
		}
		q.raw("}")
		i++
		more = e.next()
	}
	return nil
}
