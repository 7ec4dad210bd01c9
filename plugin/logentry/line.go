package logentry

import "sync"

var lines = sync.Pool{New: func() any { return new([]byte) }}

// GetLine returns an empty buffer to put an entry together in; PutLine must
// follow.
func GetLine() *[]byte {
	line := lines.Get().(*[]byte)
	*line = (*line)[:0]
	return line
}

// PutLine takes a buffer back. One that has grown beyond 64 KiB is dropped.
func PutLine(line *[]byte) {
	if cap(*line) <= 64<<10 {
		lines.Put(line)
	}
}
