package driver

import (
	"bytes"
	"fmt"
	"slices"
)

// MergePatch is a compiled override.request_body entry: a deep merge into a
// request (ai-proxy.md section 2.7). It is immutable and may be shared.
type MergePatch struct {
	nodes []patchNode
	force bool
}

// patchNode is one member of the patch. kids is used when both sides are objects.
type patchNode struct {
	key    string
	raw    []byte // compact, keys sorted
	object bool
	kids   []patchNode
}

// CompilePatch compiles the JSON object raw. With force the patch wins over
// what the client sent, otherwise it only fills what is missing. raw is not kept.
func CompilePatch(raw []byte, force bool) (*MergePatch, error) {
	text, err := AppendSorted(nil, raw)
	if err != nil {
		return nil, err
	}
	if KindOf(text) != Object {
		return nil, fmt.Errorf("cannot merge into a request body: not an object")
	}
	return &MergePatch{nodes: patchNodes(text), force: force}, nil
}

func patchNodes(raw []byte) (nodes []patchNode) {
	for m := membersOf(raw); m.next(); {
		n := patchNode{key: string(appendUnescaped(nil, m.key)), raw: m.val, object: m.val[0] == '{'}
		if n.object {
			n.kids = patchNodes(m.val)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// Apply merges m into b. Arrays are never merged, null counts as present and
// deletes nothing. Documents that are no objects stay as they are.
func (m *MergePatch) Apply(b *Body) {
	for i := range m.nodes {
		n := &m.nodes[i]
		cur, ok := b.Get(n.key)
		switch {
		case !ok:
			b.Set(n.key, n.raw)
		case n.object && cur[0] == '{':
			start := len(b.arena)
			b.arena = appendMerged(b.arena, cur, n.kids, m.force)
			if got := b.arena[start:len(b.arena):len(b.arena)]; !bytes.Equal(got, cur) {
				b.Set(n.key, got)
			}
		case m.force:
			b.Set(n.key, n.raw)
		}
	}
}

// appendMerged appends the object cur with nodes merged into it: members in
// their order, untouched spans as they stand, new members behind them.
func appendMerged(dst, cur []byte, nodes []patchNode, force bool) []byte {
	pos, tail, some := 0, 1, false
	for m := membersOf(cur); m.next(); {
		tail, some = m.i, true
		n := nodeOf(nodes, m.key)
		if n == nil {
			continue
		}
		val := m.i - len(m.val)
		switch {
		case n.object && m.val[0] == '{':
			dst = append(dst, cur[pos:val]...)
			dst = appendMerged(dst, m.val, n.kids, force)
			pos = m.i
		case force:
			dst = append(dst, cur[pos:val]...)
			dst = append(dst, n.raw...)
			pos = m.i
		}
	}
	dst = append(dst, cur[pos:tail]...)
	for i := range nodes {
		n := &nodes[i]
		if lookup(cur, n.key) != nil {
			continue
		}
		if some {
			dst = append(dst, ',')
		}
		some = true
		dst = append(AppendString(dst, []byte(n.key)), ':')
		dst = append(dst, n.raw...)
	}
	return append(dst, cur[tail:]...)
}

func nodeOf(nodes []patchNode, key []byte) *patchNode {
	for i := range nodes {
		if keyIs(key, nodes[i].key) {
			return &nodes[i]
		}
	}
	return nil
}

// AppendSorted appends the JSON document raw in compact form with the keys of
// every object sorted by their text, as APISIX serialises bodies; equal
// settings give equal bytes. Numbers and strings keep their spelling, of equal
// keys the last one stands. The error is a *SyntaxError.
func AppendSorted(dst, raw []byte) ([]byte, error) {
	i := skipSpace(raw, 0)
	end, w := skipValue(raw, i, 0)
	if w != wantNone {
		return dst, syntaxError(raw, end, w)
	}
	if rest := skipSpace(raw, end); rest < len(raw) {
		return dst, syntaxError(raw, rest, wantEnd)
	}
	return appendSorted(dst, raw[i:end]), nil
}

func appendSorted(dst, raw []byte) []byte {
	switch raw[0] {
	case '[':
		dst = append(dst, '[')
		first := true
		for e := elementsOf(raw); e.next(); first = false {
			if !first {
				dst = append(dst, ',')
			}
			dst = appendSorted(dst, e.val)
		}
		return append(dst, ']')
	case '{':
		type member struct {
			name     string
			key, val []byte
		}
		var ms []member
		for m := membersOf(raw); m.next(); {
			ms = append(ms, member{string(appendUnescaped(nil, m.key)), m.key, m.val})
		}
		slices.SortStableFunc(ms, func(a, b member) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
		dst = append(dst, '{')
		first := true
		for i, m := range ms {
			if i+1 < len(ms) && ms[i+1].name == m.name {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(append(append(dst, '"'), m.key...), '"', ':')
			dst = appendSorted(dst, m.val)
		}
		return append(dst, '}')
	}
	return append(dst, raw...)
}
