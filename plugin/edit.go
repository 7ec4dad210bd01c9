package plugin

import (
	"bytes"
	"strings"
)

// Changes to the request, for the plugins that come later and for the
// upstream. What the client sent stays in place: an edit makes a copy of the
// header lines or of the query that belongs to the Ctx.

// HeaderEdit is what becomes of one request header.
type HeaderEdit struct{ Name, Value string }

// SetHeader replaces every line of a request header by one, in the place of
// the first; an empty value removes the header. Line breaks in value become
// blanks: no value can add a line.
func (c *Ctx) SetHeader(name, value string) { c.SetHeaders(HeaderEdit{name, value}) }

// SetHeaders is SetHeader for several different headers, in a single copy.
func (c *Ctx) SetHeaders(edits ...HeaderEdit) {
	size := len(c.Req.Headers)
	done := make([]bool, len(edits))
	for i, e := range edits {
		size += len(e.Name) + len(e.Value) + 4
		done[i] = e.Value == ""
		if h := forwardedOf(e.Name, false); h != notForwarded {
			c.Req.own |= 1 << h
		}
	}
	out := make([]byte, 0, size)
	for rest := c.Req.Headers; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		i := 0
		for i < len(edits) && !isHeader(line, edits[i].Name) {
			i++
		}
		switch {
		case i == len(edits):
			out = append(out, line...)
		case !done[i]:
			out, done[i] = appendHeaderLine(out, edits[i].Name, edits[i].Value), true
		}
	}
	for i, e := range edits {
		if !done[i] {
			out = appendHeaderLine(out, e.Name, e.Value)
		}
	}
	c.Req.Headers = out
}

// AddHeader adds a line behind all others; lines that are not believed are not
// added to but replaced.
func (c *Ctx) AddHeader(name, value string) {
	if h := forwardedOf(name, false); h != notForwarded && !c.Req.Believed(h) {
		c.SetHeader(name, value)
		return
	}
	out := make([]byte, 0, len(c.Req.Headers)+len(name)+len(value)+4)
	c.Req.Headers = appendHeaderLine(append(out, c.Req.Headers...), name, value)
}

// DelHeader removes every line of a request header.
func (c *Ctx) DelHeader(name string) {
	// One that tells the way is not there before the gateway writes it.
	if _, _, ok := nextHeader(c.Req.Headers, name, false); ok || forwardedOf(name, false) != notForwarded {
		c.SetHeader(name, "")
	}
}

// DelCookie removes a cookie; a Cookie header that held no other goes with it.
func (c *Ctx) DelCookie(name string) {
	if _, ok := findCookie(c.Req.Headers, name); !ok {
		return
	}
	out := make([]byte, 0, len(c.Req.Headers))
	for rest := c.Req.Headers; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		if !isHeader(line, cookieName) {
			out = append(out, line...)
			continue
		}
		start := len(out)
		out = append(out, line[:len(cookieName)+1]...)
		empty := len(out)
		for all := line[len(cookieName)+1:]; len(all) > 0; {
			var pair []byte
			pair, all, _ = bytes.Cut(all, []byte{';'})
			pair = bytes.TrimSpace(pair)
			if key, _, is := bytes.Cut(pair, []byte{'='}); len(pair) == 0 || is && string(key) == name {
				continue
			}
			if len(out) > empty {
				out = append(out, ';')
			}
			out = append(append(out, ' '), pair...)
		}
		if len(out) == empty {
			out = out[:start]
			continue
		}
		out = append(out, "\r\n"...)
	}
	c.Req.Headers = out
}

// DelArg removes every argument with that (decoded) name from the query.
func (c *Ctx) DelArg(name string) {
	var out []byte
	found := false
	for a := ArgsOf(c.Req.Query); a.Next(); {
		if a.Is(name) {
			found = true
			continue
		}
		if len(out) > 0 {
			out = append(out, '&')
		}
		out = append(out, a.Piece...)
	}
	if found {
		c.SetTarget(c.Req.Path, out)
	}
}

// SetTarget makes path (decoded) and query (raw) what is asked for from here
// on. Both must stay valid until the request ends. Control bytes and blanks
// are escaped: nothing of them can end the request line.
func (c *Ctx) SetTarget(path, query []byte) {
	target := make([]byte, 0, len(path)+len(query)+16)
	for _, b := range path {
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`"#%<>?[\]^`+"`{|}", b) >= 0 {
			target = append(target, '%', hexDigits[b>>4], hexDigits[b&15])
		} else {
			target = append(target, b)
		}
	}
	if len(query) > 0 {
		target = appendRaw(append(target, '?'), query)
	}
	c.Req.Path, c.Req.Query, c.Req.Target = path, query, target
}

// SetRawTarget makes target, path and query as they are to be sent, what an
// ordinary upstream is asked for; path and query of the request stay what they
// are. nil stands for what the client sent. Escapes are as in SetTarget.
func (c *Ctx) SetRawTarget(target []byte) {
	if c.Req.Target = nil; target != nil {
		c.Req.Target = appendRaw(make([]byte, 0, len(target)+16), target)
	}
}

func appendRaw(dst, raw []byte) []byte {
	for _, b := range raw {
		if b <= ' ' || b == 0x7f {
			dst = append(dst, '%', hexDigits[b>>4], hexDigits[b&15])
		} else {
			dst = append(dst, b)
		}
	}
	return dst
}

// cutLine takes a header line with its end off the front of lines.
func cutLine(lines []byte) (line, rest []byte) {
	if i := bytes.IndexByte(lines, '\n'); i >= 0 {
		return lines[:i+1], lines[i+1:]
	}
	return lines, nil
}

func isHeader(line []byte, name string) bool {
	return len(line) > len(name) && line[len(name)] == ':' && sameName(line[:len(name)], name, false)
}

var lineBreaks = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")

func appendHeaderLine(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ": "...)
	return append(append(dst, lineBreaks.Replace(value)...), "\r\n"...)
}

// OriginForm is a request target as an origin server expects it: a client may
// send the absolute form, which names the host again.
func OriginForm(uri []byte) []byte {
	if len(uri) == 0 {
		return []byte("/")
	}
	if uri[0] == '/' || uri[0] == '*' {
		return uri
	}
	_, rest, ok := bytes.Cut(uri, []byte("://"))
	if !ok {
		return uri
	}
	j := bytes.IndexAny(rest, "/?")
	switch {
	case j < 0:
		return []byte("/")
	case rest[j] == '?':
		return append([]byte{'/'}, rest[j:]...)
	}
	return rest[j:]
}
