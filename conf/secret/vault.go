package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// vault reads HashiCorp Vault's key-value stores over HTTP. A name is
// <path>/<field>; in version 2 of the store the prefix ends in /data.
type vault struct {
	URI       string `json:"uri"`
	KV        string `json:"kv"`
	Prefix    string `json:"prefix"`
	Token     string `json:"token"`
	Namespace string `json:"namespace"`

	env    Env
	client *http.Client
}

func openVault(raw []byte, env Env, client *http.Client) (backend, error) {
	v := &vault{env: env, client: client}
	if err := json.Unmarshal(raw, v); err != nil {
		return nil, err
	}
	for _, f := range []struct{ name, value string }{{"uri", v.URI}, {"prefix", v.Prefix}, {"token", v.Token}} {
		if f.value == "" {
			return nil, fmt.Errorf("property %q is required", f.name)
		}
	}
	return v, httpURL("uri", v.URI)
}

func (v *vault) fetch(ctx context.Context, name string) (string, error) {
	i := strings.LastIndexByte(name, '/')
	if i <= 0 || i == len(name)-1 {
		return "", errors.New("the reference names no path and field")
	}
	path, field := name[:i], name[i+1:]
	token, err := v.env.field("token", v.Token)
	if err != nil {
		return "", err
	}
	address, err := url.JoinPath(v.URI, "v1", v.Prefix, path)
	if err != nil {
		return "", errors.New("the reference makes no address")
	}
	rq, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return "", errors.New("the reference makes no address")
	}
	rq.Header.Set("X-Vault-Token", token)
	if v.Namespace != "" {
		rq.Header.Set("X-Vault-Namespace", v.Namespace)
	}
	status, body, err := call(ctx, v.client, rq)
	switch {
	case err != nil:
		return "", err
	case status != http.StatusOK:
		return "", fmt.Errorf("vault answered %d", status)
	}
	var answer struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return "", errors.New("vault's answer is no JSON object")
	}
	if _, there := answer.Data[field]; !there {
		var inner map[string]json.RawMessage // version 2
		if json.Unmarshal(answer.Data["data"], &inner) == nil && inner != nil {
			return scalar(inner[field], field)
		}
	}
	return scalar(answer.Data[field], field)
}
