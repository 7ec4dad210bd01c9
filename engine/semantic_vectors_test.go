package engine

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"headrace/driver"
)

func TestVectorReader(t *testing.T) {
	f := func(n int, answer, want string) {
		t.Helper()
		var r vectorReader
		out := make([][]float32, n)
		got := ""
		if err := r.read([]byte(answer), out); err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprintf("%.3g", out)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", answer, got, want)
		}
	}
	f(1, `{"data":[{"embedding":[3,4]}]}`, "[[0.6 0.8]]")
	f(1, ` { "x" : [{"a":"]}\"\\"}, 1] , "data" : [ { "object" : {"a":[1,"}"]} , "embedding" : [ -3.0 , 4e0 ] , "index" : 0 } ] } `, "[[-0.6 0.8]]")
	f(2, `{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[-5]}]}`, "[[-1] [1]]")
	f(2, `{"data":[{"embedding":[2]},{"index":1.0,"embedding":[-5]}]}`, "[[1] [-1]]")
	f(1, `{"data":[{"embedding":[0,0]}]}`, "[[0 0]]")
	f(1, `{"data":[{"embedding":[1e300,-1e300]}]}`, "[[0.707 -0.707]]")
	f(1, `{"data":[{"embedding":[1e-300,0]}]}`, "[[1 0]]")
	f(1, `{"data":[{"embedding":[1e-999]}]}`, "[[0]]")
	f(1, `{"data":[{"embedding":[1]},{"index":0,"embedding":[-1]}]}`, "[[-1]]")

	f(1, ``, "the answer is not JSON")
	f(1, `{"data":[{"embedding":[3,4]}]}x`, "the answer is not JSON")
	f(1, `{"data":[{"embedding":[3,4]}`, "the answer is not JSON")
	f(1, `[]`, "the answer has no array data")
	f(1, `{}`, "the answer has no array data")
	f(1, `{"data":{"embedding":[1]}}`, "the answer has no array data")
	f(1, `{"data":null}`, "the answer has no array data")
	f(1, `{"data":[]}`, "no embedding for text 1 of 1")
	f(2, `{"data":[{"embedding":[1]}]}`, "no embedding for text 2 of 2")
	f(2, `{"data":[{"embedding":[1],"index":1}]}`, "no embedding for text 1 of 2")
	f(1, `{"data":[{"embedding":[1]},{"embedding":[1]}]}`, "data[1]: the index is out of range")
	f(1, `{"data":[{"embedding":[1],"index":1}]}`, "data[0]: the index is out of range")
	f(1, `{"data":[{"embedding":[1],"index":-1}]}`, "data[0]: the index is out of range")
	f(1, `{"data":[{"embedding":[1],"index":0.5}]}`, "data[0]: the index is not an integer")
	f(1, `{"data":[{"embedding":[1],"index":1e40}]}`, "data[0]: the index is not an integer")
	f(1, `{"data":[{"embedding":[1],"index":"0"}]}`, "data[0]: the index is not an integer")
	f(1, `{"data":[{"embedding":[1],"index":null}]}`, "data[0]: the index is not an integer")
	f(1, `{"data":[null]}`, "data[0]: not an object")
	f(1, `{"data":[[1]]}`, "data[0]: not an object")
	f(1, `{"data":["x"]}`, "data[0]: not an object")
	f(1, `{"data":[{}]}`, "data[0]: no embedding")
	f(1, `{"data":[{"embedding":[]}]}`, "data[0]: the embedding is empty")
	f(1, `{"data":[{"embedding":"AAAA"}]}`, "data[0]: the embedding is not an array")
	f(1, `{"data":[{"embedding":null}]}`, "data[0]: the embedding is not an array")
	for _, bad := range []string{`null`, `"1"`, `"NaN"`, `true`, `[1]`, `{}`, `1e999`, `-1e999`} {
		f(1, `{"data":[{"embedding":[1,`+bad+`]}]}`, "data[0]: the embedding has an element that is not a finite number")
	}
}

func TestWalkNumber(t *testing.T) {
	f := func(text string) {
		t.Helper()
		w := walk{p: []byte("[" + text + "]"), i: 1}
		got, ok := w.number()
		want, err := strconv.ParseFloat(text, 64)
		if ok != (err == nil) || ok && math.Abs(got-want) > 1e-15*math.Abs(want) || w.at() != ']' {
			t.Errorf("%s: got %v %t at %d, want %v %v", text, got, ok, w.i, want, err)
		}
	}
	for _, s := range []string{
		"0", "-0", "1", "-1", "0.5", "-0.0123456789", "12.5", "123456789012345678", "1234567890123456789", "12345678901234567890123",
		"0.12345678901234567", "0.123456789012345678", "0.1234567890123456789", "-0.00000000000000000001", "1e5", "1.5e-3", "2E+2", "1e999", "1e-999",
		"100000000000000000.5", `"1"`, `""`, "null", "true", "[1]", "{}", "[]", `"-1,]"`,
	} {
		f(s)
	}
	for i := range 10000 {
		x := math.Sin(float64(i)) * math.Pow(10, float64(i%9-6))
		f(strconv.FormatFloat(x, 'f', -1, 64))
		f(strconv.FormatFloat(x, 'f', i%20, 64))
		f(strconv.FormatFloat(x, 'g', -1, 32))
	}
}

