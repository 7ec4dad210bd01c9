package limit

import (
	"crypto/sha256"
	"encoding/hex"

	"headrace/plugin"
)

// Key says who is counted: key and key_type of the plugins that limit.
type Key struct {
	text    string // for all requests the same, if v is nil
	v       plugin.Var
	address plugin.Var // takes the place of what is empty
}

// The key types.
const (
	KeyVar         = "var"
	KeyCombination = "var_combination"
	KeyConstant    = "constant"
)

// CompileKey compiles a key of a type.
func CompileKey(text, keyType string) Key {
	address, _ := plugin.LookupVar("remote_addr")
	switch keyType {
	case KeyConstant:
		return Key{text: text}
	case KeyCombination:
		return Key{v: plugin.CompileCombination(text).Key, address: address}
	}
	v, _ := plugin.LookupVar(text)
	return Key{v: v, address: address}
}

// CompileRuleKey compiles the key of a rule: a combination of variables. A
// request that has none of them is not the rule's business.
func CompileRuleKey(text string) Key { return Key{v: plugin.CompileCombination(text).Key} }

// Append writes who a request counts for. ok is false where a rule does not
// apply to it.
func (k *Key) Append(dst []byte, c *plugin.Ctx) (out []byte, ok bool) {
	if k.v == nil {
		return append(dst, k.text...), true
	}
	at := len(dst)
	dst, ok = k.v(c, dst)
	if k.address != nil && (!ok || len(dst) == at) {
		dst, _ = k.address(c, dst[:at])
		ok = true
	}
	return short(dst, at), ok
}

// maxKey bounds what a client can make a counter remember, and what it is
// called on a Redis.
const maxKey = 128

// short puts a hash in the place of what stands in dst from at on, if that is
// too long.
func short(dst []byte, at int) []byte {
	if len(dst)-at <= maxKey {
		return dst
	}
	sum := sha256.Sum256(dst[at:])
	return hex.AppendEncode(append(dst[:at], "sha256:"...), sum[:16])
}
