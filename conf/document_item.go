package conf

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// plugins takes the list of enabled plugins as the one item that it is.
func (d *document) plugins(raw []byte, line int) {
	bad := ""
	n := 0
	elements(raw, 0, func(from, to int) {
		n++
		name := ""
		if raw[from] == '{' {
			members(raw, from, func(key string, start, end int) {
				if key == "name" && raw[start] == '"' {
					name = unquote(raw[start:end])
				}
			})
		}
		if name == "" && bad == "" {
			bad = fmt.Sprintf("item %d: expected an object with a name", n)
		}
	})
	if bad != "" {
		d.problems = append(d.problems, Problem{File: d.path, Line: line, Kind: Plugins, Reason: bad})
		return
	}
	d.entries = append(d.entries, entry{Item: Item{Kind: Plugins, ID: Plugins.String(), Raw: raw}, line: line})
}

// item adds one element of a list, or a problem; index is from 1. raw is kept.
func (d *document) item(kind Kind, index, line int, raw []byte) {
	e := entry{Item: Item{Kind: kind}, line: line}
	refuse := func(reason string) {
		if e.ID == "" {
			reason = fmt.Sprintf("item %d: %s", index, reason)
		}
		d.problems = append(d.problems, Problem{File: d.path, Line: line, Kind: kind, ID: e.ID, Reason: reason})
	}
	if raw[0] != '{' {
		refuse("expected an object, got " + jsonType(raw))
		return
	}
	var id, user, modified []byte
	members(raw, 0, func(key string, start, end int) {
		switch key {
		case "id":
			id = raw[start:end]
		case "username":
			user = raw[start:end]
		case "modifiedIndex":
			modified = raw[start:end]
		}
	})
	field := "id"
	if isAbsent(id) {
		id, field = user, "username"
	}
	if isAbsent(id) {
		e.ID = "arr_" + strconv.Itoa(index)
	} else if s, reason := itemID(kind, id); reason != "" {
		refuse(field + ": " + reason)
		return
	} else {
		e.ID = s
	}
	if modified != nil {
		n, err := strconv.ParseInt(string(modified), 10, 64)
		if err != nil || n < 1 {
			refuse("modifiedIndex: expected an integer from 1")
			return
		}
		e.modified, e.Rev = n, n
		raw = without(raw, "modifiedIndex")
	}
	if key := itemKey(kind, e.ID); d.seen[key] {
		refuse("an item before has the same id")
		return
	} else {
		d.seen[key] = true
	}
	e.Raw = raw
	d.entries = append(d.entries, e)
}

func isAbsent(raw []byte) bool { return len(raw) == 0 || raw[0] == 'n' }

func itemKey(kind Kind, id string) string { return kind.String() + "/" + id }

var idPattern = regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`)

// itemID returns the id as a string, or why it is none (gateway.md 1.1, 2.1).
func itemID(kind Kind, raw []byte) (id, reason string) {
	if raw[0] != '"' {
		if n, err := strconv.ParseInt(string(raw), 10, 64); err != nil || n < 1 {
			return "", "expected a string or an integer from 1"
		}
		return string(raw), ""
	}
	id = unquote(raw)
	parts := []string{id}
	switch {
	case kind == Secrets:
		if parts = strings.Split(id, "/"); len(parts) != 2 {
			return "", fmt.Sprintf("%q is not <manager>/<id>", id)
		}
	case kind == Consumers && strings.Contains(id, "/"):
		if parts = strings.Split(id, "/"); len(parts) != 3 || parts[1] != "credentials" {
			return "", fmt.Sprintf("%q is not <username>/credentials/<id>", id)
		}
	}
	longest := 64
	if kind == Consumers {
		longest = 100
	}
	for _, p := range parts {
		if len(p) > longest || !idPattern.MatchString(p) {
			return "", fmt.Sprintf("%q must be 1 to %d of the characters a-z A-Z 0-9 - _ .", id, longest)
		}
	}
	return id, ""
}

// without returns the object without one member.
func without(raw []byte, name string) []byte {
	out := []byte{'{'}
	members(raw, 0, func(key string, start, end int) {
		if key == name {
			return
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(appendString(out, key), ':'), raw[start:end]...)
	})
	return append(out, '}')
}
