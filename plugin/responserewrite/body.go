package responserewrite

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"sync"

	"github.com/valyala/fasthttp"

	"headrace/conf/pcre"
	"headrace/plugin"
)

// bodyRewrite changes the body as well. A body that is filtered is held until
// it is whole; streams of events are never held, they pass as they are.
type bodyRewrite struct {
	rewrite
	replacement []byte // nil: see filters
	filters     []filter
	max         int // bytes of a held body; the rest is cut off
	log         *slog.Logger
	owner       string
	once        sync.Once // said that streams pass
}

type filter struct {
	re   *pcre.Regexp
	with *pcre.Replacement
	all  bool
}

// held is the body of one answer.
type held struct {
	body   []byte
	unpack func(w io.Writer, p []byte) (int, error) // nil: it is not packed
}

// FilterHeader implements plugin.HeaderFilter.
func (b *bodyRewrite) FilterHeader(c *plugin.Ctx) {
	if !b.vars.Eval(c) {
		return
	}
	b.rewriteStatus(c)
	if h := b.hold(c); h != nil {
		c.Keep(b, h)
		for _, name := range []string{"Content-Encoding", "Last-Modified", "ETag"} { // of another body
			c.SetAnswerHeader(name, nil)
		}
	}
	b.rewriteHeaders(c)
}

// hold decides what becomes of the body; nil means that it passes as it is.
func (b *bodyRewrite) hold(c *plugin.Ctx) *held {
	h := &c.HTTP.Response.Header
	switch encoding := h.ContentEncoding(); {
	case plugin.IsStream(h.ContentType()):
		b.once.Do(func() {
			b.log.Warn("response-rewrite leaves the bodies of streams as they are", "owner", b.owner)
		})
		return nil
	case b.filters == nil, len(encoding) == 0:
		return &held{}
	case string(encoding) == "gzip":
		return &held{unpack: fasthttp.WriteGunzip}
	case string(encoding) == "br":
		return &held{unpack: fasthttp.WriteUnbrotli}
	default:
		b.log.Error("filters may not work as expected due to unsupported compression encoding type: "+string(encoding), "owner", b.owner)
		return nil
	}
}

// FilterChunk implements plugin.ChunkFilter.
func (b *bodyRewrite) FilterChunk(c *plugin.Ctx, dst, chunk []byte, last bool) []byte {
	h, ok := c.Kept(b).(*held)
	switch {
	case !ok:
		return append(dst, chunk...)
	case b.filters == nil:
		if last {
			dst = append(dst, b.replacement...)
		}
		return dst
	}
	h.body = append(h.body, chunk[:min(len(chunk), b.max-len(h.body))]...)
	if !last {
		return dst
	}
	return append(dst, b.filtered(h)...)
}

// filtered is a held body with every filter applied; one that takes too long
// is left out.
func (b *bodyRewrite) filtered(h *held) []byte {
	body := h.body
	if h.unpack != nil {
		w := &limited{left: b.max}
		if _, err := h.unpack(w, body); err != nil && !errors.Is(err, errFull) {
			b.log.Error("filters may not work as expected", "owner", b.owner, "err", err)
		}
		body = w.b.Bytes()
	}
	for _, f := range b.filters {
		out, err := f.re.Replace(make([]byte, 0, len(body)), body, f.with, f.all)
		if err != nil {
			b.log.Error("regex \""+f.re.String()+"\" substitutes failed", "owner", b.owner, "err", err)
			continue
		}
		body = out
	}
	return body
}

// limited takes a number of bytes; a packed body may hide very many.
type limited struct {
	b    bytes.Buffer
	left int
}

var errFull = errors.New("the body is too large")

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.b.Write(p[:n])
	if l.left -= n; n < len(p) {
		return n, errFull
	}
	return n, nil
}
