package t

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// Commands for routes with several instances.

// cmdMulti writes a route with ai-proxy-multi by the Admin API:
//
//	multi ID CONFIG 'NAME INSTANCE'...
//
// Its uris are /ID and /ID/*. CONFIG is YAML of the plugin; each INSTANCE, which
// may be left out, is YAML over provider openai, weight 1, the key sk-NAME and
// the endpoint http://$NAME, the name in capitals.
func (s *state) cmdMulti(args []string) (string, error) {
	if len(args) < 3 {
		return "", errors.New("usage: multi ID CONFIG 'NAME INSTANCE'...")
	}
	plugin := map[string]any{}
	if err := yaml.Unmarshal([]byte(args[1]), &plugin); err != nil {
		return "", err
	}
	var list []any
	for _, arg := range args[2:] {
		name, rest, _ := strings.Cut(arg, " ")
		in := map[string]any{
			"name": name, "provider": "openai", "weight": 1,
			"auth":     map[string]any{"header": map[string]any{"Authorization": "Bearer sk-" + name}},
			"override": map[string]any{"endpoint": "http://" + s.getenv(strings.ToUpper(name))},
		}
		extra := map[string]any{}
		if err := yaml.Unmarshal([]byte(rest), &extra); err != nil {
			return "", fmt.Errorf("%s: %w", arg, err)
		}
		merge(in, extra)
		for k, v := range in {
			if v == nil {
				delete(in, k)
			}
		}
		list = append(list, in)
	}
	plugin["instances"] = list
	route := map[string]any{
		"uris":    []string{"/" + args[0], "/" + args[0] + "/*"},
		"plugins": map[string]any{"ai-proxy-multi": plugin, "prometheus": map[string]any{}},
	}
	body, err := json.Marshal(route)
	if err != nil {
		return "", err
	}
	out, err := s.cmdHTTP([]string{"-", "PUT", s.getenv("ADMIN") + "/apisix/admin/routes/" + args[0],
		"-H", "X-API-KEY: " + adminKey, "-d", string(body)})
	if err == nil && s.resp.status/100 != 2 {
		err = errors.New(out)
	}
	return out, err
}

// cmdShare sends requests one after the other and counts who answered:
//
//	share COUNT URL NAME=N... [flags of http]
//
// NAME is the model that the answer names (mocks name the one of --model), or
// the status if that is not 200. %d in an argument is the number of the
// request, from 1 on. The body is $CHAT unless given. The command prints who
// answered what, a line each.
func (s *state) cmdShare(args []string) (string, error) {
	var want, rest []string
	for _, a := range args {
		if name, n, ok := strings.Cut(a, "="); ok && !strings.ContainsAny(name, "/:${ ") {
			if _, err := strconv.Atoi(n); err == nil {
				want = append(want, a)
				continue
			}
		}
		rest = append(rest, a)
	}
	if len(rest) < 2 {
		return "", errors.New("usage: share COUNT URL NAME=N... [flags of http]")
	}
	count, err := strconv.Atoi(rest[0])
	if err != nil {
		return "", err
	}
	flags := rest[1:]
	if !slices.Contains(flags, "-d") && !slices.Contains(flags, "-D") {
		flags = append(flags, "-d", s.getenv("CHAT"))
	}
	got := map[string]int{}
	var b strings.Builder
	for i := 1; i <= count; i++ {
		line := []string{"-", "POST"}
		for _, f := range flags {
			line = append(line, strings.ReplaceAll(f, "%d", strconv.Itoa(i)))
		}
		if _, err := s.cmdHTTP(line); err != nil {
			return b.String(), fmt.Errorf("request %d: %w", i, err)
		}
		who := answeredBy(s.resp)
		got[who]++
		fmt.Fprintf(&b, "%d %s\n", i, who)
	}
	for _, w := range want {
		name, n, _ := strings.Cut(w, "=")
		if strconv.Itoa(got[name]) != n {
			return b.String(), fmt.Errorf("got %v, want %q:\n%s", got, want, &b)
		}
	}
	return b.String(), nil
}

// answeredBy names the model of an answer, or its status.
func answeredBy(r *reply) string {
	var v struct {
		Model string `json:"model"`
	}
	if r.status != 200 || r.end != "complete" || json.Unmarshal(r.body, &v) != nil || v.Model == "" {
		return strconv.Itoa(r.status)
	}
	return v.Model
}

