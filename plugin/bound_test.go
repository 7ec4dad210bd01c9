package plugin

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"headrace/conf/schema"
)

// sample is a plugin with all that a Spec can have.
func sample() *Spec {
	return &Spec{
		Name: "sample", Priority: 100,
		Schema: schema.MustCompile("sample", `{"type":"object","properties":{
			"n":{"type":"integer","default":7},"s":{"type":"string"}},"additionalProperties":false}`),
		Upgrade: func(raw []byte) ([]byte, error) {
			if strings.Contains(string(raw), "impossible") {
				return nil, errors.New("cannot upgrade")
			}
			return []byte(strings.ReplaceAll(string(raw), `"old"`, `"n"`)), nil
		},
		Check: func(raw []byte) error {
			if strings.Contains(string(raw), `"n":13`) {
				return errors.New("n must not be 13")
			}
			return nil
		},
		New: func(raw []byte, env *Env) (any, error) {
			if strings.Contains(string(raw), `"n":99`) {
				return nil, errors.New("no 99 to be had")
			}
			return string(raw), nil
		},
	}
}

func TestValidate(t *testing.T) {
	f := func(raw, want, fault string) {
		t.Helper()
		got, meta, err := sample().Validate([]byte(raw))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if string(got) != want || text != fault || err == nil && meta == nil {
			t.Errorf("%s: %s, %v, %q", raw, got, meta, text)
		}
	}
	f(`{}`, `{"n":7}`, "")
	f(`{"n":1}`, `{"n":1}`, "")
	f(`{"_meta":{}}`, `{"n":7}`, "")
	f(`{"s":"<&>","_meta":{"priority":3,"disable":false,"filter":[],"error_response":"x"}}`, `{"n":7,"s":"<&>"}`, "")
	f(`{"old":4}`, `{"n":4}`, "") // Upgrade comes before the schema
	f(`{"s":"impossible"}`, ``, "cannot upgrade")
	f(`{"n":"x"}`, ``, `property "n" validation failed: wrong type: expected integer, got string`)
	f(`{"old":13}`, ``, "n must not be 13") // Check sees what the schema made
	f(`[]`, ``, "wrong type: expected object")
	f(`null`, ``, "wrong type: expected object, got userdata")
	f(`{`, ``, "wrong type: expected object")

	// _meta
	f(`{"_meta":{"pre_function":"x"}}`, ``, `property "_meta" validation failed: additional properties forbidden, found pre_function`)
	f(`{"_meta":{"blah":1}}`, ``, `property "_meta" validation failed: additional properties forbidden, found blah`)
	f(`{"_meta":{"priority":"x"}}`, ``, `property "_meta" validation failed: property "priority" validation failed: wrong type: expected integer, got string`)
	f(`{"_meta":{"disable":"true"}}`, ``, `property "_meta" validation failed: property "disable" validation failed: wrong type: expected boolean, got string`)
	f(`{"_meta":{"filter":["arg_a","==","b"]}}`, ``, `failed to validate the 'vars' expression: rule should be wrapped inside brackets`)
	f(`{"_meta":{"filter":[["arg_a","=","b"]]}}`, ``, `failed to validate the 'vars' expression: invalid operator '='`)
	f(`{"n":"x","_meta":{"filter":["a"]}}`, ``, `property "n" validation failed: wrong type: expected integer, got string`) // first the schema

	// A disabled plugin may be faulty, its _meta may not.
	f(`{"n":"x","_meta":{"disable":true}}`, ``, "")
	f(`{"n":13,"_meta":{"disable":true}}`, ``, "")
	f(`{"s":"impossible","_meta":{"disable":true}}`, ``, "")
	f(`{"n":1,"_meta":{"disable":true}}`, `{"n":1}`, "")
	f(`{"_meta":{"disable":true,"filter":[["a"]]}}`, ``, "")
	f(`{"_meta":{"disable":true,"x":1}}`, ``, `property "_meta" validation failed: additional properties forbidden, found x`)
}

func TestBind(t *testing.T) {
	f := func(raw string, priority int, disabled bool) *Bound {
		t.Helper()
		s := sample()
		b, err := s.Bind([]byte(raw), &Env{})
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if b.Spec != s || b.Priority != priority || b.Disabled != disabled || (b.Value == nil) != disabled {
			t.Errorf("%s: %+v", raw, b)
		}
		return b
	}
	f(`{}`, 100, false)
	f(`{"_meta":{"priority":-5}}`, -5, false)
	f(`{"_meta":{"priority":0}}`, 0, false)
	f(`{"_meta":{"priority":2.0}}`, 2, false) // an integer to JSON schema
	f(`{"_meta":{"disable":true}}`, 100, true)
	f(`{"n":99,"_meta":{"disable":true}}`, 100, true) // New is not called
	if b := f(`{"s":"x"}`, 100, false); b.Value != `{"n":7,"s":"x"}` {
		t.Errorf("New got %v", b.Value)
	}
	for _, raw := range []string{`{"n":99}`, `{"n":"x"}`} {
		if b, err := sample().Bind([]byte(raw), &Env{}); err == nil || b != nil {
			t.Errorf("%s: %v, %v", raw, b, err)
		}
	}
}

