package sse

import "bytes"

// AppendEvent appends one event to dst: an event line unless name is empty,
// a data line for each line of data, and the blank line that ends it.
//
// Lines of data end at "\n", "\r\n" or a lone "\r", since a client takes each
// of them for the end of a field; a name is cut at the first of them. Data
// without bytes gives one empty data line.
func AppendEvent(dst, name, data []byte) []byte {
	if i := lineEnd(name); i >= 0 {
		name = name[:i]
	}
	if len(name) > 0 {
		dst = append(dst, "event: "...)
		dst = append(dst, name...)
		dst = append(dst, '\n')
	}
	return AppendData(dst, data)
}

// AppendData appends an event without a name, as AppendEvent does.
func AppendData(dst, data []byte) []byte {
	for {
		dst = append(dst, "data: "...)
		i := lineEnd(data)
		if i < 0 {
			dst = append(dst, data...)
			return append(dst, "\n\n"...)
		}
		dst = append(dst, data[:i]...)
		dst = append(dst, '\n')
		if data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n' {
			i++
		}
		data = data[i+1:]
	}
}

// lineEnd is the index of the first "\n" or "\r", or -1.
func lineEnd(b []byte) int {
	i := bytes.IndexByte(b, '\n')
	if i >= 0 {
		b = b[:i]
	}
	if j := bytes.IndexByte(b, '\r'); j >= 0 {
		return j
	}
	return i
}
