package driver

import (
	"bytes"
	"fmt"
)

// What Bedrock needs beyond a row of the table (ai-proxy.md section 3.5).
// Requests are signed by driver/bedrock, when everything else is final.

// AWS holds what the requests of an instance are signed with.
type AWS struct {
	AccessKeyID, SecretAccessKey string
	SessionToken                 string // may be empty
	Region                       string
}

// AWS returns what the instance's requests must be signed with, nil if they
// need no signature.
func (in *Instance) AWS() *AWS { return in.aws }

func (in *Instance) compileAWS(cfg *Config, r *resolver) error {
	if !in.row.aws || cfg.Auth.AWS == nil {
		return nil
	}
	in.aws = new(AWS)
	if cfg.ProviderConf != nil {
		in.aws.Region, _ = r.str("provider_conf.region", cfg.ProviderConf.Region)
	}
	a := cfg.Auth.AWS
	for _, f := range [...]struct {
		name, value string
		to          *string
	}{
		{"access_key_id", a.AccessKeyID, &in.aws.AccessKeyID},
		{"secret_access_key", a.SecretAccessKey, &in.aws.SecretAccessKey},
		{"session_token", a.SessionToken, &in.aws.SessionToken},
	} {
		field := "auth.aws." + f.name
		value, secret := r.str(field, f.value)
		var err error
		switch {
		case !isFieldValue(value):
			err = fmt.Errorf("the value contains a control character")
		case value == "" && secret:
			err = fmt.Errorf("the value is empty")
		}
		switch {
		case err == nil:
			*f.to = value
		case secret:
			r.fail(field, f.value, err)
		default:
			return fmt.Errorf("%s: %w", field, err)
		}
	}
	return nil
}

const (
	conversePath = "/converse"
	streamPath   = "/converse-stream"
)

// appendModel appends the rest of a request line and the Host behind the part
// of the path that comes before the model.
func (in *Instance) appendModel(dst []byte, rq *HeadInput) []byte {
	end := in.ends[rq.Target]
	if rq.Target != BedrockConverse {
		return append(appendEscaped(dst, rq.Model, &segmentBytes), end...)
	}
	dst = appendEscaped(dst, rq.Model, &unreservedBytes)
	if rq.Stream {
		dst, end = append(dst, streamPath...), end[len(conversePath):]
	}
	return append(dst, end...)
}

// PathModel returns the model that a client names in its path, as the AWS SDKs
// do; nil if its protocol does not. path is decoded, the result aliases it.
func PathModel(p Proto, path []byte) []byte {
	const before = "/model/"
	if p != BedrockConverse {
		return nil
	}
	path, ok := bytes.CutSuffix(path, []byte(conversePath))
	if !ok {
		path, _ = bytes.CutSuffix(path, []byte(streamPath))
	}
	// Names of models contain slashes (ARNs), and "-model/", but not this.
	_, model, _ := bytes.Cut(path, []byte(before))
	return model
}
