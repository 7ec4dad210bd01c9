package expr

import "testing"

// byteVars are variables that are at hand as bytes, as those of a request.
type byteVars struct {
	name  string
	value Value
}

func (bv *byteVars) Var(dst []byte, name string) Value {
	if name == bv.name {
		return bv.value
	}
	return Value{}
}

func benchmarkEval(b *testing.B, text string, bv *byteVars) {
	e, err := Compile([]byte(text))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !e.Eval(bv) {
			b.Fatal("does not hold")
		}
	}
}

func BenchmarkEqual(b *testing.B) {
	benchmarkEval(b, `[["post_arg.model","==","gpt-4o"]]`, &byteVars{"post_arg.model", StringValue([]byte("gpt-4o"))})
}

func BenchmarkNumber(b *testing.B) {
	benchmarkEval(b, `[["arg_n",">=",1],["arg_n","<=",10]]`, &byteVars{"arg_n", StringValue([]byte("7"))})
}

func BenchmarkMatch(b *testing.B) {
	benchmarkEval(b, `[["post_arg.model","~~","^gpt-"]]`, &byteVars{"post_arg.model", StringValue([]byte("gpt-4o"))})
}

func BenchmarkIPMatch(b *testing.B) {
	benchmarkEval(b, `[["remote_addr","ipmatch",["192.168.0.0/16","10.0.0.0/8"]]]`, &byteVars{"remote_addr", StringValue([]byte("10.1.2.3"))})
}

func BenchmarkHas(b *testing.B) {
	benchmarkEval(b, `[["x","has","image_url"]]`, &byteVars{"x", JSONValue([]byte(`["text","text","image_url"]`))})
}

type bodyVars []byte

func (bv *bodyVars) Var([]byte, string) Value { return Value{} }
func (bv *bodyVars) PostArg(dst []byte, p *Path) Value {
	return p.Select(dst, *bv)
}

func BenchmarkJSONPath(b *testing.B) {
	e, err := Compile([]byte(`[["post_arg.messages[*].content[*].type","has","image_url"]]`))
	if err != nil {
		b.Fatal(err)
	}
	body := bodyVars(pathDoc)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if !e.Eval(&body) {
			b.Fatal("does not hold")
		}
	}
}
