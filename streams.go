package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"headrace/engine"
)

// streamsOptions are the flags of "headrace streams".
type streamsOptions struct {
	control string
	json    bool
	once    bool
}

func streamsCommand() *cobra.Command {
	var o streamsOptions
	cmd := &cobra.Command{
		Use:   "streams",
		Short: "Show the open streams of a running gateway, or end one",
		Long: `Streams lists what is being streamed through a gateway: the oldest first, with
route, instance, consumer, model, age, time since the latest byte, events and
bytes. On a terminal the table is renewed every second until Ctrl-C.

It asks the Control API, which has no key and listens on loopback unless
apisix.control says otherwise.`,
		Example: `  headrace streams
  headrace streams --once --json | jq '.list[] | select(.silent_ms > 10000)'
  headrace streams end 3f0c2a9d5e7b41c8a6f2d90b1e4c7a85`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.list(os.Stdout) },
	}
	cmd.PersistentFlags().StringVar(&o.control, "control", "127.0.0.1:9090", "address of the gateway's Control API")
	cmd.Flags().BoolVar(&o.json, "json", false, "print what the Control API says")
	cmd.Flags().BoolVar(&o.once, "once", false, "print once, also on a terminal")
	cmd.AddCommand(&cobra.Command{
		Use:   "end ID",
		Short: "End a stream: its client gets an error event and an unfinished body",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := o.ask(http.MethodDelete, "/"+url.PathEscape(args[0])); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "ended", args[0])
			return nil
		},
	})
	return cmd
}

// ask sends one request to the Control API and returns the answer's body. An
// answer of 400 and above is an error with the text of its error_msg.
func (o *streamsOptions) ask(method, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	rq, err := http.NewRequestWithContext(ctx, method, "http://"+o.control+"/v1/streams"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("--control: %q is no address", o.control)
	}
	resp, err := http.DefaultClient.Do(rq)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, fmt.Errorf("cannot ask the Control API at %s: %w", o.control, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer of %s: %w", o.control, err)
	}
	if resp.StatusCode >= 400 {
		var said struct {
			Error string `json:"error_msg"`
		}
		if json.Unmarshal(body, &said) != nil || said.Error == "" {
			said.Error = resp.Status
		}
		return nil, errors.New(said.Error)
	}
	return body, nil
}

func (o *streamsOptions) list(out *os.File) error {
	columns := width(out)
	if columns == 0 || o.once || o.json {
		return o.print(out, columns)
	}
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(quit)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var page bytes.Buffer
		if err := o.print(&page, width(out)); err != nil {
			return err
		}
		// From the top, each line cleared to its end, then everything below.
		fmt.Fprint(out, "\x1b[H", strings.ReplaceAll(page.String(), "\n", "\x1b[K\n"), "\x1b[J")
		select {
		case <-quit:
			return nil
		case <-tick.C:
		}
	}
}

// print writes the table, or what the Control API says; columns is the width
// of the terminal, 0 for no bound.
func (o *streamsOptions) print(w io.Writer, columns int) error {
	body, err := o.ask(http.MethodGet, "")
	if err != nil {
		return err
	}
	if o.json {
		_, err := w.Write(append(bytes.TrimRight(body, "\n"), '\n'))
		return err
	}
	var got struct{ List []engine.Stream }
	if err := json.Unmarshal(body, &got); err != nil {
		return fmt.Errorf("the answer of %s is not that of a Control API", o.control)
	}
	writeStreams(w, got.List, columns)
	return nil
}

func writeStreams(w io.Writer, list []engine.Stream, columns int) {
	rows := [][]string{{"ID", "ROUTE", "INSTANCE", "MODEL", "CONSUMER", "CLIENT", "PHASE", "AGE", "SILENT", "EVENTS", "BYTES"}}
	for i := range list {
		s := &list[i]
		rows = append(rows, []string{s.ID, s.Route, s.Instance, s.Model, s.Consumer, s.Client, s.Phase, age(s.AgeMS), age(s.SilentMS), fmt.Sprint(s.Events), size(s.Bytes)})
	}
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for i, cell := range r {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		text := []rune(strings.TrimRight(line.String(), " "))
		if columns > 0 && len(text) > columns {
			text = text[:columns]
		}
		fmt.Fprintln(w, string(text))
	}
	fmt.Fprintf(w, "%d open\n", len(list))
}

func age(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func size(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// width is the number of columns of a terminal, 0 if f is none.
func width(f *os.File) int {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(ws.Col)
}
