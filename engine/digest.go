package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"headrace/conf"
)

// digest stands for the contents of a configuration: two gateways with equal
// items have equal digests, in whatever order the items came. It has as many
// bits as a metric's value can hold.
type digest uint64

const digestBits = 1<<52 - 1

func digestOf(it *conf.Item) digest {
	if it.Raw == nil {
		return 0
	}
	h := sha256.New()
	h.Write([]byte(itemName(it.Kind, it.ID)))
	h.Write([]byte{0})
	h.Write(it.Raw)
	return digest(binary.BigEndian.Uint64(h.Sum(nil))) & digestBits
}

// turn takes one change into the digest of the snapshot that is being made.
func (b *batch) turn(ch *conf.Change) {
	if ch.Kind != conf.Routes && !slices.Contains(followed[:], ch.Kind) {
		return // not kept
	}
	name := itemName(ch.Kind, ch.ID)
	was, touched := b.digests[name]
	if !touched {
		if old, ok := b.was.Item(ch.Kind, ch.ID); ok {
			was = digestOf(&old)
		}
	}
	now := digest(0)
	if !ch.Deleted {
		now = digestOf(&ch.Item)
	}
	b.digests[name] = now
	b.next.digest ^= was ^ now
}
