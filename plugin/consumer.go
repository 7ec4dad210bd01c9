package plugin

import "headrace/conf/schema"

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
	c.SetHeader(HeaderConsumer, who.Name)
	c.SetHeader(HeaderCredential, who.Credential)
	c.SetHeader(HeaderCustomID, who.Labels["custom_id"])
}

// ConsumerName is the name of the request's consumer, "" if nobody was recognised.
func (c *Ctx) ConsumerName() string {
	if c.Consumer == nil {
		return ""
	}
	return c.Consumer.Name
}
