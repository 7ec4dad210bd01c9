package expr

import (
	"slices"
	"strings"
	"testing"
)

// jsonVars are variables given as JSON texts.
type jsonVars map[string]string

func (jv jsonVars) Var(dst []byte, name string) Value {
	raw, ok := jv[name]
	if !ok {
		return Value{}
	}
	return JSONValue(append(dst, raw...))
}

var testVars = jsonVars{
	"arg_a": `"x"`, "arg_n": `"10"`, "arg_hex": `" 0x10 "`, "arg_up": `"ABC"`, "arg_empty": `""`, "arg_inf": `"inf"`,
	"arg_esc": `"a\"b"`, "remote_addr": `"10.1.2.3"`, "arg_ip6": `"2001:db8::1"`, "arg_mapped": `"::ffff:10.1.2.3"`,
	"post_arg.huge":   `1e999`,
	"post_arg.stream": `true`, "post_arg.off": `false`, "post_arg.n": `7`, "post_arg.f": `0.5`, "post_arg.null": `null`,
	"post_arg.tags": `["a", 1, true, null, {"b":["c"]}, "d\"e"]`, "post_arg.obj": `{"a":1}`, "post_arg.model": `"gpt-4o-mini"`,
}

func TestEval(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		e, err := Compile([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		if got := e.Eval(testVars); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
	f(`[]`, true)
	f(`{}`, true)

	// == and ~=: a number converts the left side, nothing else does
	f(`[["arg_a","==","x"]]`, true)
	f(`[["arg_a","==","X"]]`, false)
	f(`[["arg_a","~=","X"]]`, true)
	f(`[["arg_n","==",10]]`, true)
	f(`[["arg_n","==",10.0]]`, true)
	f(`[["arg_n","==","10"]]`, true)
	f(`[["arg_hex","==",16]]`, true)
	f(`[["arg_a","==",10]]`, false)
	f(`[["arg_a","~=",10]]`, true)
	f(`[["arg_none","~=",10]]`, true)
	f(`[["arg_none","==",10]]`, false)
	f(`[["arg_inf",">",10]]`, false) // a number in Lua
	f(`[["arg_none","==",null]]`, true)
	f(`[["arg_none","~=",null]]`, false)
	f(`[["arg_a","==",null]]`, false)
	f(`[["arg_a","~=",null]]`, true)
	f(`[["arg_empty","==",""]]`, true)
	f(`[["arg_none","==",""]]`, false)
	f(`[["arg_esc","==","a\"b"]]`, true)
	f(`[["post_arg.stream","==",true]]`, true)
	f(`[["post_arg.stream","==","true"]]`, false)
	f(`[["post_arg.stream","~=",false]]`, true)
	f(`[["post_arg.n","==",7]]`, true)
	f(`[["post_arg.n","==","7"]]`, false)
	f(`[["post_arg.null","==",null]]`, false) // a null that is present
	f(`[["post_arg.tags","==",["a"]]]`, false)
	f(`[["post_arg.tags","~=",["a"]]]`, true)

	// two elements: the value is compared in lower case and as a string
	f(`[["arg_a","x"]]`, true)
	f(`[["arg_a","X"]]`, true)
	f(`[["arg_up","ABC"]]`, false)
	f(`[["arg_n",10]]`, true)
	f(`[["arg_none","=="]]`, true)

	// order
	f(`[["arg_n",">",9]]`, true)
	f(`[["arg_n",">","9"]]`, true)
	f(`[["arg_n",">",10]]`, false)
	f(`[["arg_n",">=",10]]`, true)
	f(`[["arg_n","<",10.5]]`, true)
	f(`[["arg_n","<=",9]]`, false)
	f(`[["arg_a","<",9]]`, false)
	f(`[["arg_n","<","b"]]`, false)
	f(`[["arg_n","<",null]]`, false)
	f(`[["post_arg.f","<=",0.5]]`, true)
	f(`[["post_arg.stream",">",0]]`, false)
	f(`[["post_arg.huge",">",1000]]`, true)
	f(`[["post_arg.huge","!",">",1000]]`, false)

	// patterns
	f(`[["post_arg.model","~~","^gpt-4"]]`, true)
	f(`[["post_arg.model","~~","^GPT-4"]]`, false)
	f(`[["post_arg.model","~*","^GPT-4"]]`, true)
	f(`[["post_arg.model","~~","^(?!gpt-3)"]]`, true) // not in RE2
	f(`[["post_arg.model","~*","^(?!GPT-4)"]]`, false)
	f(`[["arg_none","~~",".*"]]`, false)
	f(`[["arg_n","~~",1]]`, true)
	f(`[["post_arg.n","~~","^7$"]]`, true)
	f(`[["post_arg.stream","~~","^true$"]]`, true)
	f(`[["post_arg.off","~~","false"]]`, false)
	f(`[["post_arg.tags","~~","."]]`, false)

	// in and has
	f(`[["arg_a","in",["y","x"]]]`, true)
	f(`[["arg_a","IN",["y","x"]]]`, true)
	f(`[["arg_a","in",["y"]]]`, false)
	f(`[["arg_a","in","x"]]`, false)
	f(`[["arg_n","in",[10]]]`, false) // no conversion here
	f(`[["post_arg.n","in",[10,7]]]`, true)
	f(`[["arg_none","in",[null]]]`, false)
	f(`[["arg_a","in",[]]]`, false)
	f(`[["post_arg.tags","has","a"]]`, true)
	f(`[["post_arg.tags","has",1]]`, true)
	f(`[["post_arg.tags","has",true]]`, true)
	f(`[["post_arg.tags","has","d\"e"]]`, true)
	f(`[["post_arg.tags","has","c"]]`, false)
	f(`[["post_arg.tags","has",null]]`, false)
	f(`[["post_arg.obj","has",1]]`, false)
	f(`[["arg_a","has","x"]]`, false)

	// ipmatch
	f(`[["remote_addr","ipmatch",["10.0.0.0/8"]]]`, true)
	f(`[["remote_addr","ipmatch","10.1.2.3"]]`, true)
	f(`[["remote_addr","ipmatch",["10.9.9.9/8","::1"]]]`, true)
	f(`[["remote_addr","ipmatch",["192.168.0.0/16"]]]`, false)
	f(`[["arg_ip6","ipmatch",["2001:db8::/32"]]]`, true)
	f(`[["arg_mapped","ipmatch",["10.0.0.0/8"]]]`, true)
	f(`[["arg_none","ipmatch",["0.0.0.0/0"]]]`, false)
	f(`[["arg_a","!","ipmatch",["0.0.0.0/0"]]]`, true)

	// "!" and logic words
	f(`[["arg_a","!","==","x"]]`, false)
	f(`[["arg_a","!","~=","x"]]`, true)
	f(`[["arg_a","!","in",["y"]]]`, true)
	f(`[["arg_a","==","x"],["arg_n","==",11]]`, false)
	f(`["OR",["arg_a","==","y"],["arg_n","==",10]]`, true)
	f(`["or",["arg_a","==","y"],["arg_n","==",11]]`, false)
	f(`["!or",["arg_a","==","y"],["arg_n","==",11]]`, true)
	f(`["And",["arg_a","==","x"],["arg_n","==",10]]`, true)
	f(`["!AND",["arg_a","==","x"],["arg_n","==",10]]`, false)
	f(`[["OR",["arg_a","==","y"],["AND",["arg_n",">",9],["arg_n","<",11]]],["arg_a","==","x"]]`, true)
	f(`[[["arg_a","==","x"],["arg_n","==",10]],["!AND",["arg_a","==","y"],["arg_n","==",10]]]`, true)
	f(`[["arg_a","==","x","ignored","too"]]`, true)
}

func TestCompileErrors(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := Compile([]byte(text))
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	f(`null`, "missing argument rule")
	f(`["arg_a","==","x"]`, "rule should be wrapped inside brackets")
	f(`[1]`, "rule should be wrapped inside brackets")
	f(`[[]]`, "rule too short")
	f(`[{}]`, "rule too short")
	f(`[["arg_a","==","x"],[]]`, "rule too short")
	f(`["OR"]`, "rule too short")
	f(`["OR",["arg_a","==","x"]]`, "rule too short")
	f(`[["!AND",["arg_a","==","x"]]]`, "rule too short")
	f(`[["arg_a","=","x"]]`, "invalid operator '='")
	f(`[["arg_a","LIKE","x"]]`, "invalid operator 'like'")
	f(`[["arg_a","!","x","y"]]`, "invalid operator 'x'")
	f(`[["arg_a","not","==","y"]]`, "bad 'not' expression")
	f(`[["arg_a","==","x","y"]]`, "bad 'not' expression")
	f(`[["arg_a"]]`, "invalid expression")
	f(`[["arg_a",null,"x"]]`, "invalid expression")
	f(`[["arg_a",["=="],"x"]]`, "invalid expression")
	f(`[[1,"==","x"]]`, "invalid expression")
	f(`[["arg_a","==","x"],"y"]`, "invalid expression")
	f(`[["arg_a","~~"]]`, "invalid expression")
	f(`[["arg_a","~~",["x"]]]`, "invalid expression")
	f(`[["arg_a","~~","("]]`, `invalid regular expression "("`)
	f(`[["arg_a","ipmatch"]]`, "invalid ip address")
	f(`[["arg_a","ipmatch",""]]`, "invalid ip address")
	f(`[["arg_a","ipmatch",[]]]`, "invalid ip address")
	f(`[["arg_a","ipmatch",["10.0.0"]]]`, "invalid ip address: 10.0.0")
	f(`[["arg_a","ipmatch",["10.0.0.0/33"]]]`, "invalid ip address: 10.0.0.0/33")
	f(`[["arg_a","ipmatch",[1]]]`, "invalid ip address: 1")
	f(`[["post_arg.messages[.content[*].type","has","image_url"]]`, `invalid expression near "[.content[*].type"`)
	f(`[["post_arg.","==","x"]]`, `invalid expression near ""`)
	f(`[["post_arg.a..","==","x"]]`, `invalid expression near ".."`)
	f(`"x"`, "invalid expression")
	f(`{"a":1}`, "invalid expression")
	f(`[["arg_a","==","x"]`, "invalid expression")
	f(`[] []`, "invalid expression")
}

func TestNames(t *testing.T) {
	e, err := Compile([]byte(`[["OR",["arg_b","==","1"],["arg_a","==","2"]],["arg_b","!","==","3"],["post_arg.model","x"]]`))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"arg_b", "arg_a", "post_arg.model"}; !slices.Equal(e.Names(), want) {
		t.Errorf("got %q", e.Names())
	}
}

func TestNilEval(t *testing.T) {
	if !(*Expr)(nil).Eval(nil) {
		t.Error("no expression does not hold")
	}
}

// A pattern that backtracks without end must not hold up a request.
func TestMatchTimeout(t *testing.T) {
	e, err := Compile([]byte(`[["arg_a","~~","^(?!b)(a+)+$"]]`))
	if err != nil {
		t.Fatal(err)
	}
	if e.Eval(jsonVars{"arg_a": `"` + strings.Repeat("a", 40) + `!"`}) {
		t.Error("it matched")
	}
}
