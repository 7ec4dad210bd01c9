package secret

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// awsSecrets reads AWS Secrets Manager. A name is that of a secret, which may
// contain slashes, with a field of its JSON behind it or not.
type awsSecrets struct {
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
	SessionToken    string `json:"session_token"`
	Region          string `json:"region"`
	EndpointURL     string `json:"endpoint_url"`

	env    Env
	client *http.Client
	signer *v4.Signer
}

func openAWS(raw []byte, env Env, client *http.Client) (backend, error) {
	a := &awsSecrets{env: env, client: client, signer: v4.NewSigner()}
	if err := json.Unmarshal(raw, a); err != nil {
		return nil, err
	}
	for _, f := range []struct{ name, value string }{{"access_key_id", a.AccessKeyID}, {"secret_access_key", a.SecretAccessKey}} {
		if f.value == "" {
			return nil, fmt.Errorf("property %q is required", f.name)
		}
	}
	a.Region = cmp.Or(a.Region, "us-east-1")
	a.EndpointURL = cmp.Or(a.EndpointURL, "https://secretsmanager."+a.Region+".amazonaws.com")
	return a, httpURL("endpoint_url", a.EndpointURL)
}

// errNoSecret is AWS's ResourceNotFoundException.
var errNoSecret = errors.New("AWS knows no such secret")

// fetch tries the longest name first: where AWS has no such secret the last
// part may be a field of the one before.
func (a *awsSecrets) fetch(ctx context.Context, name string) (string, error) {
	text, err := a.value(ctx, name)
	for i := len(name); errors.Is(err, errNoSecret); {
		if i = strings.LastIndexByte(name[:i], '/'); i <= 0 {
			return "", err
		}
		var whole string
		if whole, err = a.value(ctx, name[:i]); err == nil {
			return member(whole, name[i+1:])
		}
	}
	return text, err
}

// value returns the text of a secret.
func (a *awsSecrets) value(ctx context.Context, name string) (string, error) {
	var keys aws.Credentials
	for _, f := range []struct {
		name, value string
		to          *string
	}{
		{"access_key_id", a.AccessKeyID, &keys.AccessKeyID},
		{"secret_access_key", a.SecretAccessKey, &keys.SecretAccessKey},
		{"session_token", a.SessionToken, &keys.SessionToken},
	} {
		v, err := a.env.field(f.name, f.value)
		if err != nil {
			return "", err
		}
		*f.to = v
	}
	body, err := json.Marshal(map[string]string{"SecretId": name, "VersionStage": "AWSCURRENT"})
	if err != nil {
		return "", err
	}
	rq, err := http.NewRequest(http.MethodPost, strings.TrimRight(a.EndpointURL, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return "", errors.New("endpoint_url is no address")
	}
	rq.Header.Set("Content-Type", "application/x-amz-json-1.1")
	rq.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	sum := sha256.Sum256(body)
	if err := a.signer.SignHTTP(ctx, keys, rq, hex.EncodeToString(sum[:]), "secretsmanager", a.Region, time.Now()); err != nil {
		return "", errors.New("the request to AWS cannot be signed")
	}
	status, answer, err := call(ctx, a.client, rq)
	if err != nil {
		return "", err
	}
	var got struct {
		Type   string  `json:"__type"`
		Secret *string `json:"SecretString"`
	}
	parsed := json.Unmarshal(answer, &got) == nil
	switch {
	case status != http.StatusOK && strings.HasSuffix(got.Type, "ResourceNotFoundException"):
		return "", errNoSecret
	case status != http.StatusOK:
		return "", fmt.Errorf("AWS answered %d", status)
	case !parsed || got.Secret == nil:
		return "", errors.New("AWS's answer has no SecretString")
	}
	return *got.Secret, nil
}
