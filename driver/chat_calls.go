package driver

import "strconv"

// callBlocks knows what a client was given for each tool call of a stream: the
// number of a content block or of an output item. A few are found by looking
// through them; a provider that sends very many gets a map.
type callBlocks struct {
	few  []callIndex
	many map[float64]int
}

type callIndex struct {
	index float64
	block int
}

const fewCalls = 32

func (c *callBlocks) reset() { c.few, c.many = c.few[:0], nil }

// of returns the block of the call with the index raw, a JSON number.
func (c *callBlocks) of(raw []byte) (block int, ok bool) {
	index := callNumber(raw)
	for i := range c.few {
		if c.few[i].index == index {
			return c.few[i].block, true
		}
	}
	block, ok = c.many[index]
	return block, ok
}

// put says what belongs to the index raw from here on.
func (c *callBlocks) put(raw []byte, block int) {
	index := callNumber(raw)
	for i := range c.few {
		if c.few[i].index == index {
			c.few[i].block = block
			return
		}
	}
	if len(c.few) < fewCalls {
		c.few = append(c.few, callIndex{index, block})
		return
	}
	if c.many == nil {
		c.many = map[float64]int{}
	}
	c.many[index] = block
}

func callNumber(raw []byte) (n float64) {
	for _, d := range raw {
		if d -= '0'; d > 9 {
			n, _ = strconv.ParseFloat(string(raw), 64)
			return n
		}
		n = n*10 + float64(d)
	}
	return n
}
