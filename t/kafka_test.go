package t

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// kafkaUser and kafkaPassword are what a cluster with -sasl wants to hear.
const kafkaUser, kafkaPassword = "admin", "kafka-secret"

// cmdKafka runs a Kafka cluster of one broker, in memory, on $KAFKA:
//
//	kafka start [-sasl]      with the topic "logs"; -sasl: only for admin with kafka-secret
//	kafka stop
//	kafka read N FILE        waits for N messages in "logs" and writes them to FILE, one a line
func (s *state) cmdKafka(args []string) (string, error) {
	switch {
	case len(args) > 0 && args[0] == "start" && s.kafka == nil:
		return "", s.startKafka(len(args) == 2 && args[1] == "-sasl")
	case len(args) == 1 && args[0] == "stop" && s.kafka != nil:
		s.kafka.Close()
		s.kafka = nil
		return "", nil
	case len(args) == 3 && args[0] == "read" && s.kafka != nil:
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return "", err
		}
		return "", s.readKafka(n, args[2])
	}
	return "", errors.New("usage: kafka start [-sasl] | stop | read N FILE")
}

func (s *state) startKafka(sasl bool) (err error) {
	port, err := strconv.Atoi(s.getenv("KAFKA_PORT"))
	if err != nil {
		return err
	}
	opts := []kfake.Opt{kfake.NumBrokers(1), kfake.Ports(port), kfake.SeedTopics(1, "logs")}
	if s.kafkaSASL = sasl; sasl {
		opts = append(opts, kfake.EnableSASL(), kfake.Superuser("PLAIN", kafkaUser, kafkaPassword))
	}
	s.kafka, err = kfake.NewCluster(opts...)
	return err
}

func (s *state) readKafka(n int, file string) error {
	opts := []kgo.Opt{kgo.SeedBrokers(s.kafka.ListenAddrs()...), kgo.ConsumeTopics("logs"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
	if s.kafkaSASL {
		opts = append(opts, kgo.SASL(plain.Auth{User: kafkaUser, Pass: kafkaPassword}.AsMechanism()))
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var b strings.Builder
	for got := 0; got < n; {
		for _, r := range client.PollFetches(ctx).Records() {
			fmt.Fprintf(&b, "%s\n", r.Value)
			got++
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%d messages, want %d:\n%s", got, n, &b)
		}
	}
	return os.WriteFile(s.abs(file), []byte(b.String()), 0o644)
}
