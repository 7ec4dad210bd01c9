package conf

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
)

func mustOpen(t testing.TB, dir string) *Embedded {
	t.Helper()
	e, err := OpenEmbedded(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func route(id, raw string) Item { return Item{Kind: Routes, ID: id, Raw: []byte(raw)} }

func TestEmbeddedWrites(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	e := mustOpen(t, dir)
	now, old, err := e.Put(route("b", "1"), 0)
	if err != nil || now.Rev != 1 || now.Created != 1 || old.Raw != nil {
		t.Fatalf("Put: %+v, %+v, %v", now, old, err)
	}
	if now, old, err = e.Put(route("b", "2"), 0); err != nil || now.Rev != 2 || now.Created != 1 || string(old.Raw) != "1" || old.Rev != 1 {
		t.Errorf("second Put: %+v, %+v, %v", now, old, err)
	}
	if _, err := e.Swap(route("b", "3"), 1, 0); !errors.Is(err, ErrConflict) {
		t.Errorf("Swap of an old revision: %v", err)
	}
	if now, err := e.Swap(route("b", "3"), 2, 0); err != nil || now.Rev != 3 {
		t.Errorf("Swap: %+v, %v", now, err)
	}
	if now, err = e.Create(Routes, 0, func(id string) ([]byte, error) { return []byte(`"` + id + `"`), nil }); err != nil ||
		now.ID != "00000000000000000004" || now.Rev != 4 || string(now.Raw) != `"00000000000000000004"` {
		t.Errorf("Create: %+v, %v", now, err)
	}
	if _, err := e.Create(Routes, 0, func(string) ([]byte, error) { return nil, io.ErrUnexpectedEOF }); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Create with a failing fill: %v", err)
	}
	if _, _, err := e.Put(Item{Kind: Consumers, ID: "u/credentials/a", Raw: []byte("{}")}, 0); err != nil {
		t.Error(err)
	}
	for _, bad := range []Item{route("", "1"), {ID: "x"}, route(strings.Repeat("x", 2000), "1")} {
		if _, _, err := e.Put(bad, 0); err == nil {
			t.Errorf("Put of %q was accepted", bad.Kind)
		}
	}
	if _, _, err := e.Put(route("a", "5"), 0); err != nil {
		t.Error(err)
	}
	list, err := e.List(Routes)
	if err != nil || len(list) != 3 || list[0].ID != "b" || list[2].ID != "a" || list[2].Rev != 6 {
		t.Errorf("List: %+v, %v", list, err)
	}
	if _, err := e.Get(Routes, "no"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of nothing: %v", err)
	}
	if old, _, err := e.Delete(Routes, "b"); err != nil || string(old.Raw) != "3" {
		t.Errorf("Delete: %+v, %v", old, err)
	}
	if _, _, err := e.Delete(Routes, "b"); !errors.Is(err, ErrNotFound) {
		t.Errorf("second Delete: %v", err)
	}
	if _, err := OpenEmbedded(dir); err == nil || !strings.Contains(err.Error(), "in use by another headrace") {
		t.Errorf("second OpenEmbedded: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := e.Put(route("x", "1"), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("Put after Close: %v", err)
	}
	if _, err := e.Get(Routes, "a"); !errors.Is(err, ErrClosed) {
		t.Errorf("Get after Close: %v", err)
	}

	e = mustOpen(t, dir)
	items, rev, err := e.Load(t.Context())
	if err != nil || rev != 7 || len(items) != 3 || items[2].ID != "u/credentials/a" {
		t.Errorf("Load after reopening: %+v, %d, %v", items, rev, err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, storeFile): 0o600} {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, fi.Mode(), want)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 1 {
		t.Errorf("files %v", names)
	}
}

func TestEmbeddedRefusesNewerFormat(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir).Close()
	db, err := bbolt.Open(filepath.Join(dir, storeFile), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyFormat, u64(storeFormat+1)) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, storeFile)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const newer = "written by a newer headrace (format 2, this version knows 1)"
	if _, err := OpenEmbedded(dir); err == nil || !strings.Contains(err.Error(), newer) {
		t.Errorf("a newer store: %v", err)
	}
	if _, err := ReadEmbedded(dir); err == nil || !strings.Contains(err.Error(), newer) {
		t.Errorf("reading a newer store: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a newer store was changed: %v", err)
	}
	if err := os.WriteFile(path, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenEmbedded(dir); err == nil || !strings.Contains(err.Error(), "cannot open store") {
		t.Errorf("a file that is no store: %v", err)
	}
}

func TestEmbeddedTTL(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e, err := OpenEmbedded(dir)
		if err != nil {
			t.Fatal(err)
		}
		put := func(id string, ttl time.Duration) {
			if _, _, err := e.Put(route(id, "1"), ttl); err != nil {
				t.Fatal(err)
			}
		}
		put("long", time.Hour)
		put("short", 10*time.Second)
		put("kept", 10*time.Second)
		put("kept", 0)
		put("restart", 20*time.Second)
		_, rev, err := e.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan Change, 4)
		go e.Watch(ctx, rev, func(c []Change, _ int64) {
			for _, c := range c {
				got <- c
			}
		})
		start := time.Now()
		if c := <-got; c.ID != "short" || !c.Deleted || c.Rev != rev+1 || time.Since(start) < 9*time.Second || time.Since(start) > 11*time.Second {
			t.Errorf("after %v: %+v", time.Since(start), c)
		}
		cancel()
		e.Close()
		time.Sleep(time.Minute)
		if e, err = OpenEmbedded(dir); err != nil {
			t.Fatal(err)
		}
		items, again, err := e.Load(t.Context())
		if err != nil || len(items) != 2 || items[0].ID != "long" || items[1].ID != "kept" || again != rev+2 {
			t.Errorf("after a restart: %+v, %d, %v", items, again, err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if list, err := e.List(Routes); err != nil || len(list) != 1 {
			t.Errorf("in the end: %+v, %v", list, err)
		}
		e.Close()
	})
}

