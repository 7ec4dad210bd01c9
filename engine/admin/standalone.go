package admin

import (
	"bytes"
	"strconv"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"headrace/conf"
)

const (
	headerDigest   = "X-Digest"
	headerModified = "X-Last-Modified" // not HTTP's own: that would steer caches
	typeYAML       = "application/yaml"
)

// held is the document that the standalone Admin API has. It begins empty.
type held struct {
	mu       sync.Mutex // a PUT holds it until it is in force
	state    sync.RWMutex
	parts    map[conf.Kind]part
	digest   string
	modified int64 // seconds; 0: nothing was stored yet
	rev      int64
}

// standaloneRoute finds the handler of a path of the standalone Admin API,
// nil if there is none (gateway.md 2.2).
func (c *call) standaloneRoute(segs []string) func([]string) {
	switch c.verb + " " + strings.Join(segs, "/") {
	case "GET configs", "HEAD configs":
		return func([]string) { c.document() }
	case "PUT configs":
		return func([]string) { c.replaceDocument() }
	case "POST configs/validate":
		return func([]string) { c.validateDocument() }
	}
	return nil
}

// document answers with all that is held, in the order of conf.Kinds.
func (c *call) document() {
	h := &c.doc
	h.state.RLock()
	defer h.state.RUnlock()
	h.sign(c.ctx)
	if c.verb == fasthttp.MethodHead {
		c.ctx.SetStatusCode(200)
		return
	}
	b := []byte{'{'}
	for _, kind := range conf.Kinds() {
		p := h.parts[kind]
		if len(b) > 1 {
			b = append(b, ',')
		}
		if p.list != nil {
			b = append(appendQuoted(b, kind.String()), ':')
			b = append(c.showList(kind, p.list).append(b), ',')
		}
		b = append(appendQuoted(b, kind.String()+versionSuffix), ':')
		b = strconv.AppendInt(b, p.version, 10)
	}
	b = append(b, '}')
	if bytes.HasPrefix(c.ctx.Request.Header.Peek("Accept"), []byte(typeYAML)) {
		c.ctx.SetContentType(typeYAML)
		c.ctx.SetBody(mustParse(b).appendYAML(nil, 0))
		return
	}
	reply(c.ctx, 200, b)
}

// sign says which document is held.
func (h *held) sign(ctx *fasthttp.RequestCtx) {
	if h.modified != 0 {
		ctx.Response.Header.Set(headerDigest, h.digest)
		ctx.Response.Header.Set(headerModified, strconv.FormatInt(h.modified, 10))
	}
}

// showList returns a list as the caller may see it. Private keys of ssls are
// part of it for who may write: the document is read, changed and sent back.
func (c *call) showList(kind conf.Kind, list *value) *value {
	if !c.viewer() || kind == conf.Plugins {
		return list
	}
	list = mustParse(list.append(nil))
	for _, item := range list.items {
		res := resourceOf(kind, item.get("id").text())
		res.hide(item)
		maskValue(c.Registry, res, item)
	}
	return list
}

// replaceDocument answers a PUT, by the rules of gateway.md 2.2 in their order.
func (c *call) replaceDocument() {
	if len(c.ctx.Request.Header.PeekAll(headerDigest)) == 0 {
		fail(c.ctx, 400, "missing digest header")
		return
	}
	doc := c.readDocument(maxDocument)
	if doc == nil {
		return
	}
	c.doc.mu.Lock()
	defer c.doc.mu.Unlock()
	w := c.replace(doc, string(c.ctx.Request.Header.Peek(headerDigest)))
	c.await(&w)
	c.audit(&w)
	if w.text != "" {
		fail(c.ctx, w.status, w.text)
		return
	}
	c.ctx.SetStatusCode(w.status)
	if w.status == 202 {
		c.doc.sign(c.ctx)
	}
}

// replace puts a document in the place of the one that is held.
func (c *call) replace(doc *value, digest string) written {
	h := &c.doc
	if h.modified != 0 && h.digest == digest {
		return written{status: 204}
	}
	parts, faults := checkDocument(c.Registry, doc, false)
	if len(faults) > 0 {
		return refuse("", faults[0].text)
	}
	if keys := unknownKeys(doc); len(keys) > 0 {
		c.Log.Warn("the document has keys that nobody reads", "keys", keys)
	}
	var items []conf.Item
	for _, kind := range conf.Kinds() {
		p, old := parts[kind], h.parts[kind]
		switch {
		case !p.given:
			p.version = old.version + 1
		case p.version < old.version:
			return refuse("", kind.String()+versionSuffix+" must be greater than or equal to ("+strconv.FormatInt(old.version, 10)+")")
		case p.version == old.version:
			p = old
		}
		parts[kind] = p
		items = append(items, p.items...)
	}
	w := written{status: 202}
	w.old.Rev = h.rev
	w.now.Rev = c.Standalone.Replace(items)
	h.state.Lock()
	defer h.state.Unlock()
	h.parts, h.digest, h.modified, h.rev = parts, digest, c.now().Unix(), w.now.Rev
	return w
}
