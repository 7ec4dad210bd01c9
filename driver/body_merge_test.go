package driver

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestMergePatch(t *testing.T) {
	f := func(mark, body, patch string, force bool, want string) {
		t.Helper()
		m, err := CompilePatch([]byte(patch), force)
		if err != nil {
			t.Fatal(err)
		}
		b := load(t, body)
		m.Apply(b)
		got := b.AppendTo(nil)
		if string(got) != want {
			t.Errorf("%s: %s + %s (force %v):\n got %s\nwant %s", mark, body, patch, force, got, want)
		}
	}
	f("T: ro 13", `{"a":1}`, `{"b":{"c":[1]}}`, false, `{"a":1,"b":{"c":[1]}}`)
	f("T: ro 14", `{"t":0.5}`, `{"t":0.9}`, false, `{"t":0.5}`)
	f("T: ro 15", `{"t":0.5}`, `{"t":0.9}`, true, `{"t":0.9}`)
	f("T: ro 17", `{"s":["a"]}`, `{"s":["b","c"]}`, false, `{"s":["a"]}`)
	f("T: ro 18", `{"s":["a"]}`, `{"s":["b","c"]}`, true, `{"s":["b","c"]}`)
	f("nested", `{"o":{"x": 1.0, "y":{"z":[1]}}}`, `{"o":{"y":{"w":2,"z":3},"x":9}}`, false, `{"o":{"x": 1.0, "y":{"z":[1],"w":2}}}`)
	f("nested force", `{"o":{"x": 1.0, "y":{"z":[1]}}}`, `{"o":{"y":{"w":2,"z":3},"x":9}}`, true, `{"o":{"x": 9, "y":{"z":3,"w":2}}}`)
	f("null is present", `{"a":null,"o":{"n":null}}`, `{"a":1,"o":{"n":1}}`, false, `{"a":null,"o":{"n":null}}`)
	f("null forced", `{"a":1,"o":{}}`, `{"a":null,"o":{"n":null}}`, true, `{"a":null,"o":{"n":null}}`)
	f("type mismatch", `{"a":[1],"b":{"c":1}}`, `{"a":{"x":1},"b":2}`, false, `{"a":[1],"b":{"c":1}}`)
	f("type mismatch force", `{"a":[1],"b":{"c":1}}`, `{"a":{"x":1},"b":2}`, true, `{"a":{"x":1},"b":2}`)
	f("empty object", `{"a":{"x":1},"b":{ }}`, `{"a":{},"b":{"y":1}}`, true, `{"a":{"x":1},"b":{"y":1 }}`)
	f("escaped key", `{"o":{"\u0061":1}}`, `{"o":{"a":2,"b":3}}`, true, `{"o":{"\u0061":2,"b":3}}`)
	f("no object", `[1]`, `{"a":1}`, true, `[1]`)
	f("nothing new", `{"o":{"a":1} }`, `{"o":{"a":2}}`, false, `{"o":{"a":1} }`)
}

func TestCompilePatchError(t *testing.T) {
	for _, raw := range []string{``, `[]`, `1`, `{"a":}`, `{} x`} {
		if _, err := CompilePatch([]byte(raw), false); err == nil {
			t.Errorf("%q was taken", raw)
		}
	}
}

// Golden vector of ai-proxy.md section 11 (T: ai-transport-http.t 1, 4).
func TestAppendSorted(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		got, err := AppendSorted(nil, []byte(raw))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s %v", raw, got, err)
		}
	}
	f(`{"tools":[{"type":"function","function":{"parameters":{"type":"object","required":[],"properties":{}},"name":"fn"}}],"model":"m","messages":[],"empty_obj":{}}`,
		`{"empty_obj":{},"messages":[],"model":"m","tools":[{"function":{"name":"fn","parameters":{"properties":{},"required":[],"type":"object"}},"type":"function"}]}`)
	f(` { "b" : 1.50 , "a" : [ 1e5 , null ] , "b" : 2 } `, `{"a":[1e5,null],"b":2}`)
	f(`{"a":1,"\u0061":"\u00e9"}`, `{"\u0061":"\u00e9"}`)
}

// merge is section 2.7 on decoded values.
func merge(dst, patch map[string]any, force bool) {
	for k, p := range patch {
		cur, ok := dst[k]
		co, cIs := cur.(map[string]any)
		po, pIs := p.(map[string]any)
		switch {
		case !ok:
			dst[k] = p
		case cIs && pIs:
			merge(co, po, force)
		case force:
			dst[k] = p
		}
	}
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte(`{"a":{"b":1,"c":{"d":[]}},"x":null}`), []byte(`{"a":{"c":{"e":1,"d":{}},"b":{}},"x":1,"y":2}`), true)
	f.Add([]byte(`{"a":{"a":1,"a":{"b":1}},"x":null}`), []byte(`{"a":{"a":{"c":2}}}`), false)
	f.Fuzz(func(t *testing.T, body, patch []byte, force bool) {
		var b Body
		m, err := CompilePatch(patch, force)
		if err != nil || b.Load(body) != nil || b.Kind() != Object {
			return
		}
		// encoding/json merges invalid UTF-8 of keys into one replacement.
		if !json.Valid(body) || !validText(body) || !validText(patch) {
			return
		}
		m.Apply(&b)
		want := decode(t, body).(map[string]any)
		merge(want, decode(t, patch).(map[string]any), force)
		out := b.AppendTo(nil)
		if got := decode(t, out); !reflect.DeepEqual(got, any(want)) {
			t.Fatalf("%s + %s (force %v): %s", body, patch, force, out)
		}
	})
}
