// Package plugin is what a plugin sees of a request and what the engine sees
// of a plugin.
//
// A plugin is a folder with a Spec: its name, its place in the order, the
// schema of its configuration and a constructor. The value that the
// constructor returns implements one or more of the phase interfaces below;
// which ones is found out once, when a route is compiled. Such a value is
// immutable, is used by any number of requests at the same time and owns no
// goroutine, timer or connection: what must live on belongs to Env.
package plugin

import (
	"crypto/x509"
	"io"
	"log/slog"

	"headrace/conf/schema"
	"headrace/driver/wire"
)

// Kind separates the plugins that the engine treats differently.
type Kind uint8

// The kinds. Builtin plugins are part of the engine and only stand in the order.
const (
	Normal Kind = iota
	Auth
	Log
	Builtin
)

// Spec describes one plugin.
type Spec struct {
	Name     string
	Priority int // higher runs earlier within a phase, as in APISIX
	Kind     Kind
	Schema   *schema.Schema
	Metadata *schema.Schema // of plugin_metadata; nil: the plugin has none
	// Secrets are the dotted paths of fields that hold credentials: they are
	// masked for viewers and encrypted at rest where APISIX does so.
	Secrets []string
	// Upgrade brings an older form of the configuration into today's before
	// the schema sees it; what the user sent stays as it is for reading back.
	// May be nil.
	Upgrade func(raw []byte) ([]byte, error)
	// Check does what a schema cannot; raw passed the schema and has its
	// defaults filled in. The error's text is shown to the user. May be nil.
	Check func(raw []byte) error
	// Warn lists what is valid but will not do what its author meant; raw is
	// what the user wrote. May be nil.
	Warn func(raw []byte) []string
	// Group names the group that a configuration belongs to, "" for none: all
	// of one group must be equal. raw is as for Check. May be nil.
	Group func(raw []byte) string
	// Credential is the consumer's side of an auth plugin; nil for all others.
	Credential *CredentialSpec
	// New makes the value that serves requests. raw passed Schema and Check.
	New func(raw []byte, env *Env) (any, error)
}

// GroupMismatch is said of a configuration that is not that of its group.
const GroupMismatch = "group conf mismatched"

// Env is what the engine offers to plugins when they are made.
type Env struct {
	Log *slog.Logger
	// RouteID names the owner of the configuration: a route's id or
	// "global_rules/<id>".
	RouteID string
	// Source names the resource that the configuration stands in, "routes/1",
	// "consumers/jill" or "global_rules/1": the owner of what is counted.
	Source string
	// Metadata returns the plugin_metadata of the plugin as JSON, nil if none is set.
	Metadata func(plugin string) []byte
	// State returns the value that lives under key, and makes it with make
	// when there is none. Such a value outlives compiled routes: it is the
	// place for what a reload must not reset. A value that implements
	// io.Closer is closed when it has not been asked for in ten minutes and
	// no route of the current configuration refers to it, unless it has a
	// method Busy() bool that says otherwise; one that others use has a method
	// Shared() and is closed after them. One that implements Measured has its
	// series on the metrics page. make must not call State.
	State func(key string, make func() (any, error)) (any, error)
	// Resolve replaces a whole-string secret reference by its value.
	Resolve func(ref string) (string, error)
	// Wire has the connections for calls on the plugin's own account, and
	// RootCAs is whom it trusts beside them; nil means the system's.
	Wire    *wire.Client
	RootCAs *x509.CertPool
	// Owner is the engine's own, for plugins that are built into it.
	Owner any
}

// Verdict is a phase's decision: 0 goes on, anything else is the status with
// which the request ends. The body was given to Ctx.Reply before.
type Verdict uint16

// The phases, in the order in which a request passes them (gateway.md 1.5).
type (
	// Rewriter runs before anything looks at the request; auth plugins run here.
	Rewriter interface{ Rewrite(c *Ctx) Verdict }
	// Accessor decides whether the request may go on.
	Accessor interface{ Access(c *Ctx) Verdict }
	// Proxier runs right before the provider is called.
	Proxier interface{ BeforeProxy(c *Ctx) Verdict }
	// HeaderFilter may change status and headers of any answer.
	HeaderFilter interface{ FilterHeader(c *Ctx) }
	// ChunkFilter sees every piece of the answer's body, as the client is to
	// get it, and appends to dst what goes on instead. last marks the end.
	ChunkFilter interface {
		FilterChunk(c *Ctx, dst, chunk []byte, last bool) []byte
	}
	// Logger runs when the client has everything or is gone. c.HTTP may be nil.
	Logger interface{ Log(c *Ctx) }
	// BodyLogger is a Logger that may show bodies. They are kept as far as a
	// logger of the request wants them, in Ctx.ReqBody and Ctx.RespBody.
	BodyLogger interface {
		Logger
		// Bodies says how many bytes of the client's body and of the answer's
		// may be shown. It is asked once, when a route is compiled.
		Bodies() (request, answer int)
		// WantsAnswer says, when the head of an answer is final, whether its
		// body may be shown.
		WantsAnswer(c *Ctx) bool
	}
)

// Measured is a value of Env.State that counts.
type Measured interface {
	// WriteMetrics writes series in Prometheus' text format. prefix is that of
	// the names that are APISIX's.
	WriteMetrics(w io.Writer, prefix string)
}
