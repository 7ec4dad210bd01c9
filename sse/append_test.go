package sse

import "testing"

func TestAppendEvent(t *testing.T) {
	f := func(name, data, want string) {
		t.Helper()
		if got := AppendEvent([]byte("<"), []byte(name), []byte(data)); string(got) != "<"+want {
			t.Fatalf("%q, %q: %q, want %q", name, data, got, want)
		}
	}
	f("", "a", "data: a\n\n")
	f("", "", "data: \n\n")
	f("ping", "{}", "event: ping\ndata: {}\n\n")
	f("a\nb", "x", "event: a\ndata: x\n\n")
	f("\rb", "x", "data: x\n\n")
	f("", "a\nb", "data: a\ndata: b\n\n")
	f("", "a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n\n")
	f("", "\n\n", "data: \ndata: \ndata: \n\n")
	f("", "a\rb\nc", "data: a\ndata: b\ndata: c\n\n")
}
