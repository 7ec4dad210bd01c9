package pcre

import (
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// Find returns where the pattern is found first in text: the offsets of the
// match and of its groups, in pairs, -1 for a group that took no part; nil if
// it is not found. The error is ErrTimeout.
func (r *Regexp) Find(text []byte) ([]int, error) {
	slow := r.engine(text)
	if slow == nil {
		return r.fast.FindSubmatchIndex(text), nil
	}
	m, err := slow.FindStringMatch(string(text))
	if err != nil {
		return nil, ErrTimeout
	}
	if m == nil {
		return nil, nil
	}
	return newOffsets(text).of(m), nil
}

// find returns all matches one after the other, or the first.
func (r *Regexp) find(text []byte, all bool) ([][]int, error) {
	slow := r.engine(text)
	switch {
	case slow == nil && all:
		return r.fast.FindAllSubmatchIndex(text, -1), nil
	case !all:
		loc, err := r.Find(text)
		if loc == nil {
			return nil, err
		}
		return [][]int{loc}, nil
	}
	offsets := newOffsets(text)
	var found [][]int
	m, err := slow.FindStringMatch(string(text))
	for ; m != nil && err == nil; m, err = slow.FindNextMatch(m) {
		found = append(found, offsets.of(m))
	}
	if err != nil {
		return nil, ErrTimeout
	}
	return found, nil
}

// offsets turns the places of characters, in which the backtracking engine
// counts, into those of bytes. It is nil where they are the same.
type offsets []int

func newOffsets(text []byte) offsets {
	ascii := true
	for _, b := range text {
		ascii = ascii && b < utf8.RuneSelf
	}
	if ascii {
		return nil
	}
	o := make(offsets, 0, len(text)+1)
	for at := 0; at < len(text); {
		o = append(o, at)
		_, n := utf8.DecodeRune(text[at:])
		at += n
	}
	return append(o, len(text))
}

func (o offsets) at(i int) int {
	if o == nil {
		return i
	}
	return o[i]
}

func (o offsets) of(m *regexp2.Match) []int {
	var loc []int
	for _, g := range m.Groups() {
		if len(g.Captures) == 0 {
			loc = append(loc, -1, -1)
			continue
		}
		loc = append(loc, o.at(g.Index), o.at(g.Index+g.Length))
	}
	return loc
}
