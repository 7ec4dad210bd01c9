package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"headrace/conf"
	"headrace/engine"
	"headrace/plugin/all"
)

func checkCommand() *cobra.Command {
	var config string
	var files []string
	cmd := &cobra.Command{
		Use:   "check [RESOURCE-FILE...]",
		Short: "Validate a configuration and its routes, offline",
		Long: `Validate a configuration file and the resource files that belong to it
(apisix.yaml or apisix.json beside it, headrace.seed), or the resource files
given as arguments. Nothing is started, contacted or written.

Every problem is printed with its place. Exit status: 0 nothing to object,
1 something would be refused: an invalid item, or a route that would answer 503
because a plugin that guards it is missing here; warnings do not count.
Routes of the embedded store, which the Admin API checked when they were
written, and those of etcd are not checked.`,
		Example: `  headrace check -c conf/config.yaml
  headrace check conf/apisix.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if bad := check(cmd.OutOrStdout(), config, append(files, args...)); bad > 0 {
				return exitCode(1)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "", "configuration file (config.yaml)")
	return cmd
}

// check prints every problem and returns how many are no warnings.
func check(w io.Writer, config string, files []string) (bad int) {
	say := func(p conf.Problem) {
		word := "error"
		if p.Warn {
			word = "warning"
		} else {
			bad++
		}
		fmt.Fprintf(w, "%s: %s\n", word, p.Error())
	}
	cfg, warnings, err := conf.Load(config, os.LookupEnv)
	for _, p := range warnings {
		p.Warn = true
		say(p)
	}
	if err != nil {
		sayError(say, err)
	}
	enabled := func(string) bool { return true }
	if cfg != nil {
		enabled = cfg.PluginEnabled
		if f := cfg.ResourceFile(); f != "" {
			files = append(files, f)
		}
		files = append(files, cfg.Headrace.Seed...)
		switch p, err := cfg.Provider(); {
		case err != nil || config == "":
		case p == conf.ProviderEmbedded:
			fmt.Fprintf(w, "note: routes of the embedded store in %q are not checked here\n", cfg.Headrace.DataDir)
		case p == conf.ProviderEtcd:
			fmt.Fprintln(w, "note: routes in etcd are not checked here")
		}
	}
	registry := engine.NewRegistry(all.Specs(), enabled)
	n, groups := 0, registry.Groups()
	for _, f := range files {
		n += checkFile(registry, groups, f, say)
	}
	fmt.Fprintf(w, "%d resources checked, %d errors\n", n, bad)
	return bad
}

// checkFile checks one resource file and returns how many items it has.
func checkFile(r *engine.Registry, groups *engine.Groups, path string, say func(conf.Problem)) int {
	items, problems, err := conf.ReadLocated(path, os.LookupEnv)
	if err != nil {
		sayError(say, err)
		return 0
	}
	for _, p := range problems {
		say(p)
	}
	for _, it := range items {
		for _, f := range append(r.CheckItem(it.Item), groups.Add(it.Item)...) {
			say(conf.Problem{File: path, Line: it.Line, Kind: it.Kind, ID: it.ID, Field: f.Field, Reason: f.Text, Warn: f.Level == engine.Warned})
		}
	}
	return len(items)
}

func sayError(say func(conf.Problem), err error) {
	switch e := err.(type) {
	case conf.Problems:
		for _, p := range e {
			say(p)
		}
	case conf.Problem:
		say(e)
	default:
		say(conf.Problem{Reason: err.Error()})
	}
}
