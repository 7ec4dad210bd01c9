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
// nginx_config.error_log names when the user has written it.
// The file, nil for standard error, is there to be reopened and closed.
func newLogger(c *conf.Config) (*slog.Logger, *logfile.File, error) {
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
	var file *logfile.File
	if c.Written("nginx_config", "error_log") {
		var err error
		if file, err = logfile.Open(c.Nginx.ErrorLog, logfile.Options{Buffer: 1}); err != nil {
			return nil, nil, fmt.Errorf("nginx_config.error_log: %w", err)
		}
		w = lineWriter{file}
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Headrace.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), file, nil
	}
	return slog.New(slog.NewTextHandler(w, o)), file, nil
}

// lineWriter hands each line of the logger, which comes as one Write, on.
type lineWriter struct{ f *logfile.File }

func (w lineWriter) Write(p []byte) (int, error) {
	w.f.Append(p)
	return len(p), nil
}
