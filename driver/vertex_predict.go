package driver

// vertexPredict is how Vertex AI takes embeddings. Only converters make such
// requests, so there is nothing to recognise.
type vertexPredict struct{ passthrough }

// Response sums the tokens of all predictions; an embedding has no completion.
func (vertexPredict) Response(c *Capture, body []byte) {
	raw := lookup(body, "predictions")
	if KindOf(raw) != Array {
		return
	}
	n := predictTokens(raw)
	c.Usage = Usage{Prompt: n, Total: n, Seen: true}
}

func predictTokens(predictions []byte) (n int64) {
	for e := elementsOf(predictions); e.next(); {
		statistics := lookup(lookup(e.val, "embeddings"), "statistics")
		if count := lookup(statistics, "token_count"); KindOf(count) == Number {
			n = addTokens(n, integer(count))
		}
	}
	return n
}

func addTokens(a, b int64) int64 { return min(a, 1<<62-1) + min(b, 1<<62-1) }
