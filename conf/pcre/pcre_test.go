package pcre

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMatch(t *testing.T) {
	f := func(src, flags, text string, want bool) {
		t.Helper()
		r, err := Compile(src, flags)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Match([]byte(text)); got != want {
			t.Errorf("%s (%s) in %q: %v", src, flags, text, got)
		}
		if r.MatchString(text) != want || r.String() != src {
			t.Errorf("%s (%s) in %q: the twin differs", src, flags, text)
		}
	}
	f("b", "", "abc", true)
	f("B", "", "abc", false)
	f("B", "ijo", "abc", true)
	f("a.c", "", "a\nc", false)
	f("a.c", "s", "a\nc", true)
	f("^c$", "", "a\nc", false)
	f("^c$", "m", "a\nc", true)
	f("b", "a", "abc", false)
	f("a|b", "a", "b", true)
	f("a b # c", "x", "ab", true)
	f("b # c", "xa", "ab", false)
	f("a(?!b)", "", "ab", false) // RE2 does not know it
	f("A(?!b)", "i", "ac", true)
	f("a$", "", "a\n", false)
	f("(a+)+$", "", strings.Repeat("a", 40)+"b", false)
	f("((?=a)a+)+$", "", strings.Repeat("a", 40)+"b", false) // in bounded time
}

func TestCompile(t *testing.T) {
	f := func(src, flags, want string) {
		t.Helper()
		if _, err := Compile(src, flags); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s (%s): %v", src, flags, err)
		}
	}
	f("hello", "h", `unknown flag "h" (flags "h")`)
	f("hello", "jod", `flag "d" is not supported (flags "jod")`)
	f("[^/test/(.*)", "jo", "error parsing regexp: ")
	if _, err := Compile("a", "uUDJjoixms"); err != nil {
		t.Error(err)
	}
}

func TestFind(t *testing.T) {
	f := func(src, text, want string) {
		t.Helper()
		r, err := Compile(src, "")
		if err != nil {
			t.Fatal(err)
		}
		loc, err := r.Find([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i := range len(loc) / 2 {
			got += fmt.Sprintf("%q", Group([]byte(text), loc, i))
		}
		if got != want {
			t.Errorf("%s in %q: %s", src, text, got)
		}
		if Group([]byte(text), loc, 9) != nil || Group([]byte(text), loc, -1) != nil {
			t.Error("a group that there is not")
		}
	}
	for _, slow := range []string{"", "(?!Q)"} { // both engines
		f(slow+"^/test/(.*)/(.*)", "/test/a/b/c", `"/test/a/b/c""a/b""c"`)
		f(slow+"^/(x)?(.)", "/y", `"/y""""y"`)
		f(slow+"b", "\u00fcab\xffc", `"b"`)
		f(slow+"(c)$", "\u00fcab\xffc\n", `"c""c"`)
		f(slow+"(.)(.)$", "a\xff\u00fc\n", `"\xffü""\xff""ü"`)
		f(slow+"z", "abc", "")
		f(slow+"$", "", `""`)
	}
}

func TestReplace(t *testing.T) {
	f := func(src, text, with string, all bool, want string) {
		t.Helper()
		r, err := Compile(src, "jo")
		if err != nil {
			t.Fatal(err)
		}
		rep, err := CompileReplacement(with)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Replace([]byte("+"), []byte(text), rep, all)
		if err != nil || string(got) != "+"+want {
			t.Errorf("%s in %q: %q %v", src, text, got, err)
		}
	}
	for _, slow := range []string{"", "(?!Q)"} {
		f(slow+"l", "hello", "m", false, "hemlo")
		f(slow+"l", "hello", "m", true, "hemmo")
		f(slow+`\w\S+$`, "hello world\n", "*", false, "hello *\n")
		f(slow+"^h", "hh", "x", true, "xh")
		f(slow+"(l)(l)", "hello", "$2${1}2$$$0", false, "hell2$llo")
		f(slow+"(l)|(x)", "hello", "[$2$9]", true, "he[][]o")
		f(slow+"z", "hello", "m", true, "hello")
		f(slow+"\u00fc", "a\u00fcb\u00fc\xff", "x", true, "axbx\xff")
		f(slow+"b", "\u00fcbb", "", true, "\u00fc")
	}
	r, err := Compile("((?=a)a+)+$", "")
	if err != nil {
		t.Fatal(err)
	}
	rep, _ := CompileReplacement("")
	for _, all := range []bool{true, false} {
		if got, err := r.Replace(nil, []byte(strings.Repeat("a", 50)+"b"), rep, all); !errors.Is(err, ErrTimeout) || got != nil {
			t.Errorf("%q %v", got, err)
		}
	}
}

func TestCompileReplacement(t *testing.T) {
	for _, text := range []string{"/$`1", "$", "a$b", "${1", "${}", "$-1", "$99999999999999999999"} {
		if _, err := CompileReplacement(text); err == nil || !strings.HasPrefix(err.Error(), "invalid capturing variable name found") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzReplace holds that the two engines find the same places in any bytes,
// and that a replacement by the match itself changes nothing.
func FuzzReplace(f *testing.F) {
	patterns := []string{"l+", "(h)|(o)", "^.", "[^a-z]", "x*", "a.c|b", "\u00fc", "b$"}
	for i := range patterns {
		f.Add(i, "hello a\xffc \u00fc\u20ac bb\n", "[$0]")
	}
	f.Fuzz(func(t *testing.T, i int, text, with string) {
		src := patterns[uint(i)%uint(len(patterns))]
		r, err := Compile(src, "")
		if err != nil {
			t.Fatal(err)
		}
		twin, err := Compile("(?!Q)(?:"+src+")", "")
		if err != nil || twin.fast != nil {
			t.Fatal(err, twin.fast)
		}
		rep, err := CompileReplacement(with)
		if err != nil {
			rep = &Replacement{}
		}
		same, _ := CompileReplacement("$0")
		for _, all := range []bool{true, false} {
			got, err := r.Replace(nil, []byte(text), rep, all)
			want, twinErr := twin.Replace(nil, []byte(text), rep, all)
			if err != nil || twinErr != nil {
				t.Skip("too slow")
			}
			// Empty matches behind a match, and what is no UTF-8, are
			// matters of taste; a "Q" stops the twin.
			if src != "x*" && utf8.ValidString(text) && !strings.Contains(text, "Q") && string(got) != string(want) {
				t.Errorf("%s in %q: %q, the twin has %q", src, text, got, want)
			}
			if got, err = twin.Replace(nil, []byte(text), same, all); err != nil || string(got) != text {
				t.Errorf("%s in %q: itself is %q, %v", src, text, got, err)
			}
		}
	})
}
