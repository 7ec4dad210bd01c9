package admin

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/engine"
)

// resource is one row of the table: all that tells one sort of resource from
// another. The verbs are the same code for all (routes.go, patch.go, list.go).
type resource struct {
	kind    conf.Kind
	name    string   // in error texts: "route"
	schema  string   // conf/schema's name; "": none
	without []string // verbs that answer 405
	filters []string // fields that ?filter= knows
	secrets []string // paths beside those of the plugins: masked for viewers
	hidden  []string // members that nobody gets back
	prefix  string   // of what is said about plugins
	// ident finds the id of a PUT in path and body; nil: by the rules of
	// gateway.md 3.5, 1. text says what is wrong.
	ident   func(c *call, v *value) (id, text string)
	nested  bool // the stored id begins with the folder of the path
	untimed bool // has no create_time and update_time
	// alone holds writers of the whole kind off while check looks at all of it.
	alone bool
	refs  []reference // fields that name items of other kinds
	used  string      // what a DELETE is told while something refers to the item; "": it may go
	// check returns why the value may not be stored under an id, in APISIX's words.
	check func(c *call, id string, v *value) string
	// settle has the last word before a PUT is stored under the id; nil: nothing.
	settle func(c *call, id string) (w written, stop bool)
	// owned are the ids of items that are deleted with this one.
	owned func(c *call) (ids []string, err error)
}

var (
	toUpstream      = reference{"upstream_id", conf.Upstreams, "upstream"}
	toService       = reference{"service_id", conf.Services, "service"}
	toPluginConfig  = reference{"plugin_config_id", conf.PluginConfigs, "plugin config"}
	toConsumerGroup = reference{"group_id", conf.ConsumerGroups, "consumer group"}
)

// resources has the rows in the order in which they are looked through for
// what still refers to an item.
var resources = []resource{
	{kind: conf.Routes, name: "route", schema: "route", check: checkItem, filters: []string{"service_id", "upstream_id"},
		secrets: []string{"upstream.tls.client_key"}, refs: []reference{toUpstream, toService, toPluginConfig}},
	{kind: conf.Services, name: "service", schema: "service", check: checkItem, secrets: []string{"upstream.tls.client_key"},
		refs: []reference{toUpstream}, used: "can not delete this service directly"},
	{kind: conf.Upstreams, name: "upstream", schema: "upstream", check: checkItem,
		secrets: []string{"tls.client_key"}, used: "can not delete this upstream"},
	{kind: conf.PluginConfigs, name: "plugin config", schema: "plugin_config", check: checkItem, without: []string{"POST"},
		used: "can not delete this plugin config"},
	{kind: conf.Consumers, name: "consumer", schema: "consumer", without: []string{"POST", "PATCH"}, ident: username, alone: true, prefix: textPlugins,
		refs: []reference{toConsumerGroup}, check: checkConsumer, owned: credentialIDs},
	{kind: conf.ConsumerGroups, name: "consumer group", schema: "consumer_group", check: checkItem, without: []string{"POST"},
		used: "can not delete this consumer group"},
	{kind: conf.GlobalRules, name: "global rule", schema: "global_rule", without: []string{"POST"}, alone: true, check: checkGlobalRule},
	{kind: conf.SSLs, name: "ssl", schema: "ssl", check: checkItem, hidden: []string{"key", "keys"}},
	{kind: conf.Secrets, name: "secret", without: []string{"POST"}, check: checkItem, ident: secretID,
		secrets: []string{"token", "access_key_id", "secret_access_key", "session_token", "auth_config.private_key"}},
	{kind: conf.PluginMetadata, name: "plugin_metadata", without: []string{"POST", "PATCH"}, check: checkItem, ident: pluginName, untimed: true},
}

// credentials live among the consumers, below their owner.
var credentials = resource{kind: conf.Consumers, name: "credential", schema: "credential", without: []string{"POST", "PATCH"},
	nested: true, alone: true, prefix: textPlugins, check: checkCredential, settle: findOwner}

func resourceByName(name string) *resource {
	i := slices.IndexFunc(resources, func(r resource) bool { return r.kind.String() == name })
	if i < 0 {
		return nil
	}
	return &resources[i]
}

