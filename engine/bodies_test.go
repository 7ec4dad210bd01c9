package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/plugin"
)

// witness is a logger that shows bodies.
type witness struct {
	Req, Resp int
	Only      int // the status whose answers are wanted; 0: all
	seen      chan [2]string
}

func (w *witness) Bodies() (int, int) { return w.Req, w.Resp }

func (w *witness) WantsAnswer(c *plugin.Ctx) bool { return w.Only == 0 || w.Only == c.Status }

func (w *witness) Log(c *plugin.Ctx) { w.seen <- [2]string{string(c.ReqBody), string(c.RespBody)} }

func witnessSpec(name string) (plugin.Spec, chan [2]string) {
	seen := make(chan [2]string, 100)
	return plugin.Spec{Name: name, Priority: 1, Kind: plugin.Log, Schema: schema.MustCompile(name, `{"type":"object"}`),
		New: func(raw []byte, _ *plugin.Env) (any, error) {
			w := &witness{seen: seen}
			return w, json.Unmarshal(raw, w)
		}}, seen
}

func (r *rig) witnessed(id, uri, config, upstream string) {
	plug := `"plugins":{"witness":` + config + `}`
	if upstream == "" {
		plug = fmt.Sprintf(`"plugins":{"witness":%s,"ai-proxy":{"provider":"openai","auth":{},"stream_usage":"hide","override":{"endpoint":%q}}}`, config, r.mock.URL())
		r.src.put(conf.Routes, id, fmt.Sprintf(`{"id":%q,"uri":%q,%s}`, id, uri, plug))
		return
	}
	r.proxied(id, uri, upstream, ","+plug)
}

// TestBodies holds that loggers see what came and went, on every way that a
// body can take.
func TestBodies(t *testing.T) {
	spec, seen := witnessSpec("witness")
	r := newRigWith(t, Options{}, spec)
	up := "{" + nodes(r.node(func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		switch req.URL.RawQuery {
		case "long":
			w.Header().Set("Content-Length", "300000")
			io.WriteString(w, strings.Repeat("0123456789", 30000))
		case "chunks":
			for range 3 {
				io.WriteString(w, "chunk")
				w.(http.Flusher).Flush()
			}
		default:
			io.WriteString(w, "short")
		}
	})) + "}"
	const all = `{"Req":1000000,"Resp":1000000}`
	r.witnessed("ai", "/ai", all, "")
	r.witnessed("ai-some", "/ai-some", `{"Req":10,"Resp":10}`, "")
	r.witnessed("ai-only", "/ai-only", `{"Resp":1000000,"Only":500}`, "")
	r.witnessed("up", "/up", all, up)
	r.witnessed("up-some", "/up-some", `{"Req":10,"Resp":10}`, up)
	r.witnessed("up-none", "/up-none", `{}`, up)
	r.witnessed("up-down", "/up-down", all, `{`+nodes("127.0.0.1:1")+`}`)

	f := func(method, path, body string, chunked bool) (req, resp, got string) {
		t.Helper()
		var in io.Reader = strings.NewReader(body)
		if chunked {
			in = io.MultiReader(in)
		}
		rq, _ := http.NewRequest(method, r.url+path, in)
		rq.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(rq)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		w := <-seen
		return w[0], w[1], string(b)
	}
	same := func(method, path, body string, chunked bool) {
		t.Helper()
		if req, resp, got := f(method, path, body, chunked); req != body || resp != got {
			t.Errorf("%s %s %.50s: the logger saw %d bytes %.100q and %d of %d bytes %.100q", method, path, body, len(req), req, len(resp), len(got), resp)
		}
	}
	big := strings.Repeat("abcdefghij", 20000) // does not go through memory
	same("POST", "/ai", chat, false)
	same("POST", "/ai", chatStream, false) // the usage chunk is hidden from both
	same("POST", "/ai", "nonsense", false)
	same("POST", "/ai", "", false)
	same("POST", "/up", "small", false)
	same("POST", "/up", "small", true)
	same("POST", "/up", big, false)
	same("POST", "/up?long", big, true)
	same("GET", "/up?chunks", "", false)
	same("HEAD", "/up", "", false)
	same("HEAD", "/up?long", "", false)
	same("POST", "/up-down", "small", false)

	if req, resp, got := f("POST", "/ai-some", chatStream, false); req != chatStream || resp != got[:10] {
		t.Errorf("%q, %q", req, resp)
	}
	if req, resp, _ := f("POST", "/up-some?long", big, true); req != big[:10] || resp != "0123456789" {
		t.Errorf("%q, %q", req, resp)
	}
	if _, resp, _ := f("POST", "/ai-only", chatStream, false); resp != "" {
		t.Errorf("%q is kept of a stream that nobody wants", resp)
	}
	if req, resp, _ := f("POST", "/up-none?long", big, true); req != "" || resp != "" {
		t.Errorf("%q and %q are kept for a logger without bodies", req, resp)
	}
}

// What a condition has read of an upload is a part of it.
func TestBodiesReadAhead(t *testing.T) {
	spec, seen := witnessSpec("witness")
	r := newRigWith(t, Options{MaxPostArgs: 1000}, spec)
	up := r.node(func(_ http.ResponseWriter, req *http.Request) { io.Copy(io.Discard, req.Body) })
	r.proxied("1", "/up", "{"+nodes(up)+"}", `,"vars":[["post_arg.none","~=","x"]],"plugins":{"witness":{"Req":50000}}`)
	body := strings.Repeat("abcdefghij", 20000)
	for _, chunked := range []bool{false, true} {
		var in io.Reader = strings.NewReader(body)
		if chunked {
			in = io.MultiReader(in)
		}
		res, err := http.Post(r.url+"/up", "application/json", in)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if w := <-seen; res.StatusCode != 200 || w[0] != body[:50000] {
			t.Errorf("%d: the logger saw %d bytes %.20q", res.StatusCode, len(w[0]), w[0])
		}
	}
}

// A stream that ends before anything of it was sent is answered by a status.
func TestBodiesLateFault(t *testing.T) {
	spec, seen := witnessSpec("witness")
	r := newRigWith(t, Options{}, spec)
	r.witnessed("ai", "/ai", `{"Resp":1000}`, "")
	res, body := r.do("POST", "/ai", chatStream, "x-mock-cut", "0")
	if w := <-seen; w[1] != body || res.StatusCode != 500 {
		t.Errorf("%d %q: the logger saw %q", res.StatusCode, body, w[1])
	}
}

// Loggers of global rules see the bodies of all requests, also of those that
// meet no route.
func TestBodiesGlobal(t *testing.T) {
	spec, seen := witnessSpec("witness")
	more, also := witnessSpec("witness2")
	r := newRigWith(t, Options{}, spec, more)
	r.src.put(conf.GlobalRules, "1", `{"id":"1","plugins":{"witness":{"Req":1000,"Resp":100000}}}`)
	r.src.put(conf.Routes, "1", fmt.Sprintf(`{"id":"1","uri":"/ai","plugins":{"witness2":{"Resp":5},"ai-proxy":{"provider":"openai","auth":{},"override":{"endpoint":%q}}}}`, r.mock.URL()))
	_, body := r.do("GET", "/none", "")
	if w := <-seen; w[1] != body {
		t.Errorf("%q: the logger saw %q", body, w[1])
	}
	_, body = r.do("POST", "/ai", chatStream)
	if w := <-seen; w[0] != chatStream || w[1] != body {
		t.Errorf("%q: the logger saw %q", body, w)
	}
	if w := <-also; w[1] != body {
		t.Errorf("%q: the logger of the route saw %q", body, w)
	}
}
