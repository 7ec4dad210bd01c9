package engine

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/url"
	"strings"
	"testing"

	"headrace/conf/expr"
)

// showValue prints a value of a condition.
func showValue(v expr.Value) string {
	switch v.Kind {
	case expr.Absent:
		return "absent"
	case expr.Bool:
		return "true"
	}
	return string(v.Bytes)
}

func TestFormValues(t *testing.T) {
	const body = "model=gpt%2D4+x&tag=a&tag=%22b%22&flag&tag&messages[0][role]=system&empty=&a.b=1"
	fields, ok := appendForm(nil, []byte(body))
	if !ok {
		t.Fatal("too many fields")
	}
	f := func(path, want string) {
		t.Helper()
		p, err := expr.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := showValue(formValue([]byte("before"), fields, p)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	f("model", "gpt-4 x")
	f("tag", `["a","\"b\"",true]`)
	f("tag[*]", `["a","\"b\"",true]`)
	f("tag[1]", `["\"b\""]`)
	f("flag", "true")
	f("empty", "")
	f("none", "absent")
	f("model.x", "absent")
	f("model[*]", "absent")
	f("tag.x", "absent")
	f("a.b", "absent") // a member b of a
	f("*", "absent")
}

func TestParts(t *testing.T) {
	f := func(contentType, body string, want ...string) {
		t.Helper()
		fields, ok := appendParts(nil, []byte(body), boundaryOf([]byte(contentType)))
		var got []string
		for _, ff := range fields {
			got = append(got, string(ff.name)+"="+string(ff.value))
		}
		if strings.Join(got, "|") != strings.Join(want, "|") || !ok {
			t.Errorf("%s: %q, want %q", contentType, got, want)
		}
	}
	const part = "Content-Disposition: form-data; name=\"model\"\r\n\r\nopenai\r\n"
	f("multipart/form-data; boundary=b", "--b\r\n"+part+"--b--\r\n", "model=openai")
	f(`multipart/form-data; charset=x; Boundary="b c"`, "--b c\r\n"+part+"--b c--", "model=openai")
	f("multipart/form-data; boundary=b;x=y", "preamble\r\n--b  \r\n"+part+"--b--\r\nepilogue", "model=openai")
	f("multipart/form-data; boundary=testboundary", "--testboundary\nContent-Disposition: form-data; name=\"model\"\n\nopenai\n--testboundary--", "model=openai")
	f("multipart/form-data; boundary=b", "--b\r\ncontent-disposition: form-data; filename=\"a;name=x\"; NAME=file\r\nContent-Type: audio/wav\r\n\r\n\r\n--bb\r\n-- b\r\n\r\n--b\r\n"+part+"--b--",
		"file=\r\n--bb\r\n-- b\r\n", "model=openai")
	f("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=e\r\n\r\n--b\r\n\r\nno name\r\n--b--", "e=")
	f("multipart/form-data; boundary=b", "--b\r\n"+part, "model=openai\r\n") // broken off
	f("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=x", "x=")
	f("multipart/form-data; boundary=b", "nothing")
	f("multipart/form-data; boundary=", "--\r\n"+part+"----")
	f("multipart/form-data", "--b\r\n"+part+"--b--\r\n")

	fields, _ := appendParts(nil, []byte("--b\r\n"+part+"--b\r\n"+strings.ReplaceAll(part, "openai", "last")+"--b--"), []byte("b"))
	for path, want := range map[string]string{"model": "last", "none": "absent", "model.x": "absent", "model[*]": "absent"} {
		p, _ := expr.ParsePath(path)
		if got := showValue(partValue(fields, p)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// Tiny fields must not cost far more memory than they take.
func TestTooManyFields(t *testing.T) {
	if _, ok := appendForm(nil, bytes.Repeat([]byte("a&"), maxFields+1)); ok {
		t.Error("a form")
	}
	if _, ok := appendParts(nil, bytes.Repeat([]byte("--b\nContent-Disposition:;name=a\n\n"), maxFields+2), []byte("b")); ok {
		t.Error("parts")
	}
}

// FuzzForm compares with the standard library, where both agree on what a form is.
func FuzzForm(f *testing.F) {
	f.Add("a=1&b=%41+x&a", "a")
	f.Fuzz(func(t *testing.T, body, name string) {
		fields, _ := appendForm(nil, []byte(body))
		p, err := expr.ParsePath(name)
		if err != nil || !p.Single() {
			return
		}
		got := formValue(nil, fields, p)
		values, err := url.ParseQuery(body)
		if err != nil || len(values[name]) > 1 {
			return
		}
		if (got.Kind == expr.Absent) != (len(values[name]) == 0) || got.Kind == expr.String && string(got.Bytes) != values.Get(name) {
			t.Fatalf("%s of %q: %s, want %q", name, body, showValue(got), values[name])
		}
	})
}

// FuzzParts writes parts with the standard library and reads them back; of
// anything else it only must not panic.
func FuzzParts(f *testing.F) {
	f.Add("model", "openai", "file", "\r\n--b\r\nx", []byte("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--"))
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string, raw []byte) {
		appendParts(nil, raw, []byte("b"))
		appendParts(nil, raw, boundaryOf(raw))
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		names, values := []string{n1, n2}, []string{v1, v2}
		for i, n := range names {
			if strings.ContainsAny(n, "\"\\\r\n\x00") || strings.Contains(values[i], "--"+w.Boundary()) {
				return
			}
			part, err := w.CreateFormField(n)
			if err != nil {
				return
			}
			io.WriteString(part, values[i])
		}
		w.Close()
		fields, ok := appendParts(nil, b.Bytes(), boundaryOf([]byte(w.FormDataContentType())))
		if !ok || len(fields) != 2 {
			t.Fatalf("%d parts of\n%s", len(fields), b.Bytes())
		}
		for i, ff := range fields {
			if string(ff.name) != names[i] || string(ff.value) != values[i] {
				t.Fatalf("part %d is %q=%q, want %q=%q", i, ff.name, ff.value, names[i], values[i])
			}
		}
	})
}
