package bench

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sinceLastPacket is how long ago the kernel got the peer's latest packet,
// which after the end of a connection is the one that ended it; -1 if
// unknown. The kernel counts in ticks of 1 to 4 ms.
func sinceLastPacket(nc net.Conn) time.Duration {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return -1
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return -1
	}
	d := time.Duration(-1)
	rc.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			d = time.Duration(info.Last_ack_recv) * time.Millisecond
		}
	})
	return d
}
