package main

import (
	"fmt"
	"net"
	"os"
)

// What a service manager is told of, in the words of sd_notify(3).
const (
	notifyReady    = "READY=1"
	notifyStopping = "STOPPING=1"
)

// notify tells the service manager that started this process (systemd, with
// Type=notify) how it is. Without one it does nothing.
func notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte(state))
		c.Close()
	}
	if err != nil {
		return fmt.Errorf("cannot notify the service manager: %w", err)
	}
	return nil
}

// notify says what the service manager could not be told: it may be waiting.
func (g *gateway) notify(state string) {
	if err := notify(state); err != nil {
		g.log.Warn(err.Error())
	}
}
