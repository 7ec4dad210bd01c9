package vertex

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/driver"
)

// steered runs f with a clock that moves only when everybody waits.
func steered(t *testing.T, f func(t *testing.T, g *google, c *Cache)) {
	t.Helper()
	testKey()
	synctest.Test(t, func(t *testing.T) {
		g := &google{t: t}
		c := NewCache(&http.Client{Transport: g}, nil)
		f(t, g, c)
		c.Close()
	})
}

// after lets d pass and what is due then be done.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *TokenSource) must(t *testing.T, want string) {
	t.Helper()
	if got, err := s.Token(t.Context()); string(got) != want || err != nil {
		t.Errorf("%q %v, want %q", got, err, want)
	}
}

func (s *TokenSource) mustFail(t *testing.T, want, reason string) {
	t.Helper()
	got, err := s.Token(t.Context())
	if got != nil || err == nil || err.Error() != want || fmt.Sprint(errors.Unwrap(err)) != reason {
		t.Errorf("%q %v (%v), want %s (%s)", got, err, errors.Unwrap(err), want, reason)
	}
}

func mustCall(t *testing.T, g *google, want int) {
	t.Helper()
	if got := g.count(); got != want {
		t.Errorf("%d calls, want %d", got, want)
	}
}

const failed = "failed to get google oauth token"

func TestOneMint(t *testing.T) {
	steered(t, func(t *testing.T, g *google, c *Cache) {
		g.delay = time.Second
		s := c.Source("one", &driver.GCP{ServiceAccount: g.account(""), ExpireEarly: time.Minute})
		if s.Current() != nil {
			t.Error("a token before the first request")
		}
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { s.must(t, "tok1") })
		}
		wg.Wait()
		mustCall(t, g, 1)
		if string(s.Current()) != "tok1" {
			t.Error("no current token")
		}
	})
}

// The same over a real server and the real clock, with nothing left behind.
func TestOneMintServer(t *testing.T) {
	before := runtime.NumGoroutine()
	g := &google{t: t}
	server := httptest.NewServer(g)
	g.uri = server.URL + "/token"
	client := &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}
	c := NewCache(client, nil)
	s := c.Source("one", &driver.GCP{ServiceAccount: g.account(""), ExpireEarly: time.Minute})
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() { s.must(t, "tok1") })
	}
	wg.Wait()
	mustCall(t, g, 1)
	c.Close()
	s.must(t, "tok1") // served on
	client.CloseIdleConnections()
	server.Close()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// When a token of some life is replaced under a policy, and from when on
// requests wait again.
func TestRefresh(t *testing.T) {
	f := func(life int, early, most, refresh time.Duration) {
		t.Helper()
		steered(t, func(t *testing.T, g *google, c *Cache) {
			t.Helper()
			g.answer = fmt.Sprintf(`{"access_token":"tok%%d","expires_in":%d}`, life)
			s := c.Source("one", &driver.GCP{ServiceAccount: g.account(""), ExpireEarly: early, MaxTTL: most})
			s.must(t, "tok1")
			after(refresh - time.Millisecond)
			s.must(t, "tok1")
			mustCall(t, g, 1)
			g.script(func(g *google) { g.delay = time.Second })
			after(time.Millisecond)
			s.must(t, "tok1") // while the next one is on its way
			after(time.Second)
			mustCall(t, g, 2)
			if string(s.Current()) != "tok2" {
				t.Errorf("life %d, early %v, most %v: not refreshed after %v", life, early, most, refresh)
			}
		})
	}
	f(3600, time.Minute, 0, 3480*time.Second)
	f(3600, 0, 0, 3540*time.Second)
	f(160, time.Minute, 0, 80*time.Second)
	f(60, time.Minute, 0, 48*time.Second) // a TTL that is not greater stays whole
	f(30, time.Minute, 0, 24*time.Second)
	f(3600, time.Minute, 500*time.Second, 440*time.Second)
	f(68, time.Minute, 8*time.Second, 6400*time.Millisecond) // T: vx 7
	f(65, time.Minute, 8*time.Second, 4*time.Second)
	f(5, time.Minute, 8*time.Second, 4*time.Second)
	f(3600, 2*time.Hour, 0, 3540*time.Second)
}

// A token that nobody uses is not replaced until somebody does; that one does
// not wait as long as the old one lives.
func TestUnused(t *testing.T) {
	steered(t, func(t *testing.T, g *google, c *Cache) {
		s := c.Source("one", &driver.GCP{ServiceAccount: g.account(""), ExpireEarly: time.Minute})
		s.must(t, "tok1")
		after(3480 * time.Second) // used by the one who waited
		mustCall(t, g, 2)
		after(3590 * time.Second) // not used: past its refresh and past being due
		mustCall(t, g, 2)
		g.script(func(g *google) { g.delay = time.Second })
		start := time.Now()
		s.must(t, "tok2")
		if d := time.Since(start); d != 0 {
			t.Errorf("waited %v for an early refresh", d)
		}
		after(2 * time.Second)
		s.must(t, "tok3")
		after(3 * time.Hour)
		mustCall(t, g, 4) // one more for the use, then none
		start = time.Now()
		s.must(t, "tok5")
		if d := time.Since(start); d != time.Second {
			t.Errorf("waited %v for a token that had expired", d)
		}
	})
}