// readSlow is the obvious twin of vectorReader.read for answers of n texts.
func readSlow(answer []byte, n int) [][]float64 {
	var top map[string]json.RawMessage
	if json.Unmarshal(answer, &top) != nil {
		return nil
	}
	var data []json.RawMessage
	if len(top["data"]) == 0 || top["data"][0] != '[' || json.Unmarshal(top["data"], &data) != nil {
		return nil
	}
	out := make([][]float64, n)
	for pos, raw := range data {
		var e map[string]json.RawMessage
		var v []*float64
		if json.Unmarshal(raw, &e) != nil || e["embedding"] == nil || json.Unmarshal(e["embedding"], &v) != nil || len(v) == 0 {
			return nil
		}
		index := pos
		if e["index"] != nil {
			var f *float64
			if json.Unmarshal(e["index"], &f) != nil || f == nil || *f != math.Trunc(*f) || *f < 0 || *f >= float64(n) {
				return nil
			}
			index = int(*f)
		}
		if index >= n {
			return nil
		}
		out[index] = nil
		for _, x := range v {
			if x == nil {
				return nil
			}
			out[index] = append(out[index], *x)
		}
	}
	for _, v := range out {
		if v == nil {
			return nil
		}
	}
	return out
}

func FuzzVectorReader(f *testing.F) {
	f.Add([]byte(`{"data":[{"index":1,"embedding":[2,-0.5e-3]},{"x":{"a":["\"]"]},"index":0,"embedding":[-5]}],"model":"m"}`), uint8(2))
	f.Add([]byte(`{"data":[{"embedding":[1]}]}`), uint8(1))
	f.Add([]byte(`{"data":[{"embedding":[null]}]}`), uint8(1))
	f.Fuzz(func(t *testing.T, answer []byte, n uint8) {
		var r vectorReader
		out := make([][]float32, n%4+1)
		err := r.read(answer, out)
		if strings.ContainsRune(string(answer), '\\') {
			return // keys with escapes are not ours
		}
		want := readSlow(answer, len(out))
		if (err == nil) != (want != nil) {
			if len(answer) > 1000 {
				return // limits differ
			}
			t.Fatalf("%q: %v, want %v", answer, err, want)
		}
		if err != nil {
			return
		}
		for i := range out {
			var sum float64
			if len(out[i]) != len(want[i]) {
				t.Fatalf("%q: %v, want %v", answer, out, want)
			}
			for _, x := range out[i] {
				sum += float64(x) * float64(x)
			}
			if !(sum == 0 || math.Abs(sum-1) < 1e-5) {
				t.Fatalf("%q: %v is no unit vector", answer, out[i])
			}
		}
	})
}

func TestCosine(t *testing.T) {
	for n := range 40 {
		a, b := make([]float64, n), make([]float64, n)
		var ab, aa, bb float64
		for i := range n {
			a[i], b[i] = math.Sin(float64(i*7+1)), math.Cos(float64(i*3+2))
			ab, aa, bb = ab+a[i]*b[i], aa+a[i]*a[i], bb+b[i]*b[i]
		}
		want := 0.0
		if n > 0 {
			want = ab / math.Sqrt(aa*bb)
		}
		if got := cosine(appendUnit(nil, a), appendUnit(nil, b)); math.Abs(float64(got)-want) > 1e-6 {
			t.Errorf("%d dimensions: got %v, want %v", n, got, want)
		}
	}
}

func TestBudgetSemantic(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	answer := embeddingAnswer(1536)
	out := make([][]float32, 1)
	var r vectorReader
	if n := testing.AllocsPerRun(20, func() {
		if err := r.read(answer, out); err != nil {
			t.Fatal(err)
		}
		cosine(out[0], out[0])
	}); n != 0 {
		t.Errorf("reading an answer: %v allocations", n)
	}
}

// The whole pick, its call included, allocates next to nothing of its own.
func TestBudgetSemanticPick(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newSemanticRig(t, 1<<20, "", colours)
	r.ask(t, "red")
	const answer = `{"data":[{"embedding":[0,0,1]}]}`
	url := canned(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer))
	cfg, ins := decodeSemantic(t, `{"embeddings":{"provider":"openai","model":"e","endpoint":"`+url+`","auth":{}}}`, colours)
	s, err := newSemantic(cfg, ins, unresolved, r.client, r.cache, r.logger())
	if err != nil {
		t.Fatal(err)
	}
	s.set.Store(r.set.Load()) // the canned service knows one text only
	who, b := new(patient), askFor(t, "blue")
	if n := mallocs(200, func() {
		if got := s.pick(who, driver.OpenAIChat, b); got.index != 2 {
			t.Fatalf("%+v", got)
		}
	}); n > 2 {
		t.Errorf("a pick: %v allocations", n)
	}
}
