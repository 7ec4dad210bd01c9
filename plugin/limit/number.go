package limit

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"headrace/plugin"
)

// MaxNumber is the largest number of a configuration: what a double holds
// exactly, as in APISIX.
const MaxNumber = 1<<53 - 1

// Number is a whole number of a configuration, which may be a text with
// variables instead (gateway.md 8.1). It is immutable; the zero value is 0.
type Number struct {
	n    int64
	text *plugin.Combination // nil: n
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		*n = Number{text: plugin.CompileCombination(text)}
		return nil
	}
	v, err := wholeNumber(raw)
	*n = Number{n: v}
	return err
}

// What the value of a request can be that is no number, in APISIX's words.
var (
	errNoNumber    = errors.New("resolved value is not a number")
	errNotPositive = errors.New("resolved value must be a positive number")
	errNegative    = errors.New("resolved value must be a non-negative number")
	errFraction    = errors.New("resolved value must be an integer")
	errTooLarge    = errors.New("resolved value exceeds safe integer range (2^53-1)")
)

// Fixed returns the number if it is the same for all requests.
func (n *Number) Fixed() (v int64, ok bool) { return n.n, n.text == nil }

// Of returns the number for a request; scratch is given back for the next use.
// Variables are the client's to set, so there is an error for everything but a
// whole number above 0, or from 0 on where that is allowed.
func (n *Number) Of(c *plugin.Ctx, scratch []byte, zero bool) (v int64, _ []byte, err error) {
	if n.text == nil {
		return n.n, scratch, nil
	}
	scratch, _ = n.text.Append(scratch[:0], c)
	v, err = wholeNumber(scratch)
	switch {
	case err != nil:
	case v < 0 && zero:
		err = errNegative
	case v < 0 || v == 0 && !zero:
		err = errNotPositive
	}
	return v, scratch, err
}

// wholeNumber reads 10, 10.0 and 1e1.
func wholeNumber(text []byte) (int64, error) {
	text = bytes.TrimSpace(text)
	if len(text) > 32 {
		return 0, errNoNumber
	}
	if v, err := strconv.ParseInt(string(text), 10, 64); err == nil && v <= MaxNumber {
		return v, nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	switch {
	case err != nil || f != f || strings.ContainsAny(string(text), "_xXpP"):
		return 0, errNoNumber
	case f > MaxNumber:
		return 0, errTooLarge
	case f < -MaxNumber:
		return -1, nil
	case f != float64(int64(f)):
		if f < 0 {
			return -1, nil // what is said first
		}
		return 0, errFraction
	}
	return int64(f), nil
}
