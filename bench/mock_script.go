package bench

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// script is what one answer does. The zero value is not usable: newScript.
type script struct {
	status           int
	body             *string
	errType          string
	retryAfter       string
	delay            time.Duration
	first, gap       time.Duration
	tokens, bytes    int
	tokensSet        bool
	cut              int // these three: after that event; -1: never
	reset, stall     int
	hang, closeHead  bool
	split            int
	splitRandom      bool
	garbage          string
	garbageAt        int
	noDone, noUsage  bool
	linger           time.Duration
	framing          string
	eol              string
	comments         int
	bom, earlyHints  bool
	bigEvent         int
	bigHead          int
	contentType      string
	headers          []string
	errorEvent       int
	model, tool      string
	batch, chunkSize int
	stamp            bool
	dims             int

	// special is false while nothing touches single events, which lets a
	// stream take the short way.
	special bool
}

func newScript() script {
	return script{tokens: 16, cut: -1, reset: -1, stall: -1, batch: 1, dims: 256}
}

// Key is one knob of the mock. A request turns it with the header
// "x-mock-" + Name or the query parameter "mock-" + Name, a process with the
// flag "--" + Name. Header wins over query, query over flag.
type Key struct {
	Name, Arg, Help string

	set func(s *script, v string) error
}

// Keys are all knobs, in the order of the help.
var Keys = []Key{
	{"delay", "TIME", "wait before the head of the answer", duration(func(s *script) *time.Duration { return &s.delay })},
	{"first", "TIME", "wait before the first event", duration(func(s *script) *time.Duration { return &s.first })},
	{"gap", "TIME", "wait between content events", duration(func(s *script) *time.Duration { return &s.gap })},
	{"tokens", "N", "content events of an answer (default 16)", func(s *script, v string) error {
		s.tokensSet = true
		return number(func(s *script) *int { return &s.tokens })(s, v)
	}},
	{"bytes", "N", "bytes of text in each content event (default: a word)", number(func(s *script) *int { return &s.bytes })},
	{"model", "NAME", "model named in the answer", text(func(s *script) *string { return &s.model })},
	{"tool", "NAME", "answer with a call of this tool, if the request has tools", text(func(s *script) *string { return &s.tool })},
	{"dims", "N", "numbers in an embedding that does not ask for \"dimensions\" (default 256)", number(func(s *script) *int { return &s.dims })},
	{"batch", "N", "events in one write (default 1)", number(func(s *script) *int { return &s.batch })},
	{"stamp", "1", "begin every event with the comment \": sent=<unix nanoseconds>\"", boolean(func(s *script) *bool { return &s.stamp })},

	{"status", "N", "status; from 300 on with an error in the protocol's shape", func(s *script, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 200 || n > 999 {
			return fmt.Errorf("want a status from 200 to 999")
		}
		s.status = n
		return nil
	}},
	{"error-type", "TYPE", "type of that error", text(func(s *script) *string { return &s.errType })},
	{"body", "TEXT", "answer with this body", func(s *script, v string) error { s.body = &v; return nil }},
	{"content-type", "TYPE", "content type of the answer", text(func(s *script) *string { return &s.contentType })},
	{"retry-after", "TEXT", "send Retry-After", text(func(s *script) *string { return &s.retryAfter })},
	{"header", "LINE", "send one more header, \"Name: value\"", func(s *script, v string) error {
		// A flag may carry several, one on each line.
		for line := range strings.SplitSeq(v, "\n") {
			if name, _, ok := strings.Cut(line, ":"); !ok || strings.TrimSpace(name) == "" {
				return fmt.Errorf("want \"Name: value\"")
			}
			s.headers = append(s.headers[:len(s.headers):len(s.headers)], line)
		}
		return nil
	}},
	{"early-hints", "1", "send an interim 103 before the head", boolean(func(s *script) *bool { return &s.earlyHints })},
	{"big-head", "N", "add N bytes of headers", number(func(s *script) *int { return &s.bigHead })},
	{"framing", "HOW", "end of the body: chunked, length or close", choice(func(s *script) *string { return &s.framing }, "chunked", "length", "close")},
	{"no-usage", "1", "never report token usage", boolean(func(s *script) *bool { return &s.noUsage })},
	{"no-done", "1", "leave out the last event ([DONE], response.completed, message_stop, messageStop with metadata)", boolean(func(s *script) *bool { return &s.noDone })},
	{"error-event", "N", "event N is an error, the stream ends with it", number(func(s *script) *int { return &s.errorEvent })},
	{"big-event", "N", "the first content event has N bytes of text", number(func(s *script) *int { return &s.bigEvent })},
	{"crlf", "1", "end lines of events with CRLF (\"cr\": with a lone CR)", func(s *script, v string) error {
		if v == "cr" {
			s.eol = "\r"
			return nil
		}
		on, err := parseBool(v)
		s.eol = ""
		if on {
			s.eol = "\r\n"
		}
		return err
	}},
	{"comments", "N", "N keep-alive comments before every event", number(func(s *script) *int { return &s.comments })},
	{"bom", "1", "begin the stream with a byte order mark", boolean(func(s *script) *bool { return &s.bom })},

	{"split", "N", "write at most N bytes at a time (\"random\": 1 to 97)", func(s *script, v string) error {
		if s.splitRandom = v == "random"; s.splitRandom {
			return nil
		}
		return number(func(s *script) *int { return &s.split })(s, v)
	}},
	{"chunk-size", "N", "HTTP chunks of at most N bytes (default: one for each event)", number(func(s *script) *int { return &s.chunkSize })},
	{"cut", "N", "close after event N (plain: after N bytes), body unfinished", number(func(s *script) *int { return &s.cut })},
	{"reset", "N", "the same with a TCP reset", number(func(s *script) *int { return &s.reset })},
	{"stall", "N", "fall silent after event N (plain: N bytes) until the client leaves", number(func(s *script) *int { return &s.stall })},
	{"linger", "TIME", "wait after the last event before the body ends", duration(func(s *script) *time.Duration { return &s.linger })},
	{"hang", "1", "never answer", boolean(func(s *script) *bool { return &s.hang })},
	{"close-before-head", "1", "close instead of answering", boolean(func(s *script) *bool { return &s.closeHead })},
	{"garbage", "WHERE", "break head, chunk or event; \"event:3\" breaks the third (default: the second)", func(s *script, v string) error {
		kind, at, found := strings.Cut(v, ":")
		s.garbageAt = 2
		if found {
			n, err := strconv.Atoi(at)
			if err != nil || n < 1 {
				return fmt.Errorf("want a number from 1 on after the colon")
			}
			s.garbageAt = n
		}
		return choice(func(s *script) *string { return &s.garbage }, "head", "chunk", "event")(s, kind)
	}},
}

