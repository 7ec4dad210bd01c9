//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// chatPath leads to the mock provider, plainPath to the provider in this
// process, which answers plain requests only.
const (
	chatPath  = "/v1/chat/completions"
	plainPath = "/plain/v1/chat/completions"
)

// askedModel is what clients ask for; servedModel is what the route of
// Headrace makes of it.
const (
	askedModel  = "asked-model"
	servedModel = "served-model"
)

// prompt says what the requests of a job look like.
type prompt struct {
	bytes    int      // size of the body
	variants int      // different bodies for each connection
	stream   bool     // asks for a stream with usage
	headers  []string // scripts for the mock: "x-mock-gap: 10ms"
}

// source makes the requests of one connection. No two requests of a run are
// equal: bodies take turns, and each has a number in its first and in its last
// message that is written anew every time.
type source struct {
	reqs  [][]byte
	marks [][2]int // where the number is
	next  int
	serial,
	step uint64
}

const markDigits = 12

// newSource returns connection i's requests out of n connections.
func newSource(host, path string, p prompt, i, n int) *source {
	s := &source{serial: uint64(i), step: uint64(max(n, 1))}
	rnd := rand.New(rand.NewPCG(uint64(i), uint64(p.bytes)))
	for v := range max(p.variants, 1) {
		body := chatBody(rnd, p, v)
		var b strings.Builder
		fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: headrace-load/1\r\nAccept: application/json\r\n"+
			"Content-Type: application/json\r\nAuthorization: Bearer sk-of-the-client\r\n", path, host)
		for _, h := range p.headers {
			b.WriteString(h + "\r\n")
		}
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
		req := b.String()
		s.reqs = append(s.reqs, []byte(req))
		s.marks = append(s.marks, [2]int{strings.Index(req, mark) + 2, strings.LastIndex(req, mark) + 2})
	}
	return s
}

// request returns the next one. It is valid until the call after that.
func (s *source) request() []byte {
	req, marks := s.reqs[s.next], s.marks[s.next]
	s.next = (s.next + 1) % len(s.reqs)
	s.serial += s.step
	for _, at := range marks {
		v := s.serial
		for j := at + markDigits - 1; j >= at; j-- {
			req[j] = '0' + byte(v%10)
			v /= 10
		}
	}
	return req
}

// mark is replaced by the number of the request.
const mark = "No000000000000"

var words = strings.Fields(`please explain how the turbines of an old mill keep turning when snow melts early and
	why engineers measure twice before cutting a channel through granite café naïve Zürich 水車 river gate
	latency "quoted" sluice\nindented overflow therefore 17 200 0.25 {braces} [lists] keys: values pressure`)

// chatBody writes a chat request of exactly p.bytes bytes, or a little more
// if that is too few. Half of the variants put the model first, as people
// write it, half behind the messages, as OpenAI's Python client sends it.
func chatBody(rnd *rand.Rand, p prompt, variant int) string {
	model := `"model":"` + askedModel + `"`
	open, shut := `{`+model+`,"messages":[`, `],"temperature":0.`+strconv.Itoa(1+rnd.IntN(9))
	if variant%2 == 1 {
		open, shut = `{"messages":[`, shut+","+model
	}
	if p.stream {
		shut += `,"stream":true,"stream_options":{"include_usage":true}`
	}
	shut += "}"
	last := `{"role":"user","content":"` + mark + ` what follows from that?`
	open += `{"role":"system","content":"` + mark + ` you answer in one sentence."},`

	var b strings.Builder
	b.WriteString(open)
	room := p.bytes - len(open) - len(last) - len(`"}`) - len(shut)
	// A conversation has messages of some 2 KB, long ones of up to 16 KB.
	for turn, limit := 0, b.Len()+room; limit-b.Len() > 600; turn++ {
		role := [...]string{"user", "assistant"}[turn%2]
		text := 300 + rnd.IntN(2000)
		if rnd.IntN(6) == 0 {
			text *= 7
		}
		text = min(text, limit-b.Len()-100)
		b.WriteString(`{"role":"` + role + `","content":"`)
		writeText(&b, rnd, text)
		b.WriteString(`"},`)
	}
	b.WriteString(last)
	writeText(&b, rnd, p.bytes-b.Len()-len(`"}`)-len(shut))
	return b.String() + `"}` + shut
}

// writeText adds n bytes of words that fit inside of a JSON string.
func writeText(b *strings.Builder, rnd *rand.Rand, n int) {
	for n > 0 {
		w := " " + words[rnd.IntN(len(words))]
		w = strings.ReplaceAll(w, `"`, `\"`)
		if rnd.IntN(5) == 0 {
			w = " " + strconv.Itoa(rnd.IntN(100000))
		}
		if len(w) > n {
			w = strings.Repeat(".", n)
		}
		b.WriteString(w)
		n -= len(w)
	}
}
