package engine

import (
	"bytes"
	"strings"

	"headrace/plugin"
)

// Patterns with parameters, of the router radixtree_uri_with_parameter: a
// segment ":name" stands for one segment that is not empty, "*" and "*name"
// for any bytes (gateway.md 1.2 and 1.3). A colon inside a segment is literal.

// form says how the rest of a pattern is compared, behind its literal beginning.
type form uint8

const (
	exactForm  form = iota // there is no rest
	prefixForm             // any rest will do
	globForm               // "*" inside
	paramForm              // parameters, captured
)

// cutPattern returns the literal beginning of a pattern, by which the tree
// finds it, and how the rest is compared.
func cutPattern(pattern string, params bool) (literal string, f form) {
	star := strings.IndexByte(pattern, '*')
	if params {
		param := strings.Index(pattern, "/:")
		if param >= 0 && (star < 0 || param < star) {
			return pattern[:param+1], paramForm
		}
		if star > 0 && (param > star || pattern[star-1] == '/' && star < len(pattern)-1) {
			return pattern[:star], paramForm
		}
	}
	switch {
	case star < 0:
		return pattern, exactForm
	case star == len(pattern)-1:
		return pattern[:star], prefixForm
	}
	return pattern[:star], globForm
}

// matchParams says whether path is what the pattern describes, and appends
// what its parameters stand for to list. It does not allocate while list has
// room.
func matchParams(pattern string, path []byte, list []plugin.Param) ([]plugin.Param, bool) {
	p, s := 0, 0 // what comes next in both
	// The last star: what is behind it, from where to where it reaches, its
	// name, and how many parameters were there before.
	behind, from, to, name, kept := -1, 0, 0, "", 0
	for {
		kind, text, end := partAt(pattern, p)
		switch {
		case kind == literalPart && p == len(pattern):
			if s == len(path) {
				return list, true
			}
		case kind == literalPart:
			if s < len(path) && pattern[p] == path[s] {
				p, s = p+1, s+1
				continue
			}
		case kind == starPart:
			behind, from, to, name, kept = end, s, s, text, len(list)
			list = append(list, plugin.Param{Name: name, Value: path[s:s:s]})
			p = end
			continue
		default:
			if n := segment(path[s:]); n > 0 {
				list = append(list, plugin.Param{Name: text, Value: path[s : s+n : s+n]})
				p, s = end, s+n
				continue
			}
		}
		// It does not go on from here: the last star takes one byte more.
		if behind < 0 || to == len(path) {
			return list, false
		}
		to++
		list = append(list[:kept], plugin.Param{Name: name, Value: path[from:to:to]})
		p, s = behind, to
	}
}

type part uint8

const (
	literalPart part = iota // one byte
	starPart
	paramPart
)

// partAt returns what stands at p: the kind, the name of a parameter or star,
// and where the next part begins.
func partAt(pattern string, p int) (kind part, name string, end int) {
	if p == len(pattern) {
		return literalPart, "", p
	}
	begins := p > 0 && pattern[p-1] == '/'
	switch {
	case pattern[p] == '*':
		kind, name = starPart, ":ext" // as APISIX calls a star without a name
	case pattern[p] == ':' && begins:
		kind = paramPart
	default:
		return literalPart, "", p + 1
	}
	end = p + 1
	if begins {
		if end = strings.IndexByte(pattern[p:], '/') + p; end < p {
			end = len(pattern)
		}
		if kind == paramPart || end > p+1 {
			name = pattern[p+1 : end]
		}
	}
	return kind, name, end
}

// segment returns the length of the segment at the beginning of path.
func segment(path []byte) int {
	if n := bytes.IndexByte(path, '/'); n >= 0 {
		return n
	}
	return len(path)
}
