package basicauth

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"

	"headrace/plugin"
	"headrace/plugin/auth"
)

type basicAuth struct {
	gate *auth.Gate
	hide bool
}

const header = "Authorization"

var (
	missing     = plugin.Message("Missing authorization in request")
	invalid     = plugin.Message("Invalid authorization in request")
	invalidUser = plugin.Message("Invalid user authorization")
)

// Rewrite implements plugin.Rewriter.
func (b *basicAuth) Rewrite(c *plugin.Ctx) plugin.Verdict {
	who, refusal := find(c)
	v := b.gate.Pass(c, who, refusal)
	if v == 0 && b.hide {
		c.DelHeader(header)
	}
	return v
}

func find(c *plugin.Ctx) (who *plugin.Consumer, refusal []byte) {
	sent := c.Header(header)
	if sent == nil {
		return nil, missing
	}
	user, password, ok := parse(sent)
	if !ok {
		return nil, invalid
	}
	who = c.Directory.ByKey(name, user)
	if who == nil {
		return nil, invalidUser
	}
	want := who.Auth.(*credential)
	if got := sha256.Sum256(password); subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return nil, invalidUser
	}
	return who, nil
}

// parse takes name and password out of an Authorization header. Blanks inside
// them are dropped, as in APISIX. The password may hold colons (RFC 7617):
// APISIX ends it at the next one.
func parse(sent []byte) (user, password []byte, ok bool) {
	const scheme = "basic"
	if len(sent) <= len(scheme) || !bytes.EqualFold(sent[:len(scheme)], []byte(scheme)) || !isBlank(sent[len(scheme)]) {
		return nil, nil, false
	}
	text, ok := plugin.AppendBase64(nil, bytes.TrimSpace(sent[len(scheme):]))
	if !ok {
		return nil, nil, false
	}
	user, password, ok = bytes.Cut(text, []byte{':'})
	return dropBlanks(user), dropBlanks(password), ok
}

// dropBlanks works in place.
func dropBlanks(s []byte) []byte {
	kept := s[:0]
	for _, b := range s {
		if !isBlank(b) {
			kept = append(kept, b)
		}
	}
	return kept
}

func isBlank(b byte) bool { return b == ' ' || '\t' <= b && b <= '\r' }
