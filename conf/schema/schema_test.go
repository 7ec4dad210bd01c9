package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTexts(t *testing.T) {
	f := func(schema, value, want string) {
		t.Helper()
		s, err := Compile("test", schema)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Check([]byte(value))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s against %s\ngot  %q\nwant %q", value, schema, got, want)
		}
	}
	// types; Lua knows no difference between 1.0 and 1, {} and []
	f(`{"type":"string"}`, `1`, "wrong type: expected string, got number")
	f(`{"type":"string"}`, `null`, "wrong type: expected string, got userdata")
	f(`{"type":"object"}`, `[1]`, "wrong type: expected object, got table")
	f(`{"type":"array"}`, `{"a":1}`, "wrong type: expected array, got table")
	f(`{"type":["string","number"]}`, `true`, "wrong type: expected one of string, number, got boolean")
	f(`{"type":"integer"}`, `1.0`, "")
	f(`{"type":"integer"}`, `1.5`, "wrong type: expected integer, got number")
	f(`{"type":"object"}`, `[]`, "")
	f(`{"type":"array"}`, `{}`, "")
	f(`{"type":"array","minItems":1}`, `{}`, "expect array to have at least 1 items")
	f(`{"properties":{"a":false}}`, `{"a":1}`, `property "a" validation failed: expect false always`)

	// numbers
	f(`{"type":"integer","minimum":200}`, `199`, "expected 199 to be at least 200")
	f(`{"maximum":1}`, `1.5`, "expected 1.5 to be at most 1")
	f(`{"exclusiveMinimum":0}`, `0`, "expected 0 to be greater than 0")
	f(`{"exclusiveMaximum":0.5}`, `5e-1`, "expected 0.5 to be smaller than 0.5")
	f(`{"multipleOf":5}`, `1e15`, "")
	f(`{"multipleOf":7}`, `1e15`, "expected 1e+15 to be a multiple of 7")
	f(`{"maximum":10}`, `100000`, "expected 100000 to be at most 10")
	f(`{"maximum":10}`, `1e999999`, "number out of range: 1e999999")

	// strings
	f(`{"minLength":1}`, `""`, "string too short, expected at least 1, got 0")
	f(`{"maxLength":2}`, `"äöü"`, "string too long, expected at most 2, got 3")
	f(`{"maxLength":3}`, `"äöü"`, "")
	f(`{"pattern":"^[a-z]+$"}`, `"A\"b"`, `failed to match pattern "^[a-z]+$" with "A\"b"`)
	f(`{"pattern":"^\\d+$"}`, `"x"`, `failed to match pattern "^\\d+$" with "x"`) // %q doubles backslashes
	f(`{"pattern":"^(?!x)"}`, `"xy"`, `failed to match pattern "^(?!x)" with "xy"`)
	f(`{"pattern":"^(?!x)"}`, `"y"`, "")
	f(`{"enum":["a","b"]}`, `"c"`, "matches none of the enum values")
	f(`{"minLength":3,"enum":["abc"]}`, `"c"`, "string too short, expected at least 3, got 1") // before enum
	f(`{"enum":[1,0]}`, `1.0`, "")
	f(`{"const":"body"}`, `"c"`, "failed to check const value")
	f(`{"format":"ipv4"}`, `"1.2.3.400"`, "expect valid ipv4 format but got: 1.2.3.400")
	f(`{"format":"ipv6"}`, `"fe80::1%eth0"`, "expect valid ipv6 format but got: fe80::1%eth0")
	f(`{"format":"uri-reference"}`, `"%%%"`, "") // not a format of APISIX's validator
	f(`{"format":"date-time"}`, `"2024-01-02T03:04:05Z"`, "")

	// arrays
	f(`{"maxItems":1}`, `[1,2]`, "expect array to have at most 1 items")
	f(`{"items":{"type":"string"}}`, `["a",2]`, "failed to validate item 2: wrong type: expected string, got number")
	f(`{"uniqueItems":true}`, `["a","b","a"]`, "expected unique items but items 1 and 3 are equal")
	f(`{"uniqueItems":true}`, `[{"a":1},{"a":1.0}]`, "expected unique items but items 1 and 2 are equal")
	f(`{"items":[{"type":"string"}],"additionalItems":false}`, `["a",2]`, "found unexpected extra items in array")
	f(`{"items":[{"type":"string"}],"additionalItems":{"type":"string"}}`, `["a",2]`, "failed to validate additional item 2: wrong type: expected string, got number")
	f(`{"contains":{"type":"string"}}`, `[1]`, "failed to check contains")
	f(`{"contains":{"type":"string"}}`, `[]`, "check contains: empty array is invalid")

	// objects; properties are looked at in the order of the schema
	f(`{"properties":{"b":{"type":"string"},"a":{"type":"string"}}}`, `{"a":1,"b":1}`, `property "b" validation failed: wrong type: expected string, got number`)
	f(`{"properties":{"b":{},"a":{"type":"string"}},"required":["c","b"]}`, `{"a":1}`, `property "b" is required`)
	f(`{"properties":{"a":{"type":"string"}},"required":["c"]}`, `{"a":1}`, `property "a" validation failed: wrong type: expected string, got number`)
	f(`{"required":["c"]}`, `{}`, `property "c" is required`)
	f(`{"properties":{"c":{"default":1}},"required":["c"]}`, `{}`, `property "c" is required`)
	f(`{"additionalProperties":false,"properties":{"a":{}}}`, `{"a":1,"z":1,"c":2}`, "additional properties forbidden, found c")
	f(`{"additionalProperties":{"type":"string"}}`, `{"z":1}`, "failed to validate additional property z: wrong type: expected string, got number")
	f(`{"patternProperties":{".*":{"type":"string"}}}`, `{"env":1}`, `failed to validate env (matching ".*"): wrong type: expected string, got number`)
	f(`{"patternProperties":{"^[a-z\\d]+$":{"type":"string"}},"additionalProperties":false}`, `{"ENV":"1"}`, "additional properties forbidden, found ENV")
	f(`{"minProperties":1}`, `{}`, "expect object to have at least 1 properties")
	f(`{"maxProperties":1}`, `{"a":1,"b":1}`, "expect object to have at most 1 properties")
	f(`{"dependencies":{"time_window":["limit"]}}`, `{"time_window":1}`, `property "limit" is required when "time_window" is set`)
	f(`{"properties":{"a":{},"b":{}},"dependencies":{"a":["b"]},"required":["c"]}`, `{"a":1}`, `property "b" is required when "a" is set`)
	f(`{"properties":{"a":{}},"dependencies":{"a":{"required":["b"]}}}`, `{"a":1}`, `failed to validate dependent schema for "a": property "b" is required`)
	f(`{"propertyNames":{"pattern":"^a$"}}`, `{"b":1}`, "") // not looked at in APISIX

	// logic
	f(`{"allOf":[{"required":["a"]},{"required":["b"]}]}`, `{"a":1}`, `allOf 2 failed: property "b" is required`)
	f(`{"anyOf":[{"type":"string"},{"type":"number"}]}`, `true`, "object matches none of the required")
	f(`{"anyOf":[{"required":["a"]},{"required":["a","b"]}]}`, `{}`, `object matches none of the required: ["a"] or ["a","b"]`)
	f(`{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{}`, "value should match only one schema, but matches none")
	f(`{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{"a":1,"b":1}`, "value should match only one schema, but matches both schemas 1 and 2")
	f(`{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}`, `{"a":1}`, "then clause did not match")
	f(`{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}`, `{"b":1}`, "else clause did not match")
	f(`{"not":{"required":["a"]}}`, `{"a":1}`, "value wasn't supposed to match schema")

	// $ref
	f(`{"definitions":{"n":{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#/definitions/n"}},"v":{"type":"integer"}}}},"properties":{"n":{"$ref":"#/definitions/n"}}}`,
		`{"n":{"kids":[{"v":1},{"v":"x"}]}}`,
		`property "n" validation failed: property "kids" validation failed: failed to validate item 2: property "v" validation failed: wrong type: expected integer, got string`)

	f(`{}`, `{"a":`, "not valid JSON")
	f(`{}`, `{} x`, "not valid JSON")
}