func TestEmbeddedWatch(t *testing.T) {
	dir := t.TempDir()
	e := mustOpen(t, dir)
	if _, _, err := e.Put(route("0", "0"), 0); err != nil {
		t.Fatal(err)
	}
	e.Close()
	e = mustOpen(t, dir)
	_, rev, _ := e.Load(t.Context())
	if err := e.Watch(t.Context(), rev-1, nil); !errors.Is(err, ErrResync) {
		t.Errorf("Watch before the history: %v", err)
	}
	const n = 500
	done := make(chan int64)
	go e.Watch(t.Context(), rev, func(c []Change, to int64) {
		for _, c := range c {
			if rev++; c.Rev != rev {
				t.Errorf("revision %d, want %d", c.Rev, rev)
			}
		}
		if to != rev {
			t.Errorf("batch leads to %d, want %d", to, rev)
		}
		e.Applied(to)
		if to == n+1 {
			done <- to
		}
	})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			now, _, err := e.Put(route(strconv.Itoa(i), "1"), 0)
			if err == nil {
				err = e.WaitApplied(t.Context(), now.Rev)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	<-done
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.WaitApplied(ctx, n+100); !errors.Is(err, context.Canceled) {
		t.Errorf("WaitApplied: %v", err)
	}
}

func TestHistoryBounds(t *testing.T) {
	var h history
	h.reset(5)
	for i := range historyChanges + 10 {
		h.add([]Change{{Item: Item{Rev: int64(6 + i)}}})
	}
	if _, _, _, ok := h.after(14); ok {
		t.Error("history goes back too far")
	}
	if c, last, _, ok := h.after(15); !ok || len(c) != historyChanges || c[0].Rev != 16 || last != int64(5+historyChanges+10) {
		t.Errorf("history: %d changes to %d, %v", len(c), last, ok)
	}
	h.add([]Change{{Item: Item{Rev: int64(historyChanges + 16), Raw: make([]byte, historyBytes+1)}}})
	if c, _, _, ok := h.after(historyChanges + 15); !ok || len(c) != 1 {
		t.Errorf("a large value: %d changes, %v", len(c), ok)
	}
}

// TestEmbeddedKill9 runs a writer in a process of its own, kills it at random
// moments and looks whether everything that it had acknowledged is there.
func TestEmbeddedKill9(t *testing.T) {
	if dir := os.Getenv("HEADRACE_TEST_STORE"); dir != "" {
		writeForever(dir)
	}
	dir := filepath.Join(t.TempDir(), "data")
	want := map[string]string{}
	var last int64
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		last = killRound(t, dir, want, last)
		e := mustOpen(t, dir)
		items, rev, err := e.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if rev < last {
			t.Fatalf("round %d: revision %d, but %d was acknowledged", round, rev, last)
		}
		have := map[string]int64{}
		for _, it := range items {
			n, err := strconv.ParseInt(string(it.Raw), 10, 64)
			if err != nil || it.Rev > rev {
				t.Fatalf("round %d: item %+v", round, it)
			}
			have[it.ID] = n
		}
		for id, v := range want {
			// What was written but not acknowledged may be there as well.
			if n, _ := strconv.ParseInt(v, 10, 64); have[id] < n {
				t.Fatalf("round %d: %s has %d, %d was acknowledged", round, id, have[id], n)
			}
		}
		last = rev
		e.Close()
	}
	t.Logf("%d revisions", last)
}

