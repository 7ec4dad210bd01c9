package driver

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldens compares the exchanges of a folder of testdata byte for byte. Each
// folder in it has the client's request, and the provider's answer to it, plain
// or streamed.
type goldens struct {
	dir    string
	conv   Converter
	model  string
	stream string // name of the file with a stream
	// wire is what a provider sends for that file; all converts it, cut in pieces.
	wire  func(t *testing.T, file []byte) []byte
	all   func(st *ConvState, stream []byte, cuts ...int) []byte
	check func(t testing.TB, out []byte)
}

func TestAnthropicGolden(t *testing.T) {
	(&goldens{
		dir: "anthropic_to_chat", conv: anthropicToChat{}, stream: "stream.sse",
		wire: func(_ *testing.T, file []byte) []byte { return file },
		all:  func(st *ConvState, stream []byte, cuts ...int) []byte { return convertAll(anthropicToChat{}, st, stream, cuts...) }, check: checkStream,
	}).run(t)
}

func TestConverseGolden(t *testing.T) {
	(&goldens{
		dir: "chat_to_converse", conv: chatToConverse{}, model: "us.anthropic.claude", stream: "stream.txt",
		wire: frameFile, all: convertFrames, check: checkChunks,
	}).run(t)
}

func TestResponsesGolden(t *testing.T) {
	(&goldens{
		dir: "responses_to_chat", conv: responsesToChat{}, stream: "stream.sse",
		wire: func(_ *testing.T, file []byte) []byte { return file },
		all:  func(st *ConvState, stream []byte, cuts ...int) []byte { return convertAll(responsesToChat{}, st, stream, cuts...) }, check: checkResponses,
	}).run(t)
}

func TestNativeGolden(t *testing.T) {
	(&goldens{
		dir: "chat_to_anthropic", conv: chatToAnthropic{}, stream: "stream.sse",
		wire: func(_ *testing.T, file []byte) []byte { return file },
		all:  func(st *ConvState, stream []byte, cuts ...int) []byte { return convertAll(chatToAnthropic{}, st, stream, cuts...) }, check: checkChunks,
	}).run(t)
}

func (g *goldens) run(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join("testdata", g.dir, "*"))
	if err != nil || len(dirs) < 5 {
		t.Fatalf("%d cases, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { g.one(t, dir) })
	}
}

func (g *goldens) one(t *testing.T, dir string) {
	read := func(name string) []byte {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return raw
	}
	same := func(name string, got []byte) {
		t.Helper()
		if *update {
			if err := os.WriteFile(filepath.Join(dir, name), got, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if want := read(name); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	var st ConvState
	request := load(t, string(read("request.json")))
	ask := func() {
		t.Helper()
		st.Reset()
		st.Model, st.ID, st.Start = []byte(g.model), []byte("0123456789abcdef"), time.Unix(1700000000, 0)
		got, err := g.conv.Request(nil, request, &st)
		if err != nil {
			t.Fatal(err)
		}
		load(t, string(got))
		same("request.want.json", append(got, '\n'))
	}
	ask()
	if plain := read("plain.json"); plain != nil {
		got, ok, err := g.conv.AppendResponse(nil, plain, 200, &st)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		load(t, string(got))
		same("plain.want.json", append(got, '\n'))
	}
	file := read(g.stream)
	if file == nil {
		return
	}
	stream := g.wire(t, file)
	whole := g.all(&st, stream)
	same("stream.want.sse", whole)
	g.check(t, whole)
	var cuts []int
	for i := range stream {
		cuts = append(cuts, i)
		ask()
		if got := g.all(&st, stream, i); !bytes.Equal(got, whole) {
			t.Fatalf("split at %d:\n%s", i, got)
		}
	}
	ask()
	if got := g.all(&st, stream, cuts...); !bytes.Equal(got, whole) {
		t.Errorf("byte by byte:\n%s", got)
	}
}
