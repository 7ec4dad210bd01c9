package plugin

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// answerOf is the head of an answer without its first lines.
func answerOf(c *Ctx) string {
	h := &c.HTTP.Response.Header
	h.SetNoDefaultContentType(true)
	_, lines, _ := strings.Cut(string(h.AppendBytes(nil)), "GMT\r\n")
	return strings.TrimSuffix(lines, "\r\n")
}

func TestAnswerHeader(t *testing.T) {
	c := &Ctx{HTTP: &fasthttp.RequestCtx{}}
	h := &c.HTTP.Response.Header
	h.Set("X-A", "1")
	h.Add("X-A", "2")
	h.Add("Set-Cookie", "a=1")
	h.SetContentType("text/html")
	h.SetContentLength(7)
	c.SetAnswerHeader("x-a", []byte("3"))
	c.SetAnswerHeader("Set-Cookie", []byte("b=1"))
	c.AddAnswerHeader("set-cookie", []byte("b=2; Path=/"))
	c.AddAnswerHeader("X-B", []byte("a\r\nX-Evil: \x001\tc"))
	c.SetAnswerHeader("Content-Type", nil)
	for _, framing := range []string{"Content-Length", "transfer-encoding", "CONNECTION", "Trailer", "Upgrade"} {
		c.SetAnswerHeader(framing, []byte("9"))
		c.AddAnswerHeader(framing, []byte("close"))
		c.SetAnswerHeader(framing, nil)
	}
	const want = "Content-Length: 7\r\nX-A: 3\r\nX-B: a  X-Evil:  1\tc\r\nSet-Cookie: b=1\r\nSet-Cookie: b=2; Path=/\r\n"
	if got := answerOf(c); got != want {
		t.Errorf("got %q", got)
	}
	c.SetAnswerHeader("x-a", nil)
	c.SetAnswerHeader("x-none", nil)
	c.SetAnswerHeader("SET-COOKIE", nil)
	if got := answerOf(c); got != "Content-Length: 7\r\nX-B: a  X-Evil:  1\tc\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestAnswerHeaders(t *testing.T) {
	var list AnswerHeaders
	if err := json.Unmarshal([]byte(`{"h2":2,"h1":"v1","h3":"$uri","h4":"${arg_none}","h5":"a $arg_x"}`), &list); err != nil {
		t.Fatal(err)
	}
	c := &Ctx{HTTP: &fasthttp.RequestCtx{}, Req: Request{Path: []byte("/hello"), Query: []byte("x=1%0d%0aX:2")}}
	list.Set(c)
	if got := answerOf(c); got != "H1: v1\r\nH2: 2\r\nH3: /hello\r\nH5: a 1  X:2\r\n" {
		t.Errorf("got %q", got)
	}
	if n := testing.AllocsPerRun(100, func() { list[:3].Set(c) }); n > 0 && !underRace {
		t.Errorf("%v allocations", n)
	}
	list[:1].Add(c)
	if got := answerOf(c); !strings.Contains(got, "H1: v1\r\nH1: v1\r\n") && strings.Count(got, "H1: v1") != 2 {
		t.Errorf("got %q", got)
	}
	for raw, want := range map[string]error{
		`{"":"a"}`: errNameLength, `{"a b":"a"}`: errNameBytes, `{"a\r\nb":"a"}`: errNameBytes, `{"a:":"a"}`: errNameBytes, `{"\u00fc":1}`: errNameBytes,
		`{"a":{}}`: errValueType, `{"a":[1]}`: errValueType, `{"a":true}`: errValueType,
	} {
		if err := json.Unmarshal([]byte(raw), &list); !errors.Is(err, want) {
			t.Errorf("%s: %v", raw, err)
		}
	}
	if err := json.Unmarshal([]byte(`[1]`), &list); err == nil {
		t.Error("a list is taken for headers")
	}
}
