//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of /proc/<pid>/stat: USER_HZ is 100 on every Linux that Go
// runs on.
const tick = 10 * time.Millisecond

// memory is what a process tree holds, in bytes.
type memory struct{ rss, pss, anon int64 }

// tree returns pid and its descendants.
func tree(pid int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return []int{pid}
	}
	children := map[int][]int{}
	for _, e := range entries {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if parent, _, err := readStat(p); err == nil {
			children[parent] = append(children[parent], p)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// cpuTime is the CPU time of processes since they started, to the nanosecond.
func cpuTime(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		d, err := processClock(pid)
		if err != nil {
			if _, d, err = readStat(pid); err != nil {
				return 0, fmt.Errorf("cannot read the CPU time of process %d: %w", pid, err)
			}
		}
		sum += d
	}
	return sum, nil
}

// processClock reads the clock that clock_getcpuclockid(3) names: ended
// threads are in it, and it does not count in ticks as the stat file does.
func processClock(pid int) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|2, &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}

func readStat(pid int) (parent int, cpu time.Duration, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	return parseStat(string(b))
}

// parseStat takes the parent and the CPU time (user and system, all threads)
// from a stat file. The name of the program may hold blanks and brackets.
func parseStat(s string) (parent int, cpu time.Duration, err error) {
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 13 {
		return 0, 0, fmt.Errorf("cannot parse stat line %.60q", s)
	}
	parent, err1 := strconv.Atoi(f[1])
	user, err2 := strconv.ParseInt(f[11], 10, 64)
	system, err3 := strconv.ParseInt(f[12], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return 0, 0, fmt.Errorf("cannot parse stat line %.60q", s)
	}
	return parent, time.Duration(user+system) * tick, nil
}

// readMemory sums up a process tree.
func readMemory(pids []int) (sum memory, err error) {
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return sum, fmt.Errorf("cannot read the memory of process %d: %w", pid, err)
		}
		m, err := parseRollup(string(b))
		if err != nil {
			return sum, err
		}
		sum.rss += m.rss
		sum.pss += m.pss
		sum.anon += m.anon
	}
	return sum, nil
}

func parseRollup(s string) (m memory, err error) {
	found := 0
	for line := range strings.Lines(s) {
		name, rest, _ := strings.Cut(line, ":")
		var to *int64
		switch name {
		case "Rss":
			to = &m.rss
		case "Pss":
			to = &m.pss
		case "Anonymous":
			to = &m.anon
		default:
			continue
		}
		kb, unit, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, err := strconv.ParseInt(kb, 10, 64)
		if err != nil || unit != "kB" {
			return m, fmt.Errorf("cannot parse smaps line %q", line)
		}
		*to = n << 10
		found++
	}
	if found != 3 {
		return m, fmt.Errorf("cannot parse smaps_rollup: %d of Rss, Pss and Anonymous found", found)
	}
	return m, nil
}

// openFiles counts the descriptors of a process tree.
func openFiles(pids []int) (n int) {
	for _, pid := range pids {
		if f, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
			n += len(f)
		}
	}
	return n
}

// coreTime is how long a core has worked for anybody.
func coreTime(core int) time.Duration {
	b, _ := os.ReadFile("/proc/stat")
	return parseCore(string(b), core)
}

// parseCore sums up a core's line of /proc/stat without idle and iowait.
func parseCore(s string, core int) (sum time.Duration) {
	name := fmt.Sprintf("cpu%d", core)
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) < 9 || f[0] != name {
			continue
		}
		for i, v := range f[1:9] {
			if n, err := strconv.ParseInt(v, 10, 64); err == nil && i != 3 && i != 4 {
				sum += time.Duration(n) * tick
			}
		}
	}
	return sum
}

// cores are the two cores of a run; -1: not pinned.
type cores struct{ gateway, load int }

// pin puts this process on the second core that it may use and leaves the
// first to the gateways. What it starts later must be pinned by onCore.
func pin() (cores, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return cores{-1, -1}, fmt.Errorf("cannot read the cores of this process: %w", err)
	}
	var usable []int
	for c := 0; c < 1024 && len(usable) < 2; c++ {
		if set.IsSet(c) {
			usable = append(usable, c)
		}
	}
	if len(usable) < 2 {
		return cores{-1, -1}, fmt.Errorf("only one core is usable: gateway, mock and load share it")
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return cores{-1, -1}, fmt.Errorf("cannot pin: %w", err)
	}
	// Threads inherit from the one that makes them, so later ones follow.
	for _, t := range tasks {
		id, _ := strconv.Atoi(t.Name())
		if err := setAffinity(id, usable[1]); err != nil {
			return cores{-1, -1}, fmt.Errorf("cannot pin: %w", err)
		}
	}
	runtime.GOMAXPROCS(1)
	return cores{usable[0], usable[1]}, nil
}

func setAffinity(thread, core int) error {
	var set unix.CPUSet
	set.Set(core)
	return unix.SchedSetaffinity(thread, &set)
}

// onCore runs start, whose child processes then live on core.
func onCore(core int, start func() error) error {
	if core < 0 {
		return start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var old unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return fmt.Errorf("cannot pin: %w", err)
	}
	if err := setAffinity(0, core); err != nil {
		return fmt.Errorf("cannot pin: %w", err)
	}
	defer unix.SchedSetaffinity(0, &old)
	return start()
}
