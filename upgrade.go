package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"headrace/conf"
)

// An upgrade without a gap. SIGUSR2 makes a gateway start the program that is
// in its place by now, with the same arguments, and give it the listening
// sockets. The two talk over a pair of sockets, a word a line:
//
//	successor     predecessor
//	store    ->                 closes the embedded store
//	         <-   go
//	ready    ->                 stops listening, lets requests and streams end
//
// A successor that ends before it is ready changes nothing: the predecessor
// opens its store again and goes on.

const (
	wordStore = "store"
	wordGo    = "go"
	wordReady = "ready"
)

// upgradeWait is how long a successor may take to be ready.
const upgradeWait = 60 * time.Second

// predecessor is the gateway that this process succeeds; nil: there is none.
type predecessor struct {
	talk *os.File
	in   *bufio.Reader
}

// newPredecessor finds the one that has started this process.
func newPredecessor() *predecessor {
	fd, err := strconv.Atoi(os.Getenv(envTalk))
	os.Unsetenv(envTalk)
	if err != nil {
		return nil
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "predecessor")
	return &predecessor{f, bufio.NewReader(f)}
}

// takeStore returns when the embedded store is free.
func (p *predecessor) takeStore() error {
	if p == nil {
		return nil
	}
	_, err := io.WriteString(p.talk, wordStore+"\n")
	if err == nil {
		_, err = p.in.ReadString('\n')
	}
	if err != nil {
		return fmt.Errorf("the gateway that is to be succeeded does not give its store: %w", err)
	}
	return nil
}

// ready says that this process serves. It tells systemd who it is now.
func (p *predecessor) ready() {
	if p == nil {
		return
	}
	io.WriteString(p.talk, wordReady+"\n") // nobody left to tell: it serves anyway
	p.talk.Close()
	if addr := os.Getenv("NOTIFY_SOCKET"); addr != "" {
		if c, err := net.Dial("unixgram", addr); err == nil {
			fmt.Fprintf(c, "MAINPID=%d\nREADY=1\n", os.Getpid())
			c.Close()
		}
	}
}

// upgrade starts a successor and returns when it serves.
func (g *gateway) upgrade() error {
	talk, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ours := os.NewFile(uintptr(talk[0]), "successor")
	defer ours.Close()
	files := []uintptr{0, 1, 2}
	for _, s := range g.listening() {
		fd, err := descriptor(s.raw)
		if err != nil {
			unix.Close(talk[1])
			return err
		}
		defer unix.Close(fd)
		files = append(files, uintptr(fd))
	}
	files = append(files, uintptr(talk[1]))
	env := append(os.Environ(), envSockets+"="+strconv.Itoa(len(files)-firstInherited-1), envTalk+"="+strconv.Itoa(len(files)-1))
	pid, err := syscall.ForkExec(g.program, os.Args, &syscall.ProcAttr{Env: env, Files: files})
	unix.Close(talk[1])
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", g.program, err)
	}
	g.log.Warn("upgrade: a successor is starting", "pid", pid)
	gave, err := g.converse(ours)
	if err == nil {
		return nil
	}
	syscall.Kill(pid, syscall.SIGKILL) // also where it has ended
	syscall.Wait4(pid, nil, 0, nil)
	if gave {
		if rerr := g.reclaim(); rerr != nil {
			g.failed <- rerr
		}
	}
	return err
}

// converse answers the successor until it is ready. gave says that it got the store.
func (g *gateway) converse(talk *os.File) (gave bool, err error) {
	timer := time.AfterFunc(upgradeWait, func() { unix.Shutdown(int(talk.Fd()), unix.SHUT_RDWR) })
	defer timer.Stop()
	for in := bufio.NewReader(talk); ; {
		word, err := in.ReadString('\n')
		if err != nil {
			return gave, errors.New("the successor has ended before it was ready")
		}
		switch strings.TrimSpace(word) {
		case wordStore:
			gave = true
			g.giveStore()
			if _, err := io.WriteString(talk, wordGo+"\n"); err != nil {
				return gave, err
			}
		case wordReady:
			return gave, nil
		}
	}
}

// giveStore closes the embedded store. What is in force stays in force; the
// Admin API answers 503 until somebody has the store again.
func (g *gateway) giveStore() {
	if store, ok := g.store.(*conf.Embedded); ok {
		store.Close()
	}
}

// reclaim takes the store back.
func (g *gateway) reclaim() error {
	if g.provider != conf.ProviderEmbedded {
		return nil
	}
	store, err := conf.OpenEmbedded(g.cfg.Headrace.DataDir)
	if err != nil {
		return fmt.Errorf("cannot take the store back: %w", err)
	}
	g.store, g.source = store, store
	if g.api != nil {
		g.api.Store(g.adminAPI())
	}
	return g.follow(context.Background(), nil)
}

// findProgram is the path by which this program was called, so that a
// successor is what lies there at the time.
func findProgram() string {
	if path, err := exec.LookPath(os.Args[0]); err == nil {
		return path
	}
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}
