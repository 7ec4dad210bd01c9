package keyauth

import (
	"headrace/plugin"
	"headrace/plugin/auth"
)

type keyAuth struct {
	gate   *auth.Gate
	header string
	query  string
	hide   bool
}

var (
	missing = plugin.Message("Missing API key in request")
	invalid = plugin.Message("Invalid API key in request")
)

// Rewrite implements plugin.Rewriter.
func (k *keyAuth) Rewrite(c *plugin.Ctx) plugin.Verdict {
	key := c.Header(k.header)
	inHeader := key != nil
	if !inHeader {
		key = c.Arg(k.query)
	}
	var who *plugin.Consumer
	refusal := missing
	if key != nil {
		who, refusal = c.Directory.ByKey(name, key), invalid
	}
	v := k.gate.Pass(c, who, refusal)
	if v == 0 && k.hide {
		k.strip(c, who != nil, inHeader)
	}
	return v
}

// strip removes the key that was used; where none was valid, whatever may be
// one.
func (k *keyAuth) strip(c *plugin.Ctx, known, inHeader bool) {
	if inHeader || !known {
		c.DelHeader(k.header)
	}
	if !inHeader || !known {
		c.DelArg(k.query)
	}
}
