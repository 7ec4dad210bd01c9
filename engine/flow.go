package engine

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/driver"
	"headrace/driver/wire"
	"headrace/lb"
	"headrace/plugin"
	"headrace/sse"
)

// flow is everything that one request needs, in one pooled object. It is
// owned by the goroutine that serves the request; only Exchange.Cancel is
// called from elsewhere, through conn.
type flow struct {
	plugin.Ctx // what plugins see of it

	e    *Engine
	snap *Snapshot
	rt   *Route
	conn *conn

	m     match
	out   driver.Body // the body of the attempt, a layer over Ctx.Body
	ex    wire.Exchange
	relay sse.Relay
	pump  sse.Pump

	raw     []byte // the client's body
	body    bodyState
	bodyErr error // why it is broken
	loaded  bool  // Ctx.Body was made of raw
	loadErr error
	post    postArgs

	head   []byte   // head of the upstream request
	segs   [][]byte // its body
	answer []byte   // a plain answer's body
	line   []byte   // scratch: log lines, label values
	own    []byte   // copies of what aliased the server's memory
	resp   []byte   // response head of a stream
	got    []byte   // the beginning of an upload, for loggers
	gave   []byte   // the same of a relayed answer

	conv      driver.Converter // of the attempt; nil: the provider speaks the client's protocol
	cst       driver.ConvState
	converted []byte // the request that the converter made
	restated  []byte // the plain answer that it made
	early     []byte // bytes of a stream that were read before its head went out
	begun     begun
	open      openStream

	t0      time.Time // start of the attempt
	target  driver.Proto
	tr      transform
	framing sse.Framing
	length  int64
	ai      *aiRoute
	picked  *instance // of the first attempt
	hash    uint32    // of the request's key, for consistent hashing
	tried   lb.Set    // instances that failed or must not be used
	retries int
	upload  upload  // a client's body that is sent on as it arrives
	tunnel  *tunnel // nil: no protocol was changed to
	proxied bool    // an ordinary upstream answers
	busy    bool    // the exchange holds a connection
	keep    bool    // the client's connection goes on after the stream

	askedUsage bool // the client itself asked for the usage chunk
	counted    *series
	plain      plainBody
	err        error // how a stream ended

	handOver func(net.Conn) // f.takeOver, bound once
	isGone   func() bool
}

// flows is the pool that newFlow and release share. Buffers above 64 KiB are
// dropped, not kept.
var flows sync.Pool

func newFlow() *flow {
	if f, ok := flows.Get().(*flow); ok {
		return f
	}
	f := &flow{}
	f.plain.f = f
	f.begun = begun{&f.ex, &f.early}
	f.handOver = f.takeOver
	f.isGone = func() bool { return f.conn.gone.Load() }
	return f
}

const keepBuffer = 64 << 10

// begin fills f from the request that fasthttp has read the head of.
func (f *flow) begin(e *Engine, ctx *fasthttp.RequestCtx) {
	f.e, f.snap = e, e.snap.Load()
	f.HTTP = ctx
	f.Owner = f
	f.Times.Start = ctx.Time()
	v := ctx.Conn().(*view)
	f.conn = v.conn
	f.conn.phase = phaseBody

	h := &ctx.Request.Header
	f.Req.Method = h.Method()
	f.Req.URI = h.RequestURI()
	f.Req.Path = e.matchPath(ctx)
	f.Req.Query = ctx.URI().QueryString()
	f.Req.Host = h.Host()
	f.Req.Protocol = h.Protocol()
	f.Req.Headers = h.RawHeaders()
	f.Req.Length = int64(len(f.Req.Method) + len(f.Req.URI) + len(f.Req.Protocol) + 4 + len(f.Req.Headers))
	f.Req.Remote = addrPort(f.conn.RemoteAddr())
	f.Req.Local = addrPort(f.conn.LocalAddr())
	f.Req.TLS = f.conn.tls != nil
	e.screen(&f.Req, f.Req.Remote.Addr())
	f.Source = "apisix"
	f.Directory = f.snap
	f.newID()
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// newID draws the request's id: 32 hexadecimal digits, unique, not secret.
func (f *flow) newID() {
	var b [16]byte
	a, c := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		b[i], b[8+i] = byte(a>>(8*i)), byte(c>>(8*i))
	}
	hex.Encode(f.ID[:], b[:])
}

// keepRequest copies what aliases the server's memory, which is reused as
// soon as a stream has been handed over.
func (f *flow) keepRequest() {
	r := &f.Req
	n := len(r.Method) + len(r.URI) + len(r.Path) + len(r.Query) + len(r.Host) + len(r.Protocol) + len(r.Headers)
	if cap(f.own) < n {
		f.own = make([]byte, 0, n)
	}
	f.own = f.own[:0]
	for _, p := range []*[]byte{&r.Method, &r.URI, &r.Path, &r.Query, &r.Host, &r.Protocol, &r.Headers} {
		at := len(f.own)
		f.own = append(f.own, *p...)
		*p = f.own[at:len(f.own):len(f.own)]
	}
	for i := range f.Params {
		f.Params[i].Value = bytes.Clone(f.Params[i].Value)
	}
	f.HTTP = nil
}

// release gives f back. Nothing of it may be used afterwards.
func (f *flow) release() {
	f.Ctx.Reset()
	f.out.Reset()
	f.ex.Reset()
	if cap(f.raw) > keepBuffer {
		putBig(f.raw)
		f.raw = nil
	}
	for _, b := range []*[]byte{&f.raw, &f.head, &f.answer, &f.line, &f.own, &f.resp, &f.converted, &f.restated, &f.early, &f.got, &f.gave} {
		if cap(*b) > keepBuffer {
			*b = nil
		}
		*b = (*b)[:0]
	}
	clear(f.segs)
	f.segs = f.segs[:0]
	f.snap, f.rt, f.conn, f.ai, f.counted, f.picked = nil, nil, nil, nil, nil, nil
	f.tried.Clear()
	f.hash, f.retries = 0, 0
	f.upload, f.tunnel, f.proxied = upload{}, nil, false
	f.busy, f.keep, f.askedUsage, f.err, f.target = false, false, false, nil, 0
	f.body, f.bodyErr, f.loaded, f.loadErr = bodyAhead, nil, false, nil
	f.post.reset()
	clear(f.m.params)
	f.conv = nil
	f.cst.Reset()
	f.tr.reset()
	flows.Put(f)
}
