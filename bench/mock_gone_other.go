//go:build !linux

package bench

import (
	"net"
	"time"
)

// sinceLastPacket is known on Linux only.
func sinceLastPacket(net.Conn) time.Duration { return -1 }
