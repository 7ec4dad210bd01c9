package kafkalogger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"headrace/driver"
	"headrace/plugin"
	"headrace/plugin/logbatch"
	"headrace/plugin/logentry"
)

// logger hands the entry of every request to its batches.
type logger struct {
	*logentry.Format
	origin  bool // the request itself instead of an entry
	quote   bool // which is a string in an array then
	batches *logbatch.Batcher
}

// Log implements plugin.Logger.
func (l *logger) Log(c *plugin.Ctx) {
	line := logentry.GetLine()
	switch {
	case !l.origin:
		*line = l.Append(*line, c)
	case !l.quote:
		*line = l.AppendOriginal(*line, c)
	default:
		text := logentry.GetLine()
		*text = l.AppendOriginal(*text, c)
		*line = driver.AppendString(*line, *text)
		logentry.PutLine(text)
	}
	l.batches.Add(*line)
	logentry.PutLine(line)
}

// sender makes a message of a batch.
type sender struct {
	producer *producer
	topic    string
	key      []byte // nil: none
}

// Send implements logbatch.Sender: it returns when the brokers have
// acknowledged the message.
func (s *sender) Send(ctx context.Context, payload []byte) error {
	p := s.producer
	err := s.produce(ctx, payload)
	if errors.Is(err, kerr.UnknownTopicID) {
		// The topic was deleted and made anew. The client would ask for the
		// old one until it is told to forget it.
		p.client.PurgeTopicsFromProducing(s.topic)
		err = s.produce(ctx, payload)
	}
	if err == nil {
		return nil
	}
	if why := p.trouble(); why != "" {
		err = fmt.Errorf("%w (%s)", err, why)
	}
	return fmt.Errorf("failed to send data to Kafka topic: %w, brokers: %s", err, strings.Join(p.addresses, ","))
}

func (s *sender) produce(ctx context.Context, payload []byte) error {
	return s.producer.client.ProduceSync(ctx, &kgo.Record{Topic: s.topic, Key: s.key, Value: payload}).FirstErr()
}

// Close implements logbatch.Sender.
func (s *sender) Close() { s.producer.release() }

var (
	_ plugin.BodyLogger = (*logger)(nil)
	_ logbatch.Sender   = (*sender)(nil)
)
