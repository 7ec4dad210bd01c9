package driver

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"headrace/driver/wire"
)

// ErrAnswerTooLarge says that a service's answer is longer than its caller
// wants to hold.
var ErrAnswerTooLarge = errors.New("the answer is too large")

// ServiceConfig is what a plugin says about a service that it calls on its own
// account: embeddings, moderation, rewriting, search.
type ServiceConfig struct {
	Endpoint string // http or https, host, and what else the service needs
	Path     string // where the endpoint has none; empty: "/"
	Header   Pairs  // credentials, in clear or as references
	Query    Pairs  // the same; the endpoint's own query wins
	// ContentType is what the bodies sent are; empty: application/json.
	ContentType string
	// Timeout bounds connecting, sending and each wait, and the call as a
	// whole; zero: nothing is bounded.
	Timeout   time.Duration
	SSLVerify bool

	NoKeepAlive bool
	IdleFor     time.Duration // of a pooled connection; zero: wire's default
	PoolSize    int           // zero: wire's default
}

// Service is a model service, a log server or the like, compiled: POST, and
// nothing of the client's request in its head. It is immutable and may be used by
// any number of calls at once.
type Service struct {
	// Broken says why no call can be made: a secret cannot be resolved. It
	// names the field and the reference, never a value. Do returns it.
	Broken error
	// Identity differs when endpoint or credentials do; it tells neither.
	Identity [sha256.Size]byte

	pool     *wire.Pool
	addr     string
	head     []byte // the request's head up to the value of content-length
	timeouts wire.Timeouts
}

// NewService prepares cfg. resolve is as for CompileInstance. Without a client
// the configuration is only checked. Errors name fields and show no value.
func NewService(client *wire.Client, cfg *ServiceConfig, resolve func(string) (string, error)) (*Service, error) {
	r := &resolver{resolve: resolve}
	in := new(Instance)
	value, secret := r.str("endpoint", cfg.Endpoint)
	if !secret || r.broken == nil {
		ep, err := parseEndpoint(value)
		switch {
		case err == nil:
			in.ep = ep
		case secret:
			r.fail("endpoint", cfg.Endpoint, err)
		default:
			return nil, err
		}
	}
	if in.ep.path == "" {
		in.ep.path = "/"
		if cfg.Path != "" {
			in.ep.path = cfg.Path
		}
	}
	// The head of any protocol of an instance whose endpoint has a path is
	// what is needed here.
	if err := in.compileHead(&Auth{Header: cfg.Header, Query: cfg.Query}, r); err != nil {
		return nil, err
	}
	tail := string(in.tail)
	if cfg.ContentType != "" {
		tail = strings.TrimSuffix(tail, contentLength) + "content-type: " + cfg.ContentType + "\r\ncontent-length: "
	}
	s := &Service{
		Broken:   r.broken,
		addr:     net.JoinHostPort(in.ep.host, strconv.Itoa(in.ep.portOf())),
		head:     append(in.starts[OpenAIChat], tail...),
		timeouts: wire.Timeouts{Connect: cfg.Timeout, Send: cfg.Timeout, Read: cfg.Timeout},
	}
	s.Identity = sha256.Sum256(fmt.Appendf(nil, "%t %s\n%s", in.ep.plain, s.addr, s.head))
	if client != nil && s.Broken == nil {
		s.pool = client.Pool(wire.Target{
			TLS: !in.ep.plain, Host: in.ep.host, Port: in.ep.portOf(), SNI: in.ep.host, Verify: cfg.SSLVerify,
			KeepAlive: !cfg.NoKeepAlive, IdleFor: cfg.IdleFor, PoolSize: cfg.PoolSize,
		})
	}
	return s, nil
}

// Addr is the service's host and port.
func (s *Service) Addr() string { return s.addr }

