package consumerrestriction

import (
	"net/http"

	"headrace/plugin"
)

type restriction struct {
	subject   func(c *plugin.Ctx) string
	black     map[string]bool
	white     map[string]bool            // empty: all but black
	methods   map[string]map[string]bool // by whom; who is not in it may use all
	status    int
	forbidden []byte
	unknown   []byte
}

// subjects are what a restriction may be about; "" means that the request has
// no such thing.
var subjects = map[string]func(c *plugin.Ctx) string{
	"consumer_name": func(c *plugin.Ctx) string { return c.ConsumerName() },
	"consumer_group_id": func(c *plugin.Ctx) string {
		if c.Consumer == nil {
			return ""
		}
		return c.Consumer.Group
	},
	"service_id": func(c *plugin.Ctx) string { return c.Info.ServiceID },
	"route_id":   func(c *plugin.Ctx) string { return c.Info.RouteID },
}

// Access implements plugin.Accessor.
func (r *restriction) Access(c *plugin.Ctx) plugin.Verdict {
	value := r.subject(c)
	switch {
	case value == "":
		return c.Reply(http.StatusUnauthorized, plugin.JSON, r.unknown)
	case r.allows(value, c.Req.Method):
		return 0
	}
	return c.Reply(r.status, plugin.JSON, r.forbidden)
}

func (r *restriction) allows(value string, method []byte) bool {
	switch {
	case r.black[value]:
		return false
	case len(r.white) > 0:
		// Who is listed may use all methods; who is not may use none.
		return r.white[value]
	}
	methods, listed := r.methods[value]
	return !listed || methods[string(method)]
}
