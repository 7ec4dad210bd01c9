package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"headrace/lb"
)

// instanceHealth is the active check of one instance: its addresses, resolved
// again and again, and what probing found (ai-proxy.md 6.7, 6.8).
type instanceHealth struct {
	key      string // of everything that the check was made from
	instance string
	index    int // of the instance, from 0; under routeBalance.mu
	kind     string
	checker  *lb.Checker
	stop     context.CancelFunc
	done     chan struct{}
}

// activeCheck is checks.active.
type activeCheck struct {
	Type        lb.ProbeType `json:"type"`
	Timeout     float64      `json:"timeout"`
	Concurrency int          `json:"concurrency"`
	Host        string       `json:"host"`
	Port        int          `json:"port"`
	Method      string       `json:"http_method"`
	Path        string       `json:"http_path"`
	Body        string       `json:"http_req_body"`
	Verify      bool         `json:"https_verify_certificate"`
	Headers     []string     `json:"req_headers"`
	Healthy     *struct {
		Interval  int   `json:"interval"`
		Statuses  []int `json:"http_statuses"`
		Successes int   `json:"successes"`
	} `json:"healthy"`
	Unhealthy *struct {
		Interval     int   `json:"interval"`
		Statuses     []int `json:"http_statuses"`
		HTTPFailures int   `json:"http_failures"`
		TCPFailures  int   `json:"tcp_failures"`
		Timeouts     int   `json:"timeouts"`
	} `json:"unhealthy"`
}

