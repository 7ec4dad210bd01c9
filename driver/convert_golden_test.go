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

// TestGolden converts the exchanges of testdata, each with what belongs to its
// own request, and compares them byte for byte.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		dir   string
		conv  Converter
		check func(t testing.TB, stream []byte)
	}{
		{"anthropic_to_chat", anthropicToChat{}, checkStream},
		{"responses_to_chat", responsesToChat{}, checkResponses},
		{"chat_to_anthropic", chatToAnthropic{}, checkChunks},
	} {
		dirs, err := filepath.Glob("testdata/" + c.dir + "/*")
		if err != nil || len(dirs) < 5 {
			t.Fatalf("%d cases, %v", len(dirs), err)
		}
		for _, dir := range dirs {
			t.Run(c.dir+"/"+filepath.Base(dir), func(t *testing.T) { golden(t, dir, c.conv, c.check) })
		}
	}
}

func golden(t *testing.T, dir string, conv Converter, check func(t testing.TB, stream []byte)) {
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
	request := read("request.json")
	ask := func() {
		t.Helper()
		st.Reset()
		st.ID, st.Start = []byte("0123456789abcdef"), time.Unix(1700000000, 0)
		got, err := convertedBy(t, conv, string(request), &st)
		if err != nil {
			t.Fatal(err)
		}
		same("request.want.json", append([]byte(got), '\n'))
	}
	ask()
	if plain := read("plain.json"); plain != nil {
		got, ok, err := conv.AppendResponse(nil, plain, 200, &st)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		same("plain.want.json", append(got, '\n'))
	}
	stream := read("stream.sse")
	if stream == nil {
		return
	}
	ask()
	whole := convertAll(conv, &st, stream)
	same("stream.want.sse", whole)
	check(t, whole)
	for i := range stream {
		ask()
		if got := convertAll(conv, &st, stream, i); !bytes.Equal(got, whole) {
			t.Fatalf("split at %d:\n%s", i, got)
		}
	}
	ask()
	var cuts []int
	for i := range stream {
		cuts = append(cuts, i)
	}
	if got := convertAll(conv, &st, stream, cuts...); !bytes.Equal(got, whole) {
		t.Errorf("byte by byte:\n%s", got)
	}
}
