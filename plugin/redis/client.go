package redis

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net"
	"runtime"
	"strconv"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"headrace/plugin"
)

// Client is a pool of connections to one Redis, shared by all plugins whose
// configuration of it is the same. It may be used concurrently; a server that
// was away is connected to again by the calls that come after it is back.
type Client struct {
	db      goredis.UniversalClient
	timeout time.Duration
	log     *slog.Logger
	later   later
}

// Open returns the client for a configuration whose references are resolved.
// It connects to nothing yet.
func Open(env *plugin.Env, c *Config) (*Client, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	held, err := env.State("redis:"+hex.EncodeToString(sum[:]), func() (any, error) { return newClient(env, c), nil })
	if err != nil {
		return nil, err
	}
	return held.(*Client), nil
}

// The library would write to standard error; what is wrong comes back from the
// calls as well.
var quiet = sync.OnceFunc(logging.Disable)

func newClient(env *plugin.Env, c *Config) *Client {
	quiet()
	r := &Client{log: env.Log}
	r.later.client = r
	switch c.Policy {
	case Cluster:
		r.timeout = millis(c.Timeout)
		r.db = goredis.NewClusterClient(c.cluster(env.RootCAs))
	case Sentinel:
		r.timeout = millis(c.ConnectTimeout) + millis(c.ReadTimeout)
		r.db = goredis.NewFailoverClient(c.sentinel())
	default:
		r.timeout = millis(c.Timeout)
		r.db = goredis.NewClient(c.single(env.RootCAs))
	}
	return r
}

// Timeout is how long a call of Eval waits at most.
func (r *Client) Timeout() time.Duration { return r.timeout }

// Eval runs a script that answers with whole numbers. It waits for at most the
// configuration's timeout, connecting and repeating included. Errors hold no
// credentials.
func (r *Client) Eval(s *goredis.Script, keys []string, args ...any) ([]int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	return s.Run(ctx, r.db, keys, args...).Int64Slice()
}

// Each sends the commands that add puts into a pipeline and waits for all
// answers, as long as Eval does. The error is the first one; each command has
// its own.
func (r *Client) Each(add func(ctx context.Context, p goredis.Pipeliner)) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	_, err := r.db.Pipelined(ctx, func(p goredis.Pipeliner) error {
		add(ctx, p)
		return nil
	})
	return err
}

// Close ends what Later has been given, as far as that can be done within the
// timeout, and then the connections.
func (r *Client) Close() error {
	r.later.close()
	return r.db.Close()
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// poolSize is the number of connections at a time; redis_keepalive_pool is how
// many of them stay when they are idle.
func (c *Config) poolSize() int { return max(c.KeepAlivePool, 100, 10*runtime.GOMAXPROCS(0)) }

const (
	retries  = 1 // of a command whose connection broke, within the time of the call
	backoff  = 10 * time.Millisecond
	buffer   = 4 << 10
	protocol = 2 // which every server speaks; beyond it are notices that nothing here is for
)

func (c *Config) single(roots *x509.CertPool) *goredis.Options {
	d := millis(c.Timeout)
	o := &goredis.Options{
		Addr: net.JoinHostPort(c.Host, strconv.Itoa(c.Port)), DB: c.Database,
		DialTimeout: d, ReadTimeout: d, WriteTimeout: d, PoolTimeout: d, ContextTimeoutEnabled: true,
		MaxRetries: retries, MaxRetryBackoff: backoff, DialerRetries: 1,
		PoolSize: c.poolSize(), MaxIdleConns: c.KeepAlivePool, ConnMaxIdleTime: millis(c.KeepAlive), PipelinePoolSize: -1,
		ReadBufferSize: buffer, WriteBufferSize: buffer, Protocol: protocol, DisableIdentity: true,
	}
	if c.Password != "" {
		o.Username, o.Password = c.Username, c.Password
	}
	if c.TLS {
		o.TLSConfig = &tls.Config{RootCAs: roots, ServerName: c.Host, InsecureSkipVerify: !c.TLSVerify}
	}
	return o
}

func (c *Config) cluster(roots *x509.CertPool) *goredis.ClusterOptions {
	d := millis(c.Timeout)
	o := &goredis.ClusterOptions{
		Password:    c.Password,
		DialTimeout: d, ReadTimeout: d, WriteTimeout: d, PoolTimeout: d, ContextTimeoutEnabled: true,
		MaxRetries: retries, MaxRetryBackoff: backoff, DialerRetries: 1,
		PoolSize: c.poolSize(), MaxIdleConns: c.KeepAlivePool, ConnMaxIdleTime: millis(c.KeepAlive), PipelinePoolSize: -1,
		ReadBufferSize: buffer, WriteBufferSize: buffer, Protocol: protocol, DisableIdentity: true,
	}
	for _, addr := range c.Nodes {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			addr = net.JoinHostPort(addr, "6379")
		}
		o.Addrs = append(o.Addrs, addr)
	}
	if c.NodeTLS {
		o.TLSConfig = &tls.Config{RootCAs: roots, InsecureSkipVerify: !c.NodeTLSVerify}
	}
	return o
}

func (c *Config) sentinel() *goredis.FailoverOptions {
	read := millis(c.ReadTimeout)
	o := &goredis.FailoverOptions{
		MasterName: c.Master, ReplicaOnly: c.Role == "slave", DB: c.Database,
		SentinelUsername: c.SentinelUsername, SentinelPassword: c.SentinelPassword,
		DialTimeout: millis(c.ConnectTimeout), ReadTimeout: read, WriteTimeout: read, PoolTimeout: read, ContextTimeoutEnabled: true,
		MaxRetries: retries, MaxRetryBackoff: backoff, DialerRetries: 1,
		PoolSize: c.poolSize(), MaxIdleConns: 100, ConnMaxIdleTime: millis(c.KeepAlive), PipelinePoolSize: -1,
		ReadBufferSize: buffer, WriteBufferSize: buffer, Protocol: protocol, DisableIdentity: true,
	}
	for _, s := range c.Sentinels {
		o.SentinelAddrs = append(o.SentinelAddrs, net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	}
	if c.Password != "" {
		o.Username, o.Password = c.Username, c.Password
	}
	return o
}

// Shared tells that others use the client until they are closed.
func (r *Client) Shared() {}
