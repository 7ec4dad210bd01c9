package admin

import (
	"bytes"
	"encoding/json"
	"html/template"

	"github.com/valyala/fasthttp"

	"headrace/conf"
	"headrace/lb"
)

// checked is one checked instance as GET /v1/healthcheck shows it.
type checked struct {
	Name  string        `json:"name"`
	Type  string        `json:"type"`
	Nodes []checkedNode `json:"nodes"`
}

type checkedNode struct {
	IP       string      `json:"ip"`
	Hostname string      `json:"hostname"`
	Port     int         `json:"port"`
	Status   string      `json:"status"`
	Counter  lb.Counters `json:"counter"`
}

// health answers for all checks, or for those of one item (gateway.md 7.3).
func (c *Control) health(ctx *fasthttp.RequestCtx, sort, id string) {
	switch sort {
	case "routes":
		if _, ok := c.Snapshot().Item(conf.Routes, id); !ok {
			fail(ctx, 404, "routes["+id+"] not found")
			return
		}
		switch list := c.checks(id); len(list) {
		case 0:
			fail(ctx, 404, "no checker for routes["+id+"]")
		case 1:
			replyJSON(ctx, list[0])
		default: // a checker an instance
			replyJSON(ctx, list)
		}
	case "services", "upstreams":
		if _, ok := c.Snapshot().Item(conf.KindOf(sort), id); ok {
			fail(ctx, 404, "no checker for "+sort+"["+id+"]")
			return
		}
		fail(ctx, 404, sort+"["+id+"] not found")
	default:
		fail(ctx, 400, "invalid src type "+sort)
	}
}

func (c *Control) allHealth(ctx *fasthttp.RequestCtx) {
	list := c.checks("")
	switch {
	case bytes.Contains(ctx.Request.Header.Peek("Accept"), []byte("text/html")):
		ctx.SetContentType("text/html; charset=utf-8")
		_ = healthPage.Execute(ctx.Response.BodyWriter(), list)
	case len(list) == 0:
		reply(ctx, 200, []byte("{}"))
	default:
		replyJSON(ctx, list)
	}
}

// checks lists the checks of a route, or all of them.
func (c *Control) checks(route string) (list []checked) {
	if c.Health == nil {
		return nil
	}
	for _, h := range c.Health() {
		if route != "" && h.Route != route {
			continue
		}
		one := checked{Name: h.Name, Type: h.Type, Nodes: []checkedNode{}}
		for _, n := range h.Nodes {
			host := n.Node.Host
			if host == "" {
				host = n.Node.IP
			}
			one.Nodes = append(one.Nodes, checkedNode{n.Node.IP, host, n.Node.Port, n.State.String(), n.Counters})
		}
		list = append(list, one)
	}
	return list
}

func replyJSON(ctx *fasthttp.RequestCtx, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	reply(ctx, 200, b)
}

var healthPage = template.Must(template.New("health").Parse(`<!doctype html><title>Health checks</title>
<style>body{font:14px sans-serif}td,th{padding:2px 10px;text-align:left}.unhealthy,.mostly_unhealthy{color:#b00}</style>
<h1>Health checks</h1><table><tr><th>name<th>type<th>address<th>status<th>successes<th>failures: http<th>tcp<th>timeout
{{range .}}{{$c := .}}{{range .Nodes}}<tr><td>{{$c.Name}}<td>{{$c.Type}}<td>{{.Hostname}} {{.IP}}:{{.Port}}<td class="{{.Status}}">{{.Status}}<td>{{.Counter.Success}}<td>{{.Counter.HTTPFailure}}<td>{{.Counter.TCPFailure}}<td>{{.Counter.TimeoutFailure}}
{{end}}{{else}}<tr><td>none{{end}}</table>
`))
