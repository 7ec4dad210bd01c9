// Package etcd reads and writes resources where an APISIX cluster keeps them
// (gateway.md 2.3): the same keys and values, encrypted fields included.
//
// What was read last stays in memory and in a file, as etcd had it, with its
// revision. That is what serves while etcd is away, and what every reconnect is
// checked against (history.go): a restored or emptied etcd never takes a
// configuration down before an operator has accepted it (hold.go).
package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"headrace/conf"
	"headrace/conf/crypt"
)

// Options of a Store, in the words of deployment.etcd. Zero durations mean the
// defaults given.
type Options struct {
	Hosts  []string // http:// or https:// URLs
	Prefix string   // "/apisix"
	User   string   // "": no authentication
	// Password of User.
	Password string
	TLS      *tls.Config // of https hosts; nil: the system's certificates

	Timeout            time.Duration // of one request: 30 s
	WatchTimeout       time.Duration // a watch that misses something for so long is begun anew: 50 s
	ResyncDelay        time.Duration // longest pause between two attempts to connect: 5 s
	HealthCheckTimeout time.Duration // for a sign of life: 10 s
	StartupRetry       int           // attempts after the first one before the file serves

	ReadOnly bool           // every write is refused
	Keyring  *crypt.Keyring // nil: fields are stored as they are
	// Fields are the encrypted fields of plugins by their names,
	// CredentialFields those that differ in consumers and credentials.
	Fields, CredentialFields map[string][]string
	File                     string       // last good configuration, mode 0600; "": none is kept
	Log                      *slog.Logger // nil: no log
}

const (
	dialTimeout   = 5 * time.Second
	downTimeout   = 3 * time.Second // of a request while etcd is known to be away
	pulseEvery    = 2 * time.Second
	keepAliveTime = 10 * time.Second // etcd takes more than one in 5 s for abuse
	retries       = 10               // of reads, by the client itself
	retryPause    = 100 * time.Millisecond
	longestWait   = 500 * time.Millisecond // between attempts at the start
)

// ErrReadOnly is the answer to every write of a data plane.
var ErrReadOnly = errors.New("a data_plane does not write to etcd")

// Store is a conf.Store in etcd. Load and Watch are for one caller; all other
// methods may be called at the same time.
type Store struct {
	opts   Options
	prefix string // without a slash at its end
	log    *slog.Logger
	fields fields
	ctx    context.Context
	cancel context.CancelFunc

	clientMu sync.Mutex
	client   *clientv3.Client
	dials    atomic.Int64  // connections that were made
	dialed   chan struct{} // holds something when one was

	mu       sync.Mutex
	state    state // what is in force, as etcd had it
	status   Status
	verified int64 // dials at which etcd's history was known to be that of state
	loaded   bool
	resyncs  atomic.Int64

	applied conf.Progress
	accepts chan acceptance
	file    *file // nil: none
}

// Open makes a store. Nothing is contacted yet.
func Open(o Options) (*Store, error) {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.Timeout, 30*time.Second)
	def(&o.WatchTimeout, 50*time.Second)
	def(&o.ResyncDelay, 5*time.Second)
	def(&o.HealthCheckTimeout, 10*time.Second)
	if o.Prefix == "" {
		o.Prefix = "/apisix"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(o.Hosts) == 0 {
		return nil, errors.New("no etcd host is given")
	}
	s := &Store{
		opts: o, prefix: strings.TrimRight(o.Prefix, "/"), log: o.Log,
		fields: newFields(o.Keyring, o.Fields, o.CredentialFields),
		dialed: make(chan struct{}, 1), accepts: make(chan acceptance), verified: -1,
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if o.File != "" {
		s.file = newFile(o.File, s)
	}
	return s, nil
}

// connect returns the client. Without a password it never waits; with one the
// first call asks etcd for a token.
func (s *Store) connect() (*clientv3.Client, error) {
	s.clientMu.Lock()
	defer s.clientMu.Unlock()
	if s.ctx.Err() != nil {
		return nil, conf.ErrClosed
	}
	if s.client != nil {
		return s.client, nil
	}
	c, err := clientv3.New(clientv3.Config{
		Context: s.ctx, Endpoints: s.opts.Hosts, Username: s.opts.User, Password: s.opts.Password, TLS: s.opts.TLS,
		DialTimeout: min(dialTimeout, s.opts.Timeout), DialKeepAliveTime: keepAliveTime, DialKeepAliveTimeout: s.opts.HealthCheckTimeout,
		MaxUnaryRetries: retries, BackoffWaitBetween: retryPause, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithContextDialer(s.dial),
			grpc.WithChainUnaryInterceptor(failFast),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: s.opts.ResyncDelay},
				MinConnectTimeout: dialTimeout,
			}),
		},
	})
	if err != nil {
		return nil, err
	}
	s.client = c
	return c, nil
}

// failFast lets a read fail when no host can be reached, after the retries of
// the client. Left alone it would wait until its time is up, as writes do.
func failFast(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := req.(*etcdserverpb.RangeRequest); ok {
		opts = append(opts, grpc.WaitForReady(false))
	}
	return next(ctx, method, req, reply, cc, opts...)
}

// dial counts connections. The client mends them by itself and says nothing;
// but behind a new one may be another etcd than before.
func (s *Store) dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err == nil {
		s.dials.Add(1)
		select {
		case s.dialed <- struct{}{}:
		default:
		}
	}
	return c, err
}

// request bounds one request of the Admin API.
func (s *Store) request() (context.Context, context.CancelFunc) {
	t := s.opts.Timeout
	s.mu.Lock()
	if !s.status.Reachable {
		t = min(t, downTimeout)
	}
	s.mu.Unlock()
	return context.WithTimeout(s.ctx, t)
}

// Close ends the store. What is in force is in the file then.
func (s *Store) Close() error {
	s.cancel()
	if s.file != nil {
		s.file.close()
	}
	s.clientMu.Lock()
	defer s.clientMu.Unlock()
	if s.client != nil {
		_ = s.client.Close() // says that its context has ended
	}
	return nil
}

// Applied implements conf.Store.
func (s *Store) Applied(rev int64) { s.applied.Reach(rev) }

// WaitApplied implements conf.Store. While changes are held it does not wait.
func (s *Store) WaitApplied(ctx context.Context, rev int64) error {
	if held := s.held(); held != "" {
		return errors.New("changes are held: " + held)
	}
	return s.applied.Wait(ctx, s.ctx.Done(), rev)
}
