//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// yardstick is the gateway that the others are divided by.
const yardstick = "nginx"

// row is one line of the table; an empty label at the front begins a group.
type row struct {
	title string // of a scenario; the cells are empty then
	cells []string
}

// table lays the results out: a title for each scenario, then its metrics.
// The last column is the largest spread of the row's rounds.
func (b *bench) table() (head []string, rows []row, notes []string) {
	head = []string{""}
	for _, g := range b.gateways {
		head = append(head, g.name)
	}
	if b.rounds > 1 {
		head = append(head, "spread")
	}
	for _, r := range b.results {
		rows = append(rows, row{title: r.scenario.title})
		for _, m := range r.scenario.metrics {
			if line, ok := b.row(r, m); ok {
				rows = append(rows, line)
			}
		}
		for _, g := range b.gateways {
			if c := r.cells[g.name]; c != nil {
				for _, n := range c.Notes {
					notes = append(notes, fmt.Sprintf("! %s, %s: %s", r.scenario.name, g.name, n))
				}
			}
		}
	}
	if n := b.noise(); n != "" {
		notes = append(notes, n)
	}
	return head, rows, notes
}

func (b *bench) row(r *result, m metric) (row, bool) {
	label := m.label
	if m.unit != "" {
		label += ", " + m.unit
	}
	line := row{cells: []string{label}}
	base := 0.0
	if c := r.cells[yardstick]; c != nil && m.ratio {
		base, _, _ = c.median(m.key)
	}
	any, widest := false, 0.0
	for _, g := range b.gateways {
		text := "-"
		c := r.cells[g.name]
		if c != nil {
			if v, spread, ok := c.median(m.key); ok {
				any, widest = true, max(widest, spread)
				text = number(v, m.digits)
				if base > 0 && g.name != yardstick {
					text += fmt.Sprintf(" %.2f×", v/base)
				}
			}
			if len(c.Notes) > 0 {
				text += " !"
			}
		}
		line.cells = append(line.cells, text)
	}
	if b.rounds > 1 {
		line.cells = append(line.cells, fmt.Sprintf("%.0f%%", 100*widest))
	}
	return line, any || r.failed()
}

// failed says whether no round of a scenario came to its end.
func (r *result) failed() bool {
	for _, c := range r.cells {
		if len(c.Rounds) > 0 {
			return false
		}
	}
	return true
}

// number writes v with blanks between thousands.
func number(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + " " + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return whole
}

// facts say what was measured where.
func (b *bench) facts(command string) []string {
	where := fmt.Sprintf("%s, %s, Linux %s", cpuModel(), plural(runtime.NumCPU(), "core"), kernel())
	if b.lab.cores.gateway >= 0 {
		where += fmt.Sprintf("; gateway on core %d, mock and load on core %d", b.lab.cores.gateway, b.lab.cores.load)
	} else {
		where += "; not pinned"
	}
	list := []string{command, where, fmt.Sprintf("%s of %s after %s of warm-up; × is the ratio to nginx", plural(b.rounds, "interleaved round"), b.window, b.warm)}
	if b.rounds > 1 {
		list[2] = "medians of " + list[2] + "; spread is the widest of a row, (max − min) / median"
	}
	for _, g := range b.gateways {
		switch {
		case g.absent != "":
			list = append(list, g.name+": absent: "+g.absent)
		case g.version != "":
			list = append(list, g.name+": "+g.version)
		}
	}
	return list
}

// print writes the table for a terminal of so many columns; gateways that do
// not fit follow in further tables.
func (b *bench) print(w io.Writer, columns int, command string) {
	head, rows, notes := b.table()
	for _, f := range b.facts(command) {
		fmt.Fprintln(w, f)
	}
	width := make([]int, len(head))
	for i, h := range head {
		width[i] = utf8.RuneCountInString(h)
		for _, r := range rows {
			if r.cells != nil {
				width[i] = max(width[i], utf8.RuneCountInString(r.cells[i])+2*min(1, max(0, 1-i)))
			}
		}
	}
	for from := 1; from < len(head); {
		to, used := from, width[0]
		for to < len(head) && (to == from || used+2+width[to] <= columns) {
			used += 2 + width[to]
			to++
		}
		fmt.Fprintln(w)
		printLine(w, width, head, from, to)
		for _, r := range rows {
			if r.cells == nil {
				fmt.Fprintln(w, r.title)
				continue
			}
			cells := append([]string{"  " + r.cells[0]}, r.cells[1:]...)
			printLine(w, width, cells, from, to)
		}
		from = to
	}
	for _, n := range notes {
		fmt.Fprintln(w, n)
	}
}

func printLine(w io.Writer, width []int, cells []string, from, to int) {
	line := cells[0] + strings.Repeat(" ", width[0]-utf8.RuneCountInString(cells[0]))
	for i := from; i < to; i++ {
		line += strings.Repeat(" ", 2+width[i]-utf8.RuneCountInString(cells[i])) + cells[i]
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

// markdown writes the table for a document.
func (b *bench) markdown(w io.Writer, command string) {
	head, rows, notes := b.table()
	facts := b.facts(command)
	fmt.Fprintf(w, "    %s\n\n", facts[0])
	for _, f := range facts[1:] {
		fmt.Fprintf(w, "- %s\n", f)
	}
	fmt.Fprintf(w, "\n| %s |\n|---|%s\n", strings.Join(head, " | "), strings.Repeat("--:|", len(head)-1))
	for _, r := range rows {
		if r.cells == nil {
			fmt.Fprintf(w, "| **%s** |%s\n", r.title, strings.Repeat("|", len(head)-1))
			continue
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(r.cells, " | "))
	}
	if len(notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range notes {
		fmt.Fprintf(w, "- %s\n", n)
	}
}

// json writes every round.
func (b *bench) json(w io.Writer, command string) error {
	type entry struct {
		Name     string           `json:"name"`
		Title    string           `json:"title"`
		Gateways map[string]*cell `json:"gateways"`
	}
	var list []entry
	for _, r := range b.results {
		list = append(list, entry{r.scenario.name, r.scenario.title, r.cells})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(map[string]any{"facts": b.facts(command), "scenarios": list})
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(b))
}

// terminal returns the width of f, 0 if f is none.
func terminal(f *os.File) int {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(ws.Col)
}
