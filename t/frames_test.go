package t

import (
	enc "encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"strings"
)

// cmdFrames writes a file of AWS event-stream frames, as ConverseStream sends
// them: frames FILE 'TYPE JSON'...
func (s *state) cmdFrames(args []string) (string, error) {
	if len(args) < 2 {
		return "", errors.New("usage: frames FILE 'TYPE JSON'...")
	}
	var b []byte
	for _, a := range args[1:] {
		kind, payload, _ := strings.Cut(a, " ")
		b = appendFrame(b, kind, payload)
	}
	return "", os.WriteFile(s.abs(args[0]), b, 0o644)
}

func appendFrame(dst []byte, kind, payload string) []byte {
	var head []byte
	for _, h := range [][2]string{{":event-type", kind}, {":content-type", "application/json"}, {":message-type", "event"}} {
		head = append(append(head, byte(len(h[0]))), h[0]...)
		head = enc.BigEndian.AppendUint16(append(head, 7), uint16(len(h[1])))
		head = append(head, h[1]...)
	}
	start := len(dst)
	dst = enc.BigEndian.AppendUint32(dst, uint32(12+len(head)+len(payload)+4))
	dst = enc.BigEndian.AppendUint32(dst, uint32(len(head)))
	dst = enc.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
	dst = append(append(dst, head...), payload...)
	return enc.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
}