func TestSecretReferences(t *testing.T) {
	f := func(schema, value string, ok bool) {
		t.Helper()
		err := MustCompile("test", schema).Validate(value)
		if (err == nil) != ok {
			t.Errorf("%q against %s: %v", value, schema, err)
		}
	}
	const key = `{"type":"string","minLength":50,"maxLength":60,"pattern":"^x","enum":["x"],"format":"ipv4"}`
	f(key, "$secret://vault/1/a/b", true)
	f(key, "$env://KEY", true)
	f(key, "$ENV://KEY", true)
	f(key, "$Env://KEY", true)
	f(key, "$SECRET://vault/1/a/b", false)
	f(key, "x$env://KEY", false)
	f(key, "$env:/KEY", false)
	f(`{"enum":["a"]}`, "$env://KEY", true) // no type: may be a string
	f(`{"oneOf":[{"type":"string"},{"type":"string"}]}`, "$env://KEY", true)
	f(`{"not":{"type":"string"}}`, "$env://KEY", true)
	f(`{"type":"integer"}`, "$env://KEY", false)
	f(`{"type":["string","integer"],"maxLength":3}`, "$env://KEY", false)
}

func TestCheckNormalizes(t *testing.T) {
	f := func(schema, value, want string) {
		t.Helper()
		s := MustCompile("test", schema)
		got, err := s.Check([]byte(value))
		if err != nil || string(got) != want {
			t.Errorf("%s against %s\ngot  %s, %v\nwant %s", value, schema, got, err, want)
		}
	}
	f(`{}`, `{"b":1.50,"a":1e2,"c":12345678901234567890,"<":"é\u0001"}`, `{"<":"é\u0001","a":1e2,"b":1.50,"c":12345678901234567890}`)
	f(`{"properties":{"a":{"default":1},"b":{"default":[1]}}}`, `{}`, `{"a":1,"b":[1]}`)
	f(`{"properties":{"a":{"default":1},"b":{"default":false},"c":{"default":null}}}`, `{"a":null}`, `{"a":null,"b":false}`)
	// only inside objects that are present
	f(`{"properties":{"o":{"type":"object","properties":{"a":{"default":1}}}}}`, `{}`, `{}`)
	f(`{"properties":{"o":{"type":"object","properties":{"a":{"default":1}}}}}`, `{"o":{}}`, `{"o":{"a":1}}`)
	f(`{"properties":{"o":{"type":"object","properties":{"a":{"default":1}}}}}`, `{"o":[]}`, `{"o":{"a":1}}`)
	// what a default leaves out stays out
	f(`{"properties":{"o":{"default":{"b":2},"properties":{"a":{"default":1}}}}}`, `{}`, `{"o":{"b":2}}`)
	f(`{"items":{"properties":{"a":{"default":1}}}}`, `[{},{"a":2}]`, `[{"a":1},{"a":2}]`)
	f(`{"patternProperties":{"^x":{"properties":{"a":{"default":1}}}}}`, `{"x":{},"y":{}}`, `{"x":{"a":1},"y":{}}`)
	f(`{"additionalProperties":{"properties":{"a":{"default":1}}}}`, `{"x":{}}`, `{"x":{"a":1}}`)
	f(`{"properties":{"n":{"type":"integer"},"m":{"type":"number"}}}`, `{"n":1e1,"m":1.0}`, `{"m":1.0,"n":10}`)
	f(`{"properties":{"l":{"type":"array"}}}`, `{"l":{}}`, `{"l":[]}`)
	// defaults of the branch that applies, and only after the object's own
	f(`{"anyOf":[{"required":["x"],"properties":{"a":{"default":1}}},{"properties":{"a":{"default":2}}}]}`, `{}`, `{"a":2}`)
	f(`{"properties":{"policy":{"default":"local"}},"if":{"properties":{"policy":{"enum":["redis"]}}},"then":{"required":["host"],"properties":{"db":{"default":0}}},"else":{"properties":{"e":{"default":1}}}}`,
		`{}`, `{"e":1,"policy":"local"}`)
	f(`{"properties":{"policy":{"default":"local"}},"if":{"properties":{"policy":{"enum":["redis"]}}},"then":{"required":["host"],"properties":{"db":{"default":0}}}}`,
		`{"policy":"redis","host":"h"}`, `{"db":0,"host":"h","policy":"redis"}`)
	f(`{"definitions":{"o":{"properties":{"a":{"default":1}}}},"properties":{"o":{"$ref":"#/definitions/o"}}}`, `{"o":{}}`, `{"o":{"a":1}}`)
}

