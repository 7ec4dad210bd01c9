package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxAnswer bounds what is read of a manager's answer.
const maxAnswer = 1 << 20

// call sends rq and reads the answer. The error names the address and no more:
// queries and headers hold credentials.
func call(ctx context.Context, client *http.Client, rq *http.Request) (status int, body []byte, err error) {
	resp, err := client.Do(rq.WithContext(ctx))
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return 0, nil, fmt.Errorf("cannot reach %s: %w", rq.URL.Host, err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("cannot read the answer of %s: %w", rq.URL.Host, err)
	case len(body) > maxAnswer:
		return 0, nil, fmt.Errorf("the answer of %s is too large", rq.URL.Host)
	}
	return resp.StatusCode, body, nil
}

// stay follows no redirect: credentials are for one server.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// httpURL checks an address of the configuration.
func httpURL(field, s string) error {
	if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("property %q validation failed: it is no http or https address", field)
	}
	return nil
}
