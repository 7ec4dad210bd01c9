package driver

import "strconv"

// callBlocks knows what a client was given for each tool call of a stream: the
// number of a content block, of an output item or of a call. A few are found by
// looking through them; a provider that sends very many gets a map.
type callBlocks struct {
	list   []callIndex
	latest map[float64]int // place in list of the latest of an index
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

func (c *callBlocks) reset() { c.list, c.latest = keep(c.list, 24), nil }

// of returns the block of the call that part goes on with; not ok: it begins
// one, or belongs to none. An index says so only where it is new. Gemini has
// none, and Ollama gave 0 to every call: there it is another id beside a name.
// Without a name another id is none, since vLLM gave every part its own.
func (c *callBlocks) of(part *chatCall) (block int, ok bool) {
	k := c.find(callNumber(part.index))
	if k == nil {
		return 0, false
	}
	id := callID(part.id)
	same := id == k.id
	if KindOf(part.index) == Number {
		same = same || id == 0 || k.id == 0
	} else {
		same = same && id != 0
	}
	if !same && nonEmptyString(part.name) {
		return 0, false
	}
	if k.id == 0 {
		k.id = id
	}
	return k.block, true
}

// find returns the latest call of an index, of any index for none.
func (c *callBlocks) find(index float64) *callIndex {
	i := len(c.list) - 1
	switch {
	case index == noIndex:
	case c.latest != nil:
		var ok bool
		if i, ok = c.latest[index]; !ok {
			return nil
		}
	default:
		for i >= 0 && c.list[i].index != index {
			i--
		}
	}
	if i < 0 {
		return nil
	}
	return &c.list[i]
}

// add says which block belongs to the call that part begins.
func (c *callBlocks) add(part *chatCall, block int) {
	c.list = append(c.list, callIndex{index: callNumber(part.index), id: callID(part.id), block: block})
	switch n := len(c.list); {
	case n > fewCalls:
		c.latest[c.list[n-1].index] = n - 1
	case n == fewCalls:
		c.latest = make(map[float64]int, 2*fewCalls)
		for i, k := range c.list {
			c.latest[k.index] = i
		}
	}
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
