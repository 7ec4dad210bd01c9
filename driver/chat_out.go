package driver

// chatOut writes a request of the chat protocol from nothing, for the
// converters that lead to it.
type chatOut struct {
	builder
	names *toolNames
}

// open begins a message.
func (q *chatOut) open(role string) {
	q.next()
	q.dst = append(append(append(q.dst, `{"role":"`...), role...), '"')
}

// openAs begins a message with a role of the client's.
func (q *chatOut) openAs(role []byte) {
	q.next()
	q.dst = append(append(q.dst, `{"role":`...), role...)
}
