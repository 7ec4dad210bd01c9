package driver

import (
	"bytes"
	"strconv"
)

// mediaFormat is what Bedrock calls a media type.
type mediaFormat struct{ mediaType, format string }

var imageFormats = [...]mediaFormat{
	{"image/png", "png"}, {"image/jpeg", "jpeg"}, {"image/jpg", "jpeg"}, {"image/gif", "gif"}, {"image/webp", "webp"},
}

var documentFormats = [...]mediaFormat{
	{"application/pdf", "pdf"}, {"text/plain", "txt"}, {"text/markdown", "md"}, {"text/html", "html"}, {"text/csv", "csv"},
	{"application/msword", "doc"}, {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"},
	{"application/vnd.ms-excel", "xls"}, {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"},
}

func formatOf(mediaType []byte, formats []mediaFormat) string {
	for i := range formats {
		if bytes.EqualFold(mediaType, []byte(formats[i].mediaType)) {
			return formats[i].format
		}
	}
	return ""
}

func (q *converseRequest) image(p *chatPart) {
	format := formatOf(p.media, imageFormats[:])
	switch {
	case p.data == nil:
		q.failAt(".image_url.url", "Bedrock fetches no images: it must be a data URL in base64 with its media type")
		return
	case format == "":
		q.failAt(".image_url.url", "Bedrock knows images of the types png, jpeg, gif and webp only")
		return
	}
	q.next()
	q.raw(`{"image":{"format":"`)
	q.raw(format)
	q.bytes(p.data)
}

// bytes ends a block with its source, data in base64.
func (q *converseRequest) bytes(data []byte) {
	q.raw(`","source":{"bytes":"`)
	q.dst = append(q.dst, data...)
	q.raw(`"}}}`)
}

func (q *converseRequest) document(p *chatPart) {
	format := formatOf(p.media, documentFormats[:])
	if format == "" {
		q.failAt(".file.file_data", "Bedrock knows documents of the types pdf, txt, md, html, csv, doc, docx, xls and xlsx only")
		return
	}
	q.next()
	q.raw(`{"document":{"format":"`)
	q.raw(format)
	q.raw(`","name":"`)
	q.documentName(p.name)
	q.bytes(p.data)
}

// maxDocumentName leaves room for the number of a name that is there already.
const maxDocumentName = 190

// documentName writes a name of letters, digits, hyphens, brackets and single
// spaces, all that Bedrock takes. No two documents of a request may share one.
func (q *converseRequest) documentName(raw []byte) {
	start := len(q.dst)
	if raw != nil {
		name, _ := unquoted(raw, nil)
		for _, c := range name {
			last := q.dst[len(q.dst)-1]
			switch first := len(q.dst) == start; {
			case len(q.dst) == start+maxDocumentName:
			case isNameByte(c):
				q.dst = append(q.dst, c)
			case first || last == ' ' || last == '-':
			case c == ' ':
				q.dst = append(q.dst, ' ')
			default:
				q.dst = append(q.dst, '-')
			}
		}
		q.dst = q.dst[:start+len(bytes.TrimRight(q.dst[start:], " -"))]
	}
	if len(q.dst) == start {
		q.raw("document")
	}
	if q.names == nil {
		q.names = map[string]bool{}
	}
	end := len(q.dst)
	for n := len(q.names) + 1; q.names[string(q.dst[start:])]; n++ {
		q.dst = strconv.AppendInt(append(q.dst[:end], ' '), int64(n), 10)
	}
	q.names[string(q.dst[start:])] = true
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '(' || c == ')' || c == '[' || c == ']'
}
