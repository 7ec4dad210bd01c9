package schema

import (
	"bytes"
	"strings"
	"testing"
)

// Whatever comes in: an error has a text of ours, and what passes is stable
// and passes the library as well.
func FuzzCheck(f *testing.F) {
	schemas := []*Schema{
		MustCompilePlugin("ai-proxy", aiProxyText),
		MustCompile("odd", `{"definitions":{"n":{"properties":{"k":{"type":"array","items":{"$ref":"#/definitions/n"}},"d":{"default":{"x":1}}}}},
			"allOf":[{"$ref":"#/definitions/n"},{"not":{"required":["no"]}}],"dependencies":{"a":["b"],"c":{"required":["d"]}},
			"patternProperties":{"^(?!x)y":{"type":"string","maxLength":3}},"additionalProperties":{"multipleOf":0.5,"contains":{"enum":["z",1]}},
			"if":{"properties":{"k":{"maxItems":1}}},"then":{"maxProperties":4},"else":{"minProperties":2}}`),
	}
	for _, name := range Names {
		schemas = append(schemas, Resource(name))
	}
	for _, s := range []string{aiProxyConf, `{"uri":"/a","upstream":{"nodes":{"a:1":1},"checks":{"active":{}}}}`, `[]`, `{}`, `null`, `1e400`, `"$env://X"`,
		`{"k":[{"k":[{}]},{}],"a":1,"yy":"long","c":0,"q":[1,"z"],"r":0.25}`, `{"id":1.0,"plugins":[]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, s := range schemas {
			once, err := s.Check(raw)
			if err != nil {
				if text := err.Error(); text == "" || strings.Contains(text, "jsonschema") {
					t.Fatalf("unexplained: %q", text)
				}
				continue
			}
			twice, err := s.Check(once)
			if err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("not stable:\n%s\n%s\n%v", once, twice, err)
			}
			v, err := decode(once)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.root.sch.Validate(v); err != nil {
				t.Fatal(err)
			}
		}
	})
}
