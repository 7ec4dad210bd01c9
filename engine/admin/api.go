// Package admin is what operators talk to: the Admin API with the shapes of
// APISIX 3.18 (gateway.md part 3), the Control API, the Status API and the
// page that Prometheus reads.
//
// The Admin API only writes to a conf.Store; what it wrote comes into force
// the way every change does. Which resources there are, and what is special
// about each, is one table (resources.go).
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/conf"
	"headrace/engine"
)

const (
	basePath    = "/apisix/admin"
	keyPrefix   = "/apisix/"
	maxBody     = 1572864         // APISIX's MAX_REQ_BODY
	maxDrain    = 16 << 20        // of a body that is too large, so that the client reads the answer
	appliedWait = 2 * time.Second // for a write to be in force
	maxTTL      = 876000 * 3600   // seconds, 100 years
	textNotHere = "Key not found" // the text of a missing item
	textNoVerb  = "not found"     // the text of a verb that a path does not have
	mask        = "********"      // what a viewer sees instead of a secret
	roleViewer  = "viewer"
	noKeyName   = "-" // in the audit log when keys are not required
)

// Options of the Admin API.
type Options struct {
	Store conf.Store
	// Applied waits until the revision is in force; nil: nothing to wait for.
	Applied     func(ctx context.Context, rev int64) error
	Registry    *engine.Registry
	Log         *slog.Logger         // nil: no log
	Keys        []conf.AdminKeyEntry // none: no check; an empty key matches nothing
	KeyRequired bool
	Allow       []netip.Prefix // nil: any address
	CORS        bool
	Server      string // the Server header; empty: none
}

// API serves the Admin API. Its handler may be used by any number of
// connections at the same time.
type API struct {
	Options
	keys  []hashedKey
	locks [64]sync.Mutex // by item: a write reads what was there first
	whole [32]sync.Mutex // by kind: for rules that look at all items of a kind
	refs  sync.RWMutex   // held shared by those who refer, alone by those who delete
	now   func() time.Time
}

// hashedKey makes keys of all lengths compare in the same time.
type hashedKey struct {
	sum [sha256.Size]byte
	*conf.AdminKeyEntry
}

// New makes an API.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{Options: o, now: time.Now}
	for i := range o.Keys {
		if k := &o.Keys[i]; k.Key != "" {
			a.keys = append(a.keys, hashedKey{sha256.Sum256([]byte(k.Key)), k})
		}
	}
	return a
}

// call is one request on its way through the API.
type call struct {
	*API
	ctx    *fasthttp.RequestCtx
	verb   string
	key    *conf.AdminKeyEntry // nil: keys are not required
	client netip.Addr
	res    *resource
	id     string   // "" when the path has none
	sub    []string // what follows the id
	body   *value   // nil: none was sent
	ttl    time.Duration
}

// Handler answers one request. The server should be NewServer's.
func (a *API) Handler(ctx *fasthttp.RequestCtx) {
	c := call{API: a, ctx: ctx, verb: string(ctx.Method()), client: peer(ctx)}
	ctx.SetContentType("application/json")
	ctx.Response.Header.Set("X-API-VERSION", "v3")
	if a.Server != "" {
		ctx.Response.Header.SetServer(a.Server)
	}
	c.serve()
	c.drop()
}

func (c *call) serve() {
	if !c.allowed() {
		c.Log.Warn("admin API: address is not in allow_admin", "client", c.client.String())
		fail(c.ctx, 403, "access is forbidden for this address")
		return
	}
	if c.CORS && c.cors() {
		return
	}
	path := string(c.ctx.Path())
	if path == basePath && c.verb == fasthttp.MethodHead {
		c.ctx.SetStatusCode(200)
		return
	}
	rest, ok := strings.CutPrefix(path, basePath+"/")
	switch c.verb {
	case "GET", "PUT", "POST", "PATCH", "DELETE":
	default:
		ok = false
	}
	if !ok {
		fail(c.ctx, 404, textNoVerb)
		return
	}
	if reason := c.authenticate(); reason != "" {
		c.Log.Warn("admin API: failed to check token: "+reason, "client", c.client.String(), "verb", c.verb)
		reply(c.ctx, 401, fmt.Appendf(nil, `{"error_msg":"failed to check token","description":"%s"}`, reason))
		return
	}
	c.route(segments(rest))
}

func (c *call) allowed() bool {
	if c.Allow == nil {
		return true
	}
	for _, p := range c.Allow {
		if p.Contains(c.client) {
			return true
		}
	}
	return false
}

// cors sets the headers and answers a preflight.
func (c *call) cors() (answered bool) {
	h := &c.ctx.Response.Header
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Max-Age", "3600")
	if c.verb != fasthttp.MethodOptions {
		h.Set("Access-Control-Expose-Headers", "*")
		return false
	}
	h.Set("Access-Control-Allow-Methods", "POST, GET, PUT, OPTIONS, DELETE, PATCH")
	h.Set("Access-Control-Allow-Headers", "*")
	c.ctx.SetStatusCode(200)
	return true
}

