//go:build !linux

// Load compares gateways side by side. It reads /proc, so it needs Linux.
package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "load: the comparison reads CPU time and memory from /proc and pins processes to cores: it needs Linux, this is %s\n", runtime.GOOS)
	os.Exit(1)
}
