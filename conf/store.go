package conf

import (
	"context"
	"errors"
	"time"
)

// Kind is a sort of resource. Its String is the name of its folder in etcd
// and of its list in a standalone file ("routes").
type Kind uint8

// The kinds of APISIX 3.18 (gateway.md 2.1, 2.3).
const (
	Routes Kind = iota + 1
	Services
	Upstreams
	Consumers // credentials live among them, with the id "<username>/credentials/<id>"
	ConsumerGroups
	PluginConfigs
	GlobalRules
	SSLs
	Secrets // id "<manager>/<id>"
	PluginMetadata
	Plugins // one item, id "plugins": the list of enabled plugins
	Protos
	StreamRoutes
	numKinds
)

// Item is one resource as it is stored: the object that the client sent plus
// id, create_time and update_time. Raw is JSON and must not be changed.
type Item struct {
	Kind    Kind
	ID      string
	Raw     []byte
	Rev     int64 // modifiedIndex: the revision that wrote this value
	Created int64 // createdIndex: the revision that created the item
}

// Change is an item that was written, or deleted (then Raw is nil).
type Change struct {
	Item
	Deleted bool
}

// ErrResync is what Watch returns when the history that it was asked for is
// gone: the caller loads everything again.
var ErrResync = errors.New("history is lost, load again")

// Answers of a Store.
var (
	ErrNotFound = errors.New("key not found")
	ErrConflict = errors.New("value changed before overwritten")
	// ErrClosed is what a store answers after Close.
	ErrClosed = errors.New("the store is closed")
	// ErrNotHeld answers who accepts changes that a source holds back while it
	// holds none.
	ErrNotHeld = errors.New("no change of the configuration is held")
)

// Source is where resources come from: a file, the embedded store or etcd.
type Source interface {
	// Load returns every item, in the order that breaks ties between
	// routes, and the revision that the list stands for.
	Load(ctx context.Context) (items []Item, rev int64, err error)
	// Watch calls apply with what changed after rev, in order and in
	// batches, until ctx ends (it then returns ctx.Err()). apply is called
	// from one goroutine. The second argument is the revision that the
	// batch leads to. ErrResync asks the caller to Load again.
	Watch(ctx context.Context, rev int64, apply func(changes []Change, rev int64)) error
}

// Store is a Source that can be written: what the Admin API needs.
// Every write gets a revision of its own, larger than all before it.
type Store interface {
	Source
	Get(kind Kind, id string) (Item, error) // ErrNotFound
	List(kind Kind) ([]Item, error)         // ordered by Created
	// Put sets the value whatever was there. old.Raw is nil if nothing was.
	// A ttl above zero deletes the item when it has passed, restarts included.
	Put(it Item, ttl time.Duration) (now, old Item, err error)
	// Swap sets the value if the item's Rev is still prevRev, else ErrConflict.
	Swap(it Item, prevRev int64, ttl time.Duration) (now Item, err error)
	// Create stores the item under a new id made from its revision (20
	// digits, zero padded). fill gets that id and returns the value to store.
	Create(kind Kind, ttl time.Duration, fill func(id string) ([]byte, error)) (now Item, err error)
	Delete(kind Kind, id string) (old Item, rev int64, err error) // rev is the deletion's own; ErrNotFound
	// Applied says that the configuration in force carries everything up to
	// rev; who follows the source calls it. WaitApplied returns when it was
	// called with rev or more.
	Applied(rev int64)
	WaitApplied(ctx context.Context, rev int64) error
	Close() error
}

var kindNames = [numKinds]string{
	Routes: "routes", Services: "services", Upstreams: "upstreams", Consumers: "consumers",
	ConsumerGroups: "consumer_groups", PluginConfigs: "plugin_configs", GlobalRules: "global_rules",
	SSLs: "ssls", Secrets: "secrets", PluginMetadata: "plugin_metadata", Plugins: "plugins",
	Protos: "protos", StreamRoutes: "stream_routes",
}

// String returns the plural name that APISIX uses for the kind in keys and files.
func (k Kind) String() string {
	if k == 0 || k >= numKinds {
		return "unknown"
	}
	return kindNames[k]
}

// KindOf returns the kind with that plural name, 0 if there is none.
func KindOf(name string) Kind {
	for k := Routes; k < numKinds; k++ {
		if kindNames[k] == name {
			return k
		}
	}
	return 0
}

// Kinds returns all kinds in the order in which a document lists them.
func Kinds() []Kind {
	ks := make([]Kind, 0, numKinds-1)
	for k := Routes; k < numKinds; k++ {
		ks = append(ks, k)
	}
	return ks
}
