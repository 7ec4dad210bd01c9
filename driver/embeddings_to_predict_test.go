package driver

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updatePredict = flag.Bool("update-predict", false, "rewrite testdata/predict")

// TestPredictGolden converts testdata/predict/*: NAME.request.json is a
// client's body, NAME.response.json a provider's; what becomes of them is in
// the same name with .golden for .json. A name may say a status: x.404.response.json.
func TestPredictGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/predict/*.json")
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		if strings.HasSuffix(file, ".request.json") {
			b := load(t, string(raw))
			got, err = appendPredict(nil, rawOf(b, "input"))
		} else {
			status, ok := 200, false
			if parts := strings.Split(filepath.Base(file), "."); len(parts) == 4 {
				fmt.Sscan(parts[1], &status)
			}
			got, ok, err = appendEmbeddings(nil, raw, status, []byte("text-embedding-004"))
			if !ok && err == nil {
				got = []byte("relayed as it is")
			}
		}
		if err != nil {
			got = append(got, err.Error()...)
		}
		got = append(got, '\n')
		golden := strings.TrimSuffix(file, ".json") + ".golden"
		if *updatePredict {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s: (-want +got)\n%s", file, d)
		}
	}
}

func TestPredictRequest(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		got, err := appendPredict([]byte("keep"), rawOf(load(t, body), "input"))
		if err != nil {
			got = append(got, err.Error()...)
		}
		if string(got) != "keep"+want {
			t.Errorf("%s: %s", body, got)
		}
	}
	f(`{"input":"a\nb\u00e9"}`, `{"instances":[{"content":"a\nb\u00e9"}]}`)
	f(`{"input":[]}`, `{"instances":[]}`)
	f(`{"input":[ "a" , "" ]}`, `{"instances":[{"content":"a"},{"content":""}]}`)
	f(`{"input":[[1, 2,30],["x","\"y"],[]]}`, `{"instances":[{"content":"1 2 30"},{"content":"x \"y"},{"content":""}]}`)
	f(`{"input":[1,2]}`, "unsupported input type at index 1")
	f(`{"input":["a",["b",null]]}`, "unsupported input type at index 2")
	f(`{"input":["a",{}]}`, "unsupported input type at index 2")
	f(`{}`, "`input` is required for embeddings")
	f(`{"input":null}`, "`input` is required for embeddings")
	f(`{"input":{}}`, "`input` must be string or array")
	f(`{"input":7}`, "`input` must be string or array")
}

func TestPredictResponse(t *testing.T) {
	f := func(body string, status int, want string) {
		t.Helper()
		got, ok, err := appendEmbeddings([]byte("keep"), []byte(body), status, nil)
		if err != nil {
			got = append(got, err.Error()...)
		}
		if string(got) != "keep"+want || ok != strings.HasPrefix(want, "{") {
			t.Errorf("%s: %s %v", body, got, ok)
		}
	}
	f(`{"predictions":[]}`, 200, `{"object":"list","data":[],"model":"unknown","usage":{"prompt_tokens":0,"total_tokens":0}}`)
	f(`{"predictions":[{"embeddings":{"values":[1e-3,{"x":[]}],"statistics":{"token_count":4.0}}}]}`, 200,
		`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1e-3,{"x":[]}]}],"model":"unknown","usage":{"prompt_tokens":4,"total_tokens":4}}`)
	f(`{"predictions":{}}`, 200, "vertex response missing predictions")
	f(`{}`, 200, "vertex response missing predictions")
	f(`[]`, 200, "vertex response missing predictions")
	f(`null`, 200, "vertex response missing predictions")
	f(``, 200, "vertex response missing predictions")
	f(`{"predictions":[]`, 200, "vertex response missing predictions")
	f(`{"predictions":[]}x`, 200, "vertex response missing predictions")
	f(`{"predictions":[{"embeddings":{"values":[1]}},{"embeddings":{"values":"x"}}]}`, 200, "invalid embedding at index 2")
	f(`{"predictions":[null]}`, 200, "invalid embedding at index 1")
	f(`{"error":{"code":400}}`, 400, "")
	f(`<html>`, 404, "")
	f(``, 403, "")
	f(`{"predictions":[{}]}`, 400, "invalid embedding at index 1")
}

// slowEmbeddings is the conversion by way of a decoder; nil: refused or relayed.
func slowEmbeddings(body []byte, model string) (data [][]any, tokens float64) {
	var in map[string]any
	if json.Unmarshal(body, &in) != nil {
		return nil, 0
	}
	list, ok := in["predictions"].([]any)
	if !ok {
		return nil, 0
	}
	data = [][]any{}
	for _, p := range list {
		m, _ := p.(map[string]any)
		e, _ := m["embeddings"].(map[string]any)
		v, ok := e["values"].([]any)
		if !ok {
			return nil, 0
		}
		data = append(data, v)
		st, _ := e["statistics"].(map[string]any)
		if n, _ := st["token_count"].(float64); n > 0 && n < 1<<50 {
			tokens += float64(int64(n))
		} else if n >= 1<<50 {
			tokens = -1 << 60 // clamped in a way of its own
		}
	}
	return data, tokens
}

// FuzzPredictResponse: any bytes give valid JSON, an error or are left alone,
// as a decoder would have it.
func FuzzPredictResponse(f *testing.F) {
	f.Add([]byte(`{"predictions":[{"embeddings":{"values":[1,2.5],"statistics":{"token_count":4}}}]}`), "m")
	f.Add([]byte(`{"predictions":[{"embeddings":{"values":[],"values":{}}}],"predictions":[]}`), "\"\xff")
	f.Add([]byte(`{"pr\u0065dictions":[{"embeddings":{"values":[[ 1 ]],"statistics":{"token_count":1e30}}}]}`), "")
	f.Fuzz(func(t *testing.T, body []byte, model string) {
		before := bytes.Clone(body)
		got, ok, err := appendEmbeddings(nil, body, 200, []byte(model))
		if !bytes.Equal(before, body) {
			t.Fatal("the answer was changed")
		}
		if ok != (err == nil) || !ok && len(got) > 0 {
			t.Fatalf("%q: %v %v", got, ok, err)
		}
		if _, relayed, err := appendEmbeddings(nil, body, 400, nil); err == nil && relayed != ok {
			t.Fatalf("a 400 gives %v %v", relayed, err)
		}
		Of(VertexPredict).Response(new(Capture), body)
		if !json.Valid(body) {
			return // the walk takes a few things that the decoder refuses: depth, UTF-8
		}
		data, tokens := slowEmbeddings(body, model)
		if (data != nil) != ok {
			t.Fatalf("%q: %v %v, want %v", body, ok, err, data != nil)
		}
		if !ok {
			return
		}
		var out struct {
			Object, Model string
			Data          []struct {
				Object    string
				Index     int
				Embedding []any
			}
			Usage struct {
				Prompt int64 `json:"prompt_tokens"`
				Total  int64 `json:"total_tokens"`
			}
		}
		d := json.NewDecoder(bytes.NewReader(got))
		d.DisallowUnknownFields()
		if err := d.Decode(&out); err != nil {
			t.Fatalf("%v: %q", err, got)
		}
		if len(out.Data) != len(data) || out.Usage.Total != out.Usage.Prompt || tokens >= 0 && float64(out.Usage.Total) != tokens {
			t.Fatalf("%q: %+v", body, out)
		}
		for i, e := range out.Data {
			if d := cmp.Diff(data[i], e.Embedding); e.Index != i || d != "" {
				t.Fatalf("%q: %s", body, d)
			}
		}
	})
}
