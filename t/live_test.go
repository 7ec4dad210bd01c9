package t

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestLive asks real providers, those whose keys are in the environment: "make
// live", see CONTRIBUTING.md. It costs some thousand tokens.
func TestLive(t *testing.T) {
	if os.Getenv("HEADRACE_LIVE") == "" {
		t.Skip("make live asks the real providers")
	}
	l := runLive(t, os.Getenv)
	fmt.Print(l)
	for _, f := range l.faults {
		t.Error(f)
	}
	if l.faults != nil {
		t.Log("the gateway says:\n" + l.mask(l.s.gateways[0].err.String()))
	}
	if l.asked == 0 {
		t.Skip("there is no key of any provider in the environment")
	}
}

// live is a run of the checks. Its text is the table of what came of them.
type live struct {
	s      *state
	get    func(string) string
	rows   []liveRow
	faults []string // what is wrong, without secrets
	asked  int      // rows that were not skipped
	masks  []string // secrets
}

// liveRow is what one client of one provider got.
type liveRow struct {
	provider, client string
	skipped          string           // why
	result           map[string]error // by check; none: it has no such thing
}

var liveChecks = []string{"plain", "stream", "tools", "usage", "error"}

const (
	liveLimit    = 64 // tokens of an answer
	liveBadModel = "headrace-no-such-model"
)

