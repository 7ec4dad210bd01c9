package driver

import "bytes"

// system writes the first message (ai-proxy.md section 4.1.6), none where no
// text is left.
func (q *chatRequest) system() {
	raw := q.get("system")
	if KindOf(raw) == String {
		if nonEmptyString(raw) {
			q.open("system")
			q.member("content", raw)
			q.dst = append(q.dst, '}')
		}
		return
	}
	start := len(q.dst)
	q.open("system")
	q.key("content")
	q.dst = append(q.dst, '"')
	empty := len(q.dst)
	for e := elementsOf(raw); e.next(); {
		if b := readBlock(e.val); b.kind == textBlock {
			q.systemText(b.text)
		}
	}
	if len(q.dst) == empty {
		q.dst = q.dst[:start]
		return
	}
	q.dst = append(q.dst, `"}`...)
}

// billingHeader begins the block by which Claude Code tells Anthropic what to
// charge. Its cch entry differs from request to request, which would defeat
// the provider's prompt cache.
const billingHeader = "x-anthropic-billing-header:"

// systemText adds the JSON string raw to the string that is open.
func (q *chatRequest) systemText(raw []byte) {
	var s []byte
	s, q.names.buf = unquoted(raw, q.names.buf[:0])
	if len(s) < len(billingHeader) || !equalLower(s[:len(billingHeader)], []byte(billingHeader)) {
		q.dst = append(q.dst, raw[1:len(raw)-1]...)
		return
	}
	// Where s is in buf already, what is written stays behind what is read.
	q.names.buf = appendWithoutCCH(q.names.buf[:0], s[len(billingHeader):])
	rest := bytes.Trim(q.names.buf, "; ")
	if len(rest) == 0 {
		return
	}
	q.dst = append(q.dst, billingHeader...)
	at := len(q.dst)
	q.dst = AppendString(q.dst, rest)
	q.dst = append(q.dst[:at], q.dst[at+1:len(q.dst)-1]...)
}

// appendWithoutCCH appends s but its cch entries, each with a space before and
// the semicolon behind it.
func appendWithoutCCH(dst, s []byte) []byte {
	for {
		k := bytes.Index(s, []byte("cch="))
		if k < 0 {
			return append(dst, s...)
		}
		head := s[:k]
		if k > 0 && s[k-1] == ' ' {
			head = s[:k-1]
		}
		dst = append(dst, head...)
		end := bytes.IndexByte(s[k:], ';')
		if end < 0 {
			return dst
		}
		s = s[k+end+1:]
	}
}
