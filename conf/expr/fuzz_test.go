package expr

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"headrace/conf/pcre"
)

// FuzzExpr compares with a slow twin that walks the decoded text the way the
// Lua code does.
func FuzzExpr(f *testing.F) {
	for _, s := range []string{
		`[["arg_a","==","x"],["arg_n",">",3]]`, `["!or",["arg_up","ABC"],["arg_n","!","in",["1",10]]]`,
		`[["post_arg.tags","has","a"],["remote_addr","ipmatch",["10.0.0.0/8"]]]`, `[["post_arg.model","~*","^GPT"]]`,
		`[["post_arg.n","<=",7.5],["post_arg.stream","==",true]]`, `[["post_arg.m[*].x","has",null]]`, `[[["arg_none","==",null]]]`,
	} {
		f.Add([]byte(s), []byte(`["a",{"b":[1]},"c"]`))
	}
	f.Fuzz(func(t *testing.T, text, array []byte) {
		e, err := Compile(text)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("no text")
			}
			return
		}
		e.Eval(rawVars(array)) // must not panic, whatever the body holds
		var doc any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&doc); err != nil {
			t.Fatalf("%q was taken: %v", text, err)
		}
		list, _ := doc.([]any)
		if got, want := e.Eval(testVars), len(list) == 0 || twinList(list); got != want {
			t.Fatalf("%s: got %v, twin %v", text, got, want)
		}
	})
}

type rawVars []byte

func (rv rawVars) Var(dst []byte, name string) Value { return Value{Kind: Array, Bytes: rv} }

func twinList(list []any) bool {
	word := "AND"
	if s, ok := list[0].(string); ok {
		word = strings.ToUpper(s)
		if word != "AND" && word != "OR" && word != "!AND" && word != "!OR" {
			return twinLeaf(list)
		}
		list = list[1:]
	}
	all, some := true, false
	for _, item := range list {
		ok := twinList(item.([]any))
		all, some = all && ok, some || ok
	}
	switch word {
	case "AND":
		return all
	case "OR":
		return some
	case "!AND":
		return !all
	}
	return !some
}

func twinLeaf(list []any) bool {
	var left any = "absent"
	raw, present := testVars[list[0].(string)]
	if present {
		if err := json.Unmarshal([]byte(raw), &left); err != nil {
			panic(err)
		}
	}
	var right any
	op, reverse := list[1], false
	switch {
	case len(list) == 4:
		op, right, reverse = list[2], list[3], true
	case len(list) > 2:
		right = list[2]
	}
	word := lower(twinText(op))
	if _, known := ops[word]; !known {
		word, right = "==", word
	}
	return twinCompare(left, present, word, right) != reverse
}

func twinCompare(left any, present bool, word string, right any) bool {
	ln, lok := twinNumber(left, present)
	rn, rok := twinNumber(right, true)
	_, rnum := right.(json.Number)
	switch word {
	case "==", "~=":
		eq := false
		switch {
		case rnum:
			eq = lok && ln == rn
		case right == nil:
			eq = !present
		default:
			eq = present && twinSame(left, right)
		}
		return eq == (word == "==")
	case ">":
		return lok && rok && ln > rn
	case ">=":
		return lok && rok && ln >= rn
	case "<":
		return lok && rok && ln < rn
	case "<=":
		return lok && rok && ln <= rn
	case "~~", "~*":
		switch left.(type) {
		case string, float64, bool:
		default:
			return false
		}
		if !present || left == false {
			return false
		}
		flags := ""
		if word == "~*" {
			flags = "(?i)"
		}
		re, err := regexp.Compile(flags + twinText(right))
		if err != nil {
			p, _ := pcre.Compile(twinText(right), strings.Trim(flags, "(?)"))
			return p.MatchString(twinText(left))
		}
		return re.MatchString(twinText(left))
	case "in":
		list, _ := right.([]any)
		for _, item := range list {
			if present && (twinSame(left, item) || left == nil && item == nil) {
				return true
			}
		}
	case "has":
		list, _ := left.([]any)
		for _, item := range list {
			if right != nil && twinSame(item, right) {
				return true
			}
		}
	case "ipmatch":
		list, ok := right.([]any)
		if !ok {
			list = []any{right}
		}
		s, _ := left.(string)
		ip, err := netip.ParseAddr(s)
		for _, item := range list {
			p, perr := ParseNet(item.(string))
			if present && err == nil && perr == nil && p.Contains(ip.Unmap()) {
				return true
			}
		}
	}
	return false
}

func twinSame(left, right any) bool {
	switch r := right.(type) {
	case json.Number:
		f, err := r.Float64()
		return err == nil && left == f
	case string, bool:
		return left == r
	}
	return false
}

func twinNumber(v any, present bool) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, present
	case json.Number:
		f, err := x.Float64()
		return f, err == nil
	case string:
		f, ok := parseNumber([]byte(x))
		return f, ok && present
	}
	return 0, false
}

func twinText(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case json.Number:
		f, _ := x.Float64()
		return strconv.FormatFloat(f, 'g', 14, 64)
	case float64:
		return strconv.FormatFloat(x, 'g', 14, 64)
	case bool:
		return strconv.FormatBool(x)
	}
	return ""
}
