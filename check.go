package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"headrace/conf"
	"headrace/engine"
	"headrace/plugin/all"
)

type checkOptions struct {
	config     string
	files      []string
	format     string
	requireEnv bool
}

func checkCommand() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [RESOURCE-FILE...]",
		Short: "Validate a configuration and its routes, offline",
		Long: `Validate a configuration file and the resource files that belong to it
(apisix.yaml or apisix.json beside it, headrace.seed), or the resource files
given as arguments. Nothing is started, contacted or written, and no secret is
needed: $env:// and $secret:// references are not resolved, and a variable that
is not set here is assumed to hold what fits, with a warning.

Every problem is printed with its place. An error is what would be refused: an
invalid item, or a route that would answer 503 because a plugin that guards it
is missing here.

Exit status:
  0  nothing to object; warnings do not count
  1  errors
  2  something could not be read: a file, or the command line

Not checked are routes in the embedded store or in etcd, and those that are
sent to the standalone Admin API, which checks them itself.`,
		Example: `  headrace check -c conf/config.yaml
  headrace check conf/apisix.yaml

  # In CI: the errors as lines for people, and the status for the pipeline
  headrace check -c conf/config.yaml --format json |
    jq -r '.findings[] | select(.level == "error") | "\(.file):\(.line) \(.message)"'

  # On the machine itself, where every variable has to be there
  headrace check -c /etc/headrace/config.yaml --require-env`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.files = args
			if o.format != "text" && o.format != "json" {
				return exitError{2, fmt.Errorf("--format is text or json, not %q", o.format)}
			}
			r := check(o)
			if err := r.write(cmd.OutOrStdout(), o.format); err != nil {
				return exitError{2, err}
			}
			return status(r.Status)
		},
		ValidArgsFunction: completeFiles,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.config, "config", "c", "", "configuration `FILE` (config.yaml)")
	f.StringVar(&o.format, "format", "text", "text, or json: one object with every finding")
	f.BoolVar(&o.requireEnv, "require-env", false, "a variable that is not set is an error, as it is for the gateway")
	completeConfig(cmd)
	completeWords(cmd, "format", "text", "json")
	cmd.SetFlagErrorFunc(misused)
	return cmd
}

// check looks at everything; the report has all that there is to say.
func check(o checkOptions) *report {
	r := &report{Findings: []finding{}}
	load := loadAssuming
	if o.requireEnv {
		load = func(path string) (*conf.Config, []conf.Warning, error) { return conf.Load(path, os.LookupEnv) }
	}
	cfg, warnings, err := load(o.config)
	for _, p := range warnings {
		p.Warn = true
		r.add(p)
	}
	r.fault(err)
	enabled := func(string) bool { return true }
	files := o.files
	if cfg != nil {
		enabled = cfg.PluginEnabled
		if f := cfg.ResourceFile(); f != "" {
			files = append(files, f)
		}
		files = append(files, cfg.Headrace.Seed...)
		switch p, err := cfg.Provider(); {
		case err != nil || o.config == "":
		case p == conf.ProviderEmbedded:
			r.note("routes of the embedded store in %q are not checked here", cfg.Headrace.DataDir)
		case p == conf.ProviderEtcd:
			r.note("routes in etcd are not checked here")
		case p == conf.ProviderStandalone:
			r.note("routes that are sent to the standalone Admin API are not checked here")
		}
	}
	registry := engine.NewRegistry(all.Specs(), enabled)
	groups := registry.Groups()
	for _, f := range files {
		r.file(registry, groups, f, o.requireEnv)
	}
	return r
}

// file checks one resource file; groups are those of the files before.
func (r *report) file(registry *engine.Registry, groups *engine.Groups, path string, requireEnv bool) {
	p := startProgress("checking " + path)
	defer p.stop()
	items, problems, err := conf.ReadLocated(path, os.LookupEnv)
	var unset unsetItems
	if missing := unsetIn(err); len(missing) > 0 && !requireEnv {
		unset = namesOf(missing)
		items, problems, err = conf.ReadLocated(path, unset.env)
		problems = append(unsetWarnings(missing), problems...)
	}
	for _, p := range problems {
		r.add(unset.named(p))
	}
	r.fault(err)
	p.of(len(items))
	for _, it := range items {
		for _, f := range append(unset.check(registry, it.Item), groups.Add(it.Item)...) {
			r.add(unset.named(conf.Problem{
				File: path, Line: it.Line, Kind: it.Kind, ID: it.ID, Field: f.Field, Reason: f.Text, Warn: f.Level == engine.Warned,
			}))
		}
		p.step()
	}
	r.Resources += len(items)
}