var keysByName = func() map[string]*Key {
	m := make(map[string]*Key, len(Keys))
	for i := range Keys {
		m[Keys[i].Name] = &Keys[i]
	}
	return m
}()

// set turns one knob.
func (s *script) set(name, value string) error {
	k := keysByName[name]
	if k == nil {
		return fmt.Errorf("unknown mock key %q", name)
	}
	if err := k.set(s, value); err != nil {
		return fmt.Errorf("cannot use mock key %s: %q: %w", name, value, err)
	}
	s.batch = max(s.batch, 1)
	s.special = s.cut >= 0 || s.reset >= 0 || s.stall >= 0 || s.garbage != "" || s.eol != "" ||
		s.comments > 0 || s.bom || s.errorEvent > 0 || s.stamp
	return nil
}

// read turns what a request asks for.
func (s *script) read(r *request) error {
	if strings.Contains(r.query, "mock-") {
		q, err := url.ParseQuery(r.query)
		if err != nil {
			return err
		}
		for name, values := range q {
			if name, ok := strings.CutPrefix(name, "mock-"); ok {
				for _, v := range values {
					if err := s.set(name, v); err != nil {
						return err
					}
				}
			}
		}
	}
	if !r.scripted {
		return nil
	}
	for _, f := range r.fields {
		if len(f.name) > 7 && strings.EqualFold(f.name[:7], "x-mock-") {
			if err := s.set(strings.ToLower(f.name[7:]), f.value); err != nil {
				return err
			}
		}
	}
	return nil
}

func text(at func(*script) *string) func(*script, string) error {
	return func(s *script, v string) error { *at(s) = v; return nil }
}

func number(at func(*script) *int) func(*script, string) error {
	return func(s *script, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > math.MaxInt32 {
			return fmt.Errorf("want a number from 0 on")
		}
		*at(s) = n
		return nil
	}
}

func duration(at func(*script) *time.Duration) func(*script, string) error {
	return func(s *script, v string) error {
		d, err := time.ParseDuration(v)
		if n, errN := strconv.Atoi(v); errN == nil {
			d, err = time.Duration(n)*time.Millisecond, nil
		}
		if err != nil || d < 0 {
			return fmt.Errorf("want a time such as 250ms or 2s")
		}
		*at(s) = d
		return nil
	}
}

func boolean(at func(*script) *bool) func(*script, string) error {
	return func(s *script, v string) (err error) {
		*at(s), err = parseBool(v)
		return err
	}
}

func parseBool(v string) (bool, error) {
	if v == "" {
		return true, nil
	}
	on, err := strconv.ParseBool(v)
	if err != nil {
		return false, fmt.Errorf("want 1 or 0")
	}
	return on, nil
}

func choice(at func(*script) *string, allowed ...string) func(*script, string) error {
	return func(s *script, v string) error {
		for _, a := range allowed {
			if v == a {
				*at(s) = v
				return nil
			}
		}
		return fmt.Errorf("want one of %s", strings.Join(allowed, ", "))
	}
}
