package driver

// blockKind says what a content block is to the provider.
type blockKind uint8

const (
	noBlock blockKind = iota // nothing
	textBlock
	mediaBlock
	callBlock
	resultBlock
	thinkingBlock
	brokenBlock // of a shape that cannot be read, see block.what
)

// block is a content block of a message. Which fields are set depends on its
// kind; all but what are JSON as it stands in the request.
type block struct {
	kind blockKind
	text []byte // a string

	url       []byte // a string; nil: data
	data      []byte // a string
	mediaType []byte // a string; nil: fallback
	fallback  string

	id, name, input []byte // of a call; id of a result too
	content         []byte // of a result
	cited           []byte // of a text of Bedrock's: a list of objects with text
	what            string // is wrong
}

func readBlock(raw []byte) (b block) {
	var kind, source, callID, thinking []byte
	for m := membersOf(raw); m.next(); {
		switch string(plainKey(m.key)) {
		case "type":
			kind = m.val
		case "text":
			b.text = m.val
		case "thinking":
			thinking = m.val
		case "source":
			source = notNull(m.val)
		case "id":
			b.id = m.val
		case "name":
			b.name = m.val
		case "input":
			b.input = notNull(m.val)
		case "tool_use_id":
			callID = m.val
		case "content":
			b.content = m.val
		}
	}
	switch {
	case isText(kind, "text"):
		if KindOf(b.text) == String {
			b.kind = textBlock
		}
	case isText(kind, "thinking"):
		if b.text = thinking; KindOf(thinking) == String {
			b.kind = thinkingBlock
		}
	case isText(kind, "image"):
		b.fallback = "image/png"
		b.media(source, "image source", true)
	case isText(kind, "document"):
		b.fallback = "application/pdf"
		b.media(source, "document source", false)
	case isText(kind, "tool_use"):
		if KindOf(b.id) == String && KindOf(b.name) == String {
			b.kind = callBlock
		}
	case isText(kind, "tool_result"):
		if KindOf(callID) == String {
			b.kind, b.id = resultBlock, callID
		}
	}
	return b
}

// media reads the source of an image or document; byURL says that it may be a
// URL. Sources that the provider cannot take leave the block out.
func (b *block) media(source []byte, what string, byURL bool) {
	if source == nil {
		return
	}
	var kind, url []byte
	for m := membersOf(source); m.next(); {
		switch string(plainKey(m.key)) {
		case "type":
			kind = m.val
		case "data":
			b.data = notNull(m.val)
		case "media_type":
			b.mediaType = notNull(m.val)
		case "url":
			url = notNull(m.val)
		}
	}
	switch {
	case KindOf(source) != Object:
		b.kind, b.what = brokenBlock, what
	case isText(kind, "base64"):
		switch {
		case !stringOrNone(b.data) || !stringOrNone(b.mediaType):
			b.kind, b.what = brokenBlock, what
		case nonEmptyString(b.data):
			b.kind = mediaBlock
			if !nonEmptyString(b.mediaType) {
				b.mediaType = nil
			}
		}
	case isText(kind, "url") && byURL:
		switch {
		case !stringOrNone(url):
			b.kind, b.what = brokenBlock, what
		case nonEmptyString(url):
			b.kind, b.url = mediaBlock, url
		}
	}
}

func stringOrNone(raw []byte) bool { return raw == nil || KindOf(raw) == String }

// survey counts the blocks of each kind; what names the first that is broken,
// also inside a tool's result.
func survey(content []byte) (n [brokenBlock]int, what string) {
	for e := elementsOf(content); e.next(); {
		b := readBlock(e.val)
		if b.kind == brokenBlock {
			return n, b.what
		}
		n[b.kind]++
		if b.kind != resultBlock {
			continue
		}
		for r := elementsOf(b.content); r.next(); {
			if b := readBlock(r.val); b.kind == brokenBlock {
				return n, b.what
			}
		}
	}
	return n, ""
}

// appendURL appends the URL of an image or document as a JSON string.
func (b *block) appendURL(dst []byte) []byte {
	if b.url != nil {
		return append(dst, b.url...)
	}
	dst = append(dst, `"data:`...)
	if b.mediaType != nil {
		dst = append(dst, b.mediaType[1:len(b.mediaType)-1]...)
	} else {
		dst = append(dst, b.fallback...)
	}
	return append(append(dst, ";base64,"...), b.data[1:]...)
}
