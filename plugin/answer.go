package plugin

import (
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

// ErrHeaderName is APISIX's text for a header that cannot be sent.
var ErrHeaderName = errors.New("invalid field character in header")

// UnmarshalJSON implements json.Unmarshaler. The headers are sorted by name.
func (h *AnswerHeaders) UnmarshalJSON(raw []byte) error {
	var all map[string]HeaderText
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !driver.IsToken([]byte(name)) {
			return ErrHeaderName
		}
		*h = append(*h, answerHeader{name, CompileCombination(string(all[name]))})
	}
	return nil
}

// HeaderText is the value of a header in a configuration, a text or a number.
type HeaderText string

// UnmarshalJSON implements json.Unmarshaler.
func (t *HeaderText) UnmarshalJSON(raw []byte) error {
	if raw[0] != '"' {
		*t = HeaderText(raw)
		return nil
	}
	return json.Unmarshal(raw, (*string)(t))
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
