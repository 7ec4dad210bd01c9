package engine

import (
	"fmt"
	"testing"

	"headrace/conf"
)

// Equal contents have equal digests, whatever the way to them.
func TestDigest(t *testing.T) {
	rev := int64(0)
	put := func(e *Engine, kind conf.Kind, id, raw string) {
		rev++
		ch := conf.Change{Item: conf.Item{Kind: kind, ID: id, Raw: []byte(raw), Rev: rev}, Deleted: raw == ""}
		if ch.Deleted {
			ch.Raw = nil
		}
		e.change(func(s *Snapshot) *Snapshot { return s.apply(e, []conf.Change{ch}, rev) })
	}
	route := func(n int) string { return fmt.Sprintf(`{"uri":"/%d","plugins":{}}`, n) }
	a, b := newEngine(t), newEngine(t)
	if a.Snapshot().digest != 0 {
		t.Error("nothing has a digest")
	}
	for n := range 5 {
		put(a, conf.Routes, fmt.Sprint(n), route(n))
	}
	put(a, conf.Services, "s", `{"plugins":{}}`)
	put(b, conf.Services, "s", `{"plugins":{},"name":"x"}`)
	for n := 4; n >= 0; n-- {
		put(b, conf.Routes, fmt.Sprint(n), route(n+1))
	}
	if a.Snapshot().digest == b.Snapshot().digest {
		t.Error("other contents, the same digest")
	}
	put(b, conf.Routes, "9", route(9))
	var all []conf.Change
	for n := range 5 {
		all = append(all, conf.Change{Item: conf.Item{Kind: conf.Routes, ID: fmt.Sprint(n), Raw: []byte(route(7))}},
			conf.Change{Item: conf.Item{Kind: conf.Routes, ID: fmt.Sprint(n), Raw: []byte(route(n))}})
	}
	all = append(all, conf.Change{Item: conf.Item{Kind: conf.Services, ID: "s", Raw: []byte(`{"plugins":{}}`)}})
	b.change(func(s *Snapshot) *Snapshot { return s.apply(b, all, rev) })
	put(b, conf.Routes, "9", "")
	put(b, conf.Routes, "8", `{"uri":5}`) // refused
	if x, y := a.Snapshot().digest, b.Snapshot().digest; x != y || x == 0 {
		t.Errorf("the same contents, digests %x and %x", x, y)
	}
}
