package engine

import (
	"headrace/plugin"
)

// chain is a set of plugins sorted into the phases that they take part in,
// each by priority. It is made once, so that a request does no type
// assertions. The zero chain is empty.
type chain struct {
	rewrite []step[plugin.Rewriter]
	access  []step[plugin.Accessor]
	proxy   []step[plugin.Proxier]
	header  []step[plugin.HeaderFilter]
	chunk   []step[plugin.ChunkFilter]
	log     []step[plugin.Logger]

	bodies  []step[plugin.BodyLogger] // those of log that show bodies
	maxReq  int                       // bytes of a client's body that they show at most
	maxResp int                       // and of an answer's
}

type step[T any] struct {
	do T
	b  *plugin.Bound
}

// newChain sorts plugins, which stand by priority, into phases.
func newChain(bound []*plugin.Bound) (ch chain) {
	for _, b := range bound {
		ch.rewrite = addStep(ch.rewrite, b)
		ch.access = addStep(ch.access, b)
		ch.proxy = addStep(ch.proxy, b)
		ch.header = addStep(ch.header, b)
		ch.chunk = addStep(ch.chunk, b)
		ch.log = addStep(ch.log, b)
		ch.addBodies(b)
	}
	return ch
}

func (ch *chain) addBodies(b *plugin.Bound) {
	l, ok := b.Value.(plugin.BodyLogger)
	if !ok {
		return
	}
	if req, resp := l.Bodies(); req > 0 || resp > 0 {
		ch.bodies = append(ch.bodies, step[plugin.BodyLogger]{l, b})
		ch.maxReq, ch.maxResp = max(ch.maxReq, req), max(ch.maxResp, resp)
	}
}

func addStep[T any](steps []step[T], b *plugin.Bound) []step[T] {
	if do, ok := b.Value.(T); ok {
		return append(steps, step[T]{do, b})
	}
	return steps
}

// run lets the steps of a phase decide, until one of them ends the request.
func run[T any](steps []step[T], c *plugin.Ctx, phase func(T, *plugin.Ctx) plugin.Verdict) plugin.Verdict {
	for i := range steps {
		if s := &steps[i]; s.b.Runs(c) {
			if v := phase(s.do, c); v != 0 {
				return s.b.Verdict(c, v)
			}
		}
	}
	return 0
}

func (ch *chain) runRewrite(c *plugin.Ctx) plugin.Verdict {
	return run(ch.rewrite, c, plugin.Rewriter.Rewrite)
}

func (ch *chain) runAccess(c *plugin.Ctx) plugin.Verdict {
	return run(ch.access, c, plugin.Accessor.Access)
}

func (ch *chain) runProxy(c *plugin.Ctx) plugin.Verdict {
	return run(ch.proxy, c, plugin.Proxier.BeforeProxy)
}

func (ch *chain) runHeader(c *plugin.Ctx) {
	for i := range ch.header {
		if s := &ch.header[i]; s.b.Runs(c) {
			s.do.FilterHeader(c)
		}
	}
}

// runChunk gives a body that is complete to the chunk filters.
func (ch *chain) runChunk(c *plugin.Ctx, body []byte) []byte {
	for i := range ch.chunk {
		if s := &ch.chunk[i]; s.b.Runs(c) {
			body = s.do.FilterChunk(c, nil, body, true)
		}
	}
	return body
}

func (ch *chain) runLog(c *plugin.Ctx) {
	for i := range ch.log {
		if s := &ch.log[i]; s.b.Runs(c) {
			s.do.Log(c)
		}
	}
}
