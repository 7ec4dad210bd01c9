package wire

import "bytes"

// Head is the head of a response. Its slices alias the exchange's buffer and
// are valid until the exchange's next Do or Reset.
type Head struct {
	Status        int
	Proto10       bool   // HTTP/1.0
	ContentType   []byte // first one; nil: absent
	ContentLength int64  // -1: not given
	Chunked       bool
	Close         bool   // the connection ends with this response
	Raw           []byte // header lines as they came, without the blank line
}

// Get returns the first value of a header, without blanks around it, or nil
// where there is none; upper and lower case are the same. It allocates nothing.
func (h *Head) Get(name string) []byte {
	for rest := h.Raw; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		if i := len(name); i < len(line) && line[i] == ':' && equalFold(line[:i], name) {
			return trim(line[i+1:])
		}
	}
	return nil
}

// All yields every header line as a name and a value, in order.
func (h *Head) All(yield func(name, value []byte) bool) {
	for rest := h.Raw; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		if i := bytes.IndexByte(line, ':'); i > 0 && !yield(line[:i], trim(line[i+1:])) {
			return
		}
	}
}

// parse reads a whole head: b ends with the blank line. Lines may end with a
// bare LF. What would let two readers see different messages is refused:
// Content-Length beside Transfer-Encoding, lengths that differ, codings other
// than chunked, folded lines, blanks before a colon.
func (h *Head) parse(b []byte) error {
	*h = Head{ContentLength: -1}
	line, rest := cutLine(b)
	if err := h.statusLine(line); err != nil {
		return err
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return bad("NUL in", line)
	}
	var closing, keeping bool
	all := rest
	for {
		if line, rest = cutLine(rest); len(line) == 0 {
			break
		}
		h.Raw = all[:len(all)-len(rest)]
		name, value, err := field(line)
		if err != nil {
			return err
		}
		switch len(name) {
		case len("connection"):
			if equalFold(name, "connection") {
				closing = closing || hasToken(value, "close")
				keeping = keeping || hasToken(value, "keep-alive")
			}
		case len("content-type"):
			if h.ContentType == nil && equalFold(name, "content-type") {
				h.ContentType = value
			}
		case len("content-length"):
			if equalFold(name, "content-length") {
				if err := h.length(value); err != nil {
					return err
				}
			}
		case len("transfer-encoding"):
			if equalFold(name, "transfer-encoding") {
				if h.Chunked || !equalFold(value, "chunked") {
					return bad("transfer-encoding", value)
				}
				h.Chunked = true
			}
		}
	}
	if h.Chunked && h.ContentLength >= 0 {
		return bad("both transfer-encoding and content-length", nil)
	}
	// Chunks in an HTTP/1.0 answer are read, but not trusted further (RFC 9112, 6.1).
	h.Close = closing || h.Proto10 && (!keeping || h.Chunked)
	return nil
}

func (h *Head) statusLine(line []byte) error {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7] < '0' || line[7] > '9' || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' {
		return bad("status line", line)
	}
	for _, d := range line[9:12] {
		if d < '0' || d > '9' {
			return bad("status line", line)
		}
		h.Status = h.Status*10 + int(d-'0')
	}
	if h.Status < 100 || bytes.IndexByte(line, '\r') >= 0 {
		return bad("status line", line)
	}
	h.Proto10 = line[7] == '0'
	return nil
}

// length takes a Content-Length: digits, or the same digits repeated in a list.
func (h *Head) length(value []byte) error {
	for rest, more := value, true; more; {
		var item []byte
		item, rest, more = bytes.Cut(rest, []byte{','})
		item = trim(item)
		n := int64(0)
		for _, d := range item {
			if d < '0' || d > '9' || n > (1<<63-1-9)/10 {
				return bad("content-length", value)
			}
			n = n*10 + int64(d-'0')
		}
		if len(item) == 0 || h.ContentLength >= 0 && h.ContentLength != n {
			return bad("content-length", value)
		}
		h.ContentLength = n
	}
	return nil
}

// field splits a header line and checks it.
func field(line []byte) (name, value []byte, err error) {
	i := 0
	for i < len(line) && tokens[line[i]] {
		i++
	}
	if i == 0 || i == len(line) || line[i] != ':' || bytes.IndexByte(line, '\r') >= 0 {
		return nil, nil, bad("header line", line)
	}
	return line[:i], trim(line[i+1:]), nil
}

// headEnd returns the length of the head at the front of b, blank line
// included, or -1 while it is incomplete; b[:from] was looked at before.
func headEnd(b []byte, from int) int {
	if from -= 3; from < 0 {
		from = 0
	}
	for {
		k := bytes.IndexByte(b[from:], '\n')
		if k < 0 {
			return -1
		}
		from += k + 1
		switch {
		case from < len(b) && b[from] == '\n':
			return from + 1
		case from+1 < len(b) && b[from] == '\r' && b[from+1] == '\n':
			return from + 2
		}
	}
}

// speaksHTTP reports whether b may be the beginning of a response, so that
// another protocol's greeting fails at once and not by a timeout.
func speaksHTTP(b []byte) bool {
	const want = "HTTP/1."
	if len(b) > len(want) {
		b = b[:len(want)]
	}
	return string(b) == want[:len(b)]
}

// cutLine returns the first line without its end, and what follows.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil
	}
	line, rest = b[:i], b[i+1:]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, rest
}

func hasToken(list []byte, token string) bool {
	for more := true; more; {
		var item []byte
		item, list, more = bytes.Cut(list, []byte{','})
		if equalFold(trim(item), token) {
			return true
		}
	}
	return false
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold is ASCII only: a header name is never anything else.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b | 0x20
	}
	return b
}

// tokens marks the bytes that a header name may have.
var tokens = func() (t [256]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[b] = true
	}
	return t
}()
