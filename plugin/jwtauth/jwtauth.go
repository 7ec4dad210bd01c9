package jwtauth

import (
	"bytes"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"headrace/plugin"
	"headrace/plugin/auth"
)

type jwtAuth struct {
	gate   *auth.Gate
	header string
	query  string
	cookie string
	hide   bool
	claim  string // that holds the consumer's key
	checks []check
}

// check is a claim about time that is looked at.
type check struct {
	claim    string
	required bool
}

var (
	missing    = plugin.Message("Missing JWT token in request")
	invalid    = plugin.Message("JWT token invalid")
	missingKey = plugin.Message("missing user key in JWT token")
	invalidKey = plugin.Message("Invalid user key in JWT token")
	unverified = plugin.Message("failed to verify jwt")
)

// Rewrite implements plugin.Rewriter.
func (j *jwtAuth) Rewrite(c *plugin.Ctx) plugin.Verdict {
	token, from := j.token(c)
	var who *plugin.Consumer
	refusal := missing
	if from != nowhere {
		who, refusal = j.find(c, token)
	}
	v := j.gate.Pass(c, who, refusal)
	if v == 0 && j.hide {
		j.strip(c, from)
	}
	return v
}

// place is where a request has its token.
type place uint8

const (
	nowhere place = iota
	inHeader
	inQuery
	inCookie
)

func (j *jwtAuth) token(c *plugin.Ctx) ([]byte, place) {
	if v := c.Header(j.header); v != nil {
		return withoutBearer(v), inHeader
	}
	if v := c.Arg(j.query); v != nil {
		return v, inQuery
	}
	if v := c.Cookie(j.cookie); v != nil {
		return v, inCookie
	}
	return nil, nowhere
}

func (j *jwtAuth) strip(c *plugin.Ctx, from place) {
	switch from {
	case inHeader:
		c.DelHeader(j.header)
	case inQuery:
		c.DelArg(j.query)
	case inCookie:
		c.DelCookie(j.cookie)
	}
}

// withoutBearer removes the two spellings that APISIX knows.
func withoutBearer(v []byte) []byte {
	if bytes.HasPrefix(v, []byte("Bearer ")) || bytes.HasPrefix(v, []byte("bearer ")) {
		return v[len("Bearer "):]
	}
	return v
}

var parser = jwt.NewParser()

// find returns the consumer that the token was made for, if everything about
// the token is in order. What the token says about itself is not believed
// before its signature has been verified, except for the key by which the
// consumer is found.
func (j *jwtAuth) find(c *plugin.Ctx, token []byte) (who *plugin.Consumer, refusal []byte) {
	claims := jwt.MapClaims{}
	t, parts, err := parser.ParseUnverified(string(token), claims)
	// An unknown algorithm and a signature that is no base64 are faults of the
	// signature, as in APISIX.
	if err != nil && (t == nil || t.Method == nil && !errors.Is(err, jwt.ErrTokenUnverifiable)) {
		return nil, invalid
	}
	claim, ok := claims[j.claim]
	if !ok || claim == false {
		return nil, missingKey
	}
	key, _ := claim.(string) // what is no string is nobody's key
	if who = c.Directory.ByKey(name, []byte(key)); who == nil {
		return nil, invalidKey
	}
	cr := who.Auth.(*credential)
	reason := cr.verify(t, parts, err)
	if reason == "" {
		reason = j.timely(claims, cr.grace)
	}
	if reason != "" {
		j.gate.Explain(reason)
		return nil, unverified
	}
	return who, nil
}

// verify returns what is wrong with the signature of a token, "" for nothing.
// parsed is the parser's error.
func (cr *credential) verify(t *jwt.Token, parts []string, parsed error) (reason string) {
	switch {
	case t.Method == nil || t.Method.Alg() != cr.method.Alg():
		return "algorithm mismatch"
	case parsed != nil:
		return "malformed signature"
	case t.Header["crit"] != nil:
		return "the header has critical extensions" // none is known (RFC 7515, 4.1.11)
	case cr.method.Verify(parts[0]+"."+parts[1], t.Signature, cr.key) != nil:
		return "signature mismatch"
	}
	return ""
}

// timely returns what is wrong with the claims about time, "" for nothing.
func (j *jwtAuth) timely(claims jwt.MapClaims, grace float64) (reason string) {
	now := float64(time.Now().UnixMilli()) / 1000
	for _, ch := range j.checks {
		v, ok := claims[ch.claim]
		if !ok {
			if ch.required {
				return "claim " + ch.claim + " is missing"
			}
			continue
		}
		at, ok := v.(float64)
		switch {
		case !ok:
			return "claim " + ch.claim + " is not a number"
		case ch.claim == "nbf" && at > now+grace:
			return "'nbf' claim not valid yet"
		case ch.claim == "exp" && at <= now-grace:
			return "'exp' claim expired"
		}
	}
	return ""
}