// EndpointPath judges an endpoint as NewService does and returns its path, "" if
// it has none.
func EndpointPath(endpoint string) (path string, err error) {
	ep, err := parseEndpoint(endpoint)
	return ep.path, err
}

// Call is one call of a Service and its answer, meant to be kept in a pool:
// the zero value is ready, Reset makes it ready again. One goroutine uses it;
// Exchange.Cancel may come from any other and ends the call within
// milliseconds, also a call that has not begun.
type Call struct {
	Exchange wire.Exchange

	head   []byte
	segs   [1][]byte
	answer []byte
	timer  *time.Timer
	rang   chan struct{} // the timer's function has ended
}

// Reset makes c ready for the next Do and forgets an earlier Cancel. Buffers of
// up to 64 KiB are kept.
func (c *Call) Reset() {
	c.Exchange.Reset()
	c.head, c.answer = keep(c.head, 1), keep(c.answer, 1)
}

// Do posts body and reads the whole answer, of any status, up to limit bytes.
// answer is valid until c's next Do or Reset. A transport error is or wraps a
// *wire.Error, that of a cancelled call wire.ErrCanceled; no error shows a
// credential or a byte of the answer. Between two calls c must be Reset.
func (s *Service) Do(c *Call, body []byte, limit int) (status int, answer []byte, err error) {
	if s.Broken != nil {
		return 0, nil, s.Broken
	}
	c.head = strconv.AppendInt(append(c.head[:0], s.head...), int64(len(body)), 10)
	c.head = append(c.head, "\r\n\r\n"...)
	c.segs[0] = body
	ticks := c.startClock(s.timeouts.Read)
	status, err = c.exchange(s, limit)
	if ticks {
		c.stopClock()
	}
	c.segs[0] = nil
	if err != nil {
		return status, nil, fmt.Errorf("cannot call %s: %w", s.addr, mute(err))
	}
	return status, c.answer, nil
}

func (c *Call) exchange(s *Service, limit int) (status int, err error) {
	x := &c.Exchange
	if err := s.pool.Do(x, s.timeouts, c.head, c.segs[:]...); err != nil {
		return 0, err
	}
	err = c.read(limit)
	x.Done(err == nil)
	return x.Head.Status, err
}

func (c *Call) read(limit int) error {
	size := c.Exchange.Head.ContentLength
	if size > int64(limit) {
		return ErrAnswerTooLarge
	}
	if size = max(size+1, 4<<10); int64(cap(c.answer)) < size {
		c.answer = make([]byte, 0, size)
	}
	c.answer = c.answer[:0]
	for {
		if len(c.answer) == cap(c.answer) {
			c.answer = append(c.answer, 0)[:len(c.answer)]
		}
		n, err := c.Exchange.Read(c.answer[len(c.answer):cap(c.answer)])
		c.answer = c.answer[:len(c.answer)+n]
		switch {
		case len(c.answer) > limit:
			return ErrAnswerTooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// startClock bounds the call as a whole: wire's own timeouts begin again with
// every byte.
func (c *Call) startClock(d time.Duration) bool {
	if d <= 0 {
		return false
	}
	if c.timer == nil {
		c.rang = make(chan struct{}, 1)
		c.timer = time.AfterFunc(d, c.ring)
	} else {
		c.timer.Reset(d)
	}
	return true
}

func (c *Call) ring() {
	c.Exchange.Interrupt()
	c.rang <- struct{}{}
}

// stopClock returns when no Interrupt can come any more: the next use of the
// exchange must not be hit.
func (c *Call) stopClock() {
	if !c.timer.Stop() {
		<-c.rang
	}
}

// mute takes out of an error what wire quotes of an answer.
func mute(err error) error {
	var e *wire.Error
	if errors.As(err, &e) {
		for _, cause := range [...]error{wire.ErrBadResponse, wire.ErrChunk} {
			if errors.Is(e.Err, cause) {
				return &wire.Error{Phase: e.Phase, Err: cause}
			}
		}
	}
	return err
}
