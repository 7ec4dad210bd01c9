package conf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// elements makes items of JSON elements of one list.
func elementsOf(t *testing.T, kind Kind, raws ...string) (items []Item) {
	t.Helper()
	for i, raw := range raws {
		it, err := Element(kind, i+1, []byte(raw))
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		items = append(items, it)
	}
	return items
}

func TestElement(t *testing.T) {
	f := func(kind Kind, raw, id, want string, rev int64) {
		t.Helper()
		it, err := Element(kind, 3, []byte(raw))
		if err != nil || it.Kind != kind || it.ID != id || string(it.Raw) != want || it.Rev != rev {
			t.Errorf("%s: %q %s %d %v", raw, it.ID, it.Raw, it.Rev, err)
		}
	}
	f(Routes, `{"uri":"/a"}`, "arr_3", `{"uri":"/a"}`, 0)
	f(Routes, `{"id":7,"uri":"/a"}`, "7", `{"id":7,"uri":"/a"}`, 0)
	f(Routes, `{"id":"a","modifiedIndex":1751350000123,"uri":"/a"}`, "a", `{"id":"a","uri":"/a"}`, 1751350000123)
	f(Consumers, `{"username":"jack"}`, "jack", `{"username":"jack"}`, 0)
	f(Consumers, `{"id":"jack/credentials/1","plugins":{}}`, "jack/credentials/1", `{"id":"1","plugins":{}}`, 0)
	f(Secrets, `{"id":"vault/1"}`, "vault/1", `{"id":"vault/1"}`, 0)

	bad := func(kind Kind, raw, want string) {
		t.Helper()
		if _, err := Element(kind, 1, []byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
	bad(Routes, `7`, "expected an object, got number")
	bad(Routes, `{"id":"a b"}`, "id: ")
	bad(Routes, `{"id":0}`, "id: expected a string or an integer from 1")
	bad(Routes, `{"modifiedIndex":"x"}`, "modifiedIndex: expected an integer from 1")
	bad(Secrets, `{"id":"vault"}`, "is not <manager>/<id>")
}

func TestYAMLToJSON(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got, err := YAMLToJSON([]byte(in))
		if text := string(got); err != nil {
			if !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%q: %v, want %q", in, err, want)
			}
		} else if text != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	f("", "null")
	f("routes_conf_version: 1751350000123\nroutes:\n- {uri: /a, id: r1}\n", `{"routes_conf_version":1751350000123,"routes":[{"uri":"/a","id":"r1"}]}`)
	f("a: &x {n: 1}\nb: {<<: *x, m: 2}", `{"a":{"n":1},"b":{"m":2,"n":1}}`)
	f("invalid: yaml: [", "mapping values are not allowed")
	f("[1, 2]", "[1,2]")
}

// followStandalone notes the batches that Watch gives, and the lists after a resync.
func followStandalone(ctx context.Context, s *Standalone, note func(string)) {
	for {
		items, rev, err := s.Load(ctx)
		if err != nil {
			return
		}
		var ids []string
		for _, it := range items {
			ids = append(ids, itemKey(it.Kind, it.ID))
		}
		note("load " + strings.Join(ids, " "))
		s.Applied(rev)
		err = s.Watch(ctx, rev, func(changes []Change, rev int64) {
			var out []string
			for _, c := range changes {
				sign := "+"
				if c.Deleted {
					sign = "-"
				}
				out = append(out, sign+itemKey(c.Kind, c.ID))
			}
			note("batch " + strings.Join(out, " "))
			s.Applied(rev)
		})
		if !errors.Is(err, ErrResync) {
			return
		}
	}
}

func TestStandalone(t *testing.T) {
	log := &logBuffer{}
	s := NewStandalone(slog.New(slog.NewTextHandler(log, nil)))
	if s.Received() {
		t.Error("something was received")
	}
	ctx, cancel := context.WithCancel(context.Background())
	notes := make(chan string, 10)
	ended := make(chan struct{})
	go func() { defer close(ended); followStandalone(ctx, s, func(n string) { notes <- n }) }()
	defer func() { cancel(); <-ended }()
	next := func(want string) {
		t.Helper()
		select {
		case got := <-notes:
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no %q", want)
		}
	}
	replace := func(raws ...string) int64 {
		t.Helper()
		rev := s.Replace(elementsOf(t, Routes, raws...))
		wait, done := context.WithTimeout(ctx, 10*time.Second)
		defer done()
		if err := s.WaitApplied(wait, rev); err != nil {
			t.Fatal(err)
		}
		return rev
	}
	next("load ")
	first := replace(`{"id":"1","uri":"/a"}`, `{"id":"2","uri":"/b","modifiedIndex":5}`)
	next("batch +routes/1 +routes/2")
	if !s.Received() {
		t.Error("nothing was received")
	}
	// What did not change is not in the batch, nor what kept its modifiedIndex.
	second := replace(`{"id":"1","uri":"/a"}`, `{"id":"2","uri":"/changed","modifiedIndex":5}`, `{"id":"3","uri":"/c"}`)
	next("batch +routes/3")
	if second <= first || !strings.Contains(log.String(), "item=routes/2") {
		t.Errorf("revisions %d and %d, log %s", first, second, log)
	}
	if items, _, _ := s.Load(ctx); string(items[1].Raw) != `{"id":"2","uri":"/b"}` || items[1].Rev != 5 {
		t.Errorf("in force: %s at %d", items[1].Raw, items[1].Rev)
	}
	replace(`{"id":"2","uri":"/changed","modifiedIndex":6}`, `{"id":"3","uri":"/c"}`)
	next("batch -routes/1 +routes/2")
	// Places break ties between routes: they are loaded anew.
	replace(`{"id":"3","uri":"/c"}`, `{"id":"2","uri":"/changed","modifiedIndex":6}`)
	next("load routes/3 routes/2")
	replace()
	next("batch -routes/3 -routes/2")
}

// A follower that is late never misses what a replacement deleted.
func TestStandaloneLate(t *testing.T) {
	s := NewStandalone(nil)
	for n := range 3 {
		s.Replace(elementsOf(t, Routes, fmt.Sprintf(`{"id":"%d"}`, n+1)))
	}
	err := s.Watch(context.Background(), 0, func([]Change, int64) { t.Error("a batch that misses two replacements") })
	if !errors.Is(err, ErrResync) {
		t.Errorf("Watch: %v", err)
	}
	items, _, _ := s.Load(context.Background())
	if !slices.EqualFunc(items, []string{"3"}, func(it Item, id string) bool { return it.ID == id }) {
		t.Errorf("items %v", items)
	}
}
