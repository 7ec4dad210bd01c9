package conf

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// block reads one object of the merged document. Every method takes a key,
// remembers it as known, and leaves a problem where the value does not fit. A
// key that null removed reads as its default.
type block struct {
	s     *settings
	path  string
	vals  object
	base  object // the defaults of this block
	user  object // what the user wrote in it
	known []string
}

func (s *settings) root() *block {
	return &block{s: s, vals: s.merged, base: s.base, user: s.user}
}

func (b *block) at(key string) string { return joinPath(b.path, key) }

func (b *block) fail(key, format string, args ...any) {
	b.s.problem(b.at(key), fmt.Sprintf(format, args...))
}

// value returns the value, nil if there is none and no default.
func (b *block) value(key string) any {
	b.known = append(b.known, key)
	if v := b.vals[key]; v != nil {
		return v
	}
	return b.base[key]
}

// removable is value for keys whose absence means something.
func (b *block) removable(key string) any {
	b.known = append(b.known, key)
	return b.vals[key]
}

func (b *block) isWritten(key string) bool {
	v, ok := b.user[key]
	return ok && v != nil
}

func (b *block) block(key string) *block {
	v := b.value(key)
	sub := &block{s: b.s, path: b.at(key)}
	sub.base, _ = b.base[key].(object)
	sub.user, _ = b.user[key].(object)
	var ok bool
	if sub.vals, ok = v.(object); !ok && v != nil {
		b.wrong(key, "object", v)
	}
	return sub
}

func (b *block) wrong(key, want string, got any) {
	b.fail(key, "expected %s, got %s", want, wordOf(got))
}

// wordOf never shows a value: it may be a secret.
func wordOf(v any) string {
	switch v := v.(type) {
	case object:
		return "object"
	case []any:
		return "array"
	case Typed:
		return wordOf(v.Val)
	}
	return typeName(v)
}

func (b *block) str(key string) string {
	v := b.value(key)
	s, ok := text(v)
	if !ok && v != nil {
		b.wrong(key, "string", v)
	}
	return s
}

// text returns a string, or a substituted value as it was spelled.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case Typed:
		return v.Text, true
	}
	return "", false
}

// word is a string out of a list.
func (b *block) word(key string, allowed ...string) string {
	s := b.str(key)
	if !slices.Contains(allowed, s) {
		b.fail(key, "%q is not one of %s", s, strings.Join(allowed, ", "))
	}
	return s
}

func (b *block) bool(key string) bool {
	v := b.value(key)
	if t, ok := v.(Typed); ok {
		v = t.Val
	}
	x, ok := v.(bool)
	if !ok && v != nil {
		if x, ok = yaml11Bool(v); !ok {
			b.wrong(key, "boolean", v)
		}
	}
	return x
}

// onOff is nginx's switch: on, off, or a boolean.
func (b *block) onOff(key string) bool {
	v := b.value(key)
	if t, ok := v.(Typed); ok {
		v = t.Val
	}
	if x, ok := v.(bool); ok {
		return x
	}
	if x, ok := yaml11Bool(v); ok {
		return x
	}
	b.fail(key, "expected on or off")
	return false
}

func (b *block) int(key string, low, high int) int {
	v := b.value(key)
	n, ok := wholeNumber(v)
	switch {
	case v == nil:
	case !ok:
		b.wrong(key, "integer", v)
	case n < low || n > high:
		b.fail(key, "expected %d to be from %d to %d", n, low, high)
	}
	return n
}

func wholeNumber(v any) (int, bool) {
	switch v := v.(type) {
	case int:
		return v, true
	case Typed:
		return wholeNumber(v.Val)
	case float64:
		return int(v), float64(int(v)) == v
	}
	return 0, false
}

// time reads nginx's syntax: a number is seconds, else "60s", "1m30s", "500ms".
func (b *block) time(key string) time.Duration {
	v := b.value(key)
	d, ok := duration(v)
	if !ok && v != nil {
		b.fail(key, `expected a time as "60s", "1m30s" or seconds`)
	}
	return d
}

