package conf

import (
	"encoding/json"
	"strings"
	"testing"
)

func envOf(pairs ...string) Env {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

var noEnv = envOf()

func TestSubstitute(t *testing.T) {
	env := envOf("A", "1", "B_2", "x y", "EMPTY", "")
	f := func(in, want string) {
		t.Helper()
		if got, err := Substitute(in, env); err != nil || got != want {
			t.Errorf("Substitute(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	f("plain", "plain")
	f("${{A}}", "1")
	f("<${{ A }}-${{\tB_2 }}>", "<1-x y>")
	f("${{NO:=default}}", "default")
	f("${{ NO := a b }}", "a b")
	f("${{NO:=}}", "")
	f("${{EMPTY:=x}}", "")
	f("${{A:=x}}", "1")
	f("${{}} ${{ }} ${{-}} ${A} $A ${{A", "${{}} ${{ }} ${{-}} ${A} $A ${{A")
	f("${{${{A}}", "${{1")
	f("${{NO:=a}b}}", "a}b")

	_, err := Substitute("${{ONE}} ${{A}} ${{TWO}} ${{ONE}}", env)
	want := "can't find environment variable ONE; can't find environment variable TWO"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestSubstituteJSON(t *testing.T) {
	env := envOf("N", "12", "T", "true", "S", `a"b`, "Z", "007", "HEX", "0x10", "W", "1e400")
	f := func(in, want string) {
		t.Helper()
		got, missing := substituteJSON([]byte(in), env)
		if string(got) != want || len(missing) > 0 {
			t.Errorf("%s gave %s (missing %v), want %s", in, got, missing, want)
		}
	}
	f(`{"b": 1, "a": "${{N}}"}`, `{"b": 1, "a": 12}`)
	f(`["${{T}}", "x${{T}}", "${{S}}"]`, `[true, "xtrue", "a\"b"]`)
	f(`{"${{N}}" : {"k\"": "${{Z}}"}}`, `{"12" : {"k\"": 7}}`)
	f(`["${{HEX}}","${{W}}","${{NO:=12345678901234567890}}"]`, `[16,"1e400",12345678901234567890]`)
	if _, missing := substituteJSON([]byte(`{"a":"${{NO}}"}`), env); len(missing) != 1 || missing[0].name != "NO" {
		t.Errorf("missing %v", missing)
	}
}

func FuzzSubstitute(f *testing.F) {
	for _, s := range []string{"${{A}}", "${{ A := b }}", "${{${{A}}}}", "${{A:=", "${{\xff}}"} {
		f.Add(s, "v")
	}
	f.Fuzz(func(t *testing.T, s, v string) {
		out, _, missing := substitute(s, envOf("A", v))
		if !strings.Contains(s, "${{") && (out != s || len(missing) > 0) {
			t.Errorf("%q became %q", s, out)
		}
		text, _ := json.Marshal(map[string]string{"k": s, s: "x"})
		if got, _ := substituteJSON(text, envOf("A", v)); !json.Valid(got) {
			t.Errorf("%s became invalid: %s", text, got)
		}
	})
}
