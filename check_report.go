package main

import (
	"encoding/json"
	"fmt"
	"io"

	"headrace/conf"
)

// report is what check has to say. Its JSON form is documented
// (docs/operations.md): members are added, not changed.
type report struct {
	Status    int       `json:"status"` // of the process: 0, 1 or 2
	Resources int       `json:"resources"`
	Errors    int       `json:"errors"`
	Warnings  int       `json:"warnings"`
	Findings  []finding `json:"findings"`
}

// finding is one line of it. What does not apply is left out.
type finding struct {
	Level    string `json:"level"` // error, warning or note
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Kind     string `json:"kind,omitempty"` // "routes"
	ID       string `json:"id,omitempty"`
	Field    string `json:"field,omitempty"`
	Variable string `json:"variable,omitempty"` // the one that is not set
	Message  string `json:"message"`
	text     string
}

func (r *report) add(p conf.Problem) {
	f := finding{Level: "error", File: p.File, Line: p.Line, ID: p.ID, Field: p.Field, Variable: p.Unset, Message: p.Reason, text: p.Error()}
	if p.Kind != 0 {
		f.Kind = p.Kind.String()
	}
	if p.Warn {
		f.Level = "warning"
		r.Warnings++
	} else {
		r.Errors++
		r.Status = max(r.Status, 1)
	}
	r.Findings = append(r.Findings, f)
}

// fault takes an error apart; one of reading itself is status 2.
func (r *report) fault(err error) {
	if err == nil {
		return
	}
	ps := asProblems(err)
	if len(ps) == 0 {
		r.Status = 2
		ps = conf.Problems{{Reason: err.Error()}}
	}
	for _, p := range ps {
		r.add(p)
	}
}

func (r *report) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.Findings = append(r.Findings, finding{Level: "note", Message: text, text: text})
}

func (r *report) write(w io.Writer, format string) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(r)
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(w, "%s: %s\n", f.Level, f.text); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%d resources checked, %d errors\n", r.Resources, r.Errors)
	return err
}
