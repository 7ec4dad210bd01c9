package wire

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// peek looks at what there is to read, without taking it and without waiting.
// It is a raw system call because it runs before each use of a pooled
// connection and never blocks.
func peek(fd int) int {
	var b [1]byte
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), 1,
		unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return peekQuiet
	case errno != 0 || n == 0:
		return peekClosed
	}
	return peekData
}

const canAwait = true
