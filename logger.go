package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"headrace/conf"
	"headrace/plugin/logfile"
)

// newLogger makes the error log: standard error, or the file that
// nginx_config.error_log names when the user has written it. The audit log
// goes to the same place, whatever error_log_level is.
// The file, nil for standard error, is there to be reopened and closed.
func newLogger(c *conf.Config) (log, audit *slog.Logger, file *logfile.File, err error) {
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
		if file, err = logfile.Open(c.Nginx.ErrorLog, logfile.Options{Buffer: 1}); err != nil {
			return nil, nil, nil, fmt.Errorf("nginx_config.error_log: %w", err)
		}
		w = lineWriter{file}
	}
	at := func(level slog.Level) *slog.Logger {
		o := &slog.HandlerOptions{Level: level}
		if c.Headrace.LogFormat == "json" {
			return slog.New(slog.NewJSONHandler(w, o))
		}
		return slog.New(slog.NewTextHandler(w, o))
	}
	return at(level), at(slog.LevelInfo), file, nil
}

// lineWriter hands each line of the logger, which comes as one Write, on.
type lineWriter struct{ f *logfile.File }

func (w lineWriter) Write(p []byte) (int, error) {
	w.f.Append(p)
	return len(p), nil
}
