package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"

	"headrace/driver"
)

// Headers of the answer, for every phase up to the header filters. What frames
// a body and what a connection does afterwards is the gateway's own: an edit
// of such a header has no effect.

// SetAnswerHeader puts one header in the place of all of that name; an empty
// value removes them. Control bytes in value become blanks.
func (c *Ctx) SetAnswerHeader(name string, value []byte) {
	if isFraming(name) {
		return
	}
	h := &c.HTTP.Response.Header
	if h.Del(name); len(value) > 0 {
		h.SetBytesV(name, printable(value))
	}
}

// AddAnswerHeader adds a header beside those of the same name.
func (c *Ctx) AddAnswerHeader(name string, value []byte) {
	if !isFraming(name) {
		c.HTTP.Response.Header.AddBytesV(name, printable(value))
	}
}

func isFraming(name string) bool {
	for _, framing := range []string{"content-length", "transfer-encoding", "connection", "trailer", "upgrade"} {
		if len(name) == len(framing) && sameName([]byte(name), framing, false) {
			return true
		}
	}
	return false
}

// printable is v without control bytes, in a copy if it has any.
func printable(v []byte) []byte {
	bad := func(b byte) bool { return b < ' ' && b != '\t' || b == 0x7f }
	if !slices.ContainsFunc(v, bad) {
		return v
	}
	v = slices.Clone(v)
	for i, b := range v {
		if bad(b) {
			v[i] = ' '
		}
	}
	return v
}

// AnswerHeaders are headers that a configuration gives to answers: an object
// of texts, in which variables may stand, and numbers.
type AnswerHeaders []answerHeader

type answerHeader struct {
	name  string
	value *Combination
}

// UnmarshalJSON implements json.Unmarshaler. The headers are sorted by name.
func (h *AnswerHeaders) UnmarshalJSON(raw []byte) error {
	var all map[string]HeaderText
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := h.Append(name, string(all[name])); err != nil {
			return err
		}
	}
	return nil
}

// Append adds a header, whose value may have variables.
func (h *AnswerHeaders) Append(name, value string) error {
	if err := CheckHeaderName(name); err != nil {
		return err
	}
	*h = append(*h, answerHeader{name, CompileCombination(value)})
	return nil
}

// CheckHeaderName says in APISIX's words why a header cannot be sent.
func CheckHeaderName(name string) error {
	switch {
	case name == "":
		return errNameLength
	case !driver.IsToken([]byte(name)):
		return errNameBytes
	}
	return nil
}

var (
	errNameLength = errors.New("invalid field length in header")
	errNameBytes  = errors.New("invalid field character in header")
	errValueType  = errors.New("invalid type as header value")
)

// HeaderText is the value of a header in a configuration, a text or a number.
type HeaderText string

// UnmarshalJSON implements json.Unmarshaler.
func (t *HeaderText) UnmarshalJSON(raw []byte) error {
	switch c := raw[0]; {
	case c == '"':
		return json.Unmarshal(raw, (*string)(t))
	case c == '-' || '0' <= c && c <= '9':
		*t = HeaderText(raw)
		return nil
	}
	return errValueType
}

// IsStream tells the content types of which a client reads the body as it comes.
func IsStream(contentType []byte) bool {
	return bytes.Contains(contentType, []byte("text/event-stream")) ||
		bytes.Contains(contentType, []byte("application/vnd.amazon.eventstream"))
}

// Set sets the headers in the answer to c.
func (h AnswerHeaders) Set(c *Ctx) { h.each(c, (*Ctx).SetAnswerHeader) }

// Add adds the headers to those of the answer to c.
func (h AnswerHeaders) Add(c *Ctx) { h.each(c, (*Ctx).AddAnswerHeader) }

func (h AnswerHeaders) each(c *Ctx, edit func(*Ctx, string, []byte)) {
	if len(h) == 0 {
		return
	}
	room := values.Get().(*[]byte)
	for _, e := range h {
		*room, _ = e.value.Append((*room)[:0], c)
		edit(c, e.name, *room)
	}
	values.Put(room)
}

// values are buffers for what templates make.
var values = sync.Pool{New: func() any { return new([]byte) }}