func parseChecks(raw json.RawMessage) (*activeCheck, error) {
	var c struct {
		Active *activeCheck `json:"active"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	if c.Active == nil {
		return nil, fmt.Errorf("no active check")
	}
	return c.Active, nil
}

// checkWarnings says what a check will not do (ai-proxy.md 6.7, traps).
func checkWarnings(in *multiInstance) (warnings []string) {
	if in.Checks == nil {
		return nil
	}
	c, err := parseChecks(in.Checks)
	if err != nil {
		return nil
	}
	if c.Unhealthy == nil {
		warnings = append(warnings, "instance '"+in.Name+"': checks.active.unhealthy is absent: a target that fails is never probed again")
	}
	if o := in.cfg.Override; (c.Type == lb.HTTP || c.Type == "") && (o == nil || strings.HasPrefix(o.Endpoint, "https")) {
		warnings = append(warnings, "instance '"+in.Name+"': checks.active.type http probes a TLS port in clear text; use https")
	}
	return warnings
}

// healthKey changes when the check has to be made anew.
func healthKey(in *instance, cfg *multiInstance) string {
	auth, _ := json.Marshal(cfg.cfg.Auth)
	return cfg.Name + "\x00" + in.addr + "\x00" + in.scheme + "\x00" + string(cfg.Checks) + "\x00" + string(auth)
}

func newInstanceHealth(b *routeBalance, key string, in *instance, cfg *multiInstance) *instanceHealth {
	c, err := parseChecks(cfg.Checks)
	if err != nil {
		return nil // the schema demands it
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &instanceHealth{key: key, instance: in.Name, kind: string(c.Type), stop: stop, done: make(chan struct{})}
	probe, opts := c.probe(in, b)
	opts.Probe = probe
	opts.OnChange = func(n lb.Node, was, now lb.State, cause error) {
		b.e.log.Warn("health of an instance changed", "route_id", b.route, "instance", in.Name, "node", n.String(), "from", was.String(), "to", now.String(), "cause", cause)
		b.changed()
	}
	h.checker = lb.NewChecker(opts)
	host, port := in.target.Host, in.target.Port
	if c.Port > 0 {
		port = c.Port
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		h.checker.Update([]lb.Node{{IP: ip.String(), Port: port}})
		close(h.done)
		return h
	}
	go h.resolve(ctx, b, host, port)
	return h
}

// probe brings a check into lb's terms.
func (c *activeCheck) probe(in *instance, b *routeBalance) (*lb.Probe, lb.CheckerOptions) {
	headers := slices.Clone(c.Headers)
	for name, value := range in.AuthHeaders() {
		line := name + ": " + value
		if !slices.ContainsFunc(c.Headers, func(own string) bool { return sameLine(own, line) }) {
			headers = append(headers, line)
		}
	}
	path := c.Path
	args := url.Values{}
	for name, value := range in.AuthQuery() {
		args.Set(name, value)
	}
	if len(args) > 0 {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		path += sep + args.Encode()
	}
	p := &lb.Probe{
		Type: c.Type, Timeout: time.Duration(c.Timeout * float64(time.Second)), Host: c.Host, Port: c.Port,
		Method: c.Method, Path: path, Body: c.Body, Headers: headers, Verify: c.Verify, RootCAs: b.e.opts.Wire.RootCAs,
		HealthyStatuses: lb.DefaultHealthyStatuses, UnhealthyStatuses: lb.DefaultUnhealthyStatuses,
	}
	o := lb.CheckerOptions{Thresholds: lb.DefaultThresholds, Concurrency: c.Concurrency}
	if u := c.Healthy; u != nil {
		o.HealthyInterval, o.Thresholds.Successes, p.HealthyStatuses = time.Duration(u.Interval)*time.Second, u.Successes, u.Statuses
	}
	if u := c.Unhealthy; u != nil {
		o.UnhealthyInterval, p.UnhealthyStatuses = time.Duration(u.Interval)*time.Second, u.Statuses
		o.Thresholds.HTTPFailures, o.Thresholds.TCPFailures, o.Thresholds.Timeouts = u.HTTPFailures, u.TCPFailures, u.Timeouts
	}
	return p, o
}

// sameLine compares header lines; names differ in nothing but their case.
func sameLine(a, b string) bool {
	an, av, _ := strings.Cut(a, ":")
	bn, bv, _ := strings.Cut(b, ":")
	return strings.EqualFold(an, bn) && strings.TrimSpace(av) == strings.TrimSpace(bv)
}

// resolveEvery is how long the addresses of a name are taken for true.
const resolveEvery = 30 * time.Second

// resolve keeps the checker's nodes in line with DNS. When a look-up fails the
// last addresses stay.
func (h *instanceHealth) resolve(ctx context.Context, b *routeBalance, host string, port int) {
	defer close(h.done)
	tick := time.NewTicker(resolveEvery)
	defer tick.Stop()
	for {
		rctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		ips, err := net.DefaultResolver.LookupNetIP(rctx, "ip", host)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			b.e.log.Warn("cannot resolve the name of an instance", "route_id", b.route, "instance", h.instance, "host", host, "err", err)
		} else {
			nodes := make([]lb.Node, 0, len(ips))
			for _, ip := range ips {
				nodes = append(nodes, lb.Node{IP: ip.Unmap().String(), Port: port, Host: host})
			}
			slices.SortFunc(nodes, func(a, b lb.Node) int { return strings.Compare(a.IP, b.IP) })
			h.checker.Update(slices.Compact(nodes))
			b.changed()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// usable says whether at least one address may be used; an instance whose
// addresses are not known yet is.
func (h *instanceHealth) usable() bool {
	return len(h.checker.Usable()) > 0 || len(h.checker.Nodes()) == 0
}

func (h *instanceHealth) close() {
	h.stop()
	<-h.done
	h.checker.Close()
}

// Health is what the Control API shows of one instance (gateway.md 7.3).
type Health struct {
	Name  string // "/routes/<id>#plugins['ai-proxy-multi'].instances[<index>]"
	Route string
	Type  string
	Nodes []lb.NodeStatus
}

// Healthchecks returns the state of every instance that is checked, by route.
func (e *Engine) Healthchecks() (all []Health) {
	e.state.each(func(v any) {
		b, ok := v.(*routeBalance)
		if !ok {
			return
		}
		for _, h := range b.checked() {
			all = append(all, Health{
				Name:  fmt.Sprintf("/routes/%s#plugins['ai-proxy-multi'].instances[%d]", b.route, h.index),
				Route: b.route, Type: h.kind, Nodes: h.checker.Snapshot(),
			})
		}
	})
	slices.SortFunc(all, func(a, b Health) int { return strings.Compare(a.Name, b.Name) })
	return all
}