// A default that is put into two values must not be shared by them.
func TestDefaultsAreCopies(t *testing.T) {
	s := MustCompile("test", `{"properties":{"a":{"default":{"b":[1]}}}}`)
	v, w := map[string]any{}, map[string]any{}
	if s.Validate(v) != nil || s.Validate(w) != nil {
		t.Fatal("not valid")
	}
	v["a"].(map[string]any)["b"].([]any)[0] = "changed"
	if got := w["a"].(map[string]any)["b"].([]any)[0]; got != json.Number("1") {
		t.Fatalf("shared default: %v", got)
	}
}

func TestValidateTakesFloats(t *testing.T) {
	s := MustCompile("test", `{"properties":{"a":{"type":"integer","maximum":5}}}`)
	if err := s.Validate(map[string]any{"a": 5.0}); err != nil {
		t.Fatal(err)
	}
	err := s.Validate(map[string]any{"a": 5.5})
	if err == nil || err.Error() != `property "a" validation failed: wrong type: expected integer, got number` {
		t.Fatal(err)
	}
}

func TestCompileErrors(t *testing.T) {
	f := func(text string) {
		t.Helper()
		if _, err := Compile("bad", text); err == nil || !strings.Contains(err.Error(), `schema "bad"`) {
			t.Errorf("%s: %v", text, err)
		}
	}
	f(`{`)
	f(`{} {}`)
	f(`{"type":"text"}`)
	f(`{"pattern":"("}`)
	f(`{"type":"string","type":"string"}`)
	f(`{"$ref":"#/definitions/none"}`)
	f(`{"$ref":"http://example.com/x.json"}`)
	f(`{"$ref":"#"}`)
	f(`{"definitions":{"a":{"allOf":[{"$ref":"#/definitions/a"}]}},"properties":{"x":{"$ref":"#/definitions/a"}}}`)
}

