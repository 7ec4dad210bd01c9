// Package vertex mints the access tokens that Google Cloud wants from a
// service account (ai-proxy.md section 3.4) and keeps them fresh: a Cache finds
// the TokenSource of each credential and policy, a TokenSource answers at once
// as long as its token is valid. Hosts, paths and bodies of Vertex AI are rows
// and converters of package driver.
package vertex

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"headrace/driver"
)

const (
	defaultTokenURI = "https://oauth2.googleapis.com/token"
	defaultScope    = "https://www.googleapis.com/auth/cloud-platform"
	defaultTTL      = time.Hour // of an answer without expires_in
	maxTTL          = 365 * 24 * time.Hour
	// mintTimeout bounds one exchange with the token server.
	mintTimeout = 10 * time.Second
)

// Error says that there is no token. Its text is APISIX's, made for clients;
// Unwrap gives the reason for the log. Neither shows a secret.
type Error struct {
	text   string
	reason error
}

// Error gives "failed to get google oauth token" or "invalid gcp service
// account json: ...".
func (e *Error) Error() string { return e.text }

// Unwrap gives the reason, nil if the text says it all.
func (e *Error) Unwrap() error { return e.reason }

func noToken(reason error) *Error { return &Error{"failed to get google oauth token", reason} }

// readAccount takes the assertion's parts out of a service account's JSON.
func readAccount(text string) (*jwt.Config, *Error) {
	if text == "" {
		return nil, noToken(errors.New("no service account: auth.gcp.service_account_json and GCP_SERVICE_ACCOUNT are empty"))
	}
	invalid := func(why string) *Error { return &Error{"invalid gcp service account json: " + why, nil} }
	var b driver.Body
	if err := b.Load([]byte(text)); err != nil {
		return nil, invalid(err.Error())
	}
	if b.Kind() != driver.Object {
		return nil, invalid("not an object")
	}
	str := func(key, def string) string {
		if s, _ := b.GetString(key); len(s) > 0 {
			return string(s)
		}
		return def
	}
	conf := &jwt.Config{
		Email:      str("client_email", ""),
		PrivateKey: []byte(str("private_key", "")),
		TokenURL:   str("token_uri", defaultTokenURI),
		Scopes:     []string{str("scope", defaultScope)},
	}
	if raw, _ := b.Get("scope"); driver.KindOf(raw) == driver.Array {
		if list := driver.Strings(raw); len(list) > 0 {
			conf.Scopes = list
		}
	}
	switch {
	case conf.Email == "":
		return nil, noToken(errors.New("the service account has no client_email"))
	case len(conf.PrivateKey) == 0:
		return nil, noToken(errors.New("the service account has no private_key"))
	}
	if u, err := url.Parse(conf.TokenURL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, noToken(errors.New("the service account's token_uri is no http or https address"))
	}
	return conf, nil
}

// exchange signs an assertion and trades it for an access token. The error
// shows nothing of either.
func exchange(ctx context.Context, client *http.Client, conf *jwt.Config) (text []byte, ttl time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, mintTimeout)
	defer cancel()
	way := &transport{ctx: ctx, next: client.Transport}
	hc := *client
	hc.Transport = way
	hc.CheckRedirect = stay
	tok, err := conf.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, &hc)).Token()
	if err != nil {
		return nil, 0, reasonOf(err, cmp.Or(ctx.Err(), way.err))
	}
	if !isToken(tok.AccessToken) {
		return nil, 0, errors.New("the token server's answer has no usable access_token")
	}
	ttl = defaultTTL
	if secs, ok := tok.Extra("expires_in").(float64); ok {
		// A token that ends at once would be minted without a pause.
		ttl = time.Duration(min(max(secs, 1), maxTTL.Seconds()) * float64(time.Second))
	}
	return []byte(tok.AccessToken), ttl, nil
}

// reasonOf is err without what it quotes: the library puts the whole answer
// and the whole address into its texts.
func reasonOf(err, transport error) error {
	var answer *oauth2.RetrieveError
	switch {
	case transport != nil:
		return fmt.Errorf("cannot reach the token server: %w", transport)
	case errors.As(err, &answer):
		return fmt.Errorf("the token server answered %d%s", answer.Response.StatusCode, codeOf(answer.Body))
	case strings.HasPrefix(err.Error(), "private key"):
		return errors.New("the service account's private_key is no RSA key in PEM")
	}
	return errors.New("the token server's answer is not what RFC 6749 wants")
}

// codeOf is the error of an answer's body, which is one of a few words.
func codeOf(body []byte) string {
	var b driver.Body
	if b.Load(body) != nil {
		return ""
	}
	code, _ := b.GetString("error")
	for _, c := range code {
		if c != '_' && (c < 'a' || c > 'z') {
			return ""
		}
	}
	if len(code) == 0 || len(code) > 64 {
		return ""
	}
	return ": " + string(code)
}

// isToken tells whether s can stand in a header.
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// stay follows no redirect: the assertion is for one server.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// transport gives requests a context, which the library does not, and keeps
// the error of the network.
type transport struct {
	ctx  context.Context
	next http.RoundTripper
	err  error
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(rq *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	// The client's own time limit is in the context of the request. Both must
	// hold until the body has been read, so that only t.ctx ends this one.
	ctx, cancel := context.WithCancel(rq.Context())
	context.AfterFunc(t.ctx, cancel)
	resp, err := next.RoundTrip(rq.WithContext(ctx))
	t.err = err
	return resp, err
}
