package main

import (
	"io"
	"log/slog"
	"os"

	"headrace/conf"
	"headrace/plugin/logfile"
)

// newLogger makes the error log: standard error, or the file that
// nginx_config.error_log names when the user has written it.
func newLogger(c *conf.Config) (*slog.Logger, error) {
	level := slog.LevelWarn
	switch c.Nginx.ErrorLogLevel {
	case "debug":
		level = slog.LevelDebug
	case "info", "notice":
		level = slog.LevelInfo
	case "error", "crit", "alert", "emerg":
		level = slog.LevelError
	}
	var w io.Writer = os.Stderr
	if c.Written("nginx_config", "error_log") {
		f, err := logfile.Open(c.Nginx.ErrorLog, logfile.Options{Buffer: 1})
		if err != nil {
			return nil, err
		}
		w = lineWriter{f}
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Headrace.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}

// lineWriter hands each line of the logger, which comes as one Write, on.
type lineWriter struct{ f *logfile.File }

func (w lineWriter) Write(p []byte) (int, error) {
	w.f.Append(p)
	return len(p), nil
}
