package driver

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestAnthropicGolden converts the exchanges of testdata, each with the names
// of its own request, and compares them byte for byte.
func TestAnthropicGolden(t *testing.T) {
	dirs, err := filepath.Glob("testdata/anthropic_to_chat/*")
	if err != nil || len(dirs) < 5 {
		t.Fatalf("%d cases, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
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
				got, err := converted(t, string(request), &st)
				if err != nil {
					t.Fatal(err)
				}
				same("request.want.json", append([]byte(got), '\n'))
			}
			ask()
			if plain := read("plain.json"); plain != nil {
				got, ok, err := anthropicToChat{}.AppendResponse(nil, plain, 200, &st)
				if !ok || err != nil {
					t.Fatal(ok, err)
				}
				same("plain.want.json", append(got, '\n'))
			}
			stream := read("stream.sse")
			if stream == nil {
				return
			}
			whole := convertAll(&st, stream)
			same("stream.want.sse", whole)
			checkStream(t, whole)
			for i := range stream {
				ask()
				if got := convertAll(&st, stream, i); !bytes.Equal(got, whole) {
					t.Fatalf("split at %d:\n%s", i, got)
				}
			}
			ask()
			var cuts []int
			for i := range stream {
				cuts = append(cuts, i)
			}
			if got := convertAll(&st, stream, cuts...); !bytes.Equal(got, whole) {
				t.Errorf("byte by byte:\n%s", got)
			}
		})
	}
}
