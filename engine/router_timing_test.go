package engine

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"

	"headrace/conf"
	"headrace/plugin"
)

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		rt := &router{}
		for i := range n {
			rt = rt.with(&entry{id: strconv.Itoa(i), seq: uint64(i), uris: []string{fmt.Sprintf("/api/team-%d/v1/*", i)}})
		}
		ctx := &plugin.Ctx{Req: plugin.Request{Method: []byte("POST"), Host: []byte("gw.example.com"), Path: fmt.Appendf(nil, "/api/team-%d/v1/chat/completions", n/2)}}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var m match
			b.ReportAllocs()
			for b.Loop() {
				if rt.find(ctx, &m) == nil {
					b.Fatal("no match")
				}
			}
		})
	}
}

func BenchmarkMatchConditions(b *testing.B) {
	f := func(name string, params bool, pattern, vars string, req plugin.Request) {
		rt := &router{byURI: params, params: params}
		for i := range 100_000 {
			e := &entry{id: strconv.Itoa(i), seq: uint64(i), uris: []string{fmt.Sprintf(pattern, i)}}
			e.when = newConditions(&conf.Route{Vars: []byte(vars), RemoteAddr: "10.0.0.0/8"})
			rt = rt.with(e)
		}
		req.Remote = netip.MustParseAddrPort("10.1.2.3:1")
		ctx := &plugin.Ctx{Req: req}
		b.Run(name, func(b *testing.B) {
			var m match
			b.ReportAllocs()
			for b.Loop() {
				if rt.find(ctx, &m) == nil {
					b.Fatal("no match")
				}
			}
		})
	}
	req := plugin.Request{
		Method: []byte("POST"), Host: []byte("gw.example.com"), Path: []byte("/api/team-50000/v1/chat/completions"), Query: []byte("tier=gold"),
		Headers: []byte("Host: gw.example.com\r\nUser-Agent: OpenAI/Python\r\nAccept: */*\r\nX-Tier: gold\r\n"),
	}
	f("address", false, "/api/team-%d/v1/*", "", req)
	f("argument", false, "/api/team-%d/v1/*", `[["arg_tier","==","gold"]]`, req)
	f("header", false, "/api/team-%d/v1/*", `[["http_x_tier","==","gold"]]`, req)
	f("params", true, "/api/team-%d/:version/*rest", "", req)
}

func BenchmarkChangeOneOf100000(b *testing.B) {
	rt := &router{}
	for i := range 100_000 {
		rt = rt.with(&entry{id: strconv.Itoa(i), seq: uint64(i), uris: []string{fmt.Sprintf("/api/team-%d/v1/*", i)}})
	}
	e := &entry{id: "new", seq: 1 << 20, uris: []string{"/api/team-new/*"}}
	b.ReportAllocs()
	for b.Loop() {
		rt.with(e)
	}
}
