package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// StartCluster runs a cluster of three masters and returns when it serves.
func StartCluster(t testing.TB) []*Server {
	t.Helper()
	const slots = 16384
	nodes := make([]*Server, 3)
	for i := range nodes {
		nodes[i] = Start(t, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
			"--cluster-node-timeout", "5000", "--cluster-port", strconv.Itoa(freePort(t)))
		nodes[i].Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(slots*i/3), strconv.Itoa(slots*(i+1)/3-1))
		nodes[i].Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
	for _, n := range nodes[1:] {
		nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(n.Port), n.args[len(n.args)-1])
	}
	for _, n := range nodes {
		n.Await("cluster_state:ok", "CLUSTER", "INFO")
	}
	return nodes
}

// StartSentinel runs a Sentinel that watches master under the name mymaster.
func StartSentinel(t testing.TB, master *Server, settings string) *Server {
	t.Helper()
	s := &Server{t: t, Port: freePort(t), dir: t.TempDir()}
	path := filepath.Join(s.dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 %d 1\nsentinel down-after-milliseconds mymaster 1000\n%s\n", s.Port, master.Port, settings)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(path, "--sentinel")
	t.Cleanup(s.Stop)
	return s
}