var (
	timeUnit = map[string]time.Duration{
		"": time.Second, "ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
		"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "M": 30 * 24 * time.Hour, "y": 365 * 24 * time.Hour,
	}
	timePart = regexp.MustCompile(`^(\d{1,12})(ms|[smhdwMy]?)\s*`)
)

const longestTime = 10 * 365 * 24 * time.Hour

func duration(v any) (time.Duration, bool) {
	switch x := v.(type) {
	case Typed:
		return duration(x.Text)
	case int:
		return time.Duration(x) * time.Second, x >= 0 && x <= int(longestTime/time.Second)
	case float64:
		return time.Duration(x * float64(time.Second)), x >= 0 && x <= longestTime.Seconds()
	case string:
		var d time.Duration
		x = strings.TrimSpace(x)
		ok := x != ""
		for ok && x != "" {
			m := timePart.FindStringSubmatch(x)
			if ok = m != nil; !ok {
				break
			}
			n, _ := strconv.Atoi(m[1])
			unit := timeUnit[m[2]]
			if ok = n <= int(longestTime/unit); ok {
				d += time.Duration(n) * unit
				ok = d <= longestTime
			}
			x = x[len(m[0]):]
		}
		return d, ok
	}
	return 0, false
}

// size reads a number of bytes, or nginx's "8k", "10m", "1g".
func (b *block) size(key string) int64 {
	v := b.value(key)
	n, ok := bytesOf(v)
	if !ok && v != nil {
		b.fail(key, `expected a size as 8192, "8k", "10m" or "1g"`)
	}
	return n
}

func bytesOf(v any) (int64, bool) {
	switch x := v.(type) {
	case Typed:
		return bytesOf(x.Text)
	case int:
		return int64(x), x >= 0
	case string:
		unit := int64(1)
		x = strings.ToLower(strings.TrimSpace(x))
		for suffix, u := range map[string]int64{"k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
			if t, ok := strings.CutSuffix(x, suffix); ok {
				x, unit = t, u
				break
			}
		}
		n, err := strconv.ParseInt(x, 10, 64)
		if err != nil || n < 0 || n > 1<<50/unit {
			return 0, false
		}
		return n * unit, true
	}
	return 0, false
}

// list reads a list of strings; nil if the key is not there.
func (b *block) list(key string) []string { return b.listOf(key, b.value(key)) }

func (b *block) listOf(key string, v any) []string {
	if v == nil {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		b.wrong(key, "array", v)
		return nil
	}
	out := make([]string, 0, len(items))
	for i, x := range items {
		s, ok := text(x)
		if !ok {
			b.wrong(key+"["+strconv.Itoa(i)+"]", "string", x)
			continue
		}
		out = append(out, s)
	}
	return out
}

// buckets reads the limits of a histogram.
func (b *block) buckets(key string) []float64 {
	items, ok := b.value(key).([]any)
	if !ok || len(items) == 0 {
		b.fail(key, "expected a list of numbers")
		return nil
	}
	var out []float64
	for _, x := range items {
		if t, ok := x.(Typed); ok {
			x = t.Val
		}
		f, ok := x.(float64)
		if n, isInt := x.(int); isInt {
			f, ok = float64(n), true
		}
		if !ok || len(out) > 0 && f <= out[len(out)-1] {
			b.fail(key, "expected numbers that grow")
			return nil
		}
		out = append(out, f)
	}
	return out
}

// done warns about what was written and nobody asked for.
func (b *block) done() {
	known := append(slices.Clone(b.known), noEffect[b.path]...)
	for key := range b.user {
		path := b.at(key)
		switch {
		case slices.Contains(b.known, key):
		case slices.Contains(noEffect[b.path], key):
			b.s.warn(path, "no effect in Headrace")
		case movedTo[path] != "":
			b.s.warn(path, "unknown key, it is "+movedTo[path]+" now")
		default:
			reason := "unknown key"
			if n := nearest(key, known); n != "" {
				reason += fmt.Sprintf(", did you mean %q?", b.at(n))
			}
			b.s.warn(path, reason)
		}
	}
}
