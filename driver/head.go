package driver

import (
	"fmt"
	"strconv"
	"strings"
)

// HeadInput is what AppendHead needs of a request. All slices are only read,
// during the call.
type HeadInput struct {
	Method  []byte // the client's; only passthrough keeps it
	Path    []byte // decoded, as the gateway routed on it
	RawPath []byte // as received, without the query; may be nil
	Query   []byte // as received, without the question mark
	Headers []byte // the client's header lines as received, without the request line
	// Extra holds further lines in the same form, set by plugins. They stand
	// in for the client's lines of the same name; one with an empty value
	// only removes those.
	Extra []byte
	// Bearer is the access token of an instance with GCP.
	Bearer        []byte
	Model         []byte // llm_model, for paths that contain it
	Stream        bool   // the client wants a stream, for paths that say so
	Client        Proto
	Target        Proto
	ContentLength int // of the final body
}

const contentLength = "content-type: application/json\r\ncontent-length: "

// compileHead prepares everything in the head that does not depend on the request.
func (in *Instance) compileHead(auth *Auth, r *resolver) error {
	in.host = append(in.ep.appendHost([]byte("host: ")), '\r', '\n')

	var lines Pairs // by lower-cased name, the last one stands
	for _, p := range auth.Header {
		field := "auth.header." + p.Name
		value, secret := r.str(field, p.Value)
		name := strings.ToLower(p.Name)
		if !IsToken([]byte(name)) {
			return fmt.Errorf("%s: not a header name", field)
		}
		if !isFieldValue(value) {
			err := fmt.Errorf("the value contains a control character")
			if !secret {
				return fmt.Errorf("%s: %w", field, err)
			}
			r.fail(field, p.Value, err)
			continue
		}
		if fixedHeader([]byte(name)) {
			continue
		}
		if i := lines.index(name); i >= 0 {
			lines[i].Value = value
		} else {
			lines = append(lines, Pair{name, value})
		}
	}
	in.headers = lines
	if in.gcp = compileGCP(auth.GCP, r); in.gcp != nil {
		// The token replaces every other, also while there is none.
		in.authNames = append(in.authNames, authorization)
	}
	for _, l := range lines {
		if in.gcp != nil && l.Name == authorization {
			continue
		}
		in.authNames = append(in.authNames, l.Name)
		in.tail = fmt.Appendf(in.tail, "%s: %s\r\n", l.Name, l.Value)
	}
	in.tail = append(in.tail, contentLength...)
	in.compileOpenAI(lines)
	in.compileAnthropic(lines)

	var args Pairs
	for _, p := range auth.Query {
		value, _ := r.str("auth.query."+p.Name, p.Value)
		args = append(args, Pair{p.Name, value})
	}
	in.args = args
	in.query = newQuery(args, in.ep.query)

	for p := range protoCount {
		if path := in.Path(p); path != "" && p != Passthrough {
			path, after, hasModel := strings.Cut(path, varModel)
			start, end := append([]byte("POST "), path...), []byte(after)
			if in.query.text != "" {
				end = append(append(end, '?'), in.query.text...)
			}
			end = append(append(end, " HTTP/1.1\r\n"...), in.host...)
			if hasModel {
				in.starts[p], in.ends[p] = start, end
			} else {
				in.starts[p] = append(start, end...)
			}
		}
	}
	return nil
}

