package driver

import "bytes"

// Request targets: escaping, and the query string of ai-proxy.md section 2.9.

// Sets of bytes that may stand in a request target as they are.
var (
	unreservedBytes = byteSet("-._~")
	pathBytes       = byteSet("-._~!$&'()*+,;=:@/")
	segmentBytes    = byteSet("-._~!$&'()*+,;=@") // a colon would begin a verb of Google's
	rawPathBytes    = byteSet("-._~!$&'()*+,;=:@/%")
	targetBytes     = byteSet("-._~!$&'()*+,;=:@/?%[]|") // escapes included
	tokenBytes      = byteSet("!#$%&'*+-.^_`|~")
)

// byteSet is the set of letters, digits and more.
func byteSet(more string) (set [256]bool) {
	for c := range 256 {
		b := byte(c)
		set[c] = '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
	}
	for i := range len(more) {
		set[more[i]] = true
	}
	return set
}

func appendEscaped(dst, s []byte, set *[256]bool) []byte {
	const upper = "0123456789ABCDEF"
	for _, c := range s {
		if set[c] {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upper[c>>4], upper[c&15])
		}
	}
	return dst
}

// appendSafe appends bytes that are meant to be escaped already; what could
// break the request line is escaped all the same.
func appendSafe(dst, s []byte) []byte { return appendEscaped(dst, s, &targetBytes) }

// appendPath appends a client's path. decoded is what the gateway routed on;
// raw is used as long as it says exactly the same, so that an escaped slash
// survives, and a path that was normalised or rewritten is escaped anew.
func appendPath(dst, decoded, raw []byte) []byte {
	if len(decoded) == 0 || decoded[0] != '/' {
		dst = append(dst, '/')
	}
	if len(raw) > 0 && raw[0] == '/' && decodesTo(raw, string(decoded), false) {
		return appendEscaped(dst, raw, &rawPathBytes)
	}
	return appendEscaped(dst, decoded, &pathBytes)
}

// decodesTo compares raw, decoded on the way, with text. plus says that a
// plus sign means a space, as it does in queries.
func decodesTo(raw []byte, text string, plus bool) bool {
	for len(raw) > 0 {
		c := raw[0]
		switch {
		case c == '%' && len(raw) > 2 && unhex(raw[1]) >= 0 && unhex(raw[2]) >= 0:
			c = byte(unhex(raw[1])<<4 | unhex(raw[2]))
			raw = raw[3:]
		case c == '+' && plus:
			c, raw = ' ', raw[1:]
		default:
			raw = raw[1:]
		}
		if text == "" || text[0] != c {
			return false
		}
		text = text[1:]
	}
	return text == ""
}

// queryPair is one argument that the configuration sends.
type queryPair struct {
	name string // decoded
	text string // name=value or a bare name, ready for the wire
}

// query is the configured part of the query string: auth.query first, then
// the endpoint's, which wins over it.
type query struct {
	pairs []queryPair
	auth  []string // names of auth.query; the client's values for them are ignored
	text  string   // pairs joined, for requests that drop the client's query
}

func newQuery(auth Pairs, endpoint string) (q query) {
	var own []queryPair
	for rest := []byte(endpoint); len(rest) > 0; {
		var piece []byte
		if piece, rest = nextPiece(rest); len(nameOf(piece)) > 0 {
			own = append(own, queryPair{name: decoded(nameOf(piece)), text: string(piece)})
		}
	}
	for _, p := range auth {
		q.auth = append(q.auth, p.Name)
		if hasPair(own, p.Name) {
			continue
		}
		text := appendEscaped(nil, []byte(p.Name), &unreservedBytes)
		text = appendEscaped(append(text, '='), []byte(p.Value), &unreservedBytes)
		q.pairs = append(q.pairs, queryPair{name: p.Name, text: string(text)})
	}
	q.pairs = append(q.pairs, own...)
	for i, p := range q.pairs {
		if i > 0 {
			q.text += "&"
		}
		q.text += p.text
	}
	return q
}

// nextPiece cuts the first argument off a query.
func nextPiece(q []byte) (piece, rest []byte) {
	if k := bytes.IndexByte(q, '&'); k >= 0 {
		return q[:k], q[k+1:]
	}
	return q, nil
}

// nameOf is the name of an argument as it was written.
func nameOf(piece []byte) []byte {
	if k := bytes.IndexByte(piece, '='); k >= 0 {
		return piece[:k]
	}
	return piece
}

func hasPair(ps []queryPair, name string) bool {
	for i := range ps {
		if ps[i].name == name {
			return true
		}
	}
	return false
}

func decoded(raw []byte) string {
	var out []byte
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '+' {
			c = ' '
		} else if c == '%' && i+2 < len(raw) && unhex(raw[i+1]) >= 0 && unhex(raw[i+2]) >= 0 {
			c = byte(unhex(raw[i+1])<<4 | unhex(raw[i+2]))
			i += 2
		}
		out = append(out, c)
	}
	return string(out)
}

// appendTo appends the configured arguments and those of the client: the
// client's win over the endpoint's, never over auth.query. mark is what comes
// before the first one.
func (q *query) appendTo(dst, client []byte, mark byte) []byte {
	for i := range q.pairs {
		p := &q.pairs[i]
		if !q.isAuth(p.name) && inQuery(client, p.name) {
			continue
		}
		dst = append(append(dst, mark), p.text...)
		mark = '&'
	}
	for rest := client; len(rest) > 0; {
		var piece []byte
		piece, rest = nextPiece(rest)
		if len(nameOf(piece)) == 0 || q.reserved(nameOf(piece)) {
			continue
		}
		dst = appendSafe(append(dst, mark), piece)
		mark = '&'
	}
	return dst
}

func (q *query) isAuth(name string) bool {
	for _, a := range q.auth {
		if a == name {
			return true
		}
	}
	return false
}

func (q *query) reserved(raw []byte) bool {
	for _, a := range q.auth {
		if decodesTo(raw, a, true) {
			return true
		}
	}
	return false
}

func inQuery(client []byte, name string) bool {
	for rest := client; len(rest) > 0; {
		var piece []byte
		piece, rest = nextPiece(rest)
		if decodesTo(nameOf(piece), name, true) {
			return true
		}
	}
	return false
}
