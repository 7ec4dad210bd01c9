package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"headrace/conf"
	"headrace/engine"
)

// unsetItems are the variables of a resource file that are not set. The file is
// read with a mark in the place of each; an item with marks is as good as it
// is with the values that fit it best.
type unsetItems []string

// A mark is a valid id and part of a URL, and nothing that anybody writes.
const markPrefix = "headrace-unset-"

func (u unsetItems) mark(i int) string { return markPrefix + strconv.Itoa(i) + "-here" }

func (u unsetItems) env(name string) (string, bool) {
	if v, ok := os.LookupEnv(name); ok {
		return v, true
	}
	if i := slices.Index(u, name); i >= 0 {
		return u.mark(i), true
	}
	return "", false
}

// named puts the variables back where a problem quotes a mark.
func (u unsetItems) named(p conf.Problem) conf.Problem {
	for i, name := range u {
		for _, text := range []*string{&p.ID, &p.Field, &p.Reason} {
			*text = strings.ReplaceAll(*text, u.mark(i), "${{"+name+"}}")
		}
	}
	return p
}

// guess is a value of a variable: as the whole of a JSON value and as a part
// of a text. %s is its mark.
type guess struct{ whole, part string }

var guesses = []guess{
	{`"$env://%s"`, "%s"}, // a reference is a text that may be anything
	{"1", "1"}, {`"127.0.0.1"`, "127.0.0.1"}, {"true", "true"}, {`"http://127.0.0.1"`, "http://127.0.0.1"}, {`"%s"`, "%s"},
}

// check is Registry.CheckItem without what it says of the marks themselves. A
// schema reports its first fault only, so a value is better if there are fewer
// faults, or if the fault is no longer about the property that has it.
func (u unsetItems) check(r *engine.Registry, it conf.Item) []engine.Finding {
	if len(u) == 0 {
		return r.CheckItem(it)
	}
	raw := it.Raw
	var marks []string
	for i := range u {
		if m := u.mark(i); bytes.Contains(raw, []byte(m)) {
			marks = append(marks, m)
		}
	}
	choice := make([]guess, len(marks))
	for i := range choice {
		choice[i] = guesses[0]
	}
	try := func() (found []engine.Finding, faults int, text string) {
		it.Raw = raw
		for i, m := range marks {
			it.Raw = fill(it.Raw, m, choice[i])
		}
		found = slices.DeleteFunc(r.CheckItem(it), func(f engine.Finding) bool { return strings.Contains(f.Text, markPrefix) })
		for _, f := range found {
			if f.Level > engine.Warned {
				faults++
				text += f.Text
			}
		}
		return found, faults, text
	}
	best, fewest, text := try()
	// A value that fits may bring up the next fault: as many rounds as there are values.
	for range marks {
		for i, m := range marks {
			property := propertyOf(raw, m)
			for _, g := range guesses {
				if fewest == 0 {
					return best
				}
				before := choice[i]
				choice[i] = g
				found, faults, now := try()
				if faults < fewest || faults == fewest && strings.Contains(text, property) && !strings.Contains(now, property) {
					best, fewest, text = found, faults, now
				} else {
					choice[i] = before
				}
			}
		}
	}
	return best
}

var memberKey = regexp.MustCompile(`"(?:[^"\\]|\\.)*"\s*:`)

// propertyOf is how faults name the member that holds a mark.
func propertyOf(raw []byte, mark string) string {
	keys := memberKey.FindAll(raw[:bytes.Index(raw, []byte(mark))], -1)
	if len(keys) == 0 {
		return "property"
	}
	return "property " + strings.TrimRight(string(keys[len(keys)-1]), ": \t\r\n")
}

// fill puts a value in the place of a mark. A key is always a text.
func fill(raw []byte, mark string, g guess) []byte {
	whole, part := strings.ReplaceAll(g.whole, "%s", mark), strings.ReplaceAll(g.part, "%s", mark)
	quoted := []byte(`"` + mark + `"`)
	var out []byte
	for {
		before, after, found := bytes.Cut(raw, quoted)
		out = append(out, bytes.ReplaceAll(before, []byte(mark), []byte(part))...)
		if !found {
			return out
		}
		if rest := bytes.TrimLeft(after, " \t\r\n"); len(rest) > 0 && rest[0] == ':' {
			out = append(out, `"`+part+`"`...)
		} else {
			out = append(out, whole...)
		}
		raw = after
	}
}
