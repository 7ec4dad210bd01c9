package t

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// cmdBlackhole sets $BLACKHOLE to an address of this machine at which nobody
// gets in and nobody is refused: a listener whose queue is full.
func (s *state) cmdBlackhole([]string) (string, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	s.env.Defer(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	if err := syscall.Listen(fd, 0); err != nil {
		return "", err
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port)
	for range 10 {
		c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			s.ts.Setenv("BLACKHOLE", addr)
			return "", nil
		}
		s.env.Defer(func() { c.Close() })
	}
	return "", errors.New("the listener's queue never fills")
}
