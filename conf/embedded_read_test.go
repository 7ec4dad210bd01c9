package conf

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestReadEmbedded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := ReadEmbedded(dir); err == nil || !strings.HasSuffix(err.Error(), "store.db\": no such file or directory") {
		t.Errorf("no store: %v", err)
	}
	e := mustOpen(t, dir)
	for _, it := range []Item{route("b", "1"), {Kind: Consumers, ID: "jack", Raw: []byte("2")}, route("a", "3"), route("b", "4")} {
		if _, _, err := e.Put(it, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := e.Put(route("short", "5"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Put(route("gone", "6"), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
	// The store is open and locked meanwhile.
	items, err := ReadEmbedded(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, it := range items {
		got = append(got, it.Kind.String()+"/"+it.ID+"="+string(it.Raw))
		if left := time.Until(it.Expires); (it.ID == "short") != (left > 0 && left <= time.Hour) {
			t.Errorf("%s expires in %v", it.ID, left)
		}
	}
	if s := strings.Join(got, " "); s != "routes/b=4 routes/a=3 routes/short=5 consumers/jack=2" {
		t.Errorf("items %s", s)
	}
	e.Close()
	// A file that was cut off is an error, not the end of the process.
	path := filepath.Join(dir, storeFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 50, 4096, 8192, 3 * 4096, len(whole) / 2} {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if items, err := ReadEmbedded(dir); err == nil {
			t.Errorf("%d bytes of %d: %d items", n, len(whole), len(items))
		}
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 1 {
		t.Errorf("files are left: %v", names)
	}
}

// TestReadEmbeddedBesideWriter looks whether every copy is what one
// transaction left: of a writer that goes round the same items it has
// revisions without a gap.
func TestReadEmbeddedBesideWriter(t *testing.T) {
	const round = 40
	dir := t.TempDir()
	e := mustOpen(t, dir)
	put := func(n int) error {
		// Values of many sizes move pages about.
		_, _, err := e.Put(route(strconv.Itoa(n%round), strings.Repeat("x", 1+n*797%9000)), 0)
		return err
	}
	for n := range round {
		if err := put(n); err != nil {
			t.Fatal(err)
		}
	}
	stop, done := make(chan bool), make(chan error, 1)
	go func() {
		for n := round; ; n++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := put(n); err != nil {
				done <- err
				return
			}
		}
	}()
	reads, latest := 0, int64(0)
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); reads++ {
		items, err := ReadEmbedded(dir)
		if err != nil && strings.Contains(err.Error(), "it changes all the time") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		seen, last := map[int64]bool{}, int64(0)
		for _, it := range items {
			seen[it.Rev], last = true, max(last, it.Rev)
			if want := 1 + (it.Rev-1)*797%9000; int64(len(it.Raw)) != want {
				t.Fatalf("%s of revision %d has %d bytes, want %d", it.ID, it.Rev, len(it.Raw), want)
			}
		}
		for rev := last - round + 1; rev <= last; rev++ {
			if !seen[rev] {
				t.Fatalf("%d items up to revision %d, but none of revision %d", len(items), last, rev)
			}
		}
		if last < latest {
			t.Fatalf("revision %d after %d", last, latest)
		}
		latest = last
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d copies, %d revisions", reads, latest)
	if reads == 0 || latest <= round {
		t.Errorf("%d copies up to revision %d", reads, latest)
	}
}
