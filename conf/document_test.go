package conf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func itemLines(d *document) string {
	var b strings.Builder
	for _, e := range d.entries {
		fmt.Fprintf(&b, "%s %s %s line=%d", e.Kind, e.ID, e.Raw, e.line)
		if e.modified != 0 {
			fmt.Fprintf(&b, " mod=%d", e.modified)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestYAMLDocument(t *testing.T) {
	f := func(text, want string, problems ...string) {
		t.Helper()
		d, err := parseDocument("a.yaml", YAML, []byte(text+"\n#END\n"), envOf("N", "5", "S", "text"))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		if got := itemLines(d); got != want {
			t.Errorf("%s\ngave %s\nwant %s", text, got, want)
		}
		if len(d.problems) != len(problems) {
			t.Errorf("%s: problems %v, want %q", text, d.problems, problems)
			return
		}
		for i, p := range d.problems {
			if p.Error() != problems[i] {
				t.Errorf("%s: problem %q, want %q", text, p.Error(), problems[i])
			}
		}
	}
	f("", "")
	f("routes:\nupstreams: {}\nservices: []", "")
	f("routes:\n  - id: 1\n    uri: /a\n  - uri: /b\n    modifiedIndex: 9",
		`routes 1 {"id":1,"uri":"/a"} line=2`+"\n"+`routes arr_2 {"uri":"/b"} line=4 mod=9`+"\n")
	f("consumers:\n- username: jack\n- id: jack/credentials/k1\nsecrets:\n- id: vault/1",
		`consumers jack {"username":"jack"} line=2`+"\n"+`consumers jack/credentials/k1 {"id":"k1"} line=3`+"\n"+`secrets vault/1 {"id":"vault/1"} line=5`+"\n")
	f("plugins:\n- name: ai-proxy\n- name: mqtt-proxy\n  stream: true",
		`plugins plugins [{"name":"ai-proxy"},{"name":"mqtt-proxy","stream":true}] line=1`+"\n")
	f("plugins:", "plugins plugins [] line=1\n")
	f("plugins: [x]", "", "a.yaml:1: plugins: item 1: expected an object with a name")
	// Numbers keep digits, dates and words stay strings, env text takes its type.
	f("routes:\n- {id: x, big: 123456789012345678901234567890, i64: 9007199254740993, f: 1.50, h: 0x10, d: 2024-01-02, on: yes, q: '1', n: ~, b: true, e: ${{N}}, s: \"${{N}}\", u: 1_000}",
		`routes x {"id":"x","big":123456789012345678901234567890,"i64":9007199254740993,"f":1.50,"h":16,"d":"2024-01-02","on":"yes","q":"1","n":null,"b":true,"e":5,"s":"5","u":1000} line=2`+"\n")
	f("x: &p {a: 1, b: 2}\nroutes:\n- id: r\n  <<: *p\n  b: 3\n  c: *p\n_conf: 1\nroutes_conf_version: 3",
		`routes r {"id":"r","b":3,"c":{"a":1,"b":2},"a":1} line=3`+"\n",
		"a.yaml:1: x: unknown key", "a.yaml:7: _conf: unknown key")
	f("route:\n- id: 1", "", `a.yaml:1: route: unknown key, did you mean "routes"?`)
	f("routes:\n- 5\n- id: 'a b'\n- id: 0\n- id: [1]\n- id: ok\n- id: ok\n- username: 1\n  modifiedIndex: x\nsecrets:\n- id: 1\n- id: x",
		`routes ok {"id":"ok"} line=6`+"\n"+`secrets 1 {"id":1} line=11`+"\n",
		"a.yaml:2: routes: item 1: expected an object, got number",
		`a.yaml:3: routes: item 2: id: "a b" must be 1 to 64 of the characters a-z A-Z 0-9 - _ .`,
		"a.yaml:4: routes: item 3: id: expected a string or an integer from 1",
		"a.yaml:5: routes: item 4: id: expected a string or an integer from 1",
		`a.yaml:7: routes "ok": an item before has the same id`,
		`a.yaml:8: routes "1": modifiedIndex: expected an integer from 1`,
		`a.yaml:12: secrets: item 2: id: "x" is not <manager>/<id>`)
	f("routes: []\n---\nroutes: []", "", "a.yaml: only the first YAML document is read")
}

func TestDocumentErrors(t *testing.T) {
	f := func(format Format, text, want string) {
		t.Helper()
		_, err := parseDocument("a.f", format, []byte(text), noEnv)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	f(YAML, "routes: []", "missing valid end flag in file a.f")
	f(YAML, "#END\nroutes: [] # a comment", "missing valid end flag")
	f(YAML, "routes:\n- id: [1\n#END", "a.f:")
	f(YAML, "a: 1\n\tb: 2\n#END", "a.f:2: found")
	f(YAML, "- a\n#END", "a.f:1: expected an object")
	f(YAML, "routes: x\n#END", "a.f:1: routes must be a list")
	f(YAML, "routes: []\nroutes: []\n#END", `a.f:2: key "routes" is already defined at line 1`)
	f(YAML, "routes:\n- id: 1\n  uri: a\n  uri: b\n#END", `a.f:4: key "uri" is already defined at line 3`)
	f(YAML, "a: 1\nroutes:\n- id: ${{NO}}\n- ${{NO2}}\n#END", "a.f:3: can't find environment variable NO\na.f:4: can't find environment variable NO2")
	f(YAML, "routes: &a\n- *a\n#END", `a.f:2: anchor "a" contains itself`)
	f(YAML, "routes:\n- &a {<<: *a}\n#END", "a.f:2: ")
	f(YAML, "routes:\n- {n: .inf}\n#END", "a.f:2: a number must be finite")
	f(YAML, "routes:\n- {? [a] : 1}\n#END", "a.f:2: a key must be a string")
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 10; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), i-1)
	}
	f(YAML, bomb+"routes:\n- {b: *a9}\n#END", "a.f:1: aliases make the document too large")
	f(YAML, "routes:\n- "+strings.Repeat("[", 600)+strings.Repeat("]", 600)+"\n#END", "a.f:2: values are nested too deeply")
	f(JSON, "{\n\"routes\": [}\n}", "a.f:2: not valid JSON: invalid character '}'")
	f(JSON, "", "a.f:1: not valid JSON")
	f(JSON, "[]", "a.f:1: expected an object")
	f(JSON, "{\n\"routes\":5}", "a.f:2: routes must be a list")
	f(JSON, "{\"routes\":[],\n\"routes\":[]}", `a.f:2: key "routes" is defined twice`)
	f(JSON, "{\n\"routes\":[{\"uri\":\"${{NO}}\"}]}", "a.f:2: can't find environment variable NO")
	// What is left of the text without its variables is shorter.
	f(JSON, `{"routes":[{"a":"${{NO:=}}","b":"${{A_LONG_NAME}}","c":"${{AN_EVEN_LONGER_NAME_OF_A_VARIABLE}}"},`+"\n"+`{"uri":"${{NO2}}"}]}`,
		"a.f:1: can't find environment variable A_LONG_NAME\na.f:1: can't find environment variable AN_EVEN_LONGER_NAME_OF_A_VARIABLE\na.f:2: can't find environment variable NO2")
}

func TestJSONDocument(t *testing.T) {
	d, err := parseDocument("a.json", JSON, []byte(`{
 "routes": [ {"id":"${{N}}", "uri":"/a" , "z":1e2},
   {"modifiedIndex": 3, "uri":"]},{"} ],
 "plugins" : null, "upstreams": { }, "nonsense": 1,
 "services": [[], {"id": 12345678901234567890}]
}`), envOf("N", "x"))
	if err != nil {
		t.Fatal(err)
	}
	want := `routes x {"id":"x", "uri":"/a" , "z":1e2} line=2
routes arr_2 {"uri":"]},{"} line=3 mod=3
plugins plugins [] line=4
`
	if got := itemLines(d); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if len(d.problems) != 3 || d.problems[1].Error() != "a.json:5: services: item 1: expected an object, got array" {
		t.Errorf("problems %v", d.problems)
	}
}

func TestReadDocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seed.json")
	if err := os.WriteFile(path, []byte(`{"routes":[{"id":1,"uri":"/"}],"route":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	items, problems, err := ReadDocument(path, noEnv)
	if err != nil || len(items) != 1 || items[0].ID != "1" || len(problems) != 1 || !problems[0].Warn {
		t.Errorf("%v, %v, %v", items, problems, err)
	}
	if _, _, err := ReadDocument(path+".no", noEnv); err == nil || !strings.Contains(err.Error(), "cannot read") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func FuzzDocument(f *testing.F) {
	for _, s := range []string{
		"routes:\n- id: 1\n  uri: /a\n#END", "a: &a [*a]\n#END", "routes:\n- <<: {a: 1}\n  ? x\n  : y\n#END",
		`{"routes":[{"id":1}]}`, `{"a":"\u0000\ud800"}`, "plugins: [{name: x}]\n#END", "routes: [0x, 1e999, -.inf, 0o7, 1_0]\n#END",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, format := range []Format{YAML, JSON} {
			in := text
			if format == YAML {
				in = append(append([]byte(nil), text...), "\n#END"...)
			}
			d, err := parseDocument("f", format, in, noEnv)
			if err != nil {
				continue
			}
			for _, e := range d.entries {
				if !json.Valid(e.Raw) {
					t.Errorf("%q gave invalid JSON %q", in, e.Raw)
				}
				if e.Kind == Routes {
					_, _ = DecodeRoute(e.Raw)
				}
			}
		}
	})
}
