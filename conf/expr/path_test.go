package expr

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	f := func(path string, ok bool) {
		t.Helper()
		if _, err := ParsePath(path); (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
	}
	f("model", true)
	f("model.name", true)
	f("max-tokens", true)
	f("messages[*].content[*].type", true)
	f("messages[ * ]", true)
	f("messages[0].content", true)
	f("messages[-1]", true)
	f("messages[0,1]", true)
	f("messages[0:2:1]", true)
	f("messages[ -2 : ]", true)
	f("a['b c'].d", true)
	f(`a["]"]`, true)
	f(`a['it\'s', "b" , 3]`, true)
	f("a..b", true)
	f("a..[0]", true)
	f("*", true)
	f("a.*", true)
	f(strings.Repeat("a.", 62)+"a", true)
	f("a[", false)
	f("a[]", false)
	f("a[x]", false)
	f("a[*", false)
	f("a[*x]", false)
	f("a[0", false)
	f("a[0,]", false)
	f("a[1:2:3:4]", false)
	f("a[1:2:0]", false)
	f("a[99999999999999999999]", false)
	f("a['b]", false)
	f("a['b'x]", false)
	f("a]", false)
	f("a.", false)
	f("a..", false)
	f("a.[0]", false)
	f("[0]", false)
	f("..a", false)
	f("a b", false)
	f("", false)
	f(strings.Repeat("a.", 63)+"a", false)
	for _, filter := range []string{"a[?(@.b == 'c')]", "a[(@.length-1)]"} {
		if _, err := ParsePath(filter); err != errFilter {
			t.Errorf("%s: %v", filter, err)
		}
	}
}

const pathDoc = `{"model":"gpt-4","stream":true,"n":3,"none":null,"a":{"b":{"c":"deep"},"b c":1,"0":"zero"},
 "messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url"}]}],
 "list":[10,11,12,13],"dup":1,"dup":2,"esc":{"k\u0065y":"v\n"}}`

