package driver

import "strconv"

// builder writes the request that a client's body becomes.
type builder struct {
	jsonOut
	src *Body
}

// get is a top-level member of the client's body; null counts as absent.
func (b *builder) get(key string) []byte { return notNull(rawOf(b.src, key)) }

// copy writes the client's member from, if there is one, under name.
func (b *builder) copy(name, from string) {
	if raw := b.get(from); raw != nil {
		b.member(name, raw)
	}
}

// jsonOut writes JSON by hand. Whether a comma is due is told by the byte
// before: after an opening brace or bracket there is none.
type jsonOut struct{ dst []byte }

// key begins a member of the object that is open; name needs no escapes.
func (o *jsonOut) key(name string) {
	if o.dst[len(o.dst)-1] != '{' {
		o.dst = append(o.dst, ',')
	}
	o.dst = append(append(append(o.dst, '"'), name...), '"', ':')
}

// member writes a member whose value is the JSON raw.
func (o *jsonOut) member(name string, raw []byte) {
	o.key(name)
	o.dst = append(o.dst, raw...)
}

// text writes a member whose value is a string that needs no escapes.
func (o *jsonOut) text(name, value string) {
	o.key(name)
	o.dst = append(append(append(o.dst, '"'), value...), '"')
}

// number writes a member whose value is an integer.
func (o *jsonOut) number(name string, value int64) {
	o.key(name)
	o.dst = strconv.AppendInt(o.dst, value, 10)
}

// next begins an element of the array that is open.
func (o *jsonOut) next() {
	if o.dst[len(o.dst)-1] != '[' {
		o.dst = append(o.dst, ',')
	}
}

// raw writes text as it stands.
func (o *jsonOut) raw(text string) { o.dst = append(o.dst, text...) }
