package engine

import (
	"errors"
	"io"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/driver/wire"
	"headrace/plugin"
)

// bodyInMemory bounds the request bodies and answers that are read whole: such
// a request can be sent again, such an answer needs no goroutine of its own.
const bodyInMemory = 64 << 10

var (
	badGateway     = []byte("{\"error_msg\":\"502 Bad Gateway\"}\n")
	gatewayTimeout = []byte("{\"error_msg\":\"504 Gateway Time-out\"}\n")
)

// proxy sends the request to the route's upstream and relays the answer.
func (f *flow) proxy() {
	f.proxied = true
	up := f.ordinary()
	if up == nil {
		f.replyVerdict(fasthttp.StatusServiceUnavailable)
		return
	}
	length := int64(f.HTTP.Request.Header.ContentLength())
	switch limit := f.e.opts.MaxBody; {
	case limit > 0 && length > limit:
		f.replyVerdict(f.tooLarge(length, limit))
		return
	case f.body != bodyAhead: // a condition or a plugin has read it
		if v := f.readBody(int64(len(f.raw))); v != 0 {
			f.replyVerdict(v)
			return
		}
		f.forwardHeld(up, length)
	case length >= 0 && length <= bodyInMemory:
		if v := f.readBody(bodyInMemory); v != 0 {
			f.replyVerdict(v)
			return
		}
		f.forwardHeld(up, length)
	default: // -1 in chunks, -2 none
		f.Req.Length += int64(len(f.raw))
		f.upload = upload{src: f.HTTP.RequestBodyStream(), ahead: f.raw, held: int64(len(f.raw)), limit: limit}
		f.keepUpload()
		f.forward(up, nil, length)
	}
}

// proxyBody sends body to the route's own upstream, with the client's method,
// path and headers, and answers the client with the upstream's answer. body
// may be f.answer.
func (f *flow) proxyBody(body []byte) {
	f.proxied = true
	up := f.ordinary()
	if up == nil {
		f.replyVerdict(fasthttp.StatusServiceUnavailable)
		return
	}
	f.forward(up, body, int64(len(body)))
}

// upload is the client's body on its way to the upstream.
type upload struct {
	src   io.Reader
	ahead []byte // what was read of it before
	held  int64  // how much that was
	begun bool   // something of it was taken
	n     int64  // bytes read from src
	limit int64  // 0: none

	kept *[]byte // copy of the first keep bytes; nil: there is none
	keep int
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	u.begun = true
	if len(u.ahead) > 0 {
		n := copy(p, u.ahead)
		u.ahead = u.ahead[n:]
		u.copy(p[:n])
		return n, nil
	}
	n, err := u.src.Read(p)
	u.copy(p[:n])
	if u.n += int64(n); u.limit > 0 && u.held+u.n > u.limit {
		return 0, errBodyLimit
	}
	return n, err
}

// copy keeps the beginning for loggers.
func (u *upload) copy(p []byte) {
	if u.kept != nil {
		*u.kept = append(*u.kept, p[:min(len(p), u.keep-len(*u.kept))]...)
	}
}