func TestSelect(t *testing.T) {
	f := func(path string, want string) {
		t.Helper()
		p, err := ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := show(p.Select([]byte("before"), []byte(pathDoc))); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	// Members by dots keep the type of the value.
	f("model", `"gpt-4"`)
	f("stream", "true")
	f("n", "3")
	f("none", "null")
	f("dup", "2")
	f("a.b.c", `"deep"`)
	f("a.b", "object")
	f("list", "[10,11,12,13]")
	f("esc.key", `"v\n"`)
	f("missing", "absent")
	f("model.x", "absent")
	f("messages.0.role", "absent") // indexes are for JSONPath
	f("list.1", "absent")

	// JSONPath gives an array of all hits.
	f("messages[*].content[*].type", `["text","image_url"]`)
	f("messages[*].content", `["s",[]]`)
	f("messages[1].content[0].type", `["text"]`)
	f("messages.1.content[0].type", `["text"]`)
	f("messages[*].role", `["system","user"]`)
	f("a.*", `[{},1,"zero"]`)
	f("a['b c']", "[1]")
	f("a[0]", `["zero"]`)
	f("a['b'].c", `["deep"]`)
	f("a..c", `["deep"]`)
	f("messages..type", `["text","image_url"]`)
	f("messages..[0].type", `["text"]`)
	f("list[0,2]", "[10,12]")
	f("list[1:3]", "[11,12]")
	f("list[-2:]", "[12,13]")
	f("list[:-3]", "[10]")
	f("list[::3]", "[10,13]")
	f("list[3:2:-1]", "[11,12,13]")
	f("list[-1]", "absent") // as in APISIX
	f("list[01]", "absent")
	f("list[9]", "absent")
	f("missing[*]", "absent")
	f("model[*]", "absent")
	f("esc['key']", `["v\n"]`)
}

// show prints a value.
func show(v Value) string {
	switch v.Kind {
	case Absent:
		return "absent"
	case Object:
		return "object"
	case Array:
		return string(v.Bytes)
	case String:
		b, _ := json.Marshal(string(v.Bytes))
		return string(b)
	case Number:
		return strconv.FormatFloat(v.Num, 'g', -1, 64)
	case Bool:
		return strconv.FormatBool(v.Bool)
	}
	return "null"
}

// docVars are variables of which only those of the body are there.
type docVars string

func (dv docVars) Var([]byte, string) Value { return Value{} }
func (dv docVars) PostArg(dst []byte, p *Path) Value {
	return p.Select(dst, []byte(dv))
}

func TestPostArg(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		e, err := Compile([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		if got := e.Eval(docVars(pathDoc)); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
	f(`[["post_arg.model","==","gpt-4"]]`, true)
	f(`[["post_arg.model","~~","^gpt-"],["post_arg.stream","==",true]]`, true)
	f(`[["post_arg.messages[*].content[*].type","has","image_url"]]`, true)
	f(`[["post_arg.messages[*].content[*].type","!","has","audio"]]`, true)
	f(`[["post_arg.messages[*].content","has","text"]]`, false)
	f(`[["post_arg.model[*]","==",null]]`, true)
	f(`[["post_arg.none","==",null]]`, false)
	f(`[["post_arg_model","==",null]]`, true) // another variable
}

// A body that nests and repeats what a path asks for costs no more than its length.
func TestSelectHostile(t *testing.T) {
	p, err := ParsePath("a..*..*..*..b")
	if err != nil {
		t.Fatal(err)
	}
	doc := `{"a":` + strings.Repeat(`{"b":`, 900) + "[" + strings.Repeat("1,", 100_000) + "1]" + strings.Repeat("}", 901)
	if v := p.Select(nil, []byte(doc)); v.Kind != Array || len(v.Bytes) > 4000 {
		t.Errorf("%v, %d bytes", v.Kind, len(v.Bytes))
	}
}

// tree is a document for the twin: decoded, with the order and the repetitions
// of its members.
type tree struct {
	text string // of a scalar
	open byte   // '[' or '{' of a container
	keys []string
	kids []*tree
}

func parseTree(d *json.Decoder) *tree {
	tok, err := d.Token()
	if err != nil {
		panic(err)
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		text, _ := json.Marshal(tok)
		return &tree{text: string(text)}
	}
	n := &tree{open: byte(delim)}
	for d.More() {
		if n.open == '{' {
			key, _ := d.Token()
			n.keys = append(n.keys, key.(string))
		}
		n.kids = append(n.kids, parseTree(d))
	}
	d.Token()
	return n
}

// mark adds everything that the steps lead to from n.
func (n *tree) mark(steps []step, hits map[*tree]bool) {
	if len(steps) == 0 {
		hits[n] = true
		return
	}
	s := &steps[0]
	for i, kid := range n.kids {
		takes := s.all
		for _, name := range s.names {
			if n.open == '{' {
				takes = takes || n.keys[i] == name
			} else {
				takes = takes || strconv.Itoa(i) == name
			}
		}
		if n.open == '[' {
			for _, sl := range s.slices {
				takes = takes || sl.indexes(len(n.kids))[i]
			}
		}
		if takes {
			kid.mark(steps[1:], hits)
		}
		if s.deep {
			kid.mark(steps, hits)
		}
	}
}

// indexes runs the loop of the JSONPath library that APISIX uses.
func (s slice) indexes(n int) map[int]bool {
	from, to := s.from, s.to
	if from < 0 {
		from += n
	}
	if s.open {
		to = n + 1
	} else if to < 0 {
		to += n
	}
	in := map[int]bool{}
	for i := from; s.by > 0 && i <= to-1 || s.by < 0 && i >= to-1; i += s.by {
		if i > n && s.by > 0 || i < 0 && s.by < 0 {
			break
		}
		in[i] = true
	}
	return in
}

// collect lists the hits below n, what is in a value before the value.
func (n *tree) collect(hits map[*tree]bool, list []string) []string {
	for _, kid := range n.kids {
		list = kid.collect(hits, list)
		if hits[kid] {
			switch kid.open {
			case '[':
				list = append(list, "[]")
			case '{':
				list = append(list, "{}")
			default:
				list = append(list, kid.text)
			}
		}
	}
	return list
}

// longNumber keeps the twin's loop over a slice short.
var longNumber = regexp.MustCompile(`\d{4}`)

func FuzzSelect(f *testing.F) {
	for _, path := range []string{"messages[*].content[*].type", "a..b", "a.*", "list[0,2]", "list[-2:]", "list[3:1:-1]", "a['b c']", "*..c[1:]", "a..*..b", "list[::-1]"} {
		f.Add(path, []byte(pathDoc))
	}
	f.Add("a[*]", []byte(`{"a":[1,`))
	f.Fuzz(func(t *testing.T, path string, doc []byte) {
		p, err := ParsePath(path)
		if err != nil || longNumber.MatchString(path) {
			return
		}
		v := p.Select(nil, doc) // must not panic, whatever it is
		if !json.Valid(doc) || len(doc) > 4096 || strings.Count(path, "..") > 3 || bytes.ContainsRune(doc, '\ufffd') {
			return
		}
		d := json.NewDecoder(bytes.NewReader(doc))
		d.UseNumber()
		root := parseTree(d)
		if p.plain {
			n := root
			for _, s := range p.steps {
				var next *tree
				for i, key := range n.keys {
					if key == s.names[0] {
						next = n.kids[i]
					}
				}
				if n = next; n == nil {
					break
				}
			}
			if (n == nil) != (v.Kind == Absent) {
				t.Fatalf("%q of %s: %s, twin %v", path, doc, show(v), n)
			}
			return
		}
		hits := map[*tree]bool{}
		root.mark(p.steps, hits)
		want := root.collect(hits, nil)
		var got []json.RawMessage
		if v.Kind == Array {
			if err := json.Unmarshal(v.Bytes, &got); err != nil {
				t.Fatalf("%q of %s: %s: %v", path, doc, v.Bytes, err)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%q of %s: %s, twin %q", path, doc, show(v), want)
		}
		for i := range got {
			var a, b any
			if json.Unmarshal(got[i], &a) == nil && json.Unmarshal([]byte(want[i]), &b) == nil {
				x, _ := json.Marshal(a)
				y, _ := json.Marshal(b)
				if !bytes.Equal(x, y) {
					t.Fatalf("%q of %s: %s, twin %q", path, doc, show(v), want)
				}
			}
		}
	})
}
