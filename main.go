// Headrace is an LLM gateway: a drop-in replacement for an Apache APISIX AI
// route, tuned for streaming.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"headrace/bench"
)

// version is set by the linker (make build).
var version = "dev"

func main() {
	if err := command().Execute(); err != nil {
		var code exitCode
		if errors.As(err, &code) {
			os.Exit(int(code))
		}
		fmt.Fprintln(os.Stderr, "headrace:", err)
		os.Exit(1)
	}
}

// exitCode ends the process with a status and without another word.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

func command() *cobra.Command {
	var config string
	root := &cobra.Command{
		Use:   "headrace",
		Short: "LLM gateway: serves Apache APISIX AI routes, streams at wire speed",
		Long: `Headrace serves the AI routes of Apache APISIX unchanged: bring the route that
you have, as Admin API JSON, an apisix.yaml or apisix.json, and send your
traffic to port 9080.

  headrace serve                 gateway with the Admin API and an embedded store
  headrace serve -c config.yaml  the same with a configuration file
  headrace check -c config.yaml  says what is wrong with a configuration, offline
  headrace streams               what is being streamed through a running gateway
  headrace mock                  a provider that needs no key, for trying and testing

"headrace -c FILE" is "headrace serve -c FILE".`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("config") {
				return cmd.Help()
			}
			return serve(cmd.Context(), serveOptions{config: config})
		},
	}
	root.Flags().StringVarP(&config, "config", "c", "", "configuration file (config.yaml); serve with it")
	root.AddCommand(serveCommand(), checkCommand(), streamsCommand(), bench.NewMockCommand(), versionCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			revision := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" && len(s.Value) >= 12 {
						revision = " " + s.Value[:12]
					}
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "headrace %s%s %s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
