package logbatch

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"

	"headrace/plugin"
)

// Policy is what a logger says about its batches, decoded from JSON that passed
// a schema with Properties in it.
type Policy struct {
	Name       string `json:"name"`             // in messages and metrics
	MaxSize    int    `json:"batch_max_size"`   // entries of a batch
	Inactive   int    `json:"inactive_timeout"` // seconds after its last entry
	Duration   int    `json:"buffer_duration"`  // seconds after its first
	Retries    int    `json:"max_retry_count"`
	RetryDelay int    `json:"retry_delay"` // seconds
}

// Properties are the members of Policy in a JSON schema; name is what a batch
// is called unless the user says otherwise.
func Properties(name string) string {
	return `
    "name": {"type": "string", "default": ` + strconv.Quote(name) + `},
    "batch_max_size": {"type": "integer", "minimum": 1, "default": 1000},
    "inactive_timeout": {"type": "integer", "minimum": 1, "default": 5},
    "buffer_duration": {"type": "integer", "minimum": 1, "default": 60},
    "max_retry_count": {"type": "integer", "minimum": 0, "default": 0},
    "retry_delay": {"type": "integer", "minimum": 0, "default": 1}`
}

// MetadataProperties is what the plugin's metadata says about batches.
const MetadataProperties = `
    "max_pending_entries": {"type": "integer", "minimum": 1, "default": 8192}`

// Seconds makes a duration of a configured number, which may be any.
func Seconds(n int) time.Duration { return time.Duration(min(n, 1<<31)) * time.Second }

// Options of a Batcher.
type Options struct {
	Policy
	Plugin string // "http-logger"
	// Key differs between configurations of one owner that must not share
	// batches: a digest of the configuration with its references resolved.
	Key string

	Open, Between, Close string // around the entries of a batch
	MaxBytes             int    // a batch is not made longer, but by a single entry
	Senders              int    // batches under way at a time
}

// maxPending is how many entries wait where the metadata does not say it.
const maxPending = 8192

// Open returns the batcher of a configuration. It lives in env.State, so that
// neither a reload of the route nor its eviction loses an entry, until nothing
// refers to it any more; dial is called when there is none yet and must not
// call env.State itself.
func Open(env *plugin.Env, o Options, dial func() (Sender, error)) (*Batcher, error) {
	owner := cmp.Or(env.Source, env.RouteID)
	space, err := env.State("logbatch", func() (any, error) { return newRoom(roomBytes), nil })
	if err != nil {
		return nil, err
	}
	counts, err := env.State("logbatch:"+o.Plugin+":"+owner, func() (any, error) {
		t := &tally{plugin: o.Plugin, owner: owner, route: env.RouteID}
		if env.Source != "" && env.Source != "routes/"+env.RouteID {
			t.route = owner // several routes share it
		}
		return t, nil
	})
	if err != nil {
		return nil, err
	}
	counts.(*tally).name.Store(&o.Name)
	v, err := env.State(o.Plugin+":"+owner+":"+o.Key, func() (any, error) {
		to, err := dial()
		if err != nil {
			return nil, err
		}
		return newBatcher(o, to, counts.(*tally), space.(*room), env.Log.With("plugin", o.Plugin, "owner", owner)), nil
	})
	if err != nil {
		return nil, err
	}
	b := v.(*Batcher)
	b.limit.Store(limit(env, o.Plugin))
	return b, nil
}

// limit is max_pending_entries of the plugin's metadata.
func limit(env *plugin.Env, name string) int64 {
	var m struct {
		Max int64 `json:"max_pending_entries"`
	}
	if raw := env.Metadata(name); raw != nil && json.Unmarshal(raw, &m) == nil && m.Max > 0 {
		return m.Max
	}
	return maxPending
}