// runLive starts a gateway with a route for each provider that get has the
// variables of, and asks all of them.
func runLive(t *testing.T, get func(string) string) *live {
	t.Helper()
	l := &live{s: newPlainState(t), get: get}
	for i := range liveProviders {
		if err := l.addRoutes(&liveProviders[i]); err != nil {
			t.Fatal(l.mask(err.Error()))
		}
	}
	if l.asked == 0 {
		return l
	}
	if err := os.WriteFile(filepath.Join(l.s.env.WorkDir, "conf", "extra.yaml"), []byte(checkLog), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := l.s.startGateway(nil); err != nil {
		t.Fatal(l.mask(err.Error()))
	}
	for i := range l.rows {
		if r := &l.rows[i]; r.skipped == "" {
			l.check(r)
		}
	}
	l.judge()
	return l
}

// addRoutes adds the rows of p, and their routes where p is not skipped. The
// gateway's environment has the secrets, its configuration refers to them.
func (l *live) addRoutes(p *liveProvider) error {
	for _, name := range p.needs {
		if l.get(name) == "" {
			l.rows = append(l.rows, liveRow{provider: p.name, skipped: name + " is not set"})
			return nil
		}
	}
	for _, name := range p.needs[:max(p.secrets, 1)] {
		l.masks = append(l.masks, l.get(name))
		l.s.env.Setenv("LIVE_"+name, l.get(name))
	}
	l.s.env.Setenv("LIVE_BEARER_"+p.needs[0], "Bearer "+l.get(p.needs[0]))
	if token := l.get("AWS_SESSION_TOKEN"); token != "" && p.name == "bedrock" {
		l.masks = append(l.masks, token)
		l.s.env.Setenv("LIVE_AWS_SESSION_TOKEN", token)
	}
	for _, client := range p.clients {
		l.rows = append(l.rows, liveRow{provider: p.name, client: client})
		l.asked++
		for _, model := range []string{l.model(p, client), liveBadModel} {
			if err := l.addRoute(p, client, model); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *live) addRoute(p *liveProvider, client, model string) error {
	config := map[string]any{}
	if err := yaml.Unmarshal([]byte(os.Expand(strings.ReplaceAll(p.route, "$env", "$$env"), l.expand)), &config); err != nil {
		return err
	}
	header := map[string]any{"Authorization": nil}
	name, ok := p.headers[client]
	if !ok {
		name = p.headers[""]
	}
	switch name {
	case "":
	case "Authorization":
		header[name] = "$env://LIVE_BEARER_" + p.needs[0]
	default:
		header[name] = "$env://LIVE_" + p.needs[0]
	}
	override := map[string]any{"endpoint": nil}
	if p.endpoint != nil {
		override["endpoint"] = p.endpoint(l.get, model)
	}
	// The providers' own names of the limit, but not beside max_completion_tokens,
	// which converted requests have; DeepSeek does not know that.
	if client == "chat" || p.name == "deepseek" {
		override["llm_options"] = map[string]any{"max_tokens": liveLimit}
	}
	if at := l.get("HEADRACE_LIVE_ENDPOINT"); at != "" {
		path := ""
		if s, ok := override["endpoint"].(string); ok && p.name == "azure-openai" {
			path = s[strings.Index(s, "/openai/deployments/"):]
		}
		override["endpoint"] = at + path
	}
	merge(config, map[string]any{"provider": p.name, "timeout": 60000, "auth": map[string]any{"header": header}, "override": override})
	if p.name == "bedrock" && l.get("AWS_SESSION_TOKEN") != "" {
		merge(config, map[string]any{"auth": map[string]any{"aws": map[string]any{"session_token": "$env://LIVE_AWS_SESSION_TOKEN"}}})
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		return err
	}
	_, err = l.s.cmdRoute([]string{string(text), l.prefix(p.name, client, model) + "/*"})
	return err
}

// expand gives the variables of a route; $$ is a dollar.
func (l *live) expand(name string) string {
	if name == "$" {
		return "$"
	}
	return l.get(name)
}

func (l *live) prefix(provider, client, model string) string {
	if model == liveBadModel {
		client += "-bad"
	}
	return "/" + provider + "/" + client
}

// model is what p is asked for: OPENAI_MODEL, OPENAI_EMBEDDINGS_MODEL or its own.
func (l *live) model(p *liveProvider, client string) string {
	name := strings.ToUpper(strings.ReplaceAll(p.name, "-", "_"))
	model := p.models[client]
	if model != "" {
		name += "_" + strings.ToUpper(client)
	} else {
		model = p.models[""]
	}
	if s := l.get(name + "_MODEL"); s != "" {
		return s
	}
	return model
}

// check asks everything of a row.
func (l *live) check(r *liveRow) {
	i := slices.IndexFunc(liveProviders, func(p liveProvider) bool { return p.name == r.provider })
	q := question{model: l.model(&liveProviders[i], r.client)}
	if r.client != "chat" {
		q.limit = liveLimit
	}
	r.result = map[string]error{"plain": l.answers(r, "plain", q)}
	if dialects[r.client].event != nil {
		r.result["stream"] = l.answers(r, "stream", q)
		r.result["tools"] = l.answers(r, "tools", q)
	}
	q.model = liveBadModel
	r.result["error"] = l.refused(r, q)
}

// judge adds what the gateway says of the answers, and writes down what is wrong.
func (l *live) judge() {
	var names []string
	for i := range l.rows {
		for check := range l.rows[i].result {
			names = append(names, l.checkName(&l.rows[i], check))
		}
	}
	lines, err := l.s.logLines(names...)
	for i := range l.rows {
		r := &l.rows[i]
		if r.skipped != "" {
			continue
		}
		r.result["usage"] = err
		for _, check := range []string{"plain", "stream"} {
			_, asked := r.result[check]
			line := lines[l.checkName(r, check)]
			speaks := dialects[r.client].event != nil
			if asked && err == nil && (line.Prompt <= 0 || speaks && line.Completion <= 0 || line.Total < line.Prompt+line.Completion) {
				r.result["usage"] = fmt.Errorf("%s: %d of the prompt, %d of the answer, %d in all", check, line.Prompt, line.Completion, line.Total)
			}
		}
		if line := lines[l.checkName(r, "error")]; r.result["error"] == nil && line.Upstream != line.Status {
			r.result["error"] = fmt.Errorf("the refusal is the gateway's: %s", line.Status)
		}
		for _, check := range liveChecks {
			if err := r.result[check]; err != nil {
				l.faults = append(l.faults, l.mask(fmt.Sprintf("%s, %s, %s: %v", r.provider, r.client, check, err)))
			}
		}
	}
}

// answers asks q plain, as a stream, or both ways for a call of a tool.
func (l *live) answers(r *liveRow, name string, q question) error {
	q.tools = name == "tools"
	for _, q.stream = range []bool{false, true} {
		if !q.tools && q.stream != (name == "stream") {
			continue
		}
		got, err := l.ask(r, name, q)
		if err != nil {
			return err
		}
		if got.status != 200 || got.end != "complete" {
			return fmt.Errorf("want 200 and all of it: %s", brief(got))
		}
		if ct, _ := got.header("Content-Type"); q.stream == strings.HasPrefix(ct, "application/json") {
			return fmt.Errorf("streamed: want %v: %s", q.stream, brief(got))
		}
		a, err := readAnswer(r.client, q.stream, got.body)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %s", err, brief(got))
		case a.Fault != "" || !a.Done || a.Wrong != nil:
			return fmt.Errorf("complete: %v, error %q, wrong %q: %s", a.Done, a.Fault, a.Wrong, brief(got))
		case q.tools && (len(a.Calls) == 0 || a.Calls[0].Name != weatherTool || !strings.Contains(a.Calls[0].Arguments, `"city"`)):
			return fmt.Errorf("streamed: %v, no call of %s but %q: %s", q.stream, weatherTool, a.Calls, brief(got))
		case q.tools && r.client == "messages" && a.Stop != "tool_use":
			return fmt.Errorf("streamed: %v, stop_reason %s", q.stream, a.Stop)
		case !q.tools && a.Text+a.Reasoning == "" && a.Vectors == 0:
			return fmt.Errorf("nothing is said: %s", brief(got))
		}
	}
	return nil
}

// refused asks for a model that there is not. The provider has to say so, in
// words that reach the client.
func (l *live) refused(r *liveRow, q question) error {
	got, err := l.ask(r, "error", q)
	if err != nil {
		return err
	}
	a, err := readAnswer(r.client, false, got.body)
	if got.status < 400 || got.status >= 500 || got.status == 429 || err != nil || a.Fault == "" {
		return fmt.Errorf("want a refusal of the provider's, 4xx with a reason: %s", brief(got))
	}
	if doc, _ := decode(got.body); r.client == "messages" && str(doc, "type") != "error" {
		return fmt.Errorf("not in the client's protocol: %s", brief(got))
	}
	return nil
}

func (l *live) ask(r *liveRow, check string, q question) (*reply, error) {
	return l.s.ask(l.prefix(r.provider, r.client, q.model), r.client, l.checkName(r, check), q, "-within", "90s")
}

func (l *live) checkName(r *liveRow, check string) string {
	return r.provider + "/" + r.client + "/" + check
}

// brief is the beginning of an answer for a message.
func brief(r *reply) string {
	body := strings.TrimSpace(string(r.body))
	if len(body) > 400 {
		body = body[:400] + "..."
	}
	return fmt.Sprintf("status %d, %s: %s", r.status, r.end, body)
}

// mask takes the secrets out of text.
func (l *live) mask(text string) string {
	for _, m := range l.masks {
		if len(m) < 8 {
			continue // a word that stands for no key
		}
		text = strings.ReplaceAll(text, m, "***")
	}
	return text
}

// marks are the results of a row in the order of liveChecks.
func (r *liveRow) marks() (list []string) {
	for _, check := range liveChecks {
		err, ok := r.result[check]
		switch {
		case !ok:
			list = append(list, "-")
		case err != nil:
			list = append(list, "FAIL")
		default:
			list = append(list, "ok")
		}
	}
	return list
}

// String is the table.
func (l *live) String() string {
	var b strings.Builder
	line := func(cells ...any) { fmt.Fprintf(&b, "%-18s %-11s %-6s %-6s %-6s %-6s %s\n", cells...) }
	line("provider", "client", "plain", "stream", "tools", "usage", "error")
	for i := range l.rows {
		r := &l.rows[i]
		if r.skipped != "" {
			fmt.Fprintf(&b, "%-18s skipped: %s\n", r.provider, r.skipped)
			continue
		}
		cells := []any{r.provider, r.client}
		for _, m := range r.marks() {
			cells = append(cells, m)
		}
		line(cells...)
	}
	return b.String()
}
