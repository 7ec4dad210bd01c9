package conf

import (
	"errors"
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
	e, reason := element(kind, index, raw)
	e.line = line
	key := itemKey(kind, e.ID)
	if reason == "" && d.seen[key] {
		reason = "an item before has the same id"
	}
	if reason != "" {
		if e.ID == "" {
			reason = fmt.Sprintf("item %d: %s", index, reason)
		}
		d.problems = append(d.problems, Problem{File: d.path, Line: line, Kind: kind, ID: e.ID, Reason: reason})
		return
	}
	d.seen[key] = true
	d.entries = append(d.entries, e)
}

// element reads one element of a list; index is from 1. reason says why it
// cannot be used; the id may be known all the same. raw is kept.
func element(kind Kind, index int, raw []byte) (e entry, reason string) {
	e.Kind = kind
	if raw[0] != '{' {
		return e, "expected an object, got " + jsonType(raw)
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
	} else if e.ID, reason = itemID(kind, id); reason != "" {
		return e, field + ": " + reason
	}
	if modified != nil {
		n, err := strconv.ParseInt(string(modified), 10, 64)
		if err != nil || n < 1 {
			return e, "modifiedIndex: expected an integer from 1"
		}
		e.modified, e.Rev = n, n
		raw = without(raw, "modifiedIndex")
	}
	// In a list a credential's id also names its consumer, in a store the key does.
	if _, credential := CredentialID(e.ID); kind == Consumers && credential != "" {
		raw = WithID(without(raw, "id"), credential)
	}
	e.Raw = raw
	return e, ""
}

// Element makes an item of one element of a resource list in the form that
// files have (gateway.md 2.1); index is from 1 and names an item without an
// id. raw is valid JSON and is kept. Rev is the modifiedIndex that the element
// carries, which is no part of the item's Raw, or 0.
func Element(kind Kind, index int, raw []byte) (Item, error) {
	e, reason := element(kind, index, raw)
	if reason != "" {
		return e.Item, errors.New(reason)
	}
	return e.Item, nil
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
