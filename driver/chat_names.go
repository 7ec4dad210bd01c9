package driver

import (
	"crypto/sha256"
	"encoding/hex"
)

// Tool names of OpenAI have at most maxToolName letters, digits, underscores
// and hyphens. Others are cut to cutToolName bytes and told apart by a hash.
const (
	maxToolName = 64
	cutToolName = 55
)

// toolNames remembers which tools a provider knows by another name than the
// client's. What it keeps are copies.
type toolNames struct {
	client map[string][]byte // the client's name as a JSON string, by the provider's
	buf    []byte
}

func (n *toolNames) reset() {
	n.buf = keep(n.buf, 1)
	if len(n.client) > 64 {
		n.client = nil
	}
	clear(n.client)
}

// append appends the provider's name for the tool that the client calls by the
// JSON string raw.
func (n *toolNames) append(dst, raw []byte) []byte {
	var name []byte
	name, n.buf = unquoted(raw, n.buf[:0])
	start, same := len(dst)+1, len(name) <= maxToolName
	dst = append(dst, '"')
	for i, c := range name {
		if i == maxToolName {
			break
		}
		if !isToolByte(c) {
			c, same = '_', false
		}
		dst = append(dst, c)
	}
	if same {
		return append(dst, '"')
	}
	dst = dst[:min(len(dst), start+cutToolName)]
	sum := sha256.Sum256(name)
	dst = hex.AppendEncode(append(dst, '_'), sum[:4])
	if _, ok := n.client[string(dst[start:])]; !ok {
		if n.client == nil {
			n.client = map[string][]byte{}
		}
		n.client[string(dst[start:])] = append([]byte(nil), raw...)
	}
	return append(dst, '"')
}

func isToolByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// appendClient appends the client's name for the tool that the provider calls
// by raw, "" if that is no string.
func (n *toolNames) appendClient(dst, raw []byte) []byte {
	if len(n.client) > 0 && KindOf(raw) == String {
		var name []byte
		name, n.buf = unquoted(raw, n.buf[:0])
		if was, ok := n.client[string(name)]; ok {
			return append(dst, was...)
		}
	}
	return appendStringOr(dst, raw)
}
