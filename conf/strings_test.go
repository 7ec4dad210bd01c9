package conf

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestMapStrings(t *testing.T) {
	paths := Paths{}
	for _, p := range []string{"key", "auth.header", "instances.auth.header", "instances.auth.gcp.json", "list"} {
		paths.Add("plugins", "p-1", p)
	}
	paths.Add("top")
	f := func(raw, want string) {
		t.Helper()
		if got := string(MapStrings([]byte(raw), paths, strings.ToUpper)); got != want {
			t.Errorf("%s\n got %s\nwant %s", raw, got, want)
		}
	}
	f(`{"top":"a", "other" : "b"}`, `{"top":"A", "other" : "b"}`)
	f(` {"top":["a",1,"b",["c"]],"plugins":{"p-1":{"key":"k","x":"x"},"p-2":{"key":"k"}}}`,
		` {"top":["A",1,"B",["c"]],"plugins":{"p-1":{"key":"K","x":"x"},"p-2":{"key":"k"}}}`)
	f(`{"plugins":{"p-1":{"auth":{"header":{"A":"a","B":null,"C":{"d":"d"}},"query":{"q":"q"}}}}}`,
		`{"plugins":{"p-1":{"auth":{"header":{"A":"A","B":null,"C":{"d":"d"}},"query":{"q":"q"}}}}}`)
	f(`{"plugins":{"p-1":{"instances":[{"auth":{"header":{"A":"a"}}},"a",[{"auth":{"header":{"A":"a"}}}],{"auth":{"gcp":{"json":"{\"k\":1}"}}}]}}}`,
		`{"plugins":{"p-1":{"instances":[{"auth":{"header":{"A":"A"}}},"a",[{"auth":{"header":{"A":"a"}}}],{"auth":{"gcp":{"json":"{\"K\":1}"}}}]}}}`)
	f(`{"top":"a\u00e9\n<","top":"b"}`, `{"top":"A`+"\u00c9"+`\n<","top":"B"}`)
	f(`{"plugins":{"p-1":[{"key":"k"}]}}`, `{"plugins":{"p-1":[{"key":"K"}]}}`)
	// What it is not made for stays as it is.
	for _, raw := range []string{``, ` `, `init_dir`, `[{"top":"a"}]`, `{"top":"a"`, `{"top":1,"plugins":"x"}`, `{"plugins":{"p-1":null}}`, `"top"`} {
		f(raw, raw)
	}
}

func FuzzMapStrings(f *testing.F) {
	for _, s := range []string{`{"a":"x","b":{"c":["y",{"c":"z"}]}}`, `{"b":[{"c":{"k":"v"}}]}`, `{"a":"\ud800"}`, `{"a":`, `{"b":[{"c":[[]]}]}`} {
		f.Add(s)
	}
	paths := Paths{}
	paths.Add("a")
	paths.Add("b.c")
	f.Fuzz(func(t *testing.T, raw string) {
		same := MapStrings([]byte(raw), paths, func(s string) string { return s })
		if string(same) != raw {
			t.Errorf("%q became %q", raw, same)
		}
		out := MapStrings([]byte(raw), paths, func(s string) string { return s + "+" })
		var v, w map[string]any
		if json.Unmarshal([]byte(raw), &v) != nil || json.Unmarshal([]byte(raw), &w) != nil {
			return
		}
		if err := json.Unmarshal(out, &w); err != nil {
			t.Fatalf("%q became %q: %v", raw, out, err)
		}
		clear(w)
		json.Unmarshal(out, &w)
		if want := twin(v); !reflect.DeepEqual(w, want) {
			t.Errorf("%q became %v, want %v", raw, w, want)
		}
	})
}

// twin does to a decoded document what FuzzMapStrings does to its text.
func twin(v map[string]any) map[string]any {
	leaf := func(x any) any {
		switch x := x.(type) {
		case string:
			return x + "+"
		case []any:
			for i := range x {
				if s, ok := x[i].(string); ok {
					x[i] = s + "+"
				}
			}
		case map[string]any:
			for k := range x {
				if s, ok := x[k].(string); ok {
					x[k] = s + "+"
				}
			}
		}
		return x
	}
	if a, ok := v["a"]; ok {
		v["a"] = leaf(a)
	}
	switch b := v["b"].(type) {
	case map[string]any:
		if c, ok := b["c"]; ok {
			b["c"] = leaf(c)
		}
	case []any:
		for _, x := range b {
			if o, ok := x.(map[string]any); ok {
				if c, ok := o["c"]; ok {
					o["c"] = leaf(c)
				}
			}
		}
	}
	return v
}
