package driver

import (
	"bytes"
	"unicode/utf8"
)

// Usage is the token usage of one answer in canonical names (ai-proxy.md
// section 5.6). Seen tells a report of zeros from no report.
type Usage struct {
	Prompt, Completion, Total           int64
	CacheRead, CacheCreation, Reasoning int64
	Seen                                bool
}

// merge takes in one more report of the same stream: the first is taken whole,
// later ones overwrite with what they count.
func (u *Usage) merge(v *Usage) {
	if !u.Seen {
		*u = *v
		u.Seen = true
	} else {
		over(&u.Prompt, v.Prompt)
		over(&u.Completion, v.Completion)
		over(&u.Total, v.Total)
		over(&u.CacheRead, v.CacheRead)
		over(&u.CacheCreation, v.CacheCreation)
		over(&u.Reasoning, v.Reasoning)
	}
	u.Total = max(u.Total, u.Prompt+u.Completion)
}

func over(dst *int64, n int64) {
	if n > 0 {
		*dst = n
	}
}

// DefaultMaxText is the cap of Capture.Text where MaxText is zero.
const DefaultMaxText = 64 << 10

// Capture collects what an answer says about itself while it is relayed. The
// zero value is ready; it belongs to one goroutine and may be reused by Reset.
type Capture struct {
	Usage     Usage
	ToolCalls bool   // the answer calls a tool
	Text      []byte // generated text, if WantText; valid until Reset
	WantText  bool   // set before the first event
	MaxText   int    // cap of Text in bytes, 0 means DefaultMaxText

	content bool // Content was reported once
}

// Reset makes c ready for another answer and clears WantText and MaxText.
func (c *Capture) Reset() { *c = Capture{Text: keep(c.Text, 1)} }

// busy tells whether events must be read even if they carry nothing but text.
func (c *Capture) busy() bool { return !c.content || c.WantText && len(c.Text) < c.textCap() }

func (c *Capture) textCap() int {
	if c.MaxText > 0 {
		return c.MaxText
	}
	return DefaultMaxText
}

// text adds the JSON string raw to Text; a stream has its parts joined, a
// whole answer has them spaced.
func (c *Capture) text(raw []byte, spaced bool) {
	limit := c.textCap()
	if !c.WantText || len(raw) < 2 || len(c.Text) >= limit {
		return
	}
	if spaced && len(c.Text) > 0 {
		c.Text = append(c.Text, ' ')
	}
	// One escape writes at most three bytes, six bytes of raw at least one.
	s := raw[1 : len(raw)-1]
	if most := 6 * (limit - len(c.Text)); len(s) > most+12 {
		s = wholeEscapes(s[:most+12])
	}
	if c.Text = appendUnescaped(c.Text, s); len(c.Text) <= limit {
		return
	}
	end := limit
	for end > 0 && end > limit-utf8.UTFMax && !utf8.RuneStart(c.Text[end]) {
		end--
	}
	c.Text = c.Text[:end]
}

// wholeEscapes cuts an escape off that the end of s has broken in two.
func wholeEscapes(s []byte) []byte {
	k := bytes.LastIndexByte(s, '\\')
	if k < 0 || k < len(s)-12 {
		return s
	}
	n := k
	for n > 0 && s[n-1] == '\\' {
		n--
	}
	if (k-n)%2 != 0 { // an escaped backslash, whole
		return s
	}
	return s[:k]
}

// nonEmptyString tells whether raw is a string with content.
func nonEmptyString(raw []byte) bool { return len(raw) > 2 && raw[0] == '"' }

// isNull tells whether a colon and null follow; deepseek sends "usage":null
// with every chunk.
func isNull(rest []byte) bool {
	i := skipSpace(rest, 0)
	if i >= len(rest) || rest[i] != ':' {
		return false
	}
	i = skipSpace(rest, i+1)
	return i+4 <= len(rest) && string(rest[i:i+4]) == "null"
}
