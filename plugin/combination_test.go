package plugin

import "testing"

func TestCombination(t *testing.T) {
	c := &Ctx{Req: Request{Headers: []byte("X-A: one\r\nX-B:\r\n"), Query: []byte("u=7"), Method: []byte("POST")}}
	f := func(text, want string, resolved bool) {
		t.Helper()
		got, ok := CompileCombination(text).Append(nil, c)
		if string(got) != want || ok != resolved {
			t.Errorf("%q: %q %v, want %q %v", text, got, ok, want, resolved)
		}
	}
	f("constant", "constant", false)
	f("$http_x_a", "one", true)
	f("${http_x_a}-$arg_u", "one-7", true)
	f("$http_none$arg_u", "7", true)
	f("$http_none", "", false)
	f("${http_none ?? anon}", "anon", true)
	f("${http_none ??}-$http_none", "-", false)
	f("${http_x_a ?? anon}!", "one!", true)
	f(`\$http_x_a $`, "$http_x_a $", false)
	f("${", "${", false)
}