func bind(t *testing.T, raw string) *Bound {
	t.Helper()
	b, err := sample().Bind([]byte(raw), &Env{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFilter(t *testing.T) {
	f := func(filter string, want bool) {
		t.Helper()
		if got := bind(t, `{"_meta":{"filter":`+filter+`}}`).Runs(full()); got != want {
			t.Errorf("%s: %v", filter, got)
		}
	}
	f(`[]`, true)
	f(`[["arg_model","==","x y"]]`, true)
	f(`[["arg_model","==","other"]]`, false)
	f(`[["request_method","==","POST"],["http_x_tenant_id","~~","^a b"]]`, true)
	f(`["OR",["cookie_a","==","2"],["llm_tool_count",">",2]]`, true)
	f(`[["no_such","==",null]]`, true)
	f(`[["no_such","==",""]]`, false)
	f(`[["remote_addr","ipmatch",["192.0.2.0/24"]]]`, true)
	if !bind(t, `{}`).Runs(&Ctx{}) {
		t.Error("a plugin without a filter does not run")
	}
}

func TestErrorResponse(t *testing.T) {
	f := func(meta string, v Verdict, contentType, body string) {
		t.Helper()
		b, c := bind(t, `{"_meta":`+meta+`}`), &Ctx{}
		c.Reply(int(v), "text/html", []byte("own"))
		if got := b.Verdict(c, v); got != v {
			t.Errorf("%s: verdict %d became %d", meta, v, got)
		}
		if a := c.Answer(); a.ContentType != contentType || string(a.Body) != body {
			t.Errorf("%s with %d: %s %q", meta, v, a.ContentType, a.Body)
		}
		if r := b.ErrorResponse(); (r == nil) != (meta == `{}`) {
			t.Errorf("%s: ErrorResponse is %v", meta, r)
		}
	}
	f(`{}`, 403, "text/html", "own")
	f(`{"error_response":"no \"entry\"\n"}`, 403, Text, "no \"entry\"\n")
	f(`{"error_response":""}`, 500, Text, "")
	f(`{"error_response":{"b": 1, "a": [ "x" ]}}`, 400, JSON, "{\"b\":1,\"a\":[\"x\"]}\n")
	f(`{"error_response":"no"}`, 399, "text/html", "own") // only refusals
	f(`{"error_response":"no"}`, 302, "text/html", "own")
	if _, err := sample().Bind([]byte(`{"_meta":{"error_response":3}}`), &Env{}); err == nil {
		t.Error("a number is taken for error_response")
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"a":1,"_meta":{"priority":1,"filter":[["arg_a","==","b"]],"error_response":{"x":"y"}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := sample()
		if _, err := s.Bind(raw, &Env{}); err == nil {
			if _, _, err := s.Validate(raw); err != nil {
				t.Errorf("%q is bound but not valid: %v", raw, err)
			}
		}
	})
}

// TestBindReferences holds that plugins see what references stand for, and
// those that lead nowhere as they are.
func TestBindReferences(t *testing.T) {
	var log bytes.Buffer
	env := &Env{Log: slog.New(slog.NewTextHandler(&log, nil)), RouteID: "r1", Resolve: func(ref string) (string, error) {
		if ref == "$env://NAME" {
			return `a "b"`, nil
		}
		return "", errors.New("cannot resolve " + ref)
	}}
	f := func(spec *Spec, value, want string, logged bool) {
		t.Helper()
		log.Reset()
		b, err := spec.Bind([]byte(`{"s":"`+value+`"}`), env)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Value.(string); got != `{"n":7,"s":`+want+`}` {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
		if got := log.String(); logged != strings.Contains(got, "failed to resolve secret reference") {
			t.Errorf("%s: the log has %q", value, got)
		}
	}
	f(sample(), "plain", `"plain"`, false)
	f(sample(), "$env://NAME", `"a \"b\""`, false)
	f(sample(), "$env://NONE", `"$env://NONE"`, true)
	own := sample()
	own.Kind = Builtin
	f(own, "$env://NAME", `"$env://NAME"`, false)
}
