package driver

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden converts the exchanges of testdata, each with what its own request
// has left behind, and compares them byte for byte.
func TestGolden(t *testing.T) {
	golden(t, "anthropic_to_chat", anthropicToChat{}, checkStream)
	golden(t, "chat_to_anthropic", chatToAnthropic{}, checkChunks)
}

// golden runs the cases in a folder; check holds a converted stream to the
// rules of its protocol.
func golden(t *testing.T, folder string, c Converter, check func(testing.TB, []byte)) {
	dirs, err := filepath.Glob("testdata/" + folder + "/*")
	if err != nil || len(dirs) < 5 {
		t.Fatalf("%d cases, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		t.Run(folder+"/"+filepath.Base(dir), func(t *testing.T) {
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
				st.Created = 1700000000
				got, err := convertedBy(t, c, string(request), &st)
				if err != nil {
					t.Fatal(err)
				}
				same("request.want.json", append([]byte(got), '\n'))
			}
			ask()
			if plain := read("plain.json"); plain != nil {
				got, ok, err := c.AppendResponse(nil, plain, 200, &st)
				if !ok || err != nil {
					t.Fatal(ok, err)
				}
				same("plain.want.json", append(got, '\n'))
			}
			stream := read("stream.sse")
			if stream == nil {
				return
			}
			whole := convertAll(c, &st, stream)
			same("stream.want.sse", whole)
			check(t, whole)
			for i := range stream {
				ask()
				if got := convertAll(c, &st, stream, i); !bytes.Equal(got, whole) {
					t.Fatalf("split at %d:\n%s", i, got)
				}
			}
			ask()
			var cuts []int
			for i := range stream {
				cuts = append(cuts, i)
			}
			if got := convertAll(c, &st, stream, cuts...); !bytes.Equal(got, whole) {
				t.Errorf("byte by byte:\n%s", got)
			}
		})
	}
}