// The server fails while a token is in use: nobody notices until it has
// expired, tries come with growing pauses, and recovery is found by itself.
func TestOutage(t *testing.T) {
	steered(t, func(t *testing.T, g *google, c *Cache) {
		var reasons []error
		c.onFailure = func(name string, reason error) {
			if name != "one" {
				t.Error(name)
			}
			reasons = append(reasons, reason)
		}
		s := c.Source("one", &driver.GCP{ServiceAccount: g.account(""), ExpireEarly: time.Minute})
		s.must(t, "tok1")
		g.script(func(g *google) { g.status, g.answer = 503, `{"error":"unavailable"}` })
		var tries []time.Duration
		start, n := time.Now(), 1
		for time.Since(start) < 3600*time.Second {
			s.must(t, "tok1")
			after(10 * time.Millisecond)
			if g.count() > n {
				n = g.count()
				tries = append(tries, time.Since(start))
			}
		}
		if tries[0] < 3480*time.Second || tries[0] > 3481*time.Second {
			t.Errorf("the first try after %v", tries[0])
		}
		for i := 1; i < len(tries); i++ {
			pause := min(backoffMin<<(i-1), backoffMax)
			if d := tries[i] - tries[i-1]; (d < pause/2-20*time.Millisecond && i < len(tries)-1) || d > pause+20*time.Millisecond {
				t.Errorf("try %d after %v, planned %v", i, d, pause)
			}
		}
		if len(tries) < 15 || len(tries) > 40 || len(reasons) != len(tries) || reasons[0].Error() != "the token server answered 503: unavailable" {
			t.Errorf("%d tries, %v", len(tries), reasons)
		}
		// The try at the very end of the token failed as well.
		s.mustFail(t, failed, "the token server answered 503: unavailable")
		if n := g.count(); n > len(tries)+2 {
			t.Errorf("%d calls", n)
		}
		g.script(func(g *google) { g.status, g.answer = 0, "" })
		after(backoffMax)
		s.must(t, fmt.Sprint("tok", g.count()+1))
		st := only(t, c)
		if st.Mints != 2 || int(st.Failures) != g.count()-2 || st.Left != time.Hour {
			t.Errorf("%+v", st)
		}
	})
	// Recovery before the end.
	steered(t, func(t *testing.T, g *google, c *Cache) {
		s := c.Source("one", &driver.GCP{ServiceAccount: g.account(""), ExpireEarly: time.Minute})
		s.must(t, "tok1")
		g.script(func(g *google) { g.down = errors.New("connection refused") })
		after(3480 * time.Second)
		mustCall(t, g, 2)
		s.must(t, "tok1")
		g.script(func(g *google) { g.down = nil })
		after(backoffMin)
		if string(s.Current()) != "tok3" {
			t.Error("no new token")
		}
	})
	// A token that nobody uses is tried for once.
	steered(t, func(t *testing.T, g *google, c *Cache) {
		s := c.Source("one", &driver.GCP{ServiceAccount: g.account(""), ExpireEarly: time.Minute})
		s.must(t, "tok1")
		g.script(func(g *google) { g.down = errors.New("connection refused") })
		after(24 * time.Hour)
		mustCall(t, g, 2)
		s.mustFail(t, failed, "cannot reach the token server: connection refused")
	})
}

// Without a valid token the requests between two tries fail at once.
func TestNoToken(t *testing.T) {
	steered(t, func(t *testing.T, g *google, c *Cache) {
		g.down, g.delay = errors.New("connection refused"), time.Second
		s := c.Source("one", &driver.GCP{ServiceAccount: g.account("")})
		for range 100 {
			s.mustFail(t, failed, "cannot reach the token server: connection refused")
		}
		mustCall(t, g, 1)
		g.script(func(g *google) { g.down = nil })
		after(backoffMin)
		s.must(t, "tok2")
	})
	// A server that does not answer.
	steered(t, func(t *testing.T, g *google, c *Cache) {
		g.delay = time.Hour
		s := c.Source("one", &driver.GCP{ServiceAccount: g.account("")})
		start := time.Now()
		s.mustFail(t, failed, "cannot reach the token server: context deadline exceeded")
		if d := time.Since(start); d != mintTimeout {
			t.Error(d)
		}
	})
}

func TestCancel(t *testing.T) {
	steered(t, func(t *testing.T, g *google, c *Cache) {
		g.delay = 5 * time.Second
		s := c.Source("one", &driver.GCP{ServiceAccount: g.account("")})
		gone := errors.New("client gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if text, err := s.Token(ctx); text != nil || err != gone {
				t.Errorf("%q %v", text, err)
			}
		})
		after(time.Second)
		cancel(gone)
		wg.Wait()
		s.must(t, "tok1") // the exchange has gone on
		mustCall(t, g, 1)
	})
}

