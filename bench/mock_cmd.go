package bench

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

const mockLong = `A provider of language models for tests: it speaks the public shapes of OpenAI
and Anthropic, needs no key, and misbehaves on request.

  POST .../chat/completions   OpenAI chat (any other path with "messages" too)
  POST .../responses          OpenAI responses
  POST .../embeddings         OpenAI embeddings, float and base64
  POST .../v1/messages        Anthropic messages
  GET  .../models             list of models
  anything else               echoes the request as JSON
  GET  /mock/stats            connections, requests and streams by their end
  GET  /mock/last?n=1         the latest requests, newest first; DELETE forgets them
  GET  /mock/last/body        the exact body of the latest one
  GET  /mock/ca               the certificate to trust, with --tls

How it answers is scripted: the flags below set what holds for all requests, a
header "x-mock-KEY: VALUE" or a query parameter "mock-KEY=VALUE" what holds for
one (header before query before flag). Events count from 1, lead-in and [DONE]
included. An unknown key or value is answered with 400.

APISIX's test convention works too: X-AI-Fixture and X-AI-Fixture-Status choose
a file of --fixtures, {{model}} in it becomes the model of the request.`

const mockExample = `  headrace mock                                       # answers at once
  headrace mock --first 300ms --gap 20ms --tokens 100 # paced like a real one
  headrace mock --listen 127.0.0.1:9401 --status 429 --retry-after 2

  # one request that breaks off after the third event
  curl -N 127.0.0.1:9400/v1/chat/completions -H 'x-mock-cut: 3' \
    -d '{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'

  # what reached the provider
  curl '127.0.0.1:9400/mock/last?n=1'`

// NewMockCommand returns "headrace mock". Its errors are single lines; the
// caller prints them.
func NewMockCommand() *cobra.Command {
	opts := Options{Script: map[string]string{}}
	var listen, caFile string
	cmd := &cobra.Command{
		Use:           "mock",
		Short:         "Run a provider that needs no key and misbehaves on request",
		Long:          mockLong,
		Example:       mockExample,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runMock(cmd, opts, listen, caFile)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&listen, "listen", "127.0.0.1:9400", "`ADDRESS` to listen on")
	f.BoolVar(&opts.TLS, "tls", false, "speak TLS with a certificate made on the spot")
	f.StringVar(&opts.TLSCert, "tls-cert", "", "speak TLS with the certificate in this PEM `FILE`")
	f.StringVar(&opts.TLSKey, "tls-key", "", "and the key in this `FILE`")
	f.StringVar(&caFile, "tls-ca", "", "write the certificate to trust to this `FILE` (default: a temporary one)")
	f.StringVar(&opts.Fixtures, "fixtures", "", "`FOLDER` of the files that X-AI-Fixture names")
	f.IntVar(&opts.Keep, "keep", 64, "requests kept for /mock/last")
	f.StringVar(&opts.Usage, "usage", "last", "report token usage: last or none")
	f.Uint64Var(&opts.Seed, "seed", 0, "other seeds, other words")
	for i := range Keys {
		k := &Keys[i]
		f.Var(&keyFlag{k, opts.Script}, k.Name, k.Help)
		if k.Arg == "1" {
			f.Lookup(k.Name).NoOptDefVal = "true"
		}
	}
	return cmd
}

func runMock(cmd *cobra.Command, opts Options, listen, caFile string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	m := New(opts)
	ln, err := m.Listen(listen)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "mock provider on %s: OpenAI and Anthropic shapes, no key, scripted by x-mock-* headers\n", m.URL())
	curl := "curl -N"
	if m.CA() != nil {
		remove, err := writeCA(&caFile, m.CA())
		if err != nil {
			ln.Close()
			return err
		}
		defer remove()
		fmt.Fprintf(out, "certificate to trust: %s\n", caFile)
		curl += " --cacert " + caFile
	}
	printCurl(out, curl, m.URL())
	ended := make(chan struct{})
	go func() {
		<-ctx.Done()
		m.Close()
		close(ended)
	}()
	err = m.Serve(ln)
	stop()
	<-ended
	return err
}

func printCurl(w io.Writer, curl, url string) {
	fmt.Fprintf(w, "try: %s %s/v1/chat/completions -H 'Content-Type: application/json' -H 'x-mock-gap: 100ms' "+
		"-d '{\"model\":\"mock\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"Say something\"}]}'\n", curl, url)
}

// writeCA writes the certificate to *name, or to a temporary file that it
// names there and that remove takes away.
func writeCA(name *string, pem []byte) (remove func(), err error) {
	if *name != "" {
		if err := os.WriteFile(*name, pem, 0o644); err != nil {
			return nil, fmt.Errorf("cannot write the certificate: %w", err)
		}
		return func() {}, nil
	}
	f, err := os.CreateTemp("", "headrace-mock-*.pem")
	if err != nil {
		return nil, fmt.Errorf("cannot write the certificate: %w", err)
	}
	defer f.Close()
	*name = f.Name()
	remove = func() { os.Remove(f.Name()) }
	if _, err = f.Write(pem); err != nil {
		remove()
		return nil, fmt.Errorf("cannot write the certificate: %w", err)
	}
	return remove, nil
}

// keyFlag is a Key as a flag: checked when it is read, kept as text.
type keyFlag struct {
	key    *Key
	script map[string]string
}

func (f *keyFlag) Set(v string) error {
	s := newScript()
	if err := f.key.set(&s, v); err != nil {
		return err
	}
	if old, ok := f.script[f.key.Name]; ok && f.key.Name == "header" {
		v = strings.Join([]string{old, v}, "\n")
	}
	f.script[f.key.Name] = v
	return nil
}

func (f *keyFlag) String() string {
	if f.key == nil {
		return ""
	}
	return f.script[f.key.Name]
}

// Type is what the help shows behind the name.
func (f *keyFlag) Type() string {
	if f.key.Arg == "1" {
		return "bool"
	}
	return f.key.Arg
}
