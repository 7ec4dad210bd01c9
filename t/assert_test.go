package t

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Comparisons. A PATH walks objects and arrays: choices.0.message.content; a
// key with a dot in it is written with a backslash before the dot. "." is the
// whole. Operators: == != =~ !~ < > <= >= with a value, exists, absent.

// cmdJSON looks at the body of the latest answer: json PATH OP VALUE;
// json -f FILE PATH OP VALUE at a file, json -line N FILE PATH OP VALUE at a
// line of it, from 1.
func (s *state) cmdJSON(args []string) (string, error) {
	var text []byte
	switch {
	case len(args) > 2 && args[0] == "-f":
		b, err := os.ReadFile(s.abs(args[1]))
		if err != nil {
			return "", err
		}
		text, args = b, args[2:]
	case len(args) > 3 && args[0] == "-line":
		b, err := os.ReadFile(s.abs(args[2]))
		n, nerr := strconv.Atoi(args[1])
		lines := strings.Split(string(b), "\n")
		if err = errors.Join(err, nerr); err != nil {
			return "", err
		}
		if n < 1 || n >= len(lines) {
			return "", fmt.Errorf("%s has %d lines", args[2], len(lines)-1)
		}
		text, args = []byte(lines[n-1]), args[3:]
	case s.resp == nil:
		return "", errors.New("no answer yet")
	default:
		text = s.resp.body
	}
	return "", compare(text, args)
}

// cmdLast looks at the latest request that the mock got, as GET /mock/last
// shows it: last [-at ADDR] [-n BACK] PATH OP VALUE; with -all at every request
// that it has kept. "last body FILE" compares its exact body with a file.
// Without -at it is the mock on $MOCK.
func (s *state) cmdLast(args []string) (string, error) {
	addr, args := at(s.getenv("MOCK"), args)
	if len(args) == 2 && args[0] == "body" {
		got, err := s.get("http://" + addr + "/mock/last/body")
		want, ferr := os.ReadFile(s.abs(args[1]))
		if err = errors.Join(err, ferr); err != nil {
			return "", err
		}
		if string(got) != string(want) {
			return "", fmt.Errorf("body differs (-want +got):\n%s", cmp.Diff(string(want), string(got)))
		}
		return "", nil
	}
	back, n := 0, "1"
	if len(args) > 2 && args[0] == "-n" {
		back, _ = strconv.Atoi(args[1])
		n, args = strconv.Itoa(back+1), args[2:]
	}
	all := len(args) > 1 && args[0] == "-all"
	if all {
		n, args = "1000000", args[1:]
	}
	text, err := s.get("http://" + addr + "/mock/last?n=" + n)
	if err != nil {
		return "", err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return "", err
	}
	if len(list) <= back {
		if len(args) == 2 && args[1] == "absent" {
			return "", nil
		}
		return "", fmt.Errorf("the mock got %d requests", len(list))
	}
	if all {
		for i := range list {
			if err := compare(list[i], args); err != nil {
				return "", err
			}
		}
		return "", nil
	}
	return "", compare(list[back], args)
}

// cmdStats looks at the counters of the mock: stats [-at ADDR] PATH OP VALUE,
// within a second, which is the time that a client's leaving may take to get
// there.
func (s *state) cmdStats(args []string) (string, error) {
	addr, args := at(s.getenv("MOCK"), args)
	d, args, err := within(args, time.Second)
	if err != nil {
		return "", err
	}
	return "", eventually(d, func() error {
		text, err := s.get("http://" + addr + "/mock/stats")
		if err != nil {
			return err
		}
		return compare(text, args)
	})
}

// cmdHeader looks at a header of the latest answer: header NAME OP VALUE.
func (s *state) cmdHeader(args []string) (string, error) {
	if s.resp == nil || len(args) < 2 {
		return "", errors.New("usage: header NAME OP VALUE, after an answer")
	}
	m := map[string]string{}
	if v, ok := s.resp.header(args[0]); ok {
		m["v"] = v
	}
	text, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	err = compare(text, append([]string{"v"}, args[1:]...))
	if err != nil {
		err = fmt.Errorf("header %s: %w\n%s", args[0], err, s.resp)
	}
	return "", err
}

// cmdMetrics looks at a series: metrics 'NAME{label="value"}' OP VALUE, within
// a second. All series with these labels, among others, are summed up; no such
// series is "absent".
func (s *state) cmdMetrics(args []string) (string, error) {
	if len(args) < 2 {
		return "", errors.New("usage: metrics 'NAME{LABELS}' OP VALUE")
	}
	name, labels, err := parseSeries(args[0])
	if err != nil {
		return "", err
	}
	return "", eventually(time.Second, func() error {
		text, err := s.get("http://" + s.getenv("METRICS") + "/apisix/prometheus/metrics")
		if err != nil {
			return err
		}
		m := map[string]float64{}
		for line := range strings.SplitSeq(string(text), "\n") {
			if line == "" || line[0] == '#' {
				continue
			}
			i := strings.LastIndexByte(line, ' ')
			n, got, err := parseSeries(line[:i])
			if err != nil {
				return err
			}
			if n != name || !within2(labels, got) {
				continue
			}
			v, err := strconv.ParseFloat(line[i+1:], 64)
			if err != nil {
				return err
			}
			m["v"] += v
		}
		j, _ := json.Marshal(m)
		if err := compare(j, append([]string{"v"}, args[1:]...)); err != nil {
			return fmt.Errorf("%s: %w in:\n%s", args[0], err, text)
		}
		return nil
	})
}

