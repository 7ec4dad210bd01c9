package hmacauth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"slices"

	"headrace/plugin"
)

// signature is an Authorization header, taken apart. Its parts are pieces of
// the header; nil: absent.
type signature struct {
	keyID     []byte
	algorithm []byte
	headers   [][]byte // names, as the client spells them
	value     []byte
}

// parse reads what follows the scheme: name="value", separated by commas. As
// in APISIX a value holds no comma, what is no such pair is passed over, and
// the last of several counts.
func parse(fields []byte) (s signature) {
	for len(fields) > 0 {
		var field []byte
		field, fields, _ = bytes.Cut(fields, []byte{','})
		name, rest, _ := bytes.Cut(field, []byte(`="`))
		value, _, closed := bytes.Cut(rest, []byte{'"'})
		if !closed {
			continue
		}
		switch string(lastWord(name)) {
		case "keyId":
			s.keyID = value
		case "algorithm":
			s.algorithm = value
		case "signature":
			s.value = value
		case "headers":
			s.headers = bytes.Split(value, []byte{' '})
		}
	}
	return s
}

// lastWord is the letters and digits at the end of s.
func lastWord(s []byte) []byte {
	i := len(s)
	for i > 0 && ('0' <= s[i-1] && s[i-1] <= '9' || 'a' <= s[i-1]|0x20 && s[i-1]|0x20 <= 'z') {
		i--
	}
	return s[i:]
}

// covers says whether the header is among those that were signed, in the same
// spelling.
func (s *signature) covers(header string) bool {
	return slices.ContainsFunc(s.headers, func(h []byte) bool { return string(h) == header })
}

// requestTarget stands for method and target among the names of headers.
const requestTarget = "@request-target"

// appendSigned writes what the client has signed. A header that the request
// does not have is left out.
func (s *signature) appendSigned(dst []byte, r *plugin.Request) []byte {
	dst = append(append(dst, s.keyID...), '\n')
	for _, name := range s.headers {
		if string(name) == requestTarget {
			dst = append(append(dst, r.Method...), ' ')
			dst = append(append(dst, r.URI...), '\n')
		} else if v := r.Header(string(name)); v != nil {
			dst = append(append(dst, name...), ": "...)
			dst = append(append(dst, v...), '\n')
		}
	}
	return dst
}

// matches compares the signature with that of the request, in a time that
// does not depend on how much of it is right.
func (s *signature) matches(secret []byte, r *plugin.Request) bool {
	sent, ok := plugin.AppendBase64(nil, s.value)
	if !ok {
		return false
	}
	mac := hmac.New(newHash(s.algorithm), secret)
	mac.Write(s.appendSigned(nil, r))
	return hmac.Equal(sent, mac.Sum(nil))
}

// newHash finds the function of an algorithm that the schema knows.
func newHash(algorithm []byte) func() hash.Hash {
	switch string(algorithm) {
	case "hmac-sha1":
		return sha1.New
	case "hmac-sha256":
		return sha256.New
	}
	return sha512.New
}
