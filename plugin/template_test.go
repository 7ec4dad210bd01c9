package plugin

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// nginxEscape is nginx's ngx_http_log_escape and ngx_escape_json, spelled out.
func nginxEscape(e Escape, s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case e == EscapeNone:
			b.WriteByte(c)
		case e == EscapeDefault && (c < 0x20 || c > 126 || c == '"' || c == '\\'):
			fmt.Fprintf(&b, `\x%02X`, c)
		case e == EscapeJSON && strings.IndexByte("\"\\", c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case e == EscapeJSON && strings.IndexByte("\n\r\t\b\f", c) >= 0:
			b.WriteByte('\\')
			b.WriteByte("nrtbf"[strings.IndexByte("\n\r\t\b\f", c)])
		case e == EscapeJSON && c < 0x20:
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func TestTemplate(t *testing.T) {
	c := full()
	f := func(text, want string) {
		t.Helper()
		if got := string(CompileTemplate(text, EscapeDefault).Append([]byte("|"), c)); got != "|"+want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
	f("", "")
	f("plain \" text", "plain \" text") // only values are escaped
	f("$status", "200")
	f("${status}", "200")
	f("a$status-b", "a200-b")
	f("${status}1$status$status", "2001200200")
	f("$status.$llm_stream", "200.true")
	f("$nothing", "-")
	f("[$http_referer]", "[-]")
	f("[$http_x_empty]", "[]")
	f("[$llm_content_risk_level]", "[]")
	f("$http_cookie", `a=1; b=x=y;c; d=2`)
	// What nginx refuses is text.
	f("$", "$")
	f("$$", "$$")
	f("$$status", "$200")
	f("$ status", "$ status")
	f("100$", "100$")
	f("${", "${")
	f("${}", "${}")
	f("${status", "${status")
	f("${a-b}$status", "${a-b}200")
	f(`{"a":$status,"b":{"c":"${scheme}"}}`, `{"a":200,"b":{"c":"https"}}`)
	f("$é", "$é")
}

func TestTemplateEscape(t *testing.T) {
	var every strings.Builder
	for i := range 256 {
		every.WriteByte(byte(i))
	}
	f := func(e Escape, value, want string) {
		t.Helper()
		c := &Ctx{Source: value}
		if got := string(CompileTemplate("<$response_source>", e).Append(nil, c)); got != "<"+want+">" {
			t.Errorf("escape %d of %q: %q, want %q", e, value, got, want)
		}
	}
	f(EscapeDefault, "a\"b\\c\n\x7f~é", `a\x22b\x5Cc\x0A\x7F~\xC3\xA9`)
	f(EscapeJSON, "a\"b\\c\n\r\t\b\f\x01\x1f\x7f~é", `a\"b\\c\n\r\t\b\f\u0001\u001F`+"\x7f~é")
	f(EscapeNone, "a\"b\\\n", "a\"b\\\n")
	for _, e := range []Escape{EscapeDefault, EscapeJSON, EscapeNone} {
		f(e, every.String(), nginxEscape(e, every.String()))
	}
	f(EscapeDefault, "", "-")
	f(EscapeJSON, "", "")
	f(EscapeNone, "", "")
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"$", "${", "${a}", "$status $http_x", "{$args}", "$arg_a$cookie_a${http_a}", "$remote_user"} {
		f.Add(s, "a=%41\"\n", "A: b\"\\\r\nCookie: a=\x01\r\nAuthorization: Basic YTo=\r\n", uint8(1))
	}
	f.Fuzz(func(t *testing.T, text, query, headers string, e uint8) {
		c := &Ctx{Req: Request{Query: []byte(query), Headers: []byte(headers)}, Source: headers}
		escape := Escape(e % 3)
		CompileTemplate(text, escape).Append(nil, c)
		out := string(CompileTemplate("$response_source", escape).Append(nil, c))
		if want := nginxEscape(escape, headers); out != want && headers != "" {
			t.Errorf("escape %d of %q: %q, want %q", escape, headers, out, want)
		}
		if escape == EscapeJSON {
			var back string
			err := json.Unmarshal([]byte(`"`+out+`"`), &back)
			if err != nil || utf8.ValidString(headers) && back != headers {
				t.Errorf("%q reads back as %q: %v", headers, back, err)
			}
		}
	})
}
