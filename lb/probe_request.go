package lb

import (
	"slices"
	"strconv"
	"strings"
)

// host is what the Host header says. APISIX sends it without a port.
func (p *Probe) host(n Node) string {
	switch {
	case n.Host != "":
		return n.Host
	case p.Host != "":
		return p.Host
	}
	return n.IP
}

// request is laid out as lua-resty-healthcheck does it.
func (p *Probe) request(n Node) []byte {
	method, path := p.Method, p.Path
	if method == "" {
		method = "GET"
	}
	if path == "" {
		path = "/"
	}
	b := make([]byte, 0, 256+len(path)+len(p.Body))
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nConnection: close\r\n"...)
	for _, line := range p.Headers {
		b = append(b, line...)
		b = append(b, "\r\n"...)
	}
	// Two of these lines would make the request invalid, so one that the
	// user wrote wins; lua-resty-healthcheck sends both.
	if !p.has("Host") {
		b = append(b, "Host: "...)
		b = appendHost(b, p.host(n))
		b = append(b, "\r\n"...)
	}
	if p.Body != "" && !p.has("Content-Length") {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(p.Body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, p.Body...)
}

func appendHost(b []byte, host string) []byte {
	if strings.Count(host, ":") > 1 && host[0] != '[' { // IPv6
		b = append(b, '[')
		b = append(b, host...)
		return append(b, ']')
	}
	return append(b, host...)
}

func (p *Probe) has(name string) bool {
	return slices.ContainsFunc(p.Headers, func(line string) bool {
		k, _, ok := strings.Cut(line, ":")
		return ok && strings.EqualFold(strings.TrimSpace(k), name)
	})
}
