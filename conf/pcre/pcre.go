// Package pcre runs the regular expressions of configurations, which are
// written for PCRE: with the standard library where it knows the syntax, so
// that most patterns take linear time, else with a backtracking engine whose
// time is bounded.
//
// One difference between the two is kept apart. In PCRE "$" also means the
// place before a last line break, in the standard library only the very end.
// Find and Replace do as PCRE does. Match and MatchString, which let requests
// and configurations pass, take the stricter meaning where they can.
//
// The backtracking engine numbers named groups behind all others.
package pcre

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/dlclark/regexp2"
)

// Regexp is a compiled pattern. It never changes and may be used from any
// number of goroutines.
type Regexp struct {
	src  string
	body string // src with what the flags add
	opts regexp2.RegexOptions
	fast *regexp.Regexp  // nil: it does not know the syntax
	slow *regexp2.Regexp // nil: fast does it

	once  sync.Once
	exact *regexp2.Regexp // made when a text needs it, see engine
}

// timeout bounds what one pattern may cost a request.
const timeout = 100 * time.Millisecond

// ErrTimeout is returned for a text that takes the backtracking engine too long.
var ErrTimeout = errors.New("the pattern takes too long")

// Compile compiles a pattern. flags are those of OpenResty's ngx.re: i, m, s,
// x and a (anchored) change what it matches; D, J, j, o, u and U are accepted,
// they are about how PCRE works; d is refused.
func Compile(src, flags string) (*Regexp, error) {
	r := &Regexp{src: src, body: src}
	inline := ""
	for _, f := range flags {
		switch f {
		case 'i':
			inline, r.opts = inline+"i", r.opts|regexp2.IgnoreCase
		case 'm':
			inline, r.opts = inline+"m", r.opts|regexp2.Multiline
		case 's':
			inline, r.opts = inline+"s", r.opts|regexp2.Singleline
		case 'x':
			r.opts |= regexp2.IgnorePatternWhitespace
		case 'a':
			r.body = `\A(?:` + src + ")"
			if strings.ContainsRune(flags, 'x') { // a comment may have to end
				r.body = `\A(?:` + src + "\n)"
			}
		case 'D', 'J', 'j', 'o', 'u', 'U':
		case 'd':
			return nil, fmt.Errorf(`flag "d" is not supported (flags %q)`, flags)
		default:
			return nil, fmt.Errorf(`unknown flag "%c" (flags %q)`, f, flags)
		}
	}
	if r.opts&regexp2.IgnorePatternWhitespace == 0 {
		body := r.body
		if inline != "" {
			body = "(?" + inline + ")" + body
		}
		if re, err := regexp.Compile(body); err == nil {
			r.fast = re
			return r, nil
		}
	}
	var err error
	r.slow, err = r.compileSlow()
	return r, err
}

func (r *Regexp) compileSlow() (*regexp2.Regexp, error) {
	re, err := regexp2.Compile(r.body, r.opts)
	if err != nil {
		return nil, err
	}
	re.MatchTimeout = timeout
	return re, nil
}

// String is the pattern as it was given to Compile.
func (r *Regexp) String() string { return r.src }

// Match tells whether the pattern is found in b; not if that takes too long.
func (r *Regexp) Match(b []byte) bool {
	if r.fast != nil {
		return r.fast.Match(b)
	}
	return r.MatchString(string(b))
}

// MatchString is Match for a string.
func (r *Regexp) MatchString(s string) bool {
	if r.fast != nil {
		return r.fast.MatchString(s)
	}
	ok, err := r.slow.MatchString(s)
	return err == nil && ok
}

// engine is the backtracking engine if text needs it, else nil: "$" before the
// last line break of a text. Where groups have names the two engines number
// them differently; such a pattern stays with one.
func (r *Regexp) engine(text []byte) *regexp2.Regexp {
	if r.fast == nil {
		return r.slow
	}
	if n := len(text); n == 0 || text[n-1] != '\n' || !strings.Contains(r.src, "$") ||
		strings.Contains(r.src, "(?<") || strings.Contains(r.src, "(?P<") {
		return nil
	}
	r.once.Do(func() { r.exact, _ = r.compileSlow() })
	return r.exact
}
