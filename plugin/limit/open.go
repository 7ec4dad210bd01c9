package limit

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"headrace/conf"
	"headrace/plugin"
	"headrace/plugin/redis"
)

// Options say whose counters are opened and where they are.
type Options struct {
	Plugin string // its name
	Owner  string // see Owner
	Redis  redis.Config
	// Together has all rules of a request counted on one node of a cluster,
	// which is what it takes to check them before any is charged.
	Together bool
}

// Owner is whom the counters of a configuration belong to: the resource that
// carries it and a hash of it. raw is what New is given.
func Owner(env *plugin.Env, raw []byte) string {
	sum := sha256.Sum256(raw)
	return "/apisix/" + env.Source + ":" + hex.EncodeToString(sum[:6])
}

// Resolve replaces the references of a configuration.
func Resolve(env *plugin.Env, raw []byte) ([]byte, error) {
	if env.Resolve == nil {
		return raw, nil
	}
	return conf.ResolveJSON(raw, env.Resolve)
}

// local says whether the counters are in this process.
func (o *Options) local() bool { return o.Redis.Policy == "" || o.Redis.Policy == "local" }

// stateKey is what counters of a form are found by in plugin.Env.State.
func (o *Options) stateKey(form string) string { return o.Plugin + ":" + o.Owner + ":" + form }

// remote opens the Redis. Two forms of one owner's counters never share names.
func (o *Options) remote(env *plugin.Env, form string) (remote, error) {
	client, err := redis.Open(env, &o.Redis)
	if err != nil {
		return remote{}, err
	}
	prefix := o.stateKey(form)
	if o.Together {
		prefix = "{" + prefix + "}"
	}
	return remote{client, keyPrefix + prefix + ":"}, nil
}

// OpenWindows opens the windows of an owner: sliding ones, or fixed ones. With
// every above 0, what is on a Redis is counted here and brought there that often.
func OpenWindows(env *plugin.Env, o Options, sliding bool, every time.Duration) (Windows, error) {
	kind, form := windowKind(sliding), "fixed"
	if sliding {
		form = "sliding"
	}
	if o.local() {
		return open(env, o.stateKey(form), func(room *Room) Windows { return newLocalWindows(kind, room) })
	}
	m, err := o.remote(env, form)
	if err != nil {
		return nil, err
	}
	direct := &remoteWindows{m, kind}
	if every <= 0 {
		return direct, nil
	}
	return open(env, o.stateKey(form+"-batched"), func(room *Room) Windows { return newBatched(direct, every, room, env.Log) })
}

// OpenBuckets opens the buckets of an owner.
func OpenBuckets(env *plugin.Env, o Options) (Buckets, error) {
	if o.local() {
		return open(env, o.stateKey("buckets"), func(room *Room) Buckets { return newLocalBuckets(room) })
	}
	m, err := o.remote(env, "buckets")
	return &remoteBuckets{m}, err
}

// OpenSlots opens the slots of an owner. ttl is how long a request counts as
// under way on a Redis if nobody says that it has ended.
func OpenSlots(env *plugin.Env, o Options, ttl time.Duration) (Slots, error) {
	if o.local() {
		return open(env, o.stateKey("slots"), func(room *Room) Slots { return newLocalSlots(room) })
	}
	m, err := o.remote(env, "slots")
	return &remoteSlots{m, ttl}, err
}

// open returns a value of the engine's state, made in the room that all have
// in common.
func open[T any](env *plugin.Env, key string, make func(*Room) T) (T, error) {
	var none T
	room, err := env.State("limit:room", func() (any, error) { return NewRoom(), nil })
	if err != nil {
		return none, err
	}
	held, err := env.State(key, func() (any, error) { return make(room.(*Room)), nil })
	if err != nil {
		return none, err
	}
	return held.(T), nil
}
