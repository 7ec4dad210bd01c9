// Package admin is what operators talk to: the Admin API with the shapes of
// APISIX 3.18 (gateway.md part 3), the Control API, the Status API and the
// page that Prometheus reads.
//
// The Admin API only writes to a conf.Store; what it wrote comes into force
// the way every change does. Which resources there are, and what is special
// about each, is one table (resources.go). Where routes come from a document
// that is replaced as a whole, the standalone Admin API (standalone.go) takes
// the place of all that.
package admin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"headrace/conf"
	"headrace/engine"
)

const (
	basePath    = "/apisix/admin"
	keyPrefix   = "/apisix"
	maxBody     = 1572864         // APISIX's MAX_REQ_BODY
	maxDocument = 64 << 20        // of the standalone API
	maxDrain    = 16 << 20        // of a body that is too large, so that the client reads the answer
	appliedWait = 2 * time.Second // for a write to be in force
	maxTTL      = 876000 * 3600   // seconds, 100 years
	textNotHere = "Key not found" // the text of a missing item
	textNoVerb  = "not found"     // the text of a verb that a path does not have
	mask        = "********"      // what a viewer sees instead of a secret
	roleViewer  = "viewer"
	noKeyName   = "-" // in the audit log when keys are not required

	textNoResource = "Unsupported resource type: "
	textNoStream   = "stream mode is disabled, can not add stream routes"
	textNoProtos   = "protos are not supported: this gateway does not transcode gRPC"
)

// Options of the Admin API.
type Options struct {
	Store conf.Store
	// Standalone is there instead of Store: the standalone Admin API.
	Standalone *conf.Standalone
	// Applied waits until the revision is in force; nil: nothing to wait for.
	Applied     func(ctx context.Context, rev int64) error
	Registry    *engine.Registry
	Log         *slog.Logger         // nil: no log
	Audit       *slog.Logger         // a line for each change; nil: Log
	Keys        []conf.AdminKeyEntry // none: no check; an empty key matches nothing
	KeyRequired bool
	Allow       []netip.Prefix // nil: any address
	CORS        bool
	Server      string // the Server header; empty: none
	Prefix      string // of keys in replies; empty: "/apisix"
}

// API serves the Admin API. Its handler may be used by any number of
// connections at the same time.
type API struct {
	Options
	keys  []hashedKey
	locks [64]sync.Mutex // by item: a write reads what was there first
	whole [32]sync.Mutex // by kind: for rules that look at all items of a kind
	refs  sync.RWMutex   // held shared by those who refer, alone by those who delete
	doc   held           // of the standalone API
	now   func() time.Time
}

// New makes an API.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Audit == nil {
		o.Audit = o.Log
	}
	if o.Prefix == "" {
		o.Prefix = keyPrefix
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
	folder string   // the part of the ids that a list is about: "jack/credentials/", "vault/"
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
	case "HEAD":
		ok = ok && c.Standalone != nil
	default:
		ok = false
	}
	segs := segments(rest)
	handle := c.route
	if c.Standalone != nil {
		if handle = c.standaloneRoute(segs); handle == nil {
			ok = false
		}
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
	handle(segs)
}

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
	case "configs":
		if c.verb != "POST" || len(segs) != 2 || segs[1] != "validate" {
			fail(c.ctx, 404, textNoResource+name)
			return
		}
		c.validateDocument()
	case "stream_routes":
		fail(c.ctx, 400, textNoStream)
	case "protos":
		c.protos(len(segs) > 1)
	default:
		if c.res = resourceByName(name); c.res == nil {
			fail(c.ctx, 404, textNoResource+name)
			return
		}
		c.locate(segs[1:])
		c.resource()
	}
}

// locate takes the path behind the resource's name apart: the ids of secrets
// and credentials have two parts.
func (c *call) locate(segs []string) {
	switch {
	case len(segs) == 0:
		return
	case c.res.kind == conf.Consumers && len(segs) > 1 && segs[1] == "credentials":
		c.res = &credentials
		c.folder = segs[0] + "/credentials/"
		segs = segs[2:]
	case c.res.kind == conf.Secrets:
		c.folder = segs[0] + "/"
		if segs = segs[1:]; len(segs) > 0 {
			segs[0] = c.folder + segs[0]
		}
	}
	if len(segs) > 0 {
		c.id, c.sub = segs[0], segs[1:]
	}
}

// protos answers as an APISIX without any: this gateway transcodes no gRPC.
func (c *call) protos(one bool) {
	switch {
	case c.verb != fasthttp.MethodGet:
		fail(c.ctx, 400, textNoProtos)
	case one:
		c.missing()
	default:
		reply(c.ctx, 200, []byte(`{"list":[],"total":0}`))
	}
}

func (c *call) missing() { reply(c.ctx, 404, []byte(`{"message":"`+textNotHere+`"}`)) }

// segments splits a path; empty segments do not count.
func segments(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}
