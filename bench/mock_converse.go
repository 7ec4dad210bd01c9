package bench

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"
)

// converse answers as Amazon Bedrock's POST /model/<model>/converse and
// /converse-stream do.
func (x *exchange) converse(status int) error {
	t := x.tool()
	if x.stream {
		return x.streamed(status, func() error { return x.converseEvents(t) })
	}
	n, stop := x.tokens(), "end_turn"
	b := []byte(`{"metrics":{"latencyMs":`)
	b = fmt.Appendf(b, `%d},"output":{"message":{"content":[`, time.Since(x.rec.started).Milliseconds())
	if t != nil {
		n, stop = len(fragments(t.args)), "tool_use"
		b = fmt.Appendf(b, `{"toolUse":{"input":%s,"name":%s,"toolUseId":"%s"}}`, t.args, quote(t.name), x.id("tooluse_"))
	} else {
		b = append(x.appendAll(append(b, `{"text":"`...)), `"}`...)
	}
	b = fmt.Appendf(b, `],"role":"assistant"}},"stopReason":"%s"`, stop)
	if !x.sc.noUsage {
		b = x.appendConverseUsage(append(b, ','), n)
	}
	return x.plain(status, append(b, '}'))
}

func (x *exchange) appendConverseUsage(b []byte, output int) []byte {
	p := x.ask.promptTokens
	return fmt.Appendf(b, `"usage":{"cacheReadInputTokens":0,"cacheWriteInputTokens":0,"inputTokens":%d,"outputTokens":%d,"totalTokens":%d}`, p, output, p+output)
}

// converseEvents is the stream: messageStart, the deltas of a block,
// messageStop, and metadata with the usage.
func (x *exchange) converseEvents(t *tool) error {
	if err := x.begin(); err != nil {
		return err
	}
	if err := x.frame("messageStart", `{"role":"assistant"`); err != nil {
		return err
	}
	const delta = `{"contentBlockIndex":0,"delta":{`
	n, stop := 0, "end_turn"
	if t != nil {
		stop = "tool_use"
		start := fmt.Sprintf(`{"contentBlockIndex":0,"start":{"toolUse":{"name":%s,"toolUseId":"%s"}}`, quote(t.name), x.id("tooluse_"))
		if err := x.frame("contentBlockStart", start); err != nil {
			return err
		}
		x.paced()
		for _, f := range fragments(t.args) {
			if err := x.frame("contentBlockDelta", delta+`"toolUse":{"input":`+string(quote(f))+"}}"); err != nil {
				return err
			}
			n++
		}
	} else {
		x.paced()
		for ; n < x.tokens(); n++ {
			b := append(append(x.payload[:0], delta...), `"text":"`...)
			x.payload = append(x.appendToken(b, n), `"}`...)
			if err := x.frame("contentBlockDelta", string(x.payload)); err != nil {
				return err
			}
		}
	}
	x.trailer()
	x.hold = x.sc.noDone
	if err := x.frame("contentBlockStop", `{"contentBlockIndex":0`); err != nil || x.sc.noDone {
		return err
	}
	if err := x.frame("messageStop", `{"stopReason":"`+stop+`"`); err != nil {
		return err
	}
	report := fmt.Appendf(nil, `{"metrics":{"latencyMs":%d}`, time.Since(x.rec.started).Milliseconds())
	if !x.sc.noUsage {
		report = x.appendConverseUsage(append(report, ','), n)
	}
	x.hold = true
	return x.frame("metadata", string(report))
}

// frame sends an event whose payload is the object that begins with open, and
// as in Bedrock's a string of any length that hides how long the text is.
func (x *exchange) frame(name, open string) error {
	const padding = `,"p":"abcdefghijklmnopqrstuvwxyzABCDEFGHIJ`
	n := 6 + int(mix(uint64(x.serial)+uint64(x.events))%37)
	x.ev = appendFrame(x.ev[:0], open+padding[:n]+`"}`, ":event-type", name, ":content-type", "application/json", ":message-type", "event")
	return x.event(x.ev)
}

// appendFrame appends a frame of an AWS event stream: the length of the whole
// and of the headers, their checksum, the headers (given as name and value),
// the payload, and the checksum of all that.
func appendFrame(b []byte, payload string, headers ...string) []byte {
	start, size := len(b), 0
	for i := 0; i < len(headers); i += 2 {
		size += 1 + len(headers[i]) + 3 + len(headers[i+1])
	}
	b = binary.BigEndian.AppendUint32(b, uint32(16+size+len(payload)))
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
	for i := 0; i < len(headers); i += 2 {
		b = append(append(b, byte(len(headers[i]))), headers[i]...)
		b = binary.BigEndian.AppendUint16(append(b, 7), uint16(len(headers[i+1]))) // 7: a string
		b = append(b, headers[i+1]...)
	}
	b = append(b, payload...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
}

// exception is the frame with which Bedrock ends a stream that fails.
func exception(typ, msg string) []byte {
	return appendFrame(nil, `{"message":`+string(quote(msg))+"}", ":exception-type", typ, ":content-type", "application/json", ":message-type", "exception")
}

// errorClass is what Bedrock calls the error of a status, in a header.
func errorClass(status int) string {
	switch status {
	case 403:
		return "AccessDeniedException"
	case 404:
		return "ResourceNotFoundException"
	case 408:
		return "ModelTimeoutException"
	case 424:
		return "ModelErrorException"
	case 429:
		return "ThrottlingException"
	case 503:
		return "ServiceUnavailableException"
	}
	if status >= 500 {
		return "InternalServerException"
	}
	return "ValidationException"
}
