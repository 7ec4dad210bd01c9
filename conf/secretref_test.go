package conf

import (
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	env := envOf("KEY", "s3cret", "OBJ", `{"a":"x","n":5,"o":{},"z":null}`)
	f := func(in, want string, isRef bool, errPart string) {
		t.Helper()
		got, ref, err := Resolve(in, env)
		if got != want || ref != isRef || (err == nil) != (errPart == "") {
			t.Errorf("Resolve(%q) = %q, %v, %v", in, got, ref, err)
		}
		if err != nil && (!strings.Contains(err.Error(), errPart) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("Resolve(%q): error %q, want %q in it and no secret", in, err, errPart)
		}
		if IsReference(in) != isRef {
			t.Errorf("IsReference(%q) is %v", in, !isRef)
		}
	}
	f("plain", "plain", false, "")
	f("Bearer $env://KEY", "Bearer $env://KEY", false, "")
	f("$env://KEY", "s3cret", true, "")
	f("$ENV://KEY", "s3cret", true, "")
	f("$Env://OBJ/a", "x", true, "")
	f("$env://OBJ/n", "5", true, "")
	f("$env://OBJ/o", "", true, "is no string")
	f("$env://OBJ/z", "", true, "is no string")
	f("$env://OBJ/b", "", true, `has no member "b"`)
	f("$env://KEY/a", "", true, "holds no JSON object")
	f("$env://NO", "", true, "can't find environment variable NO")
	f("$env://", "", true, "names no environment variable")
	f("$secret://vault/1/a/b", "", true, "secret managers are asked by the gateway only")
}