func TestCompilePlugin(t *testing.T) {
	s := MustCompilePlugin("demo", `{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}`)
	f := func(value, want string) {
		t.Helper()
		_, err := s.Check([]byte(value))
		if got := errText(err); got != want {
			t.Errorf("%s: got %q, want %q", value, got, want)
		}
	}
	f(`{"a":"x","_meta":{"disable":true,"priority":-5,"filter":[["arg_x","==","1"]],"error_response":{"message":"no"}}}`, "")
	f(`{"_meta":{"error_response":"no"}}`, "")
	f(`{"_meta":{"error_response":1}}`, `property "_meta" validation failed: property "error_response" validation failed: value should match only one schema, but matches none`)
	f(`{"_meta":{"prefunction":"x"}}`, `property "_meta" validation failed: additional properties forbidden, found prefunction`)
	f(`{"_meta":{"pre_function":"return 1"}}`, `property "_meta" validation failed: additional properties forbidden, found pre_function`)
	if !strings.Contains(string(s.JSON()), `"_meta":{"type":"object"`) || !json.Valid(s.JSON()) {
		t.Errorf("JSON: %s", s.JSON())
	}
	if _, err := CompilePlugin("demo", `{"properties":{"_meta":{}}}`); err == nil {
		t.Error("a second _meta was taken")
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
