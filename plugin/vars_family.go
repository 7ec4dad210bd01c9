package plugin

import (
	"bytes"

	"headrace/conf/expr"
)

// headerVar is the variable http_<name>.
func headerVar(name string) Var {
	return func(c *Ctx, dst []byte) ([]byte, bool) { return appendHeader(dst, c.Req.Headers, name, true) }
}

// appendHeader writes the value of a request header. Several of one name are
// joined, as nginx does since 1.23. dash is as in nextHeader.
func appendHeader(dst, lines []byte, name string, dash bool) ([]byte, bool) {
	v, lines, ok := nextHeader(lines, name, dash)
	if !ok {
		return dst, false
	}
	comma := ", "
	if name == cookieName {
		comma = "; "
	}
	for ; ok; v, lines, ok = nextHeader(lines, name, dash) {
		dst = append(append(dst, v...), comma...)
	}
	return dst[:len(dst)-len(comma)], true
}

// appendArg writes the first value of a query argument, decoded; names are
// case-sensitive.
func appendArg(dst, query []byte, name string) ([]byte, bool) {
	for a := ArgsOf(query); a.Next(); {
		if a.Is(name) {
			return AppendUnescaped(dst, a.Value), true
		}
	}
	return dst, false
}

const cookieName = "cookie"

// appendCookie writes the value of a cookie.
func appendCookie(dst, lines []byte, name string) ([]byte, bool) {
	v, ok := findCookie(lines, name)
	return append(dst, v...), ok
}

// findCookie returns the value of the first cookie of that name.
func findCookie(lines []byte, name string) ([]byte, bool) {
	all, lines, ok := nextHeader(lines, cookieName, false)
	for ; ok; all, lines, ok = nextHeader(lines, cookieName, false) {
		for len(all) > 0 {
			var kv []byte
			kv, all, _ = bytes.Cut(all, []byte(";"))
			k, v, is := bytes.Cut(bytes.TrimSpace(kv), []byte("="))
			if is && string(k) == name {
				return v, true
			}
		}
	}
	return nil, false
}

// Param is a parameter of the path: what stands for ":name" or "*name" of the
// route's pattern (the router radixtree_uri_with_parameter).
type Param struct {
	Name  string // ":ext" for a "*" without a name
	Value []byte
}

// appendParam writes the value of a parameter of the path.
func (c *Ctx) appendParam(dst []byte, name string) ([]byte, bool) {
	for i := range c.Params {
		if c.Params[i].Name == name {
			return append(dst, c.Params[i].Value...), true
		}
	}
	return dst, false
}

// postArgVar is the variable post_arg.<path>.
func postArgVar(path *expr.Path) Var {
	return func(c *Ctx, dst []byte) ([]byte, bool) {
		return appendValue(dst, c.PostArg(dst, path))
	}
}

// postFieldVar is the variable post_arg_<name>.
func postFieldVar(name string) Var {
	return func(c *Ctx, dst []byte) ([]byte, bool) {
		return appendValue(dst, c.postField(dst, name))
	}
}
