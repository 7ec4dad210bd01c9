package engine

import (
	"bytes"

	"headrace/conf/expr"
	"headrace/driver"
	"headrace/plugin"
)

// Forms as conditions see them.

// formField is one field of a form. Both slices alias the body; those of
// application/x-www-form-urlencoded are not decoded.
type formField struct {
	name, value []byte
	bare        bool // without "="
	decoded     bool
}

// maxFields bounds the fields of a form: the table costs more memory than the
// shortest fields do.
const maxFields = 1 << 16

// appendForm appends the fields of an application/x-www-form-urlencoded body;
// ok is false if there are too many.
func appendForm(list []formField, body []byte) (_ []formField, ok bool) {
	for a := plugin.ArgsOf(body); a.Next(); {
		if len(list) == maxFields {
			return list[:0], false
		}
		list = append(list, formField{name: a.Name, value: a.Value, bare: a.Bare})
	}
	return list, true
}

// text is the field's value for a comparison; one without "=" is true.
func (ff *formField) text(dst []byte) expr.Value {
	switch {
	case ff.bare:
		return expr.BoolValue(true)
	case ff.decoded:
		return expr.StringValue(ff.value)
	}
	return expr.StringValue(plugin.AppendUnescaped(dst, ff.value)[len(dst):])
}

// formValue is what a path leads to in a form: a field, or the array of all
// fields with one name.
func formValue(dst []byte, fields []formField, path *expr.Path) expr.Value {
	head, first, n := path.Head(), -1, 0
	for i := range fields {
		if plugin.UnescapedIs(fields[i].name, head) {
			if n++; first < 0 {
				first = i
			}
		}
	}
	switch {
	case n == 0 || head == "":
		return expr.Value{}
	case n == 1 && path.Single():
		return fields[first].text(dst)
	case n == 1:
		return expr.Value{} // a text has no members
	}
	at := len(dst)
	var text []byte
	for i := first; i < len(fields); i++ {
		ff := &fields[i]
		if !plugin.UnescapedIs(ff.name, head) {
			continue
		}
		if dst = append(dst, ','); ff.bare {
			dst = append(dst, "true"...)
			continue
		}
		text = plugin.AppendUnescaped(text[:0], ff.value)
		dst = driver.AppendString(dst, text)
	}
	dst[at] = '['
	dst = append(dst, ']')
	if path.Single() {
		return expr.JSONValue(dst[at:])
	}
	return path.SelectIn(dst, dst[at:])
}

// partValue is formValue for multipart/form-data, of whose parts with one name
// the last one counts.
func partValue(fields []formField, path *expr.Path) expr.Value {
	head := path.Head()
	for i := len(fields) - 1; i >= 0 && path.Single(); i-- {
		if string(fields[i].name) == head {
			return expr.StringValue(fields[i].value)
		}
	}
	return expr.Value{}
}

// boundaryOf returns the boundary that a content type names.
func boundaryOf(contentType []byte) []byte {
	for more := true; more; {
		var param []byte
		if param, contentType, more = cutParam(contentType); hasParam(param, "boundary") {
			return unquoteParam(param[len("boundary="):])
		}
	}
	return nil
}

// cutParam takes one of the parts between semicolons off a header's value.
func cutParam(s []byte) (param, rest []byte, more bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return bytes.TrimSpace(s[:i]), s[i+1:], true
		}
	}
	return bytes.TrimSpace(s), nil, false
}

func hasParam(param []byte, name string) bool {
	return len(param) > len(name) && param[len(name)] == '=' && equalFold(param[:len(name)], name)
}

func unquoteParam(v []byte) []byte {
	if len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"' {
		return v[1 : len(v)-1]
	}
	return v
}

// appendParts appends the named parts of a multipart/form-data body; ok is
// false if there are too many. Lines may end in LF alone.
func appendParts(list []formField, body, boundary []byte) (_ []formField, ok bool) {
	if len(boundary) == 0 {
		return list, true
	}
	delimiter := append([]byte("--"), boundary...)
	start, _, last := nextPart(body, 0, delimiter)
	for start >= 0 && !last {
		part := body[start:]
		next, end, final := nextPart(body, start, delimiter)
		if next >= 0 {
			part = body[start:end]
		}
		if name, value, named := cutPart(part); named {
			if len(list) == maxFields {
				return list[:0], false
			}
			list = append(list, formField{name: name, value: value, decoded: true})
		}
		start, last = next, final
	}
	return list, true
}

// nextPart looks for a delimiter line from a line's beginning at from on. It
// returns where the part behind it begins, or -1, and where the one before it
// ends; last says that it closes the body.
func nextPart(body []byte, from int, delimiter []byte) (start, end int, last bool) {
	for at := from; at < len(body); {
		i := bytes.Index(body[at:], delimiter)
		if i < 0 {
			return -1, 0, false
		}
		i += at
		at = i + len(delimiter)
		if i > from && body[i-1] != '\n' {
			continue
		}
		line := body[at:]
		if bytes.HasPrefix(line, dashes) {
			last = true
		} else if k := indexByte(line, '\n'); k >= 0 && len(bytes.TrimSpace(line[:k])) == 0 {
			at += k + 1
		} else {
			continue
		}
		end = i
		if end > from { // the line's end before a delimiter belongs to it
			if end--; end > from && body[end-1] == '\r' {
				end--
			}
		}
		return at, end, last
	}
	return -1, 0, false
}

var dashes = []byte("--")

// cutPart returns the name and the value of a part.
func cutPart(part []byte) (name, value []byte, named bool) {
	for len(part) > 0 {
		line := part
		if i := indexByte(part, '\n'); i >= 0 {
			line, part = part[:i], part[i+1:]
		} else {
			part = nil
		}
		if line = bytes.TrimSuffix(line, carriageReturn); len(line) == 0 {
			return name, part, named
		}
		field, params, _ := bytes.Cut(line, colon)
		if !equalFold(bytes.TrimSpace(field), "content-disposition") {
			continue
		}
		for more := true; more; {
			var param []byte
			if param, params, more = cutParam(params); hasParam(param, "name") {
				name, named = unquoteParam(param[len("name="):]), true
			}
		}
	}
	return name, nil, named // a head without an end
}

var carriageReturn, colon = []byte("\r"), []byte(":")