// resourceOf is the row of a stored item.
func resourceOf(kind conf.Kind, id string) *resource {
	if _, credential := conf.CredentialID(id); kind == conf.Consumers && credential != "" {
		return &credentials
	}
	return resourceByName(kind.String())
}

func (r *resource) plural() string { return strings.ReplaceAll(r.kind.String(), "_", " ") }

// key is the name of an item in replies, as in etcd. id is the stored one.
func (r *resource) key(prefix, id string) string { return prefix + "/" + r.kind.String() + "/" + id }

// stored is the id under which the store has an item.
func (c *call) stored(id string) string {
	if c.res.nested && id != "" {
		return c.folder + id
	}
	return id
}

// validate returns why the value may not be stored under id, "" if it may. An
// empty id is one that the store will make.
func (c *call) validate(id string, v *value) string {
	if v.kind != '{' {
		return "invalid configuration: wrong type: expected object, got " + v.typeName()
	}
	if text := c.res.check(c, id, v); text != "" {
		return text
	}
	return refuseMask(c.Registry, c.res, v)
}

// refusals asks the registry, as every source of configuration does: what is
// accepted here comes into force.
func (c *call) refusals(id string, v *value) (fields, plugins string) {
	return c.res.refusals(c.Registry.CheckItem(conf.Item{Kind: c.res.kind, ID: c.stored(id), Raw: v.append(nil)}))
}

// refusals are why an item is kept out: the first finding about its own
// fields, and the first about what comes behind references: plugins, conditions.
func (r *resource) refusals(found []engine.Finding) (fields, plugins string) {
	for _, f := range found {
		switch {
		case f.Level < engine.Refused:
		case !f.Late():
			fields = cmp.Or(fields, f.Text)
		case plugins != "":
		case f.Plugin == "":
			plugins = f.Text
		default:
			plugins = r.prefix + f.Text
		}
	}
	return fields, plugins
}

// checkItem looks at references between the value's own fields and its plugins.
func checkItem(c *call, id string, v *value) string {
	fields, plugins := c.refusals(id, v)
	if text := cmp.Or(fields, c.missingReference(v), plugins); text != "" {
		return text
	}
	return c.groupMismatch(conf.Item{Kind: c.res.kind, ID: c.stored(id), Raw: v.append(nil)})
}

// checkGlobalRule also keeps a plugin from running twice.
func checkGlobalRule(c *call, id string, v *value) string {
	if text := checkItem(c, id, v); text != "" {
		return text
	}
	rules, err := c.Store.List(conf.GlobalRules)
	if err != nil {
		return "failed to fetch global rules: " + err.Error()
	}
	for _, rule := range rules {
		if rule.ID == id {
			continue
		}
		theirs := mustParse(rule.Raw).get("plugins")
		for _, m := range pluginsOf(v) {
			if theirs.get(m.key) != nil {
				return "plugin '" + m.key + "' already exists in global rule with id '" + rule.ID + "'"
			}
		}
	}
	return ""
}

// pluginName is the id of metadata; it becomes a member, whatever the body had.
func pluginName(c *call, v *value) (id, text string) {
	if c.id == "" {
		return "", "missing plugin name"
	}
	if v.kind == '{' {
		v.set("id", newString(c.id))
	}
	return c.id, ""
}

// secretID wants both parts of the id in the path.
func secretID(c *call, v *value) (id, text string) {
	switch {
	case c.folder == "":
		return "", "missing secret type"
	case c.id == "":
		return "", "no secret id"
	}
	return c.checkID(v, true)
}

// lock keeps other writers of this process away from an item between reading
// what was there and writing; other processes are held off by Swap.
func (c *call) lock(id string) *sync.Mutex {
	m := &c.locks[maphash.String(lockSeed, c.res.key("", id))%uint64(len(c.locks))]
	if c.res.alone {
		m = &c.whole[int(c.res.kind)%len(c.whole)]
	}
	m.Lock()
	return m
}

var lockSeed = maphash.MakeSeed()

// resourceSchema is the schema of a resource by its singular name, nil if there is none.
func resourceSchema(name string) *schema.Schema {
	if !slices.Contains(schema.Names, name) {
		return nil
	}
	return schema.Resource(name)
}
