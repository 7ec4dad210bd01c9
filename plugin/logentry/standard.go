package logentry

import (
	"os"
	"time"

	"headrace/driver"
	"headrace/plugin"
)

// standard is APISIX's default entry with more members in request and response.
func standard(request, response object) object {
	entry := object{
		{key("request"), requestMembers.with(request).write},
		{key("response"), responseMembers.with(response).write},
	}
	return append(entry, moreMembers...)
}

var requestMembers = object{
	{key("url"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) { return appendURL(dst, c), true }},
	{key("uri"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
		return quoteTail(appendURI(dst, c.Req.URI), len(dst)), true
	}},
	{key("method"), text(func(c *plugin.Ctx) []byte { return c.Req.Method })},
	{key("headers"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) { return appendHeaders(dst, c.Req.Headers), true }},
	{key("querystring"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) { return appendQuery(dst, c.Req.Query), true }},
	{key("size"), number(func(c *plugin.Ctx) int64 { return c.Req.Length })},
}

var responseMembers = object{
	{key("status"), number(func(c *plugin.Ctx) int64 { return int64(c.Status) })},
	{key("headers"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) { return appendHeaders(dst, c.SentHeaders()), true }},
	{key("size"), number(func(c *plugin.Ctx) int64 { return c.Sent })},
}

var moreMembers = object{
	{key("server"), object{
		{key("hostname"), constant(driver.AppendString(nil, []byte(hostname)))},
		{key("version"), constant([]byte(`"headrace"`))},
	}.write},
	{key("upstream"), variable("upstream_addr")},
	{key("service_id"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
		if c.Info == nil {
			return hostVar(dst, c)
		}
		at := len(dst)
		return quoteTail(append(dst, c.Info.ServiceID...), at), true
	}},
	{key("route_id"), variable("route_id")},
	{key("consumer"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
		if c.Consumer == nil {
			return dst, false
		}
		return consumer.write(dst, c)
	}},
	{key("client_ip"), variable("remote_addr")},
	{key("start_time"), number(func(c *plugin.Ctx) int64 { return c.Times.Start.UnixMilli() })},
	{key("latency"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) { return appendMillis(dst, c.Times.Total), true }},
	{key("upstream_latency"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
		return appendMillis(dst, upstreamTime(c)), len(c.Attempts) > 0
	}},
	{key("apisix_latency"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
		return appendMillis(dst, max(0, c.Times.Total-upstreamTime(c))), true
	}},
}

// routeMembers are added to an entry of the user's own format.
var routeMembers = object{
	{key("service_id"), variable("service_id")},
	{key("route_id"), variable("route_id")},
}

var (
	consumer    = object{{key("username"), variable("consumer_name")}}
	hostVar     = variable("host")
	hostname, _ = os.Hostname()
)

// appendURL writes the request's URL, as APISIX puts it together.
func appendURL(dst []byte, c *plugin.Ctx) []byte {
	at := len(dst)
	dst, _ = scheme(c, dst)
	dst = append(dst, "://"...)
	dst, _ = host(c, dst)
	dst = append(dst, ':')
	dst, _ = port(c, dst)
	return quoteTail(appendURI(dst, c.Req.URI), at)
}

var (
	scheme, _ = plugin.LookupVar("scheme")
	host, _   = plugin.LookupVar("host")
	port, _   = plugin.LookupVar("server_port")
)

// upstreamTime is what all attempts took together.
func upstreamTime(c *plugin.Ctx) (sum time.Duration) {
	for i := range c.Attempts {
		sum += c.Attempts[i].Total
	}
	return sum
}
