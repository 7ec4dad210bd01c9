// Package secret resolves references to secret managers,
// $secret://<manager>/<id>/<name> (gateway.md 6.1): HashiCorp Vault, AWS
// Secrets Manager and Google Secret Manager. Values are kept and asked for
// again while they are in use; a manager that fails leaves the last good value
// in force. No error and no log line shows a value or a credential.
package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Prefix begins a reference to a secret manager.
const Prefix = "$secret://"

// backend is one configured manager.
type backend interface {
	// fetch returns the secret that the rest of a reference names.
	fetch(ctx context.Context, name string) (string, error)
}

// timeout bounds one fetch with everything that belongs to it.
const timeout = 5 * time.Second

// Env looks up $env:// references, which may stand for a manager's own credentials.
type Env func(ref string) (string, error)

// env resolves one field of a manager's configuration.
func (e Env) field(name, value string) (string, error) {
	if len(value) < 7 || !strings.EqualFold(value[:7], "$env://") {
		return value, nil
	}
	v, err := e(value)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}

// Check judges the entry of a manager: id is "<manager>/<id>", raw its JSON.
// The texts are the Admin API's.
func Check(id string, raw []byte) error {
	_, err := open(id, raw, func(string) (string, error) { return "unresolved", nil }, nil)
	return err
}

// open makes the backend of an entry.
func open(id string, raw []byte, env Env, client *http.Client) (backend, error) {
	manager, name, _ := strings.Cut(id, "/")
	if name == "" {
		return nil, errors.New("no secret id")
	}
	switch manager {
	case "vault":
		return openVault(raw, env, client)
	case "aws":
		return openAWS(raw, env, client)
	case "gcp":
		return openGCP(raw, env, client)
	}
	return nil, fmt.Errorf("invalid secret manager: %s", manager)
}

// split takes a reference apart: "vault/1" and what is asked of it.
func split(ref string) (id, name string, ok bool) {
	rest, ok := strings.CutPrefix(ref, Prefix)
	if !ok {
		return "", "", false
	}
	manager, rest, _ := strings.Cut(rest, "/")
	entry, name, _ := strings.Cut(rest, "/")
	return manager + "/" + entry, name, manager != "" && entry != "" && name != ""
}

// member takes a field out of the JSON object in text.
func member(text, field string) (string, error) {
	var m map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &m) != nil || m == nil {
		return "", errors.New("the secret is no JSON object")
	}
	return scalar(m[field], field)
}

// scalar is a member's text: of a string its content, of a number or boolean its JSON.
func scalar(raw json.RawMessage, field string) (string, error) {
	if len(raw) == 0 {
		return "", fmt.Errorf("the secret has no member %q", field)
	}
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case '{', '[', 'n':
		return "", fmt.Errorf("member %q of the secret is no string", field)
	}
	return string(raw), nil
}