func killRound(t *testing.T, dir string, want map[string]string, last int64) int64 {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestEmbeddedKill9$")
	cmd.Env = append(os.Environ(), "HEADRACE_TEST_STORE="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(time.Duration(5+rand.IntN(150))*time.Millisecond, func() { cmd.Process.Kill() })
	defer stop.Stop()
	for sc := bufio.NewScanner(out); sc.Scan(); {
		f := strings.Fields(sc.Text())
		if len(f) != 4 || f[0] != "ack" || f[3] != "." {
			continue // the line that the kill cut
		}
		want[f[1]] = f[2]
		n, _ := strconv.ParseInt(f[2], 10, 64)
		last = max(last, n)
	}
	_ = cmd.Wait()
	return last
}

// writeForever acknowledges every write with its revision; four goroutines
// make groups. A value is the number that its writer counts, which only grows.
func writeForever(dir string) {
	e, err := OpenEmbedded(dir)
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	_, start, _ := e.Load(context.Background())
	var mu sync.Mutex
	for g := range 4 {
		go func() {
			for n := start + 1; ; n++ {
				id := fmt.Sprintf("%d-%d", g, n%50)
				now, _, err := e.Put(route(id, strconv.FormatInt(n, 10)), 0)
				if err != nil || now.Rev < n {
					fmt.Println("put:", now.Rev, err)
					os.Exit(1)
				}
				mu.Lock()
				os.Stdout.WriteString("ack " + id + " " + strconv.FormatInt(n, 10) + " .\n")
				mu.Unlock()
			}
		}()
	}
	select {}
}

func TestAdminKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	key, created, err := AdminKey(dir)
	if err != nil || !created || len(key) != 32 {
		t.Fatalf("AdminKey: %q, %v, %v", key, created, err)
	}
	path := filepath.Join(dir, adminKeyFile)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	again, created, err := AdminKey(dir)
	if err != nil || created || again != key {
		t.Errorf("second AdminKey: %q, %v, %v", again, created, err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := AdminKey(dir); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("an empty key: %v", err)
	}
}

func BenchmarkEmbeddedPut(b *testing.B) {
	for _, writers := range []int{1, 100} {
		b.Run(strconv.Itoa(writers), func(b *testing.B) {
			e := mustOpen(b, b.TempDir())
			b.SetParallelism(writers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, _, err := e.Put(route("r"+strconv.Itoa(rand.IntN(1000)), `{"uri":"/a"}`), 0); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
