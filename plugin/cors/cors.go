package cors

import (
	"net/http"

	"headrace/conf/pcre"
	"headrace/plugin"
)

type cors struct {
	origins    *origins
	regex      []*pcre.Regexp // not empty: in place of origins
	metadata   []*origins     // goes first
	byMetadata bool

	methods, headers, expose, maxAge []byte
	echoHeaders, credential          bool

	timing      *origins       // nil: nobody
	timingRegex []*pcre.Regexp // not empty: in place of timing
}

var (
	star    = []byte("*")
	vary    = []byte("Origin")
	allowed = []byte("true")
)

// Rewrite implements plugin.Rewriter. It answers preflights, before any auth
// plugin: they carry no credentials. As in APISIX it answers every OPTIONS.
func (p *cors) Rewrite(c *plugin.Ctx) plugin.Verdict {
	if string(c.Req.Method) == http.MethodOptions {
		return c.Reply(http.StatusOK, "", nil)
	}
	return 0
}

// FilterHeader implements plugin.HeaderFilter.
func (p *cors) FilterHeader(c *plugin.Ctx) {
	// The client's own Origin: a plugin may have changed it for the upstream.
	origin := c.HTTP.Request.Header.Peek("Origin")
	if len(origin) == 0 {
		origin = nil
	}
	if !p.origins.any {
		c.AddAnswerHeader("Vary", vary)
	}
	if to := p.allow(origin); to != nil {
		c.SetAnswerHeader("Access-Control-Allow-Origin", to)
		c.SetAnswerHeader("Access-Control-Allow-Methods", p.methods)
		c.SetAnswerHeader("Access-Control-Max-Age", p.maxAge)
		if len(p.expose) > 0 {
			c.SetAnswerHeader("Access-Control-Expose-Headers", p.expose)
		}
		headers := p.headers
		if p.echoHeaders {
			headers = c.HTTP.Request.Header.Peek("Access-Control-Request-Headers")
		}
		c.SetAnswerHeader("Access-Control-Allow-Headers", headers)
		if p.credential {
			c.SetAnswerHeader("Access-Control-Allow-Credentials", allowed)
		}
	}
	if to := choose(origin, p.timing, p.timingRegex); to != nil {
		c.SetAnswerHeader("Timing-Allow-Origin", to)
	}
}

// allow returns what Access-Control-Allow-Origin says to origin, nil for nothing.
func (p *cors) allow(origin []byte) []byte {
	if p.byMetadata {
		if origin == nil {
			return nil
		}
		for _, o := range p.metadata {
			if o.allow(origin) != nil {
				return origin
			}
		}
		if p.origins.any { // what stands there if nobody has written anything
			return nil
		}
	}
	return choose(origin, p.origins, p.regex)
}

// choose asks the patterns, if there are any, and else the list.
func choose(origin []byte, o *origins, patterns []*pcre.Regexp) []byte {
	if len(patterns) == 0 {
		return o.allow(origin)
	}
	if origin == nil {
		return nil
	}
	for _, re := range patterns {
		if re.Match(origin) {
			return origin
		}
	}
	return nil
}

func (o *origins) allow(origin []byte) []byte {
	switch {
	case o == nil:
		return nil
	case o.any, o.echo && origin == nil:
		return star
	case o.echo, o.list[string(origin)]:
		return origin
	}
	return nil
}
