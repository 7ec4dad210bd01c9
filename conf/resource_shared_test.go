package conf

import (
	"errors"
	"testing"
)

func TestWithID(t *testing.T) {
	for _, tt := range []struct{ raw, want string }{
		{`{}`, `{"id":"a/1"}`},
		{` { "x" : 1 }`, `{"id":"a/1", "x" : 1 }`},
		{`{"x":{"id":1}}`, `{"id":"a/1","x":{"id":1}}`},
		{`{"id":7}`, `{"id":7}`},
		{`[]`, `[]`},
		{``, ``},
	} {
		if got := string(WithID([]byte(tt.raw), "a/1")); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.raw, got, tt.want)
		}
	}
}

func TestCredentialID(t *testing.T) {
	for id, want := range map[string][2]string{
		"jack": {"jack", ""}, "jack/credentials/one": {"jack", "one"},
	} {
		if c, cr := CredentialID(id); c != want[0] || cr != want[1] {
			t.Errorf("%s: %q %q", id, c, cr)
		}
	}
}

func TestResolveJSON(t *testing.T) {
	resolve := func(ref string) (string, error) {
		if ref == "$env://A" || ref == "$ENV://A" {
			return `v"1`, nil
		}
		return "", errors.New("no " + ref)
	}
	for _, tt := range []struct{ raw, want string }{
		{`{"a":1,"b":"http://x"}`, `{"a":1,"b":"http://x"}`},
		{`{"$env://A":"$env://A","c":["$ENV:\/\/A", {"d":"x"}], "e":"\"$env://A"}`, `{"$env://A":"v\"1","c":["v\"1", {"d":"x"}], "e":"\"$env://A"}`},
	} {
		if got, err := ResolveJSON([]byte(tt.raw), resolve); err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v", tt.raw, got, err)
		}
	}
	if _, err := ResolveJSON([]byte(`["$env://B"]`), resolve); err == nil || err.Error() != "no $env://B" {
		t.Errorf("got %v", err)
	}
}
