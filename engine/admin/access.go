package admin

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/valyala/fasthttp"

	"headrace/conf"
)

// hashedKey makes keys of all lengths compare in the same time.
type hashedKey struct {
	sum [sha256.Size]byte
	*conf.AdminKeyEntry
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
