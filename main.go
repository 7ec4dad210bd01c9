// Headrace is an LLM gateway: a drop-in replacement for an Apache APISIX AI
// route, tuned for streaming.
package main

import (
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
		code, say := exitStatus(err)
		if say != nil {
			fmt.Fprintln(os.Stderr, "headrace:", say)
		}
		os.Exit(code)
	}
}

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
  headrace export                prints the embedded store as an apisix.yaml
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
	completeConfig(root)
	root.AddCommand(serveCommand(), checkCommand(), exportCommand(), streamsCommand(), healthcheckCommand(), bench.NewMockCommand(), versionCommand())
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
