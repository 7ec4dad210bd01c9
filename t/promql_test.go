package t

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// query is what a PromQL expression asks for.
type query struct {
	metrics   []string
	labels    map[string][]string // of the selectors, by metric
	grouped   []string            // labels of by, without, on, ...
	functions []string
}

var token = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\$\{?[a-z_:]+\}?|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9.]+[a-z]*|\[[^\]]*\]|[{}()]|[^\sa-zA-Z_:{}()\["]+`)

var keywords = []string{"and", "or", "unless", "bool", "offset"}

// readQuery takes an expression apart as far as its names go.
func readQuery(expr string) query {
	q := query{labels: map[string][]string{}}
	tokens := token.FindAllString(expr, -1)
	for i := 0; i < len(tokens); i++ {
		next := ""
		if i+1 < len(tokens) {
			next = tokens[i+1]
		}
		switch name := tokens[i]; {
		case !isName(name) || slices.Contains(keywords, name):
		case name == "by" || name == "without" || name == "on" || name == "ignoring" || name == "group_left" || name == "group_right":
			for i++; next == "(" && i < len(tokens) && tokens[i] != ")"; i++ {
				if isName(tokens[i]) {
					q.grouped = append(q.grouped, tokens[i])
				}
			}
			if next != "(" {
				i--
			}
		case next == "(" || next == "by" || next == "without":
			q.functions = append(q.functions, name)
		default:
			q.metrics = append(q.metrics, name)
			if next == "{" {
				for i += 2; i < len(tokens) && tokens[i] != "}"; i++ {
					if isName(tokens[i]) {
						q.labels[name] = append(q.labels[name], tokens[i])
					}
				}
			}
		}
	}
	return q
}

func isName(s string) bool {
	c := s[0]
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func TestReadQuery(t *testing.T) {
	q := readQuery(`sum by (route, le) (rate(a_bucket{job=~"$job",le="1",x!="and"}[$__rate_interval])) / on (route) group_left sum(b offset 5m) > bool 0.5 and c == 1`)
	if got := strings.Join(q.metrics, " "); got != "a_bucket b c" {
		t.Errorf("metrics %s", got)
	}
	if got := strings.Join(q.labels["a_bucket"], " "); got != "job le x" {
		t.Errorf("labels %s", got)
	}
	if got := strings.Join(q.grouped, " "); got != "route le route" {
		t.Errorf("grouped by %s", got)
	}
	if got := strings.Join(q.functions, " "); got != "sum rate sum" {
		t.Errorf("functions %s", got)
	}
}

// queryFunctions are those that the examples use; a name beside them is a slip.
var queryFunctions = []string{"sum", "max", "min", "count", "avg", "topk", "rate", "increase", "changes", "delta", "histogram_quantile", "clamp_min", "time", "absent", "label_replace"}

// checkQuery holds an expression against what a gateway shows.
func checkQuery(t *testing.T, place, expr string) {
	t.Helper()
	labels := scraped(t)
	q := readQuery(expr)
	if len(q.metrics) == 0 {
		t.Errorf("%s: no metric in %s", place, expr)
	}
	groups := []string{"job", "instance"} // of Prometheus itself
	for _, m := range q.metrics {
		have, ok := labels[m]
		switch {
		case m == "up": // made by Prometheus
		case !ok && !slices.Contains(documented(t), family(m)):
			t.Errorf("%s: no gateway shows %s", place, m)
			continue
		}
		have = append([]string{"job", "instance"}, have...)
		for i, l := range have[2:] {
			if l == "instance" { // taken by Prometheus itself
				have[i+2] = "exported_instance"
			}
		}
		for _, l := range q.labels[m] {
			if !slices.Contains(have, l) {
				t.Errorf("%s: %s has no label %s, only %q", place, m, l, have)
			}
		}
		groups = append(groups, have...)
	}
	for _, l := range q.grouped {
		if !slices.Contains(groups, l) {
			t.Errorf("%s: by %s, which no metric of it has", place, l)
		}
	}
	for _, f := range q.functions {
		if !slices.Contains(queryFunctions, f) {
			t.Errorf("%s: function %s", place, f)
		}
	}
	if strings.Count(expr, "(") != strings.Count(expr, ")") || strings.Count(expr, "{") != strings.Count(expr, "}") {
		t.Errorf("%s: brackets: %s", place, expr)
	}
}
