package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// T: admin/filter.t 1-19.
func TestList(t *testing.T) {
	g := newGate(t, nil)
	for i := 1; i <= 23; i++ {
		label := "env"
		if i%2 == 0 {
			label = "tier"
		}
		uris := `"uri":"/v1/a"`
		if i > 20 {
			uris = `"uris":["/v1/a","/v2/b"]`
		}
		// Ids in an order that is not that of creation.
		g.do(fmt.Sprintf("PUT /routes/%d", 100-i), fmt.Sprintf(`{%s,"name":"route-%d","labels":{"%s":"x"},"plugins":{}}`, uris, i, label))
	}
	f := func(query string, total int, want string) {
		t.Helper()
		var got struct {
			List []struct {
				Key           string
				Value         struct{ Name string }
				CreatedIndex  int64
				ModifiedIndex int64
			}
			Total int
		}
		res, body := g.do("GET /routes"+query, "")
		if err := json.Unmarshal([]byte(body), &got); err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: %d %s", query, res.StatusCode, body)
		}
		var names []string
		for _, it := range got.List {
			names = append(names, strings.TrimPrefix(it.Value.Name, "route-"))
			if it.CreatedIndex == 0 || it.ModifiedIndex != it.CreatedIndex || !strings.HasPrefix(it.Key, "/apisix/routes/") {
				t.Errorf("%s: item %+v", query, it)
			}
		}
		if s := strings.Join(names, " "); got.Total != total || s != want {
			t.Errorf("%s: total %d, %s; want %d, %s", query, got.Total, s, total, want)
		}
	}
	first := "1 2 3 4 5 6 7 8 9 10"
	f("", 23, first+" 11 12 13 14 15 16 17 18 19 20 21 22 23")
	f("?page=1&page_size=10", 23, first)
	f("?page=0&page_size=10", 23, first)
	f("?page=-9223372036854775808&page_size=10", 23, first)
	f("?page=3&page_size=10", 23, "21 22 23")
	f("?page=4&page_size=10", 23, "")
	f("?page=9223372036854775807&page_size=500", 23, "")
	f("?page=2", 23, first+" 11 12 13 14 15 16 17 18 19 20 21 22 23")
	f("?name=route-2", 5, "2 20 21 22 23")
	f("?name=1%24", 3, "1 11 21")
	f("?name=nothing", 0, "")
	f("?label=tier&page=2&page_size=10", 11, "22")
	f("?uri=%2Fv2", 3, "21 22 23")
	f("?uri=%5E%2Fv1%2Fa%24&label=env&name=2", 2, "21 23")
	f("?name=&label=&uri=&filter=", 23, first+" 11 12 13 14 15 16 17 18 19 20 21 22 23")
	f("?filter=service_id%3D1", 0, "")
	f("?filter=desc%3D1", 23, first+" 11 12 13 14 15 16 17 18 19 20 21 22 23")

	g.f("GET /routes?page=1&page_size=9", "", 400, "page_size must be between 10 and 500")
	g.f("GET /routes?page=1&page_size=501", "", 400, "page_size must be between 10 and 500")
	g.f("GET /routes?name=%28", "", 400, `$e"invalid argument name: should be a regular expression"}`)
}

func TestListFilterID(t *testing.T) {
	g := newGate(t, nil)
	const ai = `"plugins":{"ai-proxy":{"provider":"openai","auth":{"header":{"Authorization":"Bearer k"}}}}`
	g.do("PUT /upstreams/7", `{"nodes":{"a:1":1}}`)
	g.do("PUT /upstreams/8", `{"nodes":{"a:1":1}}`)
	g.do("PUT /routes/1", `{"uri":"/a","upstream_id":7,`+ai+`}`)
	g.do("PUT /routes/2", `{"uri":"/a","upstream_id":"8",`+ai+`}`)
	f := func(filter, want string) {
		t.Helper()
		_, body := g.do("GET /routes?filter="+filter, "")
		if n := strings.Count(body, `"key":`); fmt.Sprint(n) != want[:1] || len(want) > 1 && !strings.Contains(body, want[1:]) {
			t.Errorf("%s: %s", filter, body)
		}
	}
	f("upstream_id%3D7", "1/routes/1")
	f("upstream_id%3D8", "1/routes/2")
	f("upstream_id%3D7%26upstream_id%3D8", "1/routes/2")
	f("upstream_id%3D8%26service_id%3D1", "0")
}
