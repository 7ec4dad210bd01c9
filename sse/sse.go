// Package sse reads, writes and relays server-sent events.
//
// Scanner splits a byte stream into events in place, Relay decides what the
// client gets for the bytes that arrived, and Pump moves them from the
// upstream to the client. Nothing here knows HTTP heads, providers or
// plugins: those come in through Hooks and Transform. The package imports
// nothing of Headrace.
package sse

import (
	"errors"
	"time"
)

// Event is one block of a stream: everything up to and including the blank
// line that ends it.
//
// Name is the value of the event field (nil means "message"), Data the data
// lines joined by "\n" (nil: the block carries no data, for example a
// comment), Raw the bytes of the whole block with its blank line. All three
// alias the scanner's input or its own buffer and are valid until the next
// Scanner.Reset.
type Event struct {
	Name, Data, Raw []byte
}

// Mark says what an event meant to the protocol that it belongs to; bits add up.
type Mark uint16

// The marks. Content is generated output (text, reasoning, tool arguments),
// UsageSeen a report of token usage, UsageOnly a chunk that carries nothing
// else, ToolCall a call of a tool, Done the protocol's terminator, Failed an
// error that the provider reported inside the stream. Stopped says that the
// answer is complete but for a report that is still to come: Bedrock sends the
// usage behind the end of the message.
const (
	Content Mark = 1 << iota
	UsageSeen
	UsageOnly
	ToolCall
	Done
	Failed
	Stopped
)

// Limits of one stream; zero means none (ai-proxy.md section 5.5).
type Limits struct {
	MaxDuration time.Duration // counted from the t0 given to Relay.Start
	MaxBytes    int64         // bytes read from the upstream
}

// Stats is what a relay has seen so far.
type Stats struct {
	BytesIn    int64         // body bytes read from the upstream
	BytesOut   int64         // body bytes given to the client, framing not counted
	Events     int           // events with data
	FirstByte  time.Duration // from t0 to the first body byte; 0: none came
	FirstToken time.Duration // from t0 to the first event marked Content; 0: none came
	LastByte   time.Duration // from t0 to the latest body byte
	Seen       Mark          // every mark seen, or-ed
}

// Hooks carries a relay's observations back to its owner. The methods are
// called from the goroutine that runs the relay.
type Hooks interface {
	// Tap sees each event that has data, before the client does, and says what it is.
	Tap(ev Event) Mark
	// AppendFault appends the error event that tells the client why its
	// stream breaks off here (ErrTruncated, ErrStalled or ErrCorrupt), in the client's
	// protocol; it appends nothing where the protocol has no such event.
	AppendFault(dst []byte, cause error) []byte
	// Settle is called exactly once, when no further byte will be produced
	// and before the end of the body is written: what the client's next
	// request must see (usage, limits, cache) is final when it returns.
	Settle(st *Stats, cause error)
}

// Transform turns the bytes of a stream into other bytes: converters, filters
// of plugins and guards that hold a stream back. A nil Transform means that
// bytes pass as they are.
type Transform interface {
	// AppendChunk appends to dst what the client gets for raw. events are
	// the blocks that raw completed, comments included; they are valid
	// during the call. An error ends the stream with that cause after what
	// was appended has been sent.
	AppendChunk(dst, raw []byte, events []Event) ([]byte, error)
	// AppendEnd is called once after the last chunk, with the unfinished
	// block that is left over (rest) and the cause of the end (nil: the
	// upstream's body ended as it should).
	AppendEnd(dst, rest []byte, cause error) ([]byte, error)
}

// Causes of an end that is not the upstream's own.
var (
	ErrTruncated  = errors.New("upstream stream truncated")
	ErrStalled    = errors.New("upstream stream timed out")
	ErrClientGone = errors.New("client is gone")
	ErrDuration   = errors.New("max_stream_duration_ms exceeded")
	ErrBytes      = errors.New("max_response_bytes exceeded")
	ErrCorrupt    = errors.New("AWS event stream is corrupt")
	ErrTooLarge   = errors.New("stream event exceeds 16 MiB")
	ErrNoOutput   = errors.New("stream completed without any output")
)
