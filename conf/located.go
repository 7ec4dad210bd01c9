package conf

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Located is an item with the line of its file on which it begins, 0 where
// that is not known.
type Located struct {
	Item
	Line int
}

// ReadLocated is ReadDocument for those who want to say where an item stands.
func ReadLocated(path string, env Env) (items []Located, problems []Problem, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %q: %w", path, errors.Unwrap(err))
	}
	format := YAML
	if strings.HasSuffix(path, ".json") {
		format = JSON
	}
	d, err := parseDocument(path, format, text, env)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range d.entries {
		items = append(items, Located{e.Item, e.line})
	}
	return items, d.problems, nil
}