// authenticate returns why the request may not go on, in APISIX's words, or "".
func (c *call) authenticate() string {
	if !c.KeyRequired || len(c.Keys) == 0 {
		return ""
	}
	h := &c.ctx.Request.Header
	var token []byte
	switch args := c.ctx.QueryArgs(); {
	case args.Has("api_key"):
		token = args.Peek("api_key")
	case len(h.PeekAll("X-API-KEY")) > 0:
		token = h.Peek("X-API-KEY")
	default:
		if token = h.Cookie("x_api_key"); len(token) == 0 {
			return "missing apikey"
		}
	}
	// Every key is compared, so that the time says nothing about which one is near.
	sum := sha256.Sum256(token)
	for _, k := range c.keys {
		if subtle.ConstantTimeCompare(sum[:], k.sum[:]) == 1 && c.key == nil {
			c.key = k.AdminKeyEntry
		}
	}
	switch {
	case c.key == nil:
		return "wrong apikey"
	case c.key.Role == roleViewer && c.verb != fasthttp.MethodGet:
		return "invalid method for role viewer"
	}
	return ""
}

// viewer tells whether secrets are masked.
func (c *call) viewer() bool { return c.key != nil && c.key.Role == roleViewer }

// route finds the handler of a path, given in segments below the base.
func (c *call) route(segs []string) {
	if len(segs) == 0 {
		fail(c.ctx, 404, textNoVerb)
		return
	}
	switch name := segs[0]; name {
	case "plugins":
		c.plugins(segs[1:])
	case "schema":
		c.schemas(segs[1:])
	case "stream_routes":
		fail(c.ctx, 400, "stream mode is disabled, can not add stream routes")
	case "protos":
		c.protos(len(segs) > 1)
	default:
		if c.res = resourceByName(name); c.res == nil {
			fail(c.ctx, 404, "Unsupported resource type: "+name)
			return
		}
		if c.res.later {
			text := c.res.plural()
			if len(segs) > 2 && segs[2] == "credentials" {
				text = "credentials"
			}
			fail(c.ctx, 400, text+" are not supported yet")
			return
		}
		if len(segs) > 1 {
			c.id, c.sub = segs[1], segs[2:]
		}
		c.resource()
	}
}

// protos answers as an APISIX without any: this gateway transcodes no gRPC.
func (c *call) protos(one bool) {
	switch {
	case c.verb != fasthttp.MethodGet:
		fail(c.ctx, 400, "protos are not supported: this gateway does not transcode gRPC")
	case one:
		c.missing()
	default:
		reply(c.ctx, 200, []byte(`{"list":[],"total":0}`))
	}
}

func (c *call) missing() { reply(c.ctx, 404, []byte(`{"message":"`+textNotHere+`"}`)) }

// readBody reads and parses the body. It answers itself when it returns false.
func (c *call) readBody() bool {
	raw, size, err := c.rawBody()
	if size > maxBody {
		fail(c.ctx, 400, fmt.Sprintf("invalid request body: request size %d is greater than the maximum size %d allowed", size, maxBody))
		return false
	}
	if err != nil {
		fail(c.ctx, 400, "invalid request body: it cannot be read")
		c.ctx.SetConnectionClose()
		return false
	}
	if len(raw) == 0 {
		return true
	}
	if c.body, err = parse(raw); err != nil {
		b := appendQuoted([]byte(`{"error_msg":`), "invalid request body: "+err.Error())
		b = appendQuoted(append(b, `,"req_body":`...), string(raw))
		reply(c.ctx, 400, append(b, '}'))
		return false
	}
	return true
}

// rawBody reads no more than the limit; size is what is known of the whole.
func (c *call) rawBody() (raw []byte, size int, err error) {
	if !c.ctx.Request.IsBodyStream() {
		raw = c.ctx.Request.Body()
		return raw, len(raw), nil
	}
	if size = c.ctx.Request.Header.ContentLength(); size > maxBody {
		return nil, size, nil
	}
	raw, err = io.ReadAll(io.LimitReader(c.ctx.RequestBodyStream(), maxBody+1))
	return raw, len(raw), err
}

// drop reads what is left of a body: fasthttp would take it for the next
// request, and closing at once would cost the client our answer.
func (c *call) drop() {
	if !c.ctx.Request.IsBodyStream() {
		return
	}
	if _, err := io.CopyN(io.Discard, c.ctx.RequestBodyStream(), maxDrain); err != io.EOF {
		c.ctx.SetConnectionClose()
	}
}

// readTTL reads ?ttl=, in seconds. It answers itself when it returns false.
func (c *call) readTTL() bool {
	args := c.ctx.QueryArgs()
	if !args.Has("ttl") {
		return true
	}
	n, err := strconv.ParseFloat(string(args.Peek("ttl")), 64)
	switch {
	case err != nil || n != n:
		fail(c.ctx, 400, "invalid argument ttl: should be a number")
		return false
	case n <= 0:
		fail(c.ctx, 400, "invalid argument ttl: should be greater than 0")
		return false
	}
	c.ttl = time.Duration(min(n, maxTTL) * float64(time.Second))
	return true
}

// segments splits a path; empty segments do not count.
func segments(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}
