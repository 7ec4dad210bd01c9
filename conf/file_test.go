package conf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// logBuffer is a log that tests can read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fileTest steps a File by hand: no polling, no waiting.
type fileTest struct {
	t    *testing.T
	f    *File
	log  *logBuffer
	path string
	n    int
}

func newFileTest(t *testing.T, name string) *fileTest {
	ft := &fileTest{t: t, log: &logBuffer{}, path: filepath.Join(t.TempDir(), name)}
	format := YAML
	if strings.HasSuffix(name, ".json") {
		format = JSON
	}
	ft.f = NewFile(ft.path, format, slog.New(slog.NewTextHandler(ft.log, nil)), noEnv)
	return ft
}

func (ft *fileTest) write(text string) {
	ft.t.Helper()
	if err := os.WriteFile(ft.path, []byte(text), 0o600); err != nil {
		ft.t.Fatal(err)
	}
	ft.n++
	at := time.Now().Add(time.Duration(ft.n) * time.Second)
	if err := os.Chtimes(ft.path, at, at); err != nil {
		ft.t.Fatal(err)
	}
}

func (ft *fileTest) poll() string {
	var b strings.Builder
	for _, c := range ft.f.poll() {
		fmt.Fprintf(&b, "%s/%s", c.Kind, c.ID)
		if c.Deleted {
			b.WriteString("-")
		}
		b.WriteString(" ")
	}
	return strings.TrimSpace(b.String())
}

func TestFileReload(t *testing.T) {
	ft := newFileTest(t, "apisix.yaml")
	if _, _, err := ft.f.Load(t.Context()); err == nil || !strings.Contains(err.Error(), ft.path) {
		t.Errorf("Load of a missing file: %v", err)
	}
	ft.write("routes:\n- {id: 1, uri: /a}\n- {id: 2, uri: /b}\n#END\n")
	items, rev, err := ft.f.Load(t.Context())
	if err != nil || len(items) != 2 || items[0].ID != "1" || items[1].Rev != rev || rev == 0 {
		t.Fatalf("Load: %v, %d, %v", items, rev, err)
	}
	f := func(text, changes, logged string) {
		t.Helper()
		before, old := ft.f.state.rev, ft.log.String()
		ft.write(text)
		if got := ft.poll(); got != changes {
			t.Errorf("%q: changes %q, want %q", text, got, changes)
		}
		if l := strings.TrimPrefix(ft.log.String(), old); !strings.Contains(l, logged) {
			t.Errorf("%q: log %q, want %q in it", text, l, logged)
		}
		if changes != "" && ft.f.state.rev <= before {
			t.Errorf("%q: revision %d after %d", text, ft.f.state.rev, before)
		}
		old = ft.log.String()
		if got := ft.poll(); got != "" || ft.log.String() != old {
			t.Errorf("%q: a second look gave %q and logged %q", text, got, strings.TrimPrefix(ft.log.String(), old))
		}
	}
	f("routes:\n- {id: 1, uri: /a}\n- {id: 2, uri: /c}\n- {id: 3, uri: /d}\n#END\n", "routes/2 routes/3", "config file "+ft.path+" reloaded.")
	if it := ft.f.state.items["routes/1"]; it.Rev != rev {
		t.Errorf("an item that did not change has revision %d, want %d", it.Rev, rev)
	}
	f("routes:\n- {id: 1, uri: /a}\n", "", "missing valid end flag in file "+ft.path)
	f("routes:\n- {id: 1, uri: [}\n#END", "", ft.path+":2: did not find expected node content")
	if items, _, err := ft.f.Load(t.Context()); err == nil {
		t.Errorf("Load of a broken file gave %v", items)
	}
	f("routes:\n- {id: 1, uri: /a}\n- 5\n- {id: 'b d'}\n#END\n", "routes/2- routes/3-",
		`level=ERROR msg="failed to check item data of [routes] err:item 2: expected an object, got number"`)
	f("routes:\n- {id: 1, uri: /a, modifiedIndex: 7}\n#END", "routes/1", "reloaded")
	f("routes:\n- {id: 1, uri: /x, modifiedIndex: 7}\n#END", "", "the change is not applied")
	f("routes:\n- {id: 1, uri: /x, modifiedIndex: 8}\n#END", "routes/1", "reloaded")
	if it := ft.f.state.items["routes/1"]; it.Rev != 8 || string(it.Raw) != `{"id":1,"uri":"/x"}` {
		t.Errorf("with modifiedIndex: %d %s", it.Rev, it.Raw)
	}
	f("routes:\n- {id: 1, uri: /x}\n#END", "routes/1", "reloaded")
	f("#END", "routes/1-", "reloaded")
}

func TestFileSeesSameStamp(t *testing.T) {
	ft := newFileTest(t, "apisix.json")
	at := time.Now().Add(time.Minute)
	set := func(text string) {
		if err := errors.Join(os.WriteFile(ft.path, []byte(text), 0o600), os.Chtimes(ft.path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	set(`{"routes":[{"id":"a","uri":"/1"}]}`)
	if _, _, err := ft.f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	set(`{"routes":[{"id":"a","uri":"/2"}]}`)
	if got := ft.poll(); got != "routes/a" {
		t.Errorf("a write in the same tick: %q", got)
	}
}

func TestFileWatch(t *testing.T) {
	ft := newFileTest(t, "apisix.yaml")
	ft.f.every = time.Millisecond
	ft.write("routes:\n- {id: 1, uri: /a}\n- {id: 2, uri: /b}\n#END")
	_, rev, err := ft.f.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan []Change, 8)
	done := make(chan error, 1)
	go func() {
		done <- ft.f.Watch(ctx, rev, func(c []Change, rev int64) {
			if rev <= 0 || c[0].Rev != rev {
				t.Errorf("batch with revision %d: %v", rev, c)
			}
			got <- c
		})
	}()
	ft.write("routes:\n- {id: 1, uri: /a}\n- {id: 2, uri: /c}\n#END")
	if c := <-got; len(c) != 1 || c[0].ID != "2" {
		t.Errorf("changes %v", c)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ended with %v", err)
	}
	if err := ft.f.Watch(t.Context(), rev, nil); !errors.Is(err, ErrResync) {
		t.Errorf("Watch from an old revision: %v", err)
	}
	ft.write("routes:\n- {id: 2, uri: /c}\n- {id: 1, uri: /a}\n#END")
	if err := ft.f.Watch(t.Context(), ft.f.state.rev, nil); !errors.Is(err, ErrResync) {
		t.Errorf("Watch over a new order: %v", err)
	}
	items, _, err := ft.f.Load(t.Context())
	if err != nil || len(items) != 2 || items[0].ID != "2" {
		t.Errorf("after a new order: %v, %v", items, err)
	}
}
