package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/bytedance/sonic"
)

// api keeps numbers as they are spelled and sorts keys, so that equal
// configurations have equal bytes. Strings must not alias the input, which
// the caller may reuse.
var api = sonic.Config{
	UseNumber:      true,
	CopyString:     true,
	ValidateString: true,
	SortMapKeys:    true,
}.Froze()

func decode(raw []byte) (any, error) {
	var v any
	if err := api.Unmarshal(raw, &v); err != nil {
		// The library's text quotes the input around the fault: secrets.
		return nil, errNotJSON
	}
	return v, nil
}

func encode(v any) ([]byte, error) {
	raw, err := api.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the configuration: %w", err)
	}
	return raw, nil
}

var errNotJSON = errors.New("not valid JSON")

// checkNumbers refuses numbers that no configuration needs and that would
// take the exact arithmetic of the library seconds: 1e999999.
func checkNumbers(v any) error {
	switch x := v.(type) {
	case map[string]any:
		for _, val := range x {
			if err := checkNumbers(val); err != nil {
				return err
			}
		}
	case []any:
		for _, val := range x {
			if err := checkNumbers(val); err != nil {
				return err
			}
		}
	case json.Number:
		s := string(x)
		exp := ""
		if i := strings.IndexAny(s, "eE"); i >= 0 {
			exp = strings.TrimLeft(s[i+1:], "+-0")
		}
		if len(s) > 400 || len(exp) > 3 || len(exp) == 3 && exp > "308" {
			return fmt.Errorf("number out of range: %.20s", s)
		}
	}
	return nil
}
