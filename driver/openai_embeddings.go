package driver

// openaiEmbeddings is the embeddings protocol; it has no streams.
type openaiEmbeddings struct{ base }

func (openaiEmbeddings) Match(_ []byte, b *Body) bool { return has(b, "input") }

func (openaiEmbeddings) Streaming([]byte, *Body) bool { return false }

// Response reads usage; an embedding has no completion.
func (openaiEmbeddings) Response(c *Capture, body []byte) {
	raw := lookup(body, "usage")
	if KindOf(raw) != Object {
		return
	}
	u := chatUsage(raw)
	if KindOf(lookup(raw, "total_tokens")) != Number {
		u.Total = u.Prompt
	}
	c.Usage = Usage{Prompt: u.Prompt, Total: u.Total, Seen: true}
}

func (openaiEmbeddings) LogMessages(b *Body) []byte { return rawOf(b, "input") }
