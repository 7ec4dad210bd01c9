package admin

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestValue(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		v, err := parse([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			return
		}
		if got := string(v.append(nil)); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", in, got, want)
		}
	}
	f(" { \"b\" : [ 1 , -2.50e+3,true ,false,null, \"\\u0041\\\"]\" ] , \"a\":{ } } ", `{"b":[1,-2.50e+3,true,false,null,"\u0041\"]"],"a":{}}`)
	f(`12345678901234567890.10`, `12345678901234567890.10`)
	f(`{"a":1,"b":2,"a":{"c":3},"\u0062":4}`, `{"a":{"c":3},"b":4}`)
	f(`"<&>"`, `"<&>"`)
	f(`[[],[[]],{"":{}}]`, `[[],[[]],{"":{}}]`)
	for _, bad := range []string{"", "{", "[1,]", "tru", "1 2", "\"\xff\"", strings.Repeat("[", 20000)} {
		if _, err := parse([]byte(bad)); err == nil {
			t.Errorf("%.20q was accepted", bad)
		}
	}
}

// FuzzValue compares with a twin: what encoding/json reads from our text is
// what it reads from the original.
func FuzzValue(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x\"",{"b":null}],"a":2}`, ` [ 1e5 , "\\" ] `, `"\ud800"`, `{`, `-0.0`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := parse(in)
		if err != nil {
			return
		}
		decode := func(b []byte) (out any) {
			d := json.NewDecoder(strings.NewReader(string(b)))
			d.UseNumber()
			if err := d.Decode(&out); err != nil {
				t.Fatalf("%q: %v", b, err)
			}
			return out
		}
		text := v.append(nil)
		want, got := decode(in), decode(text)
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("%q became %q", in, text)
		}
		if again := mustParse(text).append(nil); string(again) != string(text) {
			t.Fatalf("%q is not stable: %q", text, again)
		}
	})
}
