package hmacauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"

	"headrace/plugin"
	"headrace/plugin/auth"
)

type hmacAuth struct {
	gate       *auth.Gate
	hide       bool
	algorithms []string
	skew       time.Duration
	signed     []string // headers that a signature must cover
	body       bool     // the digest of the body must be right
	maxBody    int64
}

const header = "Authorization"

var scheme = []byte("Signature")

var (
	missing     = plugin.Message("client request can't be validated: missing Authorization header")
	otherScheme = plugin.Message("client request can't be validated: Authorization header does not start with 'Signature'")
	invalid     = plugin.Message("client request can't be validated")
)

// Rewrite implements plugin.Rewriter.
func (h *hmacAuth) Rewrite(c *plugin.Ctx) plugin.Verdict {
	var who *plugin.Consumer
	refusal := missing
	if sent := c.Header(header); sent != nil {
		refusal = otherScheme
		if fields, ok := bytes.CutPrefix(sent, scheme); ok {
			s := parse(fields)
			var reason string
			var v plugin.Verdict
			if who, reason, v = h.find(c, &s); v != 0 {
				return v // nobody, the anonymous consumer neither, may send such a body
			}
			if who == nil {
				h.gate.Explain(reason)
			}
			refusal = invalid
		}
	}
	v := h.gate.Pass(c, who, refusal)
	if v == 0 && h.hide {
		c.DelHeader(header)
	}
	return v
}

// find returns the consumer who signed the request, or why there is none. A
// verdict other than 0 is about the body and final.
func (h *hmacAuth) find(c *plugin.Ctx, s *signature) (who *plugin.Consumer, reason string, v plugin.Verdict) {
	switch {
	case s.keyID == nil || s.value == nil:
		return nil, "keyId or signature missing", 0
	case s.algorithm == nil:
		return nil, "algorithm missing", 0
	}
	if who = c.Directory.ByKey(name, s.keyID); who == nil {
		return nil, "Invalid key_id", 0
	}
	if !slices.Contains(h.algorithms, string(s.algorithm)) {
		return nil, "Invalid algorithm", 0
	}
	if reason = h.timely(c.Header("Date")); reason != "" {
		return nil, reason, 0
	}
	for _, name := range h.signed {
		if !s.covers(name) {
			return nil, "expected header missing in signing", 0
		}
	}
	if !s.matches(who.Auth.(*credential).secret, &c.Req) {
		return nil, "Invalid signature", 0
	}
	if h.body {
		if reason, v = h.checkDigest(c); reason != "" || v != 0 {
			return nil, reason, v
		}
	}
	return who, "", 0
}

// timely returns what is wrong with the time of the request, "" for nothing.
func (h *hmacAuth) timely(date []byte) (reason string) {
	if date == nil {
		return "Date header missing. failed to validate clock skew"
	}
	at, ok := parseDate(string(date))
	switch {
	case !ok:
		return "Invalid GMT format time"
	case time.Since(at).Abs() > h.skew:
		return "Clock skew exceeded"
	}
	return ""
}

// parseDate reads the three forms of a date in HTTP (RFC 9110, 5.6.7).
func parseDate(s string) (at time.Time, ok bool) {
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return at, false
}

// checkDigest compares the body with the header that speaks of it.
func (h *hmacAuth) checkDigest(c *plugin.Ctx) (reason string, v plugin.Verdict) {
	const invalid = "Invalid digest"
	sent := c.Header("Digest")
	if sent == nil {
		return invalid, 0
	}
	body, v := c.ReadBody(h.maxBody)
	if v != 0 {
		return "", v
	}
	sum := sha256.Sum256(body)
	want := base64.StdEncoding.AppendEncode([]byte("SHA-256="), sum[:])
	if !bytes.Equal(sent, want) {
		return invalid, 0
	}
	return "", 0
}
