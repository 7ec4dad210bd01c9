package plugin

import (
	"strings"

	"headrace/conf/expr"
)

// Variables of expressions (gateway.md 1.4). They differ from those of logs
// where nginx and the Lua code of APISIX see different things.

// BodyVars is what a Ctx's Owner may be besides: it reads the request's body
// where a condition asks for it.
type BodyVars interface {
	// PostArg returns the variable post_arg.<path>.
	PostArg(dst []byte, path *expr.Path) expr.Value
	// PostField returns the variable post_arg_<name>, a field of a form.
	PostField(dst []byte, name string) expr.Value
}

// Var implements expr.Vars.
func (c *Ctx) Var(dst []byte, name string) expr.Value {
	at, ok := len(dst), false
	if name == "request_uri" {
		// Not what was sent: conditions must not be got round by an odd
		// spelling of the path.
		dst, ok = appendFound(dst, c.Req.Path)
		if len(c.Req.Query) > 0 {
			dst = append(append(dst, '?'), c.Req.Query...)
		}
	} else if v := vars[name]; v != nil {
		dst, ok = v(c, dst)
	} else if arg, is := strings.CutPrefix(name, "arg_"); is {
		return ArgValue(dst, c.Req.Query, arg)
	} else if header, is := strings.CutPrefix(name, "http_"); is {
		return c.headerValue(dst, header)
	} else if header, is := strings.CutPrefix(name, "sent_http_"); is {
		dst, ok = appendHeader(dst, c.SentHeaders(), header, true)
	} else if cookie, is := strings.CutPrefix(name, "cookie_"); is {
		dst, ok = appendCookie(dst, c.Req.Headers, cookie)
	} else if param, is := strings.CutPrefix(name, "uri_param_"); is {
		dst, ok = c.appendParam(dst, param)
	} else if field, is := strings.CutPrefix(name, "post_arg_"); is {
		return c.postField(dst, field)
	}
	if !ok {
		return expr.Value{}
	}
	return expr.StringValue(dst[at:])
}

// PostArg implements expr.Body.
func (c *Ctx) PostArg(dst []byte, path *expr.Path) expr.Value {
	if b, ok := c.Owner.(BodyVars); ok {
		return b.PostArg(dst, path)
	}
	return expr.Value{}
}

func (c *Ctx) postField(dst []byte, name string) expr.Value {
	if b, ok := c.Owner.(BodyVars); ok {
		return b.PostField(dst, name)
	}
	return expr.Value{}
}

// ArgValue is the first value of an argument of a query or a form. As in
// APISIX, one without "=" is true.
func ArgValue(dst, query []byte, name string) expr.Value {
	for a := ArgsOf(query); a.Next(); {
		switch {
		case !a.Is(name):
		case a.Bare:
			return expr.BoolValue(true)
		case escaped(a.Value):
			return expr.StringValue(AppendUnescaped(dst, a.Value)[len(dst):])
		default:
			return expr.StringValue(a.Value)
		}
	}
	return expr.Value{}
}

// headerValue is the variable http_<name>. What a client says about its way
// counts as far as it is believed.
func (c *Ctx) headerValue(dst []byte, name string) expr.Value {
	if h := forwardedOf(name, true); h != notForwarded {
		if out, ok := c.Req.AppendForwarded(dst, h); ok {
			return expr.StringValue(out[len(dst):])
		}
		return expr.Value{}
	}
	v, rest, ok := nextHeader(c.Req.Headers, name, true)
	if !ok {
		return expr.Value{}
	}
	if _, _, more := nextHeader(rest, name, true); more {
		out, _ := appendHeader(dst, c.Req.Headers, name, true)
		v = out[len(dst):]
	}
	return expr.StringValue(v)
}

// appendValue writes a value as text; ok is false for an array or an object.
func appendValue(dst []byte, v expr.Value) (out []byte, ok bool) {
	switch v.Kind {
	case expr.String:
		return append(dst, v.Bytes...), true
	case expr.Number:
		return expr.AppendNumber(dst, v.Num), true
	case expr.Bool:
		if v.Bool {
			return append(dst, "true"...), true
		}
		return append(dst, "false"...), true
	}
	return dst, false
}