func TestClose(t *testing.T) {
	steered(t, func(t *testing.T, g *google, c *Cache) {
		c.onFailure = func(_ string, reason error) { t.Error(reason) }
		s := c.Source("one", &driver.GCP{ServiceAccount: g.account("")})
		other := c.Source("other", &driver.GCP{ServiceAccount: g.account("")})
		other.must(t, "tok1")
		g.script(func(g *google) { g.delay = 5 * time.Second })
		var wg sync.WaitGroup
		wg.Go(func() { s.mustFail(t, failed, "cannot reach the token server: context canceled") })
		after(time.Second)
		c.Close()
		wg.Wait()
		other.must(t, "tok1")
		c.Source("new", &driver.GCP{ServiceAccount: g.account("")}).mustFail(t, failed, "the token cache is closed")
		after(2 * time.Hour)
		other.mustFail(t, failed, "the token cache is closed")
		mustCall(t, g, 1)
	})
}

func TestCurrentAllocs(t *testing.T) {
	g := &google{t: t}
	c := NewCache(&http.Client{Transport: g}, nil)
	defer c.Close()
	s := c.Source("one", &driver.GCP{ServiceAccount: g.account("")})
	s.must(t, "tok1")
	if n := testing.AllocsPerRun(100, func() { s.Current() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Service accounts that are wrong, and answers that are: neither is quoted.
func TestErrors(t *testing.T) {
	f := func(account, want, reason string) {
		t.Helper()
		c := NewCache(nil, nil)
		defer c.Close()
		c.Source("one", &driver.GCP{ServiceAccount: account}).mustFail(t, want, reason)
	}
	f("", failed, "no service account: auth.gcp.service_account_json and GCP_SERVICE_ACCOUNT are empty")
	f("{s3cret", "invalid gcp service account json: Expected object key string but found invalid token at character 2", "<nil>")
	f(`["s3cret"]`, "invalid gcp service account json: not an object", "<nil>")
	f(`{"private_key":"s3cret"}`, failed, "the service account has no client_email")
	f(`{"client_email":"x","private_key":5}`, failed, "the service account has no private_key")
	f(`{"client_email":"x","private_key":"s3cret","token_uri":"file:///s3cret"}`, failed, "the service account's token_uri is no http or https address")

	a := func(status int, answer, reason string) {
		t.Helper()
		steered(t, func(t *testing.T, g *google, c *Cache) {
			t.Helper()
			g.status, g.answer = status, answer
			c.Source("one", &driver.GCP{ServiceAccount: g.account("")}).mustFail(t, failed, reason)
			mustCall(t, g, 1)
		})
	}
	const other = "the token server's answer is not what RFC 6749 wants"
	a(400, `{"error":"invalid_grant","error_description":"s3cret"}`, "the token server answered 400: invalid_grant")
	a(401, `{"error":"S3cret "}`, "the token server answered 401")
	a(500, `<html>s3cret`, "the token server answered 500")
	a(302, `s3cret`, "the token server answered 302")
	a(307, ``, "the token server answered 307")
	a(200, `s3cret`, other)
	a(200, `{"access_token":5}`, other)
	a(200, `{}`, "the token server's answer has no usable access_token")
	a(200, `{"access_token":"a\r\nb: c"}`, "the token server's answer has no usable access_token")

	steered(t, func(t *testing.T, g *google, c *Cache) {
		bad := strings.Replace(g.account(""), `PRIVATE KEY-----\n`, `PRIVATE KEY-----\nAAAA`, 1)
		c.Source("one", &driver.GCP{ServiceAccount: bad}).mustFail(t, failed, "the service account's private_key is no RSA key in PEM")
		mustCall(t, g, 0)
	})
}

func TestAccount(t *testing.T) {
	f := func(more, scope, answer string, left time.Duration) {
		t.Helper()
		steered(t, func(t *testing.T, g *google, c *Cache) {
			t.Helper()
			g.scope, g.answer = scope, answer
			c.Source("one", &driver.GCP{ServiceAccount: g.account(more)}).must(t, "t")
			if st := only(t, c); st.Left != left {
				t.Errorf("%s: %v", answer, st.Left)
			}
		})
	}
	f(``, "", `{"access_token":"t","expires_in":10}`, 10*time.Second)
	f(`,"scope":"a"`, "a", `{"access_token":"t"}`, time.Hour)
	f(`,"scope":["a","b"]`, "a b", `{"access_token":"t","expires_in":0}`, time.Second)
	f(`,"scope":[]`, "", `{"access_token":"t","expires_in":-5}`, time.Second)
	f(`,"scope":null`, "", `{"access_token":"t","expires_in":9000000000000000000}`, maxTTL)
}
