package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"headrace/conf"
)

func healthcheckCommand() *cobra.Command {
	var config string
	timeout := 2 * time.Second
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running gateway whether it is ready (for containers)",
		Long: `Ask the Status API of the gateway that runs with the same configuration, on the
same machine, whether it should get traffic. The configuration needs the block
apisix.status. Where there is an HTTP client anyway, ask /status/ready itself.

Exit status: 0 it is ready; 1 it is not, or it does not answer.`,
		Example: `  headrace healthcheck -c /etc/headrace/config.yaml

  # In a Dockerfile
  HEALTHCHECK CMD ["/headrace", "healthcheck", "-c", "/etc/headrace/config.yaml"]`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := conf.Load(config, os.LookupEnv)
			if err != nil {
				return err
			}
			if cfg.APISIX.Status == nil {
				return fmt.Errorf("%q has no apisix.status: there is no Status API to ask", config)
			}
			return askReady(cmd.Context(), cmd.OutOrStdout(), *cfg.APISIX.Status, timeout)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVarP(&config, "config", "c", "", "configuration `FILE` (config.yaml) of the gateway")
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait for the answer")
	completeConfig(cmd)
	return cmd
}

// askReady prints the answer of /status/ready; any but 200 is an error.
func askReady(ctx context.Context, out io.Writer, at conf.Listen, timeout time.Duration) error {
	if ip, err := netip.ParseAddr(at.IP); err == nil && ip.IsUnspecified() {
		at.IP = "127.0.0.1"
		if ip.Is6() {
			at.IP = "::1"
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	url := "http://" + net.JoinHostPort(at.IP, strconv.Itoa(at.Port)) + "/status/ready"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// No proxy: the gateway is on this machine.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New("not ready: " + string(text))
	}
	fmt.Fprintf(out, "%s\n", text)
	return nil
}
