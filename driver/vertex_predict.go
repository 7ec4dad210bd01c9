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
	var n int64
	for e := elementsOf(raw); e.next(); {
		_, tokens := prediction(e.val)
		n = addTokens(n, tokens)
	}
	c.Usage = Usage{Prompt: n, Total: n, Seen: true}
}

// prediction takes out of one element of predictions what is of use; it walks
// over the numbers, which are nearly all of it, as seldom as it can.
func prediction(raw []byte) (values []byte, tokens int64) {
	var statistics []byte
	for m := membersOf(lookup(raw, "embeddings")); m.next(); {
		switch {
		case keyIs(m.key, "values"):
			values = m.val
		case keyIs(m.key, "statistics"):
			statistics = m.val
		}
	}
	if count := lookup(statistics, "token_count"); KindOf(count) == Number {
		tokens = integer(count)
	}
	return values, tokens
}

// addTokens adds counts, which may be as large as a liar likes.
func addTokens(a, b int64) int64 {
	const most = 1<<62 - 1
	return min(min(a, most)+min(b, most), most)
}
