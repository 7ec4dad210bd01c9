package admin

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/conf"
)

func TestAppendYAML(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", `{}`, "{}\n"},
		{"words", `{"a":"roundrobin","b":"/v1/*","c":"Bearer any","d":"1","e":"yes","f":"Off","g":"","h":" x","i":"a: b","j":"x #y","on":1}`,
			"a: roundrobin\nb: /v1/*\nc: Bearer any\nd: \"1\"\ne: \"yes\"\nf: \"Off\"\ng: \"\"\nh: \" x\"\ni: \"a: b\"\nj: \"x #y\"\n\"on\": 1\n"},
		{"numbers", `{"a":0,"b":-1.50,"c":12345678901234567890,"d":1e3,"e":1.5E-3,"f":true,"g":null}`,
			"a: 0\nb: -1.50\nc: 12345678901234567890\nd: 1000\ne: 0.0015\nf: true\ng: null\n"},
		{"order", `{"b":{"d":1,"c":{}},"a":[]}`, "b:\n  d: 1\n  c: {}\na: []\n"},
		{"lists", `{"a":["GET","1"],"b":[{"x":1,"y":[[1,2],[]]},[3]],"c":[["a","==","b"]]}`,
			"a: [GET, \"1\"]\nb:\n  - x: 1\n    \"y\":\n      - [1, 2]\n      - []\n  - [3]\nc:\n  - [a, \"==\", b]\n"},
		{"lines", `{"a":"x\ny\n","b":{"c":"x\n\n  y"},"d":["p\nq"],"e":"x\n\n","f":"\nx","g":"x\n${{Y}}"}`,
			"a: |\n  x\n  y\nb:\n  c: |-\n    x\n\n      y\nd:\n  - |-\n    p\n    q\ne: \"x\\n\\n\"\nf: \"\\nx\"\ng: \"x\\n$\\u007b{Y}}\"\n"},
		{"variable", `{"${{A}}":"${{B:=c}} $${{"}`, "\"$\\u007b{A}}\": \"$\\u007b{B:=c}} $$\\u007b{\"\n"},
		{"unprintable", `{"a":"\u0000\u007f\u0085\u00a0\ufeff\u2028é中😀\\ud800"}`, "a: \"\\u0000\\u007f\\u0085\\u00a0\\ufeff\\u2028é中😀\\\\ud800\"\n"},
	} {
		v, err := parse([]byte(tt.in))
		if err != nil {
			t.Fatal(err)
		}
		out := v.appendYAML(nil, 0)
		if diff := cmp.Diff(tt.want, string(out)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		sameJSON(t, tt.name, []byte(tt.in), out)
	}
}

// sameJSON reads YAML back.
func sameJSON(t *testing.T, name string, want, text []byte) {
	t.Helper()
	// A file's variables are replaced before it is parsed.
	if s, err := conf.Substitute(string(text), func(string) (string, bool) { return "", false }); err != nil || s != string(text) {
		t.Errorf("%s: variables are left: %v\n%s", name, err, text)
	}
	back, err := conf.YAMLToJSON(text)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, text)
	}
	var a, b any
	if json.Unmarshal(want, &a) != nil || json.Unmarshal(back, &b) != nil {
		t.Fatalf("%s: no JSON: %s", name, back)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("%s, read back (-want +got):\n%s\n%s", name, diff, text)
	}
}

func FuzzAppendYAML(f *testing.F) {
	for _, s := range []string{
		`{"a":"x\ny","b":[1,[2,{"c":null}]],"${{d}}":-0.1e-7}`, `["y","=","<<","- x","a: b"," x","x ","x\n y\n"]`, `{"<<":{"a":1},"~":"~"}`, `"\u0000\uffff"`, `[[[]],{}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := parse(raw)
		if err != nil || len(raw) > 1000 || bytes.Count(raw, []byte{'['})+bytes.Count(raw, []byte{'{'}) > 200 {
			return // longer keys and deeper values than a reader of YAML takes
		}
		for _, n := range numbersOf(v) {
			if f, err := json.Number(n).Float64(); err != nil || f > 1e15 || f < -1e15 {
				return // no number of a resource
			}
		}
		sameJSON(t, "fuzz", v.append(nil), v.appendYAML(nil, 0))
	})
}

func numbersOf(v *value) (list []string) {
	if v.kind == '0' {
		return []string{string(v.raw)}
	}
	for _, m := range v.members {
		list = append(list, numbersOf(m.val)...)
	}
	for _, it := range v.items {
		list = append(list, numbersOf(it)...)
	}
	return list
}