// forward tries the nodes of an upstream until one answers. length says where
// the body is: -1 in chunks and -2 none as the client's framing has it, or a
// number of bytes; they are in body or, if that is nil, still to be read.
func (f *flow) forward(up *upstream, body []byte, length int64) {
	f.tried.Clear()
	f.conn.attach(f)
	tm := up.timeouts
	if f.rt.timeouts != nil {
		tm = *f.rt.timeouts
	}
	upgrade := f.upgrade()
	start := time.Now()
	status := fasthttp.StatusBadGateway
	for try := 0; ; try++ {
		i := f.pickNode(up)
		if i < 0 {
			break
		}
		f.tried.Add(i)
		f.t0 = time.Now()
		n := &up.nodes[i]
		a := f.beginProxy(up, n)
		f.head = f.appendProxyHead(f.head[:0], up, n, length, upgrade)
		f.Upstream.URI = headPath(f.head)
		if f.ex.Reset(); f.conn.gone.Load() { // Reset forgets a Cancel
			f.clientGone()
			return
		}
		f.ex.NoBody, f.ex.Upgrade = string(f.Req.Method) == "HEAD", upgrade != nil
		f.busy = true
		var err error
		if body == nil && (length == -1 || length > 0) {
			err = n.pool.DoStream(&f.ex, tm, f.head, &f.upload, length)
		} else {
			f.segs = append(f.segs[:0], body)
			err = n.pool.Do(&f.ex, tm, f.head, f.segs...)
		}
		a.Connect, a.Header = f.ex.Connect, f.ex.Header
		if f.ex.Peer != "" {
			a.Addr = f.ex.Peer
		}
		if err == nil {
			f.Req.Length += f.upload.n
			f.relayAnswer(a, tm)
			return
		}
		f.freeUpstream()
		a.Total = time.Since(f.t0)
		f.Times.Upstream = a.Total
		if f.clientFault(a, err) {
			return
		}
		if status = fasthttp.StatusBadGateway; isTimeout(err) {
			status = fasthttp.StatusGatewayTimeout
		}
		a.Status = status
		f.e.log.Error("failed to proxy", "route_id", f.Info.RouteID, "node", n.addr, "err", err)
		if try >= up.retries || !f.mayRetry(err) {
			break
		}
		if up.retryWithin > 0 && time.Since(start) > up.retryWithin {
			f.e.log.Error("proxy retry timeout", "route_id", f.Info.RouteID, "retry_count", try)
			status = fasthttp.StatusBadGateway
			break
		}
	}
	f.Req.Length += f.upload.n
	f.failProxy(status)
}

// beginProxy notes the attempt that starts.
func (f *flow) beginProxy(up *upstream, n *upstreamNode) *plugin.Attempt {
	f.Attempts = append(f.Attempts, plugin.Attempt{Instance: n.host, Addr: n.addr})
	f.Scheme = up.scheme
	if !f.AI { // else the request is counted for the instance that made the body
		f.counted = f.rt.metrics.begin(f)
	}
	return &f.Attempts[len(f.Attempts)-1]
}

// clientFault ends a request that failed because of the client: it has left,
// or its body did not arrive.
func (f *flow) clientFault(a *plugin.Attempt, err error) bool {
	var src *wire.SourceError
	switch {
	case errors.Is(err, wire.ErrCanceled) || f.conn.gone.Load():
		a.Status = statusGone
		f.clientGone()
	case errors.Is(err, errBodyLimit):
		f.replyVerdict(f.tooLarge(f.upload.held+f.upload.n, f.upload.limit))
	case errors.As(err, &src) && errors.Is(err, io.ErrUnexpectedEOF):
		a.Status = statusGone
		f.conn.unread = true
		f.clientGone()
	case errors.As(err, &src):
		f.replyVerdict(f.bodyFault(src.Err))
	default:
		return false
	}
	return true
}

// mayRetry says whether a failed attempt may be repeated at another node, as
// nginx's "proxy_next_upstream error timeout": nothing of an answer came, the
// body can be sent again, and a request that must not run twice was not sent.
func (f *flow) mayRetry(err error) bool {
	if f.ex.Header > 0 || f.upload.begun {
		return false
	}
	var we *wire.Error
	if !errors.As(err, &we) {
		return false
	}
	switch we.Phase {
	case wire.PhaseDNS, wire.PhaseConnect, wire.PhaseTLS:
		return true
	}
	switch string(f.Req.Method) {
	case "POST", "PATCH", "LOCK":
		return false
	}
	return true
}

func isTimeout(err error) bool {
	var te interface{ Timeout() bool }
	return errors.As(err, &te) && te.Timeout()
}

// failProxy answers a request that no node has answered.
func (f *flow) failProxy(status int) {
	f.Source = "nginx"
	body := badGateway
	if status == fasthttp.StatusGatewayTimeout {
		body = gatewayTimeout
	}
	f.replyBody(status, plugin.JSON, body)
}
