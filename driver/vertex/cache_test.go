package vertex

import (
	"fmt"
	"testing"
	"time"

	"headrace/driver"
)

func only(t *testing.T, c *Cache) (st Stats) {
	t.Helper()
	n := 0
	c.Each(func(s Stats) { st = s; n++ })
	if n != 1 {
		t.Errorf("%d sources", n)
	}
	return st
}

// T: vx 13, and a rotated key.
func TestCacheKey(t *testing.T) {
	c := NewCache(nil, nil)
	defer c.Close()
	one := c.Source("a", &driver.GCP{ServiceAccount: "x", ExpireEarly: time.Minute})
	f := func(same bool, instance, account string, early, most time.Duration) {
		t.Helper()
		if (c.Source(instance, &driver.GCP{ServiceAccount: account, ExpireEarly: early, MaxTTL: most}) == one) != same {
			t.Errorf("same: %v", !same)
		}
	}
	f(true, "a", "x", time.Minute, 0)
	f(false, "b", "x", time.Minute, 0)
	f(false, "a", "y", time.Minute, 0)
	f(false, "a", "x", 0, 0)
	f(false, "a", "x", 0, time.Minute)
	f(false, "a", "x", time.Minute, time.Minute)
	keys := map[string]bool{}
	c.Each(func(s Stats) { keys[s.Instance+s.Key] = true })
	if len(keys) != 6 {
		t.Error(keys)
	}
}

func TestCacheBound(t *testing.T) {
	steered(t, func(t *testing.T, g *google, c *Cache) {
		s := c.Source("first", &driver.GCP{ServiceAccount: g.account("")})
		s.must(t, "tok1")
		for i := range 3 * maxSources {
			c.Source(fmt.Sprint(i), &driver.GCP{})
		}
		n := 0
		c.Each(func(Stats) { n++ })
		if n != maxSources {
			t.Errorf("%d sources", n)
		}
		s.must(t, "tok1")
	})
}

// A source that was forgotten works on, and comes back when it mints.
func TestCacheSweep(t *testing.T) {
	steered(t, func(t *testing.T, g *google, c *Cache) {
		s := c.Source("one", &driver.GCP{ServiceAccount: g.account("")})
		c.Sweep()
		s.must(t, "tok1")
		c.Sweep()
		only(t, c)
		c.Sweep()
		c.Each(func(Stats) { t.Error("not swept") })
		s.must(t, "tok1")
		after(2 * time.Hour)
		s.must(t, "tok3")
		if st := only(t, c); st.Mints != 3 {
			t.Errorf("%+v", st)
		}
	})
}
