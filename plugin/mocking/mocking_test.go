package mocking

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"headrace/plugin"
	"headrace/plugin/plugintest"
)

// TestAccess has the cases of mocking.t by their numbers.
func TestAccess(t *testing.T) {
	g := plugintest.New(t, &Spec)
	f := func(config, head, body string) {
		t.Helper()
		c := g.Request("GET", "/hello?arg_x=1", "")
		got := plugintest.Answer(c, g.Bind(config).(plugin.Accessor).Access(c))
		status, text, _ := strings.Cut(got, "\n")
		if status+"\n"+plugintest.Head(c) != head || text != body {
			t.Errorf("%s: %s %q %q", config, status, plugintest.Head(c), text)
		}
	}
	const by, plain = "X-Mock-By: APISIX/3.18.0\n", "200\nContent-Type: text/plain\n"
	field := func(schema string) string {
		return `{"delay":1,"content_type":"text/plain","response_schema":{"type":"object","properties":{"field1":` + schema + `}}}`
	}
	f(`{"delay":1,"content_type":"text/plain","response_status":200,"response_example":"hello world"}`, plain+by, "hello world") // 2
	f(field(`{"type":"string","example":"hello"}`), plain+by, `{"field1":"hello"}`)
	f(field(`{"type":"integer","example":4}`), plain+by, `{"field1":4}`)
	f(field(`{"type":"integer","example":4.7}`), plain+by, `{"field1":4}`)
	f(field(`{"type":"Number","example":5.5}`), plain+by, `{"field1":5.5}`)
	f(field(`{"type":"boolean","example":true}`), plain+by, `{"field1":true}`)
	f(field(`{"type":"boolean","example":false}`), plain+by, `{"field1":false}`)
	f(field(`{"type":"object"}`), plain+by, `{"field1":{}}`)
	f(field(`{"type":"null"}`), plain+by, `{}`)
	f(field(`{"type":"array"}`), plain+by, `{}`)
	f(`{"content_type":"application/json","response_example":"{\"field1\":{}}"}`, "200\nContent-Type: application/json\n"+by, `{"field1":{}}`) // 14
	f(`{"content_type":"text/plain","response_example":"remote_addr:$remote_addr"}`, plain+by, "remote_addr:127.0.0.1")
	f(`{"content_type":"text/plain","response_example":"empty_var:$foo"}`, plain+by, "empty_var:")
	const charset = "200\nContent-Type: application/json;charset=utf8\n"
	f(`{"response_example":"hello world","response_headers":{"X-Apisix":"is, cool","X-Really":"yes"}}`, // 20
		charset+by+"X-Apisix: is, cool\nX-Really: yes\n", "hello world")
	f(`{"response_example":"hello world","response_headers":{"X-Route-Id":"$route_id"},"with_mock_header":false}`, charset+"X-Route-Id: r1\n", "hello world")
	f(`{"response_example":"","response_status":503,"with_mock_header":false}`, "503\n"+charset[4:], "")
	f(`{"content_type":"text/html","response_schema":{},"with_mock_header":false}`, "200\nContent-Type: text/html\n", "")
	if !strings.Contains(g.Log.String(), "mocking answers without a body") {
		t.Errorf("log: %s", &g.Log)
	}
	f(`{"content_type":"text/xml","response_schema":{"properties":{"1 <a>":{"type":"string","example":"<&>"},"b":{"type":"object","properties":{"c":{"type":"integer","example":1}}}}},"with_mock_header":false}`,
		"200\nContent-Type: text/xml\n", `<data><_1__a_>&lt;&amp;&gt;</_1__a_><b><c>1</c></b></data>`)
}

func TestDelay(t *testing.T) {
	g := plugintest.New(t, &Spec)
	access := func(config string) plugin.Verdict {
		return g.Bind(config).(plugin.Accessor).Access(g.Request("GET", "/", ""))
	}
	if v := access(`{"delay":2,"response_example":""}`); v != 200 || g.Slept != 2*time.Second {
		t.Errorf("%d after %v", v, g.Slept)
	}
	if v := access(`{"delay":-2,"response_example":""}`); v != 200 || g.Slept != 2*time.Second {
		t.Errorf("%d after %v", v, g.Slept)
	}
	g.Gone = true
	if v := access(`{"delay":2,"response_example":""}`); v != plugin.Gone {
		t.Errorf("%d for a client that has left", v)
	}
}

// TestGenerate holds that what is made up has the types of the schema, and an
// end.
func TestGenerate(t *testing.T) {
	g := plugintest.New(t, &Spec)
	body := func(contentType, schema string) string {
		c := g.Request("GET", "/", "")
		v := g.Bind(`{"content_type":"` + contentType + `","response_schema":` + schema + `}`).(plugin.Accessor).Access(c)
		_, text, _ := strings.Cut(plugintest.Answer(c, v), "\n")
		return text
	}
	const all = `{"properties":{"s":{"type":"string"},"n":{"type":"number"},"i":{"type":"integer"},"b":{"type":"boolean"},"l":{"type":"array","items":{"type":"array","items":{"type":"integer","example":7}}}}}`
	re := regexp.MustCompile(`^\{"b":(true|false),"i":[1-9]\d{0,4},"l":\[\[7[7,\]\[]*\]\],"n":\d+(\.\d+)?,"s":"[a-z]{1,10}"\}$`)
	for range 100 {
		if got := body("application/json", all); !re.MatchString(got) || !json.Valid([]byte(got)) {
			t.Fatal(got)
		}
	}
	deep, depth := `{"type":"string"}`, 500
	for range depth {
		deep = `{"type":"array","items":` + deep + `}`
	}
	got := body("application/json", `{"properties":{"l":`+deep+`}}`)
	if !json.Valid([]byte(got)) || len(got) > 1<<20 || strings.Count(got, "[") < depth {
		t.Errorf("%d bytes", len(got))
	}
	d := xml.NewDecoder(strings.NewReader(body("application/xml;charset=utf8", `{"properties":{"l":`+deep+`}}`)))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheck(t *testing.T) {
	g := plugintest.New(t, &Spec)
	g.Check(`{"response_example":"a"}`, "")
	g.Check(`{}`, "object matches none of the required: [\"response_example\"] or [\"response_schema\"]")
	g.Check(`{"response_example":"a","content_type":"image/png"}`, "unsupported content type!")
	g.Check(`{"response_example":"a","content_type":"text/html; charset=utf-8"}`, "")
	g.Check(`{"response_example":"a","response_status":99}`, `property "response_status" validation failed: expected 99 to be at least 200`)
	g.Check(`{"response_example":"a","response_status":600}`, `property "response_status" validation failed: expected 600 to be at most 599`)
	g.Check(`{"response_example":"a","delay":1.5}`, `property "delay" validation failed: wrong type: expected integer, got number`)
	g.Check(`{"response_example":"a","response_headers":{"a b":"c"}}`, "invalid field character in header")
	g.Check(`{"response_schema":{"properties":{"a":{"type":["string"]}}}}`, "response_schema: a type is one word, properties and items are objects")
	g.Check(`{"response_schema":{"properties":{"a":{"items":[{}]}}}}`, "response_schema: a type is one word, properties and items are objects")
}
