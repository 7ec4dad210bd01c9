package plugin

import "testing"

func TestHeader(t *testing.T) {
	const lines = "Host: h\r\nX-Key:v1\r\nX_Key: v2\r\nX-Empty: \t \r\nX-None:\r\nX-Long-Name:  a b\t\r\nx-key: v3\r\nBroken\r\n: nameless\r\nLast: end"
	f := func(name, want string, found bool) {
		t.Helper()
		r := &Request{Headers: []byte(lines)}
		got := r.Header(name)
		if string(got) != want || (got != nil) != found {
			t.Errorf("%q: %q, found %v", name, got, got != nil)
		}
	}
	f("host", "h", true)
	f("HOST", "h", true)
	f("x-key", "v1", true) // the first
	f("x_key", "v2", true) // "_" is "-" in variables only
	f("x-empty", "", true)
	f("x-none", "", true)
	f("x-long-name", "a b", true)
	f("last", "end", true)
	f("broken", "", false)
	f("x-ke", "", false)
	f("ey", "", false)
	f("absent", "", false)
	if got := (&Ctx{}).Header("host"); got != nil {
		t.Errorf("a request without headers has %q", got)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add("A: b\r\nA : c\r\na:\n:", "a")
	f.Fuzz(func(t *testing.T, lines, name string) {
		for rest, ok := []byte(lines), true; ok; {
			before := len(rest)
			var v []byte
			if v, rest, ok = nextHeader(rest, name, true); ok && (v == nil || len(rest) >= before) {
				t.Fatalf("%q in %q: %q, then %q", name, lines, v, rest)
			}
		}
	})
}
