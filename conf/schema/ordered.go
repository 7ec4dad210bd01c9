package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// object is a JSON object that remembers the order of its keys: the order of
// properties in a schema decides which error is the first.
type object struct {
	keys []string
	vals map[string]any
	// wrapped marks what prepare put around a schema.
	wrapped bool
}

func newObject() *object {
	return &object{vals: map[string]any{}}
}

func (o *object) set(key string, val any) {
	if _, ok := o.vals[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.vals[key] = val
}

func (o *object) has(key string) bool {
	_, ok := o.vals[key]
	return ok
}

// parseOrdered decodes JSON with objects as *object and numbers as
// json.Number.
func parseOrdered(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := readOrdered(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return v, nil
}

func readOrdered(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := newObject()
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			key := k.(string)
			if o.has(key) {
				return nil, fmt.Errorf("key %q twice", key)
			}
			val, err := readOrdered(d)
			if err != nil {
				return nil, err
			}
			o.set(key, val)
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			val, err := readOrdered(d)
			if err != nil {
				return nil, err
			}
			list = append(list, val)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

// plain turns an ordered document into ordinary maps.
func plain(v any) any {
	switch x := v.(type) {
	case *object:
		m := make(map[string]any, len(x.keys))
		for k, val := range x.vals {
			m[k] = plain(val)
		}
		return m
	case []any:
		list := make([]any, len(x))
		for i, val := range x {
			list[i] = plain(val)
		}
		return list
	}
	return v
}

// appendOrdered appends the JSON of an ordered document.
func appendOrdered(dst []byte, v any) []byte {
	switch x := v.(type) {
	case *object:
		dst = append(dst, '{')
		for i, k := range x.keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendScalar(dst, k), ':')
			dst = appendOrdered(dst, x.vals[k])
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, val := range x {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendOrdered(dst, val)
		}
		return append(dst, ']')
	}
	return appendScalar(dst, v)
}

func appendScalar(dst []byte, v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("BUG: cannot encode a decoded value: " + err.Error())
	}
	return append(dst, bytes.TrimRight(b.Bytes(), "\n")...)
}
