package driver

import "strconv"

// callBlocks knows the block of each tool call of a stream. A few are found by
// looking through them; a provider that sends very many gets a map.
type callBlocks struct {
	few  []callIndex
	many map[float64]callIndex
}

type callIndex struct {
	index float64
	id    uint64 // see callID
	block int
}

const (
	fewCalls = 32
	// noIndex stands for the index of calls that have none: Gemini sends each
	// whole.
	noIndex = -1
)

func (c *callBlocks) reset() { c.few, c.many = c.few[:0], nil }

// of returns the block of the call that part is a part of; not ok: it begins
// one. An index says so only where it is new. Gemini has none, and Ollama gave 0
// to every call: there it is another id beside a name. Without a name another
// id is none, since vLLM gave every part its own.
func (c *callBlocks) of(part *chatCall) (block int, ok bool) {
	index := callNumber(part.index)
	k, ok := c.many[index]
	for i := len(c.few) - 1; !ok && i >= 0; i-- {
		k, ok = c.few[i], c.few[i].index == index
	}
	if !ok || !nonEmptyString(part.name) {
		return k.block, ok
	}
	id := callID(part.id)
	if index == noIndex {
		return k.block, id != 0 && id == k.id
	}
	return k.block, id == 0 || k.id == 0 || id == k.id
}

func (c *callBlocks) add(part *chatCall, block int) {
	k := callIndex{index: callNumber(part.index), id: callID(part.id), block: block}
	if len(c.few) < fewCalls {
		c.few = append(c.few, k)
		return
	}
	if c.many == nil {
		c.many = map[float64]callIndex{}
	}
	c.many[k.index] = k
}

// callID is a hash (FNV-1a) of a call's id, 0 if it has none.
func callID(raw []byte) uint64 {
	if !nonEmptyString(raw) {
		return 0
	}
	h := uint64(14695981039346656037)
	for _, b := range raw {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

func callNumber(raw []byte) (n float64) {
	if KindOf(raw) != Number {
		return noIndex
	}
	for _, d := range raw {
		if d -= '0'; d > 9 {
			n, _ = strconv.ParseFloat(string(raw), 64)
			return n
		}
		n = n*10 + float64(d)
	}
	return n
}