// traffic is clients that send one request again and again.
type traffic struct {
	quit chan struct{}
	all  sync.WaitGroup

	mu   sync.Mutex
	good int
	bad  []string
}

// cmdTraffic keeps clients busy, each on a connection of its own:
//
//	traffic start CLIENTS [flags of http] STATUS METHOD URL
//	traffic stop LEAST
//
// stop fails unless every request got STATUS and a complete body, and there
// were at least LEAST of them.
func (s *state) cmdTraffic(args []string) (string, error) {
	switch {
	case len(args) > 2 && args[0] == "start" && s.traffic == nil:
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return "", err
		}
		r, err := s.parseRequest(args[2:])
		if err != nil {
			return "", err
		}
		s.traffic = &traffic{quit: make(chan struct{})}
		for range n {
			s.traffic.all.Go(func() { s.traffic.run(r) })
		}
		return "", nil
	case len(args) == 2 && args[0] == "stop" && s.traffic != nil:
		t := s.traffic
		s.stopTraffic()
		least, err := strconv.Atoi(args[1])
		if err == nil && len(t.bad) > 0 {
			err = fmt.Errorf("%d of %d requests failed, the first: %s", len(t.bad), t.good+len(t.bad), t.bad[0])
		}
		if err == nil && t.good < least {
			err = fmt.Errorf("only %d requests, want %d", t.good, least)
		}
		return fmt.Sprintf("%d requests\n", t.good), err
	}
	return "", errors.New("usage: traffic start CLIENTS [flags] STATUS METHOD URL | traffic stop LEAST")
}

func (s *state) stopTraffic() {
	if s.traffic == nil {
		return
	}
	close(s.traffic.quit)
	s.traffic.all.Wait()
	s.traffic = nil
}

func (t *traffic) run(r *request) {
	var c *client
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for {
		select {
		case <-t.quit:
			return
		default:
		}
		out := &reply{done: make(chan struct{}), want: r.want}
		if c == nil {
			if c, out.err = dial(r.addr); out.err == nil {
				r.do(c, out)
			}
		} else {
			r.do(c, out)
		}
		t.mu.Lock()
		if out.err == nil && out.end == "complete" && strconv.Itoa(out.status) == out.want {
			t.good++
		} else {
			t.bad = append(t.bad, fmt.Sprintf("%v\n%s", out.err, out))
			if c != nil {
				c.Close()
			}
			c = nil
		}
		t.mu.Unlock()
		if c != nil {
			if v, _ := out.header("Connection"); strings.EqualFold(v, "close") {
				c.Close()
				c = nil
			}
		}
	}
}

// cmdChurn writes one of the given routes after the other:
//
//	churn TIMES ID FILE...
//
// FILEs are bodies for the Admin API, with $NAME of the environment filled in
// and $N for the number of the change.
func (s *state) cmdChurn(args []string) (string, error) {
	if len(args) < 3 {
		return "", errors.New("usage: churn TIMES ID FILE...")
	}
	times, err := strconv.Atoi(args[0])
	if err != nil {
		return "", err
	}
	c, err := dial(s.getenv("ADMIN"))
	if err != nil {
		return "", err
	}
	defer c.Close()
	start := time.Now()
	for i := range times {
		text, err := os.ReadFile(s.abs(args[2+i%(len(args)-2)]))
		if err != nil {
			return "", err
		}
		body := os.Expand(string(text), func(name string) string {
			if name == "N" {
				return strconv.Itoa(i)
			}
			return s.getenv(name)
		})
		r, err := s.parseRequest([]string{"-d", body, "-H", "X-API-KEY: " + adminKey, "-", "PUT", s.getenv("ADMIN") + "/apisix/admin/routes/" + args[1]})
		if err != nil {
			return "", err
		}
		out := &reply{done: make(chan struct{})}
		r.do(c, out)
		if out.err != nil || out.status/100 != 2 {
			return "", fmt.Errorf("change %d: %v\n%s", i, out.err, out)
		}
	}
	return fmt.Sprintf("%d changes in %v\n", times, time.Since(start)), nil
}
