package t

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestAlerts looks whether the rules ask for metrics and labels that there are.
func TestAlerts(t *testing.T) {
	t.Parallel()
	const path = "../examples/prometheus/rules.yaml"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	operations, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, g := range doc.Groups {
		for _, r := range g.Rules {
			checkQuery(t, r.Alert, r.Expr)
			switch s := r.Labels["severity"]; {
			case r.Alert == "" || seen[r.Alert]:
				t.Errorf("%s: an alert %q again", g.Name, r.Alert)
			case s != "warning" && s != "critical":
				t.Errorf("%s: severity %q", r.Alert, s)
			case r.Annotations["summary"] == "":
				t.Errorf("%s: no summary", r.Alert)
			case !strings.Contains(string(operations), "`"+r.Alert+"`"):
				t.Errorf("%s: docs/operations.md does not say what to do", r.Alert)
			}
			seen[r.Alert] = true
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d alerts only", len(seen))
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	for _, args := range [][]string{{"check", "rules", path}, {"check", "config", "../examples/prometheus/prometheus.yaml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
}

type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource struct{ Type, UID string }
	GridPos    struct{ X, Y, W, H int }
	Targets    []struct {
		Expr, RefID string
		Datasource  struct{ Type, UID string }
	}
}

// TestDashboard looks whether the dashboard asks for metrics and labels that
// there are, of the data source that the reader picks, and whether its panels
// lie beside each other.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../examples/grafana/headrace.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title, UID string
		Panels     []panel
		Templating struct {
			List []struct {
				Name, Type, Definition string
			}
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	variables := map[string]bool{"__rate_interval": true}
	values := regexp.MustCompile(`^label_values\((.*), *(\w+)\)$`)
	for _, v := range board.Templating.List {
		variables[v.Name] = true
		if v.Type != "query" {
			continue
		}
		m := values.FindStringSubmatch(v.Definition)
		if m == nil {
			t.Errorf("variable %s: %s", v.Name, v.Definition)
			continue
		}
		checkQuery(t, "variable "+v.Name, fmt.Sprintf("sum by (%s) (%s)", m[2], m[1]))
	}
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range board.Panels {
		if p.Title == "" || p.ID == 0 || ids[p.ID] {
			t.Errorf("panel %d %q: no title, or the id is not its own", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies on %q, or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || p.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q: data source %q", p.Title, target.Datasource.UID)
			}
			if refs[target.RefID] {
				t.Errorf("panel %q: two queries %s", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			for _, m := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !variables[m[1]] {
					t.Errorf("panel %q: there is no variable %s", p.Title, m[1])
				}
			}
			checkQuery(t, "panel "+p.Title, target.Expr)
		}
		if len(refs) == 0 {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
	}
	if len(board.Panels) < 15 || board.UID == "" || board.Title == "" {
		t.Errorf("%d panels of %q", len(board.Panels), board.Title)
	}
}
