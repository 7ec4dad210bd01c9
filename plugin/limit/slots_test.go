package limit

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"headrace/plugin"
)

func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocalSlots(NewRoom())
		enter := func(want string, shares ...Share) *plugin.Ctx {
			t.Helper()
			c := new(plugin.Ctx)
			full, _ := l.Enter(c, shares)
			got := fmt.Sprint(full)
			for _, s := range shares {
				got += fmt.Sprint(" ", s.Count)
			}
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
			return c
		}
		one := Share{Key: []byte("a"), Max: 2}
		a := enter("-1 1", one)
		b := enter("-1 2", one)
		enter("0 3", one).End()
		a.End()
		a.End() // again: nothing
		c := enter("-1 2", one)
		enter("0 3", one)
		b.End()
		c.End()
		// Several at once: all or none.
		two := []Share{one, {Key: []byte("b"), Max: 1}}
		a = enter("-1 1 1", two...)
		enter("1 2 2", two...).End()
		b = enter("-1 2", one)
		a.End()
		b.End()
		enter("-1 1 1", two...).End()

		if n := len(l.shards[l.index([]byte("a"))].entries); n == 0 {
			t.Error("a key without requests is forgotten at once")
		}
		c = enter("-1 1", Share{Key: []byte("held"), Max: 1})
		time.Sleep(2 * idleSlots)
		for i := range 1000 { // they sweep up what is over
			enter("-1 1", Share{Key: fmt.Append(nil, i), Max: 1}).End()
		}
		if s := &l.shards[l.index([]byte("a"))]; s.entries["a"] != nil {
			t.Error("a key without requests is kept")
		}
		enter("0 2", Share{Key: []byte("held"), Max: 1})
		if !l.Busy() {
			t.Error("not busy with a request under way")
		}
		c.End()
	})
}
