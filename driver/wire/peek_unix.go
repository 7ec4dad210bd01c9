//go:build unix && !linux

package wire

import "golang.org/x/sys/unix"

// peek looks at what there is to read, without taking it and without waiting.
func peek(fd int) int {
	var b [1]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return peekQuiet
	case err != nil || n == 0:
		return peekClosed
	}
	return peekData
}

const canAwait = true
