package lb

import (
	"encoding/binary"
	"hash/crc32"
	"sort"
)

// twin is the balancer's slow and obvious model: no plan, no schedule, no index.
type twin struct {
	algo    Algo
	targets []Target
	down    map[int]bool
}

// groups returns the indexes of the targets by priority, highest first.
func (w *twin) groups() (gs [][]int) {
	seen := map[int][]int{}
	for i, t := range w.targets {
		seen[t.Priority] = append(seen[t.Priority], i)
	}
	var ps []int
	for p := range seen {
		ps = append(ps, p)
	}
	sort.Sort(sort.Reverse(sort.IntSlice(ps)))
	for _, p := range ps {
		gs = append(gs, seen[p])
	}
	return gs
}

func (w *twin) weights(group []int) map[int]int {
	out, sum := map[int]int{}, 0
	for _, i := range group {
		out[i] = max(w.targets[i].Weight, 0)
		sum += out[i]
	}
	for _, i := range group {
		if sum == 0 {
			out[i] = 1
		}
	}
	return out
}

// shares returns who may be picked by round robin, and how often in a cycle.
func (w *twin) shares(skip map[int]bool) map[int]int {
	allDown := true
	for i := range w.targets {
		allDown = allDown && w.down[i]
	}
	for _, g := range w.groups() {
		var up []int
		for _, i := range g {
			if allDown || !w.down[i] {
				up = append(up, i)
			}
		}
		out := w.weights(up)
		for i, n := range out {
			if n == 0 || skip[i] {
				delete(out, i)
			}
		}
		if len(out) == 0 {
			continue
		}
		d := 0
		for _, n := range out {
			d = int(gcd(uint64(d), uint64(n)))
		}
		for i := range out {
			out[i] /= d
		}
		return out
	}
	return nil
}

type twinPoint struct {
	hash uint32
	i    int
}

// twinRing follows the words of vectors/README.md.
func twinRing(targets []Target, ws map[int]int) (points []twinPoint) {
	d := 0
	for _, n := range ws {
		d = int(gcd(uint64(d), uint64(n)))
	}
	for i, n := range ws {
		var id []byte
		for _, c := range []byte(targets[i].Name) {
			if c == ':' {
				c = 0
			}
			id = append(id, c)
		}
		prev := uint32(0)
		for range 160 * n / d {
			prev = crc32.ChecksumIEEE(binary.LittleEndian.AppendUint32(id[:len(id):len(id)], prev))
			points = append(points, twinPoint{prev, i})
		}
	}
	sort.Slice(points, func(a, b int) bool {
		if points[a].hash != points[b].hash {
			return points[a].hash < points[b].hash
		}
		return points[a].i < points[b].i
	})
	return points
}

// hit returns the target of a key, as CHash picks it.
func (w *twin) hit(key uint32, skip map[int]bool) int {
	var rings [][]twinPoint
	allDown := true
	for _, g := range w.groups() {
		ws := w.weights(g)
		for i, n := range ws {
			allDown = allDown && (n == 0 || w.down[i])
		}
		rings = append(rings, twinRing(w.targets, ws))
	}
	for _, ring := range rings {
		at := 0
		for at < len(ring) && ring[at].hash < key {
			at++
		}
		for n := range ring {
			i := ring[(at+n)%len(ring)].i
			if !skip[i] && (allDown || !w.down[i]) {
				return i
			}
		}
	}
	return -1
}
