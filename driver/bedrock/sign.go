// Package bedrock signs requests to Amazon Bedrock with AWS Signature Version 4
// (ai-proxy.md section 3.5). The signature is the AWS SDK's; what is ours is
// that exactly the bytes are signed that go on the wire.
package bedrock

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"headrace/driver"
)

// Signer signs the requests of one instance; any number of them at once.
type Signer struct {
	v4      *v4.Signer // keeps the day's key by access key ID, so it is not shared
	keys    aws.Credentials
	region  string
	service string
}

// NewSigner returns the signer for an instance's credentials and region.
func NewSigner(a *driver.AWS) *Signer {
	return &Signer{
		v4:      v4.NewSigner(),
		keys:    aws.Credentials{AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey, SessionToken: a.SessionToken},
		region:  a.Region,
		service: "bedrock",
	}
}

// ErrRegion is what Sign says where the configuration has no region.
var ErrRegion = errors.New("missing region for AWS SigV4 signing (provider_conf.region required for bedrock)")

var (
	errKeys = errors.New("access_key_id or secret_access_key is empty")
	errHead = errors.New("the request has no proper head")
)

// Sign signs a request that is complete: head is its whole head, body the
// pieces of its body. It returns the head to send instead, in head's own
// memory as far as that goes: its target in the encoding that is signed,
// without authorization and x-amz-* headers but the signature's own. An error
// is a 500 whose error_msg is its text; head stays as it was.
func (s *Signer) Sign(head []byte, body [][]byte, now time.Time) ([]byte, error) {
	if s.region == "" {
		return head, ErrRegion
	}
	n := len(head)
	out, err := s.appendSigned(head, head, body, now)
	if err != nil {
		return head, fmt.Errorf("failed to sign AWS request: %w", err)
	}
	return out[:copy(out, out[n:])], nil
}

// appendSigned appends the signed form of head.
func (s *Signer) appendSigned(dst, head []byte, body [][]byte, now time.Time) ([]byte, error) {
	if s.keys.AccessKeyID == "" || s.keys.SecretAccessKey == "" {
		return nil, errKeys
	}
	start, lines, _ := bytes.Cut(head, crlf)
	method, start, _ := bytes.Cut(start, space)
	target, version, _ := bytes.Cut(start, space)
	host := hostOf(lines)
	if len(version) == 0 || len(host) == 0 || !bytes.HasPrefix(target, slash) {
		return nil, errHead
	}
	path, query, _ := bytes.Cut(target, mark)
	path = appendPath(nil, path)
	// A bare request: the signer would sign whatever header and length it has.
	// Opaque is taken as the escaped path, and the missing scheme lets the host
	// keep its port.
	req := &http.Request{
		Method: string(method),
		URL:    &url.URL{Opaque: "//host" + string(path), RawQuery: string(appendQuery(nil, query))},
		Host:   string(host),
		Header: make(http.Header, 3),
	}
	if err := s.v4.SignHTTP(context.Background(), s.keys, req, hashOf(body), s.service, s.region, now); err != nil {
		return nil, err
	}

	dst = append(append(dst, method...), ' ')
	dst = append(dst, path...)
	if q := req.URL.RawQuery; q != "" {
		dst = append(append(dst, '?'), q...)
	}
	dst = append(append(dst, ' '), version...)
	dst = append(dst, crlf...)
	dst = appendLines(dst, lines)
	for _, h := range [...]struct{ name, key string }{
		{"authorization: ", "Authorization"}, {"x-amz-date: ", "X-Amz-Date"}, {"x-amz-security-token: ", "X-Amz-Security-Token"},
	} {
		if v := req.Header.Get(h.key); v != "" {
			dst = append(append(append(dst, h.name...), v...), crlf...)
		}
	}
	return append(dst, crlf...), nil
}

var (
	crlf  = []byte("\r\n")
	space = []byte(" ")
	slash = []byte("/")
	mark  = []byte("?")
	colon = []byte(":")
)

func hashOf(body [][]byte) string {
	h := sha256.New()
	for _, p := range body {
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// hostOf is the value of the Host header.
func hostOf(lines []byte) []byte {
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, crlf)
		if name, value, _ := bytes.Cut(line, colon); bytes.EqualFold(name, []byte("host")) {
			return bytes.TrimSpace(value)
		}
	}
	return nil
}

// appendLines appends header lines but those that the signature brings itself:
// AWS wants every x-amz-* header signed, so a client's own must not pass.
func appendLines(dst, lines []byte) []byte {
	const prefix = "x-amz-"
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, crlf)
		name, _, _ := bytes.Cut(line, colon)
		if len(name) == 0 || bytes.EqualFold(name, []byte("authorization")) ||
			len(name) >= len(prefix) && bytes.EqualFold(name[:len(prefix)], []byte(prefix)) {
			continue
		}
		dst = append(append(dst, line...), crlf...)
	}
	return dst
}

// appendPath appends a path encoded once: every byte of a segment but
// A-Za-z0-9-._~, however it was written before. AWS encodes what it receives
// again and compares with that; slashes stay as they are.
func appendPath(dst, path []byte) []byte {
	for len(path) > 0 {
		if path[0] == '/' {
			dst, path = append(dst, '/'), path[1:]
			continue
		}
		var c byte
		c, path = next(path)
		dst = appendByte(dst, c)
	}
	return dst
}

// appendQuery appends a query in which the signer finds every argument: it
// would leave out what is not well formed. It sorts them too.
func appendQuery(dst, query []byte) []byte {
	for len(query) > 0 {
		var piece []byte
		piece, query, _ = bytes.Cut(query, []byte("&"))
		if len(piece) == 0 {
			continue
		}
		if len(dst) > 0 {
			dst = append(dst, '&')
		}
		name, value, _ := bytes.Cut(piece, []byte("="))
		dst = append(appendArg(dst, name), '=')
		dst = appendArg(dst, value)
	}
	return dst
}

func appendArg(dst, s []byte) []byte {
	for len(s) > 0 {
		c := s[0]
		if c == '+' {
			c, s = ' ', s[1:]
		} else {
			c, s = next(s)
		}
		dst = appendByte(dst, c)
	}
	return dst
}

// next takes the first byte off s, decoded if it is escaped.
func next(s []byte) (byte, []byte) {
	if s[0] == '%' && len(s) > 2 {
		var c [1]byte
		if _, err := hex.Decode(c[:], s[1:3]); err == nil {
			return c[0], s[3:]
		}
	}
	return s[0], s[1:]
}

func appendByte(dst []byte, c byte) []byte {
	const upper = "0123456789ABCDEF"
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
		return append(dst, c)
	}
	return append(dst, '%', upper[c>>4], upper[c&15])
}
