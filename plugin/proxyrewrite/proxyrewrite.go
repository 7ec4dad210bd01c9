package proxyrewrite

import (
	"bytes"
	"log/slog"
	"net/http"

	"headrace/conf/pcre"
	"headrace/plugin"
)

type rewrite struct {
	uri    *uri           // nil: see regex
	regex  []substitution // the first whose pattern is found counts
	unsafe bool           // use_real_request_uri_unsafe
	host   []byte         // nil: the client's
	method []byte         // nil: the client's
	edits  edits
	log    *slog.Logger
	owner  string
}

// match is what regex_uri has matched; the headers may use its groups.
type match struct {
	text []byte
	loc  []int
}

// Rewrite implements plugin.Rewriter.
func (r *rewrite) Rewrite(c *plugin.Ctx) plugin.Verdict {
	if r.host != nil {
		c.Req.AskHost = r.host
	}
	var m match
	target := r.target
	if r.unsafe {
		target = r.rawTarget
	}
	if err := target(c, &m); err != nil {
		r.log.Error("proxy-rewrite failed to match the uri", "owner", r.owner, "err", err)
		return c.Reply(http.StatusInternalServerError, plugin.JSON, failed)
	}
	r.edits.apply(c, &m)
	if r.method != nil {
		c.Req.Method = r.method
	}
	return 0
}

var failed = []byte("{\"error_msg\":\"failed to match the uri: " + pcre.ErrTimeout.Error() + "\"}\n")

// target rewrites the decoded path. As in APISIX an upstream gets it
// normalised, even if nothing is to be changed.
func (r *rewrite) target(c *plugin.Ctx, m *match) error {
	path, query := c.Req.Path, c.Req.Query
	var own []byte // the query of the configuration
	switch {
	case r.uri != nil:
		path = r.uri.path.fill(c)
		own = r.uri.query.fill(c)
	case r.regex != nil:
		// A question mark that the client has escaped is a part of the path.
		whole := bytes.IndexByte(path, '?') >= 0
		replaced, err := r.substitute(path, m)
		if err != nil {
			return err
		}
		if path = replaced; !whole {
			path, own, _ = bytes.Cut(path, []byte{'?'})
		}
	}
	c.SetTarget(rooted(path), joined(own, query))
	return nil
}

// rawTarget rewrites what the client has sent as it is. Only the upstream sees it.
func (r *rewrite) rawTarget(c *plugin.Ctx, m *match) error {
	sent := plugin.OriginForm(c.Req.URI)
	switch {
	case r.uri != nil:
		target := bytes.ReplaceAll(r.uri.path.fill(c), []byte{'?'}, []byte("%3F"))
		_, query, _ := bytes.Cut(sent, []byte{'?'})
		if query = joined(r.uri.query.fill(c), query); len(query) > 0 {
			target = append(append(target, '?'), query...)
		}
		c.SetRawTarget(rooted(target))
	case r.regex != nil:
		target, err := r.substitute(sent, m)
		if err != nil {
			return err
		}
		c.SetRawTarget(rooted(target))
	default:
		c.SetRawTarget(nil)
	}
	return nil
}

func (r *rewrite) substitute(text []byte, m *match) ([]byte, error) {
	for _, s := range r.regex {
		loc, err := s.re.Find(text)
		if err != nil {
			return nil, err
		}
		if loc == nil {
			continue
		}
		*m = match{text, loc}
		out := append([]byte(nil), text[:loc[0]]...)
		out = s.with.Append(out, text, loc)
		return append(out, text[loc[1]:]...), nil
	}
	return text, nil
}

// rooted is path with a slash in front: without one there is no request line.
func rooted(path []byte) []byte {
	if len(path) > 0 && path[0] == '/' {
		return path
	}
	return append([]byte{'/'}, path...)
}

// joined is the query of the configuration and the client's.
func joined(own, query []byte) []byte {
	switch {
	case len(own) == 0:
		return query
	case len(query) == 0:
		return own
	}
	return append(append(own, '&'), query...)
}
