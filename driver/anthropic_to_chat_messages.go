package driver

import (
	"errors"
	"fmt"
)

var errNoMessages = errors.New("missing messages")

func (q *chatRequest) messages() error {
	e := elementsOf(q.get("messages"))
	if !e.next() {
		return errNoMessages
	}
	q.key("messages")
	q.dst = append(q.dst, '[')
	q.system()
	for i := 1; ; i++ {
		if what := q.message(e.val); what != "" {
			return fmt.Errorf("invalid %s at index %d", what, i)
		}
		if !e.next() {
			break
		}
	}
	q.dst = append(q.dst, ']')
	return nil
}

// message writes what a message becomes. what says what is wrong with it, ""
// if nothing is.
func (q *chatRequest) message(raw []byte) (what string) {
	var role, content []byte
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "role":
			role = m.val
		case "content":
			content = m.val
		}
	}
	switch {
	case KindOf(role) != String:
		return "message"
	case KindOf(content) == Array:
		return q.blocks(role, content)
	case KindOf(content) != String:
		return "message content"
	}
	q.openAs(role)
	q.member("content", content)
	q.dst = append(q.dst, '}')
	return ""
}

// blocks writes the messages that a list of blocks becomes, in the order of
// section 4.1.7: the provider wants the results of tools first.
func (q *chatRequest) blocks(role, content []byte) (what string) {
	n, what := survey(content)
	if what != "" {
		return what
	}
	switch parts := n[textBlock] + n[mediaBlock]; {
	case n[resultBlock] > 0:
		q.results(content)
		if parts > 0 {
			q.openAs(role)
			q.key("content")
			q.parts(content)
			q.dst = append(q.dst, '}')
		}
		return ""
	case n[callBlock] > 0:
		q.openAs(role)
		before := len(q.dst)
		q.key("content")
		if !q.joined(content) {
			q.dst = q.dst[:before]
		}
		q.key("tool_calls")
		q.calls(content)
	case parts == 0 || isText(role, "assistant"):
		q.openAs(role)
		q.key("content")
		q.joined(content)
	default:
		q.openAs(role)
		q.key("content")
		q.parts(content)
	}
	q.dst = append(q.dst, '}')
	return ""
}

// parts writes the text and media of content as an array.
func (q *chatRequest) parts(content []byte) {
	q.dst = append(q.dst, '[')
	for e := elementsOf(content); e.next(); {
		switch b := readBlock(e.val); b.kind {
		case textBlock:
			q.next()
			q.dst = append(q.dst, `{"type":"text","text":`...)
			q.dst = append(append(q.dst, b.text...), '}')
		case mediaBlock:
			q.next()
			q.dst = append(q.dst, `{"type":"image_url","image_url":{"url":`...)
			q.dst = append(b.appendURL(q.dst), "}}"...)
		}
	}
	q.dst = append(q.dst, ']')
}

// joined writes all text of content as one string and tells whether it is not empty.
func (q *chatRequest) joined(content []byte) bool {
	start := len(q.dst)
	q.dst = appendJoined(q.dst, content, textBlock)
	return len(q.dst) > start+len(`""`)
}

// appendJoined appends the text of all blocks of a kind as one string.
func appendJoined(dst, content []byte, kind blockKind) []byte {
	dst = append(dst, '"')
	for e := elementsOf(content); e.next(); {
		if b := readBlock(e.val); b.kind == kind {
			dst = append(dst, b.text[1:len(b.text)-1]...)
		}
	}
	return append(dst, '"')
}

func (q *chatRequest) calls(content []byte) {
	q.dst = append(q.dst, '[')
	for e := elementsOf(content); e.next(); {
		b := readBlock(e.val)
		if b.kind != callBlock {
			continue
		}
		q.next()
		q.dst = append(append(q.dst, `{"id":`...), b.id...)
		q.dst = append(q.dst, `,"type":"function","function":{"name":`...)
		q.dst = q.names.append(q.dst, b.name)
		q.dst = append(q.dst, `,"arguments":`...)
		if b.input != nil {
			q.dst = AppendString(q.dst, b.input)
		} else {
			q.dst = append(q.dst, `"{}"`...)
		}
		q.dst = append(q.dst, "}}"...)
	}
	q.dst = append(q.dst, ']')
}

// results writes a message for each result of a tool.
func (q *chatRequest) results(content []byte) {
	for e := elementsOf(content); e.next(); {
		b := readBlock(e.val)
		if b.kind != resultBlock {
			continue
		}
		q.open("tool")
		q.member("tool_call_id", b.id)
		q.key("content")
		n, _ := survey(b.content)
		switch {
		case KindOf(b.content) == String:
			q.dst = append(q.dst, b.content...)
		case n[mediaBlock] > 0:
			q.parts(b.content)
		default:
			q.joined(b.content)
		}
		q.dst = append(q.dst, '}')
	}
}
