package httplogger

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"headrace/driver"
	"headrace/plugin"
	"headrace/plugin/logbatch"
	"headrace/plugin/logentry"
)

// logger hands the entry of every request to its batches.
type logger struct {
	*logentry.Format
	batches *logbatch.Batcher
}

// Log implements plugin.Logger.
func (l *logger) Log(c *plugin.Ctx) {
	line := logentry.GetLine()
	*line = l.Append(*line, c)
	l.batches.Add(*line)
	logentry.PutLine(line)
}

// sender posts batches to the log server, over connections that it shares with
// every other caller of that server.
type sender struct {
	svc   *driver.Service
	calls sync.Pool
}

// answerMax is how much of an answer is read so that its connection can be
// used again.
const answerMax = 64 << 10

// Send implements logbatch.Sender. What the server says beside its status is
// not repeated: it may quote what it was sent.
func (s *sender) Send(ctx context.Context, payload []byte) error {
	c, ok := s.calls.Get().(*driver.Call)
	if !ok {
		c = new(driver.Call)
	}
	stop := context.AfterFunc(ctx, c.Exchange.Cancel)
	status, _, err := s.svc.Do(c, payload, answerMax)
	if stop() { // else a Cancel may still come
		c.Reset()
		s.calls.Put(c)
	}
	switch {
	case status >= 400:
		host, port, _ := net.SplitHostPort(s.svc.Addr())
		return fmt.Errorf("server returned status code[%d] host[%s] port[%s]", status, host, port)
	case err != nil && !(status != 0 && errors.Is(err, driver.ErrAnswerTooLarge)):
		return err
	}
	return nil
}

// Close implements logbatch.Sender.
func (s *sender) Close() {}

var (
	_ plugin.BodyLogger = (*logger)(nil)
	_ logbatch.Sender   = (*sender)(nil)
)
