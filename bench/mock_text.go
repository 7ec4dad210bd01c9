package bench

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
)

var sumTokens = []string{"1+1", " equals", " 2."}

// Words of many lengths: gateways behave differently on events that are all
// alike (LuaJIT's string hash looks at a few bytes only).
var vocabulary = strings.Fields(`a river of small stones carries the morning light past quiet mills and
	open gates while twelve herons watch from tall reeds near an old bridge where travellers rest their
	horses before crossing into wide meadows under considerable thunderclouds someone measures depth
	with a notched pole then writes numbers on paper yesterday tomorrow nevertheless it is so`)

// mix is the finaliser of splitmix64: neighbours in, strangers out.
func mix(v uint64) uint64 {
	v += 0x9e3779b97f4a7c15
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// filler is where long texts are cut from.
var filler = sync.OnceValue(func() []byte {
	b := make([]byte, 0, 64<<10+32)
	for i := uint64(0); len(b) < 64<<10; i++ {
		v := mix(i)
		b = append(append(b, vocabulary[v%uint64(len(vocabulary))]...), ' ')
		if v>>32%3 == 0 {
			b = append(strconv.AppendUint(b, v>>40%10000, 10), ' ')
		}
	}
	return b[:64<<10]
})

// appendText writes the text of content event i: a word and the number i, or,
// with a size, that many bytes which begin with the number. Equal seeds write
// equal texts, no two events of one answer are equal.
func appendText(b []byte, seed uint64, i, size int) []byte {
	v := mix(seed<<20 + uint64(i))
	if size == 0 {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, vocabulary[v%uint64(len(vocabulary))]...)
		return strconv.AppendInt(b, int64(i+1), 10)
	}
	end := len(b) + size
	b = strconv.AppendInt(b, int64(i+1), 10)
	b = append(b, ' ')
	f := filler()
	for off := int(v % uint64(len(f))); len(b) < end; off = 0 {
		b = append(b, f[off:min(len(f), off+end-len(b))]...)
	}
	return b[:end]
}

// ask is what the mock takes from a request body. The slices are raw JSON
// inside the body.
type ask struct {
	ok                bool // the body is a JSON object
	stream, usage     bool
	sum               bool // the prompt asks for 1+1
	model             []byte
	messages, input   []byte
	tools, toolChoice []byte
	base64            bool
	dimensions        int
	promptTokens      int // words of the prompt
}

// read reports whether body is a JSON object. Bodies over 64 KiB are looked at
// on their first level only: a full check would cost more than the gateway
// that is being measured.
func (a *ask) read(body []byte) bool {
	if len(body) <= 64<<10 && !json.Valid(body) {
		return false
	}
	a.ok = eachField(body, func(key string, val []byte) {
		switch key {
		case "model":
			if val[0] == '"' && len(val) > 2 {
				a.model = val
			}
		case "stream":
			a.stream = string(val) == "true"
		case "stream_options":
			if val[0] == '{' {
				eachField(val, func(key string, val []byte) {
					a.usage = a.usage || key == "include_usage" && string(val) == "true"
				})
			}
		case "messages":
			a.messages = val
		case "input":
			a.input = val
		case "tools":
			a.tools = val
		case "tool_choice":
			a.toolChoice = val
		case "toolConfig":
			eachField(val, func(key string, val []byte) {
				switch key {
				case "tools":
					a.tools = val
				case "toolChoice":
					a.toolChoice = val
				}
			})
		case "encoding_format":
			a.base64 = string(val) == `"base64"`
		case "dimensions":
			a.dimensions, _ = strconv.Atoi(string(val))
		}
		switch key {
		case "messages", "input", "system", "instructions", "prompt":
			a.promptTokens += words(val)
			a.sum = a.sum || bytes.Contains(val[max(0, len(val)-4096):], []byte("1+1"))
		}
	})
	return a.ok
}

// eachField calls f for the members of a JSON object and reports whether the
// object's first level is well-formed. Keys are not unescaped.
func eachField(b []byte, f func(key string, val []byte)) bool {
	i := skipSpace(b, 0)
	if i == len(b) || b[i] != '{' {
		return false
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return skipSpace(b, i+1) == len(b)
	}
	for i < len(b) && b[i] == '"' {
		end := skipString(b, i)
		if end < 0 {
			return false
		}
		key := b[i+1 : end-1]
		if i = skipSpace(b, end); i == len(b) || b[i] != ':' {
			return false
		}
		i = skipSpace(b, i+1)
		if end = skipValue(b, i); end <= i {
			return false
		}
		f(string(key), b[i:end])
		if i = skipSpace(b, end); i == len(b) {
			return false
		}
		switch b[i] {
		case '}':
			return skipSpace(b, i+1) == len(b)
		case ',':
			i = skipSpace(b, i+1)
		default:
			return false
		}
	}
	return false
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the string that begins at i, -1 if it
// does not end.
func skipString(b []byte, i int) int {
	start := i + 1
	for i = start; ; i++ {
		j := bytes.IndexByte(b[i:], '"')
		if j < 0 {
			return -1
		}
		i += j
		k := i
		for k > start && b[k-1] == '\\' {
			k--
		}
		if (i-k)%2 == 0 {
			return i + 1
		}
	}
}

// skipValue returns the index after the value that begins at i, -1 if it does
// not end.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipString(b, i); i < 0 {
				return -1
			}
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return -1
}

// words counts the words in the texts of a prompt: plain strings and those
// under the keys that hold text in one of the protocols.
func words(b []byte) int {
	n, counts := 0, true
	for i := 0; i < len(b); {
		j := bytes.IndexByte(b[i:], '"')
		if j < 0 {
			break
		}
		i += j
		end := skipString(b, i)
		if end < 0 {
			break
		}
		s := b[i+1 : end-1]
		if i = skipSpace(b, end); i < len(b) && b[i] == ':' {
			switch string(s) {
			case "content", "text", "input", "output":
				counts = true
			default:
				counts = false
			}
			continue
		}
		if counts {
			n += wordsIn(s)
		}
	}
	return n
}

func wordsIn(s []byte) (n int) {
	in := false
	for i := 0; i < len(s); i++ {
		blank := s[i] == ' '
		if s[i] == '\\' && i+1 < len(s) {
			i++
			blank = s[i] == 'n' || s[i] == 't' || s[i] == 'r'
		}
		if !blank && !in {
			n++
		}
		in = !blank
	}
	return n
}
