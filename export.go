package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"headrace/conf"
	"headrace/engine"
	"headrace/engine/admin"
	"headrace/plugin/all"
)

type exportOptions struct {
	config  string
	dataDir string
	secrets bool
	output  string
}

func exportCommand() *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the embedded store as an apisix.yaml",
		Long: `Print what the embedded store holds as an apisix.yaml: for a backup, for a
repository, to go over to routes in a file, or back to APISIX.

The store is only read, and without its lock: a gateway may run on it, and no
Admin API or key is needed. What is printed is the store after one change and
before the next. Two exports of the same routes are the same, byte for byte:
times and revisions are left out.

Secrets are masked unless --secrets is given. A masked file has no #END at its
end, so that neither Headrace nor APISIX loads it by mistake. References to
secrets ($env://, $secret://) are no secrets and are printed as they are.

Exit status:
  0  the store was printed, masked or not
  1  it was, but for items that are damaged; they are named
  2  it could not be read, or was written by a newer version`,
		Example: `  # Look at it
  headrace export -c conf/config.yaml | less

  # A backup that can be loaded: mode 0600, complete or not there at all
  headrace export -c conf/config.yaml --secrets -o backup/apisix.yaml

  # Back into an empty store
  headrace serve -c conf/config.yaml --seed backup/apisix.yaml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return export(cmd.OutOrStdout(), cmd.ErrOrStderr(), o)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.config, "config", "c", "", "configuration `FILE` (config.yaml) that says where the store is")
	f.StringVar(&o.dataDir, "data-dir", "", "`FOLDER` of the store, without a configuration (default \"data\")")
	f.BoolVar(&o.secrets, "secrets", false, "print secrets in clear")
	f.StringVarP(&o.output, "output", "o", "", "write this `FILE` instead of standard output")
	completeConfig(cmd)
	must(cmd.MarkFlagDirname("data-dir"))
	must(cmd.MarkFlagFilename("output", "yaml"))
	cmd.SetFlagErrorFunc(misused)
	return cmd
}

func export(out, log io.Writer, o exportOptions) error {
	dir, err := o.store()
	if err != nil {
		return exitError{2, err}
	}
	p := startProgress("reading the store in " + dir)
	items, err := conf.ReadEmbedded(dir)
	var x admin.Exported
	if err == nil {
		x = admin.Export(engine.NewRegistry(all.Specs(), nil), items, o.secrets)
	}
	p.stop()
	if err != nil {
		return exitError{2, err}
	}
	text := exportText(dir, x)
	if o.output == "" {
		_, err = out.Write(text)
	} else {
		err = writeFile(o.output, text)
	}
	if err != nil {
		return exitError{2, err}
	}
	if o.output != "" {
		fmt.Fprintf(log, "headrace: %d items are in %s\n", x.Items, o.output)
	}
	if x.Masked > 0 {
		fmt.Fprintf(log, "headrace: %d secrets are masked, and there is no #END, so that nothing loads it by mistake; --secrets prints them\n", x.Masked)
	}
	if len(x.Lost) > 0 {
		return exitError{1, fmt.Errorf("left out, because what is stored is no JSON object: %s", strings.Join(x.Lost, ", "))}
	}
	return nil
}

// store is the folder of the embedded store.
func (o exportOptions) store() (string, error) {
	switch {
	case o.dataDir != "" && o.config != "":
		return "", errors.New("--config and --data-dir both say where the store is: give one of them")
	case o.dataDir != "":
		return o.dataDir, nil
	}
	cfg, warnings, err := loadAssuming(o.config)
	if err != nil {
		return "", err
	}
	for _, w := range warnings {
		if w.Unset != "" && w.Field == "headrace.data_dir" {
			return "", w
		}
	}
	if p, err := cfg.Provider(); err != nil || p != conf.ProviderEmbedded {
		from := p.String()
		if f := cfg.ResourceFile(); f != "" {
			from = f
		}
		return "", fmt.Errorf("with %q routes come from %s, and there is no embedded store; --data-dir names one", o.config, from)
	}
	return cfg.Headrace.DataDir, nil
}

// exportText puts head and end around the lists.
func exportText(dir string, x admin.Exported) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The embedded store in %q, printed by headrace export.\n", dir)
	if x.Masked > 0 {
		fmt.Fprintf(&b, "#\n# MASKED: %d secrets are shown as ********. The end marker is left out, so that\n"+
			"# neither Headrace nor APISIX loads this file. \"headrace export --secrets\" prints\n# one that they do.\n", x.Masked)
	}
	b.WriteByte('\n')
	b.Write(x.Body)
	if x.Masked == 0 {
		b.WriteString("#END\n")
	}
	return b.Bytes()
}

// writeFile writes a file that only its owner can read, in one step: it is the
// old one or the whole new one.
func writeFile(path string, text []byte) error {
	fail := func(err error) error {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return fmt.Errorf("cannot write %q: %w", path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fail(err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fail(errors.Unwrap(err))
	}
	return nil
}