// AppendHead appends the complete head of the request to the provider, with
// the empty line that ends it (ai-proxy.md sections 2.8 to 2.11). The error is
// ErrNoPath or ErrNoHost. Nothing that a client sends can add a line or change
// the framing.
func (in *Instance) AppendHead(dst []byte, rq *HeadInput) ([]byte, error) {
	if in.ep.host == "" || in.noHost && rq.Target == Passthrough {
		return dst, ErrNoHost
	}
	switch {
	case rq.Target == Passthrough:
		dst = in.appendStart(dst, rq)
	case rq.Target < protoCount && in.ends[rq.Target] != nil:
		switch string(rq.Model) {
		case "", ".", "..": // dots would lead elsewhere
			return dst, ErrNoPath
		}
		dst = append(dst, in.starts[rq.Target]...)
		dst = in.appendModel(dst, rq)
	case rq.Target < protoCount && in.starts[rq.Target] != nil:
		dst = append(dst, in.starts[rq.Target]...)
	default:
		return dst, ErrNoPath
	}
	from := len(dst)
	dst = in.appendClient(dst, rq)
	dst = in.appendExtra(dst, rq.Extra)
	end := len(dst)
	if in.gcp != nil && len(rq.Bearer) > 0 {
		dst = appendValue(append(dst, "authorization: Bearer "...), rq.Bearer)
		dst = append(dst, '\r', '\n')
	}
	switch {
	case rq.toOpenAI():
		dst = in.appendOpenAI(dst, from)
	case rq.toAnthropic():
		dst = in.appendAnthropic(dst, from, end)
	default:
		dst = append(dst, in.tail...)
	}
	dst = strconv.AppendInt(dst, int64(rq.ContentLength), 10)
	return append(dst, "\r\n\r\n"...), nil
}

// appendStart appends the request line and the Host of a passthrough request.
func (in *Instance) appendStart(dst []byte, rq *HeadInput) []byte {
	if IsToken(rq.Method) {
		dst = append(dst, rq.Method...)
	} else {
		dst = append(dst, "POST"...)
	}
	dst = append(dst, ' ')
	if in.ep.path != "" {
		dst = append(dst, in.ep.path...)
	} else {
		dst = appendPath(dst, rq.Path, rq.RawPath)
	}
	dst = in.query.appendTo(dst, rq.Query, '?')
	dst = append(dst, " HTTP/1.1\r\n"...)
	return append(dst, in.host...)
}

// appendClient appends the client's headers but those that end at this hop,
// that the gateway sets itself or that Extra replaces.
func (in *Instance) appendClient(dst []byte, rq *HeadInput) []byte {
	hop := hopNames(rq.Headers)
	for rest := rq.Headers; len(rest) > 0; {
		var l line
		l, rest = nextLine(rest)
		start := len(dst)
		if dst = in.appendLine(dst, l); len(dst) == start {
			continue
		}
		if name := dst[start : start+len(l.name)]; hop.has(name) || hasLine(rq.Extra, name) || rq.drops(name) {
			dst = dst[:start]
		}
	}
	return dst
}

// appendExtra appends the lines that plugins have set.
func (in *Instance) appendExtra(dst, lines []byte) []byte {
	for len(lines) > 0 {
		var l line
		if l, lines = nextLine(lines); len(l.value) > 0 {
			dst = in.appendLine(dst, l)
		}
	}
	return dst
}

// appendLine appends l in normal form, or nothing if it must not be sent.
func (in *Instance) appendLine(dst []byte, l line) []byte {
	if !IsToken(l.name) {
		return dst
	}
	start := len(dst)
	dst = appendLower(dst, l.name)
	if name := dst[start:]; fixedHeader(name) || in.setsHeader(name) {
		return dst[:start]
	}
	dst = append(dst, ':', ' ')
	dst = appendValue(dst, l.value)
	return append(dst, '\r', '\n')
}

func (in *Instance) setsHeader(name []byte) bool {
	for _, n := range in.authNames {
		if n == string(name) {
			return true
		}
	}
	return false
}

// fixedHeader tells the names that are never taken over from a client or from
// auth.header: set by the gateway, bound to one hop, or removed (2.11).
func fixedHeader(lower []byte) bool {
	switch string(lower) {
	case "host", "content-length", "accept-encoding", "content-type",
		"connection", "keep-alive", "proxy-connection", "proxy-authorization",
		"te", "trailer", "transfer-encoding", "upgrade", "expect":
		return true
	}
	return false
}
