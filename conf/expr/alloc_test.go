//go:build !race

package expr

import "testing"

func TestEvalAllocatesNothing(t *testing.T) {
	f := func(text string, vars Vars) {
		t.Helper()
		e, err := Compile([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		best := 1.0 // the collector may empty the pool in one run
		for range 5 {
			best = min(best, testing.AllocsPerRun(100, func() { e.Eval(vars) }))
		}
		if best > 0 {
			t.Errorf("%s: %v allocations", text, best)
		}
	}
	f(`[["a","==","x"],["a","!","in",["y","z"]]]`, &byteVars{"a", StringValue([]byte("x"))})
	f(`[["a",">",1],["a","==",7],["a","~~","^7$"]]`, &byteVars{"a", StringValue([]byte("7"))})
	f(`[["a","==",7],["a",">",1],["a","in",[6,7]]]`, &byteVars{"a", NumberValue(7)})
	f(`["OR",["a","ipmatch",["10.0.0.0/8","::/0"]],["b","==",null]]`, &byteVars{"a", StringValue([]byte("10.1.2.3"))})
	f(`[["a","has","image_url"],["a","!","has",5]]`, &byteVars{"a", JSONValue([]byte(`["text", {"b":[1]}, 6, "image_url"]`))})
	body := bodyVars(pathDoc)
	f(`[["post_arg.model","==","gpt-4"],["post_arg.a.b.c","~~","^d"],["post_arg.n","<",4]]`, &body)
	f(`[["post_arg.messages[*].content[*].type","has","image_url"]]`, &body)
}