func within2(want, got [][2]string) bool {
	for _, w := range want {
		found := false
		for _, g := range got {
			found = found || w == g
		}
		if !found {
			return false
		}
	}
	return true
}

var label = regexp.MustCompile(`^ *(\w+)=("(?:[^"\\]|\\.)*"),?`)

// parseSeries takes NAME{a="b",c="d"} apart.
func parseSeries(s string) (name string, labels [][2]string, err error) {
	name, rest, ok := strings.Cut(s, "{")
	if !ok {
		return s, nil, nil
	}
	for rest != "}" {
		m := label.FindStringSubmatch(rest)
		if m == nil {
			return "", nil, fmt.Errorf("cannot read the series %s", s)
		}
		v, err := strconv.Unquote(m[2])
		if err != nil {
			return "", nil, fmt.Errorf("cannot read the series %s: %w", s, err)
		}
		labels = append(labels, [2]string{m[1], v})
		rest = rest[len(m[0]):]
	}
	return name, labels, nil
}

// cmdCmpJSON compares two files as JSON values: cmpjson GOT WANT. GOT may be
// "resp" for the latest answer or "last" for the latest body at the mock.
func (s *state) cmdCmpJSON(args []string) (string, error) {
	if len(args) != 2 {
		return "", errors.New("usage: cmpjson GOT WANT")
	}
	var v [2]any
	for i, name := range args {
		var text []byte
		var err error
		switch {
		case name == "resp" && s.resp != nil:
			text = s.resp.body
		case name == "last":
			text, err = s.get("http://" + s.getenv("MOCK") + "/mock/last/body")
		default:
			text, err = os.ReadFile(s.abs(name))
		}
		if err != nil {
			return "", err
		}
		if v[i], err = decode(text); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
	}
	if d := cmp.Diff(v[1], v[0]); d != "" {
		return "", fmt.Errorf("values differ (-want +got):\n%s", d)
	}
	return "", nil
}

func (s *state) get(url string) ([]byte, error) {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, text)
	}
	return text, err
}

// decode keeps numbers as they are spelled.
func decode(text []byte) (any, error) {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("no JSON: %w: %s", err, text)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one JSON value: %s", text)
	}
	return v, nil
}

func compare(text []byte, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: PATH OP VALUE: %q", args)
	}
	v, err := decode(text)
	if err != nil {
		return err
	}
	path, op := args[0], args[1]
	v, found := walk(v, path)
	switch op {
	case "exists", "absent":
		if found != (op == "exists") {
			return fmt.Errorf("%s: %s is not true in %s", path, op, text)
		}
		return nil
	}
	if !found {
		return fmt.Errorf("no %s in %s", path, text)
	}
	if len(args) != 3 {
		return fmt.Errorf("%s wants one value: %q", op, args[2:])
	}
	got, want := show(v), args[2]
	ok := false
	switch op {
	case "==", "!=":
		same := got == want
		if w, err := decode([]byte(want)); err == nil && !same {
			same = cmp.Equal(v, w)
		}
		ok = same == (op == "==")
	case "=~", "!~":
		re, err := regexp.Compile(want)
		if err != nil {
			return err
		}
		ok = re.MatchString(got) == (op == "=~")
	case "<", ">", "<=", ">=":
		a, err1 := strconv.ParseFloat(got, 64)
		b, err2 := strconv.ParseFloat(want, 64)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		ok = op == "<" && a < b || op == ">" && a > b || op == "<=" && a <= b || op == ">=" && a >= b
	default:
		return fmt.Errorf("unknown operator %q", op)
	}
	if !ok {
		return fmt.Errorf("%s is %s, want %s %s", path, got, op, want)
	}
	return nil
}

// show prints strings bare and everything else as JSON.
func show(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, _ := json.Marshal(v)
	return string(text)
}

func walk(v any, path string) (any, bool) {
	if path == "." {
		return v, true
	}
	for _, step := range strings.Split(strings.ReplaceAll(path, `\.`, "\x00"), ".") {
		step = strings.ReplaceAll(step, "\x00", ".")
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[step]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			if step == "#" {
				v = json.Number(strconv.Itoa(len(x)))
				continue
			}
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(x) {
				return nil, false
			}
			v = x[n]
		default:
			return nil, false
		}
	}
	return v, true
}
