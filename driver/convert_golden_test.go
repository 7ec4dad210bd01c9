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
	id     string // of the request
	stream string // name of the file with a stream
	check  func(t testing.TB, out []byte)
	// wire is what a provider sends for that file, nil: itself; all converts
	// it, cut in pieces, nil: convertAll.
	wire func(t *testing.T, file []byte) []byte
	all  func(st *ConvState, stream []byte, cuts ...int) []byte
}

func TestGolden(t *testing.T) {
	for _, g := range []goldens{
		{dir: "anthropic_to_chat", conv: anthropicToChat{}, stream: "stream.sse", check: checkStream},
		{dir: "responses_to_chat", conv: responsesToChat{}, stream: "stream.sse", check: checkResponses},
		{dir: "chat_to_anthropic", conv: chatToAnthropic{}, stream: "stream.sse", check: checkChunks},
		{dir: "chat_to_converse", conv: chatToConverse{}, stream: "stream.txt", check: checkChunks, model: "us.anthropic.claude", id: "id", wire: frameFile, all: convertFrames},
	} {
		if g.id == "" {
			g.id = "0123456789abcdef"
		}
		if g.wire == nil {
			g.wire = func(_ *testing.T, file []byte) []byte { return file }
			g.all = func(st *ConvState, stream []byte, cuts ...int) []byte { return convertAll(g.conv, st, stream, cuts...) }
		}
		t.Run(g.dir, g.run)
	}
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
		st.Model, st.ID, st.Start = []byte(g.model), []byte(g.id), time.Unix(1700000000, 0)
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
