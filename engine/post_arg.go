package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"headrace/conf/expr"
	"headrace/driver"
	"headrace/plugin"
)

// postArgs is what conditions see of the request's body: read when the first
// of them asks, parsed once by its content type (gateway.md 1.4).
type postArgs struct {
	kind   postKind
	fields []formField
	unsent bool // the client waits for a 100 before it sends the body
	wanted bool // and a condition has asked for it
}

type postKind uint8

const (
	postUnknown postKind = iota // nobody has asked
	postNothing                 // no body, or none that can be read
	postJSON                    // in Ctx.Body
	postForm
	postParts // multipart/form-data
)

// keepFields bounds the table of fields that stays with a pooled flow.
const keepFields = 1 << 10

func (p *postArgs) reset() {
	fields := p.fields[:cap(p.fields)]
	clear(fields)
	if cap(fields) > keepFields {
		fields = nil
	}
	*p = postArgs{fields: fields[:0]}
}

// match finds the candidate that serves the request. A verdict other than 0
// ends it before: its path is refused, or its body did not arrive.
func (f *flow) match() (*candidate, plugin.Verdict) {
	path := f.Req.Path
	if path == nil {
		f.e.log.Warn("failed to normalize: a segment with parameters is empty or a dot")
		return nil, f.Reply(400, "", nil)
	}
	if f.e.opts.KeepSlashes {
		if p := keepSlashes(f.m.path, f.Req.URI, path); p != nil {
			f.m.path, f.Req.Path = p, p
		}
	}
	c := f.snap.router.find(&f.Ctx, &f.m)
	f.Req.Path = path
	if f.body == bodyBroken {
		return nil, f.bodyFault(f.bodyErr)
	}
	return c, 0
}

// PostArg implements plugin.BodyVars.
func (f *flow) PostArg(dst []byte, path *expr.Path) expr.Value {
	switch f.loadPost() {
	case postJSON:
		head := path.Head()
		if head == "" || f.Body.Kind() != driver.Object {
			doc := f.Body.Raw()
			if f.Body.Changed() {
				doc = f.Body.AppendTo(nil)
			}
			return path.Select(dst, doc)
		}
		if member, ok := f.Body.Get(head); ok {
			return path.SelectIn(dst, member)
		}
	case postForm:
		return formValue(dst, f.post.fields, path)
	case postParts:
		return partValue(f.post.fields, path)
	}
	return expr.Value{}
}

// PostField implements plugin.BodyVars. Of the forms it knows the one that is
// encoded like a query.
func (f *flow) PostField(dst []byte, name string) expr.Value {
	if !bytes.HasPrefix(f.Header("content-type"), formType) || f.loadPost() != postForm {
		return expr.Value{}
	}
	for i := range f.post.fields {
		if field := &f.post.fields[i]; plugin.UnescapedIs(field.name, name) {
			return field.text(dst)
		}
	}
	return expr.Value{}
}

var (
	formType  = []byte("application/x-www-form-urlencoded")
	partsType = []byte("multipart/form-data")
)

// loadPost makes the body ready for conditions and says what it is.
func (f *flow) loadPost() postKind {
	p := &f.post
	if p.kind != postUnknown {
		return p.kind
	}
	ct := f.Header("content-type")
	kind := postNothing
	switch {
	case bytes.Contains(ct, jsonType):
		kind = postJSON
	case bytes.Contains(ct, formType):
		kind = postForm
	case bytes.Contains(ct, partsType):
		kind = postParts
	default:
		return f.noPost(fmt.Errorf("unsupported content-type: %.64q", ct))
	}
	if f.body != bodyRead {
		switch {
		case f.HTTP == nil || f.Status != 0 || f.upload.src != nil || f.body == bodyBroken:
			return postNothing // it is gone
		case p.unsent && int64(f.HTTP.Request.Header.ContentLength()) <= f.postBound():
			p.wanted = true
			return postNothing
		}
	}
	if err := f.readPost(); err != nil {
		return f.noPost(err)
	}
	ok := true
	switch kind {
	case postJSON:
		if err := f.loadBody(); err != nil {
			return f.noPost(fmt.Errorf("could not parse JSON request body: %w", err))
		}
	case postForm:
		p.fields, ok = appendForm(p.fields[:0], f.raw)
	case postParts:
		p.fields, ok = appendParts(p.fields[:0], f.raw, boundaryOf(ct))
	}
	if !ok {
		return f.noPost(fmt.Errorf("more than %d fields", maxFields))
	}
	p.kind = kind
	return kind
}

// noPost notes that the body has no values, and why.
func (f *flow) noPost(err error) postKind {
	f.post.kind = postNothing
	if !f.post.unsent {
		f.e.log.Warn("failed to fetch post args", "error", err)
	}
	return postNothing
}

// postLimit is how long a body may be for conditions to look at it.
func (f *flow) postLimit() int64 {
	if m := f.e.opts.MaxPostArgs; m >= 0 {
		return m
	}
	return math.MaxInt64
}

// postBound is how much is read for them: no more than any route may have.
func (f *flow) postBound() int64 {
	if m := f.e.opts.MaxBody; m > 0 {
		return min(m, f.postLimit())
	}
	return f.postLimit()
}

// readPost reads the body. What was read of one that is too long for
// conditions stays for the route that is found without them.
func (f *flow) readPost() error {
	limit, bound, size := f.postLimit(), f.postBound(), int64(len(f.raw))
	if f.body != bodyRead {
		declared := int64(f.HTTP.Request.Header.ContentLength())
		if declared <= bound && f.fillBody(bound) != 0 {
			return f.bodyErr
		}
		if f.body == bodyRead && int64(len(f.raw)) < declared { // the server takes it for a body that has ended
			f.breakBody(io.ErrUnexpectedEOF)
			return f.bodyErr
		}
		if size = max(declared, int64(len(f.raw))); size > bound && bound < limit {
			f.breakBody(errBodyLimit)
			return f.bodyErr
		}
	}
	switch {
	case size > limit:
		return fmt.Errorf("could not get body: request size %d is greater than the maximum size %d allowed", size, limit)
	case size == 0:
		return errors.New("could not get body: request body is empty")
	}
	return nil
}
