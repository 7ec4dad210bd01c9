package t

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// TestNewerStore lets a gateway of a later version write the data directory: it
// is refused with one line and stays as it is, whichever command looks at it.
func TestNewerStore(t *testing.T) {
	t.Parallel()
	s := newPlainState(t)
	if _, err := s.startGateway(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.cmdGateway([]string{"stop"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.env.WorkDir, "data", "store.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte{0, 0, 0, 0, 0, 0, 0, 2})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		code int
		args string
	}{
		{1, "serve -c conf/config.yaml"},
		{2, "export -c conf/config.yaml"},
		{2, "export --data-dir data"},
	} {
		c := exec.Command(binary, strings.Fields(tt.args)...)
		c.Dir = s.env.WorkDir
		out, _ := c.CombinedOutput()
		const want = ": it was written by a newer headrace (format 2, this version knows 1)\n"
		if c.ProcessState.ExitCode() != tt.code || !strings.HasSuffix(string(out), want) {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s", tt.args, c.ProcessState.ExitCode(), tt.code, want, out)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the store was changed: %v", err)
	}
}
