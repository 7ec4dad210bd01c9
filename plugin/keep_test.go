package plugin

import "testing"

func TestKeep(t *testing.T) {
	c := new(Ctx)
	one, two := new(int), new(int)
	c.Keep(one, "a")
	c.Keep(two, 2)
	c.Keep(one, "b")
	if c.Kept(one) != "b" || c.Kept(two) != 2 || c.Kept("one") != nil || len(c.kept) != 2 {
		t.Errorf("got %v", c.kept)
	}
	v := &struct{ n int }{}
	if n := testing.AllocsPerRun(100, func() { c.Reset(); c.Keep(one, v); c.Keep(two, v) }); n > 0 && !underRace {
		t.Errorf("%v allocations", n)
	}
}
