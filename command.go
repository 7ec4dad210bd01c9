package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// exitError ends the process with a status of its own. err is what is printed,
// nil: nothing, the command has said it all.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// status is a command's end without another word.
func status(code int) error {
	if code == 0 {
		return nil
	}
	return exitError{code, nil}
}

// exitStatus is what the process ends with after err, and what it says first.
func exitStatus(err error) (code int, say error) {
	var e exitError
	if errors.As(err, &e) {
		return e.code, e.err
	}
	return 1, err
}

// misused is for commands whose status 1 means something else than a wrong
// command line.
func misused(_ *cobra.Command, err error) error { return exitError{2, err} }

// noArgs is cobra.NoArgs with the status of misused.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return exitError{2, err}
	}
	return nil
}

// What the shell offers behind a command or a flag.

func completeFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
}

func completeConfig(cmd *cobra.Command) { must(cmd.MarkFlagFilename("config", "yaml", "yml")) }

func completeWords(cmd *cobra.Command, flag string, words ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
}

// must is for flags that are named right above.
func must(err error) {
	if err != nil {
		panic("BUG: " + err.Error())
	}
}
