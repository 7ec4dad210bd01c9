package plugin

import (
	"encoding/json"
	"fmt"

	"github.com/bytedance/sonic"

	"headrace/conf"
	"headrace/conf/schema"
)

// Consumer is a caller as an auth plugin finds it: a consumer by one of its
// credentials (gateway.md 5.1). It is immutable and shared by all requests.
type Consumer struct {
	Name       string
	Group      string            // group_id, "" for none
	Credential string            // id of the credential; "": a plugin of the consumer itself
	Labels     map[string]string // of the consumer
	// Auth is what CredentialSpec.New made of the credential, nil for a
	// consumer found by its name.
	Auth any
	// Entry is the engine's own.
	Entry any
}

// Directory finds consumers. It belongs to the configuration that a request
// began with and may be used by any number of requests at the same time.
type Directory interface {
	// ByKey returns the consumer with that unique key for an auth plugin, nil
	// if there is none. A consumer whose secrets cannot be resolved has no key.
	ByKey(plugin string, key []byte) *Consumer
	// ByName returns a consumer by its username, nil if there is none.
	ByName(name string) *Consumer
}

// CredentialSpec is the consumer's side of an auth plugin.
type CredentialSpec struct {
	Schema *schema.Schema
	// Key is the member of the configuration by which a consumer is found; no
	// two credentials may share its value.
	Key string
	// Secrets are as Spec.Secrets.
	Secrets []string
	// Check does what a schema cannot, as Spec.Check. May be nil.
	Check func(raw []byte) error
	// New makes Consumer.Auth of a configuration that passed Schema and Check
	// and has its references resolved. May be nil.
	New func(raw []byte) (any, error)
}

// Validate checks the consumer's side of a configuration, its references
// unresolved, and returns it without _meta and with its defaults filled in.
func (s *CredentialSpec) Validate(raw []byte) (config []byte, err error) {
	if config, _, err = Split(raw); err != nil {
		return nil, err
	}
	if s.Schema != nil {
		if config, err = s.Schema.Check(config); err != nil {
			return nil, err
		}
	}
	if s.Check != nil {
		if err = s.Check(config); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// Bind makes what a consumer is recognised by out of a configuration that
// Validate accepts: its unique key and the plugin's own. resolve replaces
// references; a credential whose secret is missing cannot be used.
func (s *CredentialSpec) Bind(raw []byte, resolve func(ref string) (string, error)) (key string, auth any, err error) {
	config, err := s.Validate(raw)
	if err != nil {
		return "", nil, err
	}
	if config, err = conf.ResolveJSON(config, resolve); err != nil {
		return "", nil, err
	}
	var all map[string]json.RawMessage
	if err = sonic.ConfigStd.Unmarshal(config, &all); err == nil {
		err = json.Unmarshal(all[s.Key], &key)
	}
	if err != nil || key == "" {
		return "", nil, fmt.Errorf("it has no %s", s.Key)
	}
	if s.New != nil {
		auth, err = s.New(config)
	}
	return key, auth, err
}

// Headers by which upstreams and later plugins learn who the caller is.
const (
	HeaderConsumer   = "X-Consumer-Username"
	HeaderCredential = "X-Credential-Identifier"
	HeaderCustomID   = "X-Consumer-Custom-ID"
)

// Identify makes who the request's consumer. What the client said about
// itself in the headers above is replaced or removed (gateway.md 5.1).
func (c *Ctx) Identify(who *Consumer) {
	c.Consumer = who
	c.SetHeaders(HeaderEdit{HeaderConsumer, who.Name}, HeaderEdit{HeaderCredential, who.Credential},
		HeaderEdit{HeaderCustomID, who.Labels["custom_id"]})
}

// ConsumerName is the name of the request's consumer, "" if nobody was recognised.
func (c *Ctx) ConsumerName() string {
	if c.Consumer == nil {
		return ""
	}
	return c.Consumer.Name
}
