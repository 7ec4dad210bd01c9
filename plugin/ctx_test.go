package plugin

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"

	"headrace/driver"
)

// fill gives every field of v, at any depth of structs, a value other than zero.
func fill(t *testing.T, v reflect.Value, path string) {
	v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem() // unexported ones too
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), path)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 10))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Interface:
		if v.Type() == reflect.TypeFor[Directory]() {
			v.Set(reflect.ValueOf(nobody{}))
			return
		}
		v.Set(reflect.ValueOf(path))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.String:
		v.SetString(path)
	case reflect.Bool:
		v.SetBool(true)
	default:
		switch {
		case v.CanInt():
			v.SetInt(3)
		case v.CanUint():
			v.SetUint(3)
		default:
			t.Fatalf("fill knows no %v, the kind of %s", v.Kind(), path)
		}
	}
}

type nobody struct{}

func (nobody) ByKey(string, []byte) *Consumer { return nil }
func (nobody) ByName(string) *Consumer        { return nil }

// TestReset holds that nothing of a request reaches the next one but room.
func TestReset(t *testing.T) {
	c := new(Ctx)
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; name != "Body" && name != "Capture" {
			fill(t, v.Field(i), name)
		}
	}
	if err := c.Body.Load([]byte(`{"model":"a"}`)); err != nil {
		t.Fatal(err)
	}
	c.Capture = driver.Capture{ToolCalls: true, Text: make([]byte, 5, 100), WantText: true, MaxText: 9}
	c.Capture.Usage.Prompt = 1
	c.Keep("key", "value")

	c.Reset()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch name {
		case "Body", "Capture", "Attempts", "limited", "ends", "kept":
			continue
		case "UpstreamID": // keeps its room
			if v.Field(i).Len() != 0 {
				t.Errorf("%s is kept", name)
			}
			continue
		}
		if !v.Field(i).IsZero() {
			t.Errorf("%s is kept", name)
		}
	}
	if _, found := c.Body.Get("model"); found {
		t.Error("the body is kept")
	}
	if text := c.Capture.Text; len(text) > 0 || cap(text) != 100 {
		t.Errorf("%d bytes of text, room for %d", len(text), cap(text))
	}
	if l := c.limited; len(l.key) > 0 || cap(l.key) != 10 || len(c.ends) > 0 || cap(c.ends) != 10 {
		t.Errorf("of the limits there is %+v, of what is to end %v", l, c.ends)
	}
	c.limited.key, c.ends = nil, nil
	if !reflect.DeepEqual(c.limited, rateLimit{}) {
		t.Errorf("of the limits there is %+v", c.limited)
	}
	c.Capture.Text = nil
	if !reflect.DeepEqual(c.Capture, driver.Capture{}) {
		t.Errorf("of the capture there is %+v", c.Capture)
	}
	if len(c.Attempts) > 0 || cap(c.Attempts) != 10 {
		t.Errorf("%d attempts, room for %d", len(c.Attempts), cap(c.Attempts))
	}

	if room := c.kept[:cap(c.kept)]; len(c.kept) > 0 || len(room) != 10 || slices.ContainsFunc(room, func(k kept) bool { return k != kept{} }) {
		t.Errorf("of what plugins remember there is %v", room)
	}

	c.Attempts = make([]Attempt, 0, keepAttempts+1)
	c.Capture.Text = make([]byte, 0, 65<<10)
	c.Reset()
	if c.Attempts != nil || c.Capture.Text != nil {
		t.Error("large buffers are kept")
	}
	if size := keepAttempts * unsafe.Sizeof(Attempt{}); size > 64<<10 {
		t.Errorf("up to %d bytes of attempts are kept", size)
	}
}

// ender counts how often it is ended, or panics.
type ender struct {
	n     *[]string
	name  string
	panic bool
}

func (e ender) End(*Ctx) {
	*e.n = append(*e.n, e.name)
	if e.panic {
		panic(e.name)
	}
}

func TestEnd(t *testing.T) {
	var got []string
	c := new(Ctx)
	c.End()
	for _, e := range []ender{{&got, "a", false}, {&got, "b", true}, {&got, "c", false}} {
		c.OnEnd(e)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is hidden")
			}
		}()
		c.End()
	}()
	c.End()
	c.End()
	if s := strings.Join(got, ""); s != "cba" {
		t.Errorf("ended in the order %s, want each once, the last first", s)
	}
}

func TestRateLimitingInfo(t *testing.T) {
	c := new(Ctx)
	v, _ := LookupVar("rate_limiting_info")
	f := func(want string) {
		t.Helper()
		if got, ok := v(c, nil); string(got) != want || !ok {
			t.Errorf("%s %v, want %s", got, ok, want)
		}
	}
	f("")
	c.SetRateLimit("/apisix/routes/1:ab", []byte(`te"st`), 2, 1, 9990*time.Millisecond)
	f(`{"rate_limiting_key":"/apisix/routes/1:ab:te\"st","rate_limiting_limit":2,"rate_limiting_remaining":1,"rate_limiting_reset":9}`)
	c.SetRateLimit("b", []byte("k"), 5, 0, time.Minute)
	f(`{"rate_limiting_key":"b:k","rate_limiting_limit":5,"rate_limiting_remaining":0,"rate_limiting_reset":60}`)
	c.Reset()
	f("")
}

func TestReply(t *testing.T) {
	c := &Ctx{HTTP: &fasthttp.RequestCtx{}}
	if v := c.Reply(429, Text, []byte("slow down")); v != 429 {
		t.Errorf("verdict %d", v)
	}
	if a := c.Answer(); a.ContentType != Text || string(a.Body) != "slow down" {
		t.Errorf("%+v", a)
	}
	c.Reply(204, "", nil)
	if a := c.Answer(); a.ContentType != "" || a.Body != nil {
		t.Errorf("%+v", a)
	}
}

func TestArg(t *testing.T) {
	c := &Ctx{Req: Request{Query: []byte("a=1&b=x%20y+z%&%61=2&c&d=&e%3d=3"), Headers: []byte("Cookie: k=v; empty=\r\n")}}
	f := func(what string, got []byte, want string, found bool) {
		t.Helper()
		if string(got) != want || (got != nil) != found {
			t.Errorf("%s: %q, found %v", what, got, got != nil)
		}
	}
	f("a", c.Arg("a"), "1", true)
	f("b", c.Arg("b"), "x y z%", true)
	f("c", c.Arg("c"), "", true)
	f("d", c.Arg("d"), "", true)
	f("e=", c.Arg("e="), "3", true)
	f("A", c.Arg("A"), "", false)
	f("k", c.Cookie("k"), "v", true)
	f("empty", c.Cookie("empty"), "", true)
	f("K", c.Cookie("K"), "", false)
	c.Req.Query = []byte("a=1&c&d=")
	if n := testing.AllocsPerRun(100, func() { c.Arg("a"); c.Arg("d"); c.Arg("e"); c.Cookie("k") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
