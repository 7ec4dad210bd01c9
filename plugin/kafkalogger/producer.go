package kafkalogger

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"headrace/plugin"
	"headrace/plugin/logbatch"
)

// producer is the connections to one cluster. It is shared by all that agree
// in its configuration, and lives as long as one of them does.
type producer struct {
	client    *kgo.Client
	addresses []string

	mu    sync.Mutex
	users int

	last atomic.Pointer[complaint]
}

// maxMessage bounds what a broker is asked to take at once. What it does take
// is its own decision.
const maxMessage = 64 << 20

// openProducer finds or makes the connections to a cluster. Nothing is dialled
// before the first message.
func openProducer(env *plugin.Env, c *cluster) (*producer, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	v, err := env.State(name+" producer:"+digest(raw), func() (any, error) {
		p := &producer{addresses: c.addresses(), users: 1}
		if p.client, err = kgo.NewClient(p.options(env, c)...); err != nil {
			return nil, fmt.Errorf("cannot make a Kafka client: %w", err)
		}
		return p, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*producer), nil
}

func (p *producer) options(env *plugin.Env, c *cluster) []kgo.Opt {
	timeout, refresh := logbatch.Seconds(c.Timeout), logbatch.Seconds(c.Refresh)
	acks := kgo.LeaderAck()
	if c.Acks == -1 {
		acks = kgo.AllISRAcks()
	}
	opts := []kgo.Opt{
		kgo.ClientID("headrace"), kgo.SeedBrokers(p.addresses...), kgo.WithLogger(p), kgo.DisableClientMetrics(),
		kgo.DialTimeout(timeout), kgo.RequestTimeoutOverhead(timeout), kgo.ProduceRequestTimeout(timeout),
		// What lua-resty-kafka asks for, and no more than its users may do:
		// idempotent writes need rights of their own.
		kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite(), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.AllowAutoTopicCreation(),
		kgo.RecordPartitioner(new(partitioner)),
		kgo.ProducerLinger(0), // batches were waited for already
		kgo.ProducerBatchMaxBytes(maxMessage), kgo.MaxBufferedRecords(c.MaxBuffering),
		// A broker that fails over is waited for, one that stays away is not.
		kgo.RecordDeliveryTimeout(3 * timeout), kgo.RetryTimeout(3 * timeout),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
		kgo.MetadataMaxAge(refresh), kgo.MetadataMinAge(min(refresh, time.Second)),
	}
	if c.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(&tls.Config{InsecureSkipVerify: !c.TLS.Verify, RootCAs: env.RootCAs}))
	}
	if who := c.login(); who != nil {
		opts = append(opts, kgo.SASL(who.mechanism()))
	}
	return opts
}

func (l *login) mechanism() sasl.Mechanism {
	switch l.Mechanism {
	case "SCRAM-SHA-256":
		return scram.Auth{User: l.User, Pass: l.Password}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return scram.Auth{User: l.User, Pass: l.Password}.AsSha512Mechanism()
	}
	return plain.Auth{User: l.User, Pass: l.Password}.AsMechanism()
}

func (p *producer) retain() {
	p.mu.Lock()
	p.users++
	p.mu.Unlock()
}

// release closes the connections when nobody uses them any more.
func (p *producer) release() {
	p.mu.Lock()
	p.users--
	last := p.users == 0
	p.mu.Unlock()
	if last {
		p.client.Close()
	}
}

// Close implements io.Closer: the state lets go.
func (p *producer) Close() error {
	p.release()
	return nil
}

// complaint is why the client could not do something.
type complaint struct {
	text string
	at   time.Time
}

// Level implements kgo.Logger.
func (p *producer) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log implements kgo.Logger. What the client says is kept for the error of the
// message that fails: that has only run out of time.
func (p *producer) Log(_ kgo.LogLevel, msg string, keyvals ...any) {
	for i := 0; i+1 < len(keyvals); i += 2 {
		if keyvals[i] == "err" {
			p.last.Store(&complaint{fmt.Sprintf("%s: %v", msg, keyvals[i+1]), time.Now()})
		}
	}
}

// trouble is what the client has said lately.
func (p *producer) trouble() string {
	if c := p.last.Load(); c != nil && time.Since(c.at) < time.Minute {
		return c.text
	}
	return ""
}

// partitioner spreads messages as lua-resty-kafka does, so that a key stays in
// its partition: by the key's CRC-32, or in turn.
type partitioner struct{ turn atomic.Uint32 }

// ForTopic implements kgo.Partitioner.
func (p *partitioner) ForTopic(string) kgo.TopicPartitioner { return p }

// RequiresConsistency implements kgo.TopicPartitioner.
func (p *partitioner) RequiresConsistency(r *kgo.Record) bool { return r.Key != nil }

// Partition implements kgo.TopicPartitioner.
func (p *partitioner) Partition(r *kgo.Record, n int) int {
	if r.Key == nil {
		return int(p.turn.Add(1) % uint32(n))
	}
	return int(crc32.ChecksumIEEE(r.Key) % uint32(n))
}

var _ kgo.Logger = (*producer)(nil)
