package admin

import (
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
	later   bool     // known, but not served by this version
	without []string // verbs that answer 405
	filters []string // fields that ?filter= knows
	secrets []string // paths beside those of the plugins
	// named resources have the id of something else: it is no field of
	// theirs that the client must repeat, and they keep no times.
	named bool
	// alone holds writers of the whole kind off while check looks at all of it.
	alone bool
	refs  []reference // fields that name items of other kinds
	used  string      // what a DELETE is told while something refers to the item; "": it may go
	// check returns why the value may not be stored, in APISIX's words.
	check func(c *call, id string, v *value) string
}

var resources = []resource{
	{kind: conf.Routes, name: "route", schema: "route", check: checkItem,
		filters: []string{"service_id", "upstream_id"}, secrets: []string{"upstream.tls.client_key"},
		refs: []reference{{"upstream_id", conf.Upstreams, "upstream"}, {"service_id", conf.Services, "service"}, {"plugin_config_id", conf.PluginConfigs, "plugin config"}}},
	{kind: conf.Upstreams, name: "upstream", schema: "upstream", check: checkItem,
		secrets: []string{"tls.client_key"}, used: "can not delete this upstream"},
	{kind: conf.GlobalRules, name: "global rule", schema: "global_rule", without: []string{"POST"}, alone: true, check: checkGlobalRule},
	{kind: conf.PluginMetadata, name: "plugin_metadata", named: true, without: []string{"POST", "PATCH"}, check: checkItem},
	{kind: conf.Services, name: "service", schema: "service", later: true},
	{kind: conf.Consumers, name: "consumer", schema: "consumer", later: true},
	{kind: conf.ConsumerGroups, name: "consumer group", schema: "consumer_group", later: true},
	{kind: conf.PluginConfigs, name: "plugin config", schema: "plugin_config", later: true},
	{kind: conf.SSLs, name: "ssl", schema: "ssl", later: true},
	{kind: conf.Secrets, name: "secret", later: true},
}

func resourceByName(name string) *resource {
	i := slices.IndexFunc(resources, func(r resource) bool { return r.kind.String() == name })
	if i < 0 {
		return nil
	}
	return &resources[i]
}

func (r *resource) plural() string { return strings.ReplaceAll(r.kind.String(), "_", " ") }

// key is the name of an item in replies, as in etcd.
func (r *resource) key(id string) string { return keyPrefix + r.kind.String() + "/" + id }

// validate returns why the value may not be stored under id, "" if it may. An
// empty id is one that the store will make.
func (c *call) validate(id string, v *value) string {
	if v.kind != '{' {
		return "invalid configuration: wrong type: expected object, got " + v.typeName()
	}
	if text := c.res.check(c, id, v); text != "" {
		return text
	}
	if path := c.masked(v); path != "" {
		return `property "` + path + `" holds ` + mask + `, which stands for a secret that a viewer may not see: send the secret itself`
	}
	return ""
}

// checkItem asks the registry, as every source of configuration does: what is
// accepted here comes into force.
func checkItem(c *call, id string, v *value) string {
	it := conf.Item{Kind: c.res.kind, ID: id, Raw: v.append(nil)}
	found := c.Registry.CheckItem(it)
	// References are looked at between the value's own fields and its plugins.
	for _, plugins := range []bool{false, true} {
		for _, f := range found {
			if f.Level >= engine.Refused && (f.Plugin != "") == plugins {
				return f.Text
			}
		}
		if text := c.missingReference(v); text != "" && !plugins {
			return text
		}
	}
	return c.groupMismatch(it)
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
		for _, m := range v.get("plugins").members {
			if theirs.get(m.key) != nil {
				return "plugin '" + m.key + "' already exists in global rule with id '" + rule.ID + "'"
			}
		}
	}
	return ""
}

// times are the fields that clients may not send with PUT and POST.
var times = []string{"create_time", "update_time"}

// forbiddenTime returns APISIX's text (with its two blanks) when one is there.
func forbiddenTime(v *value) string {
	for _, in := range []string{"", "upstream", "plugins"} {
		at, prefix := v, ""
		if in != "" {
			at, prefix = v.get(in), in+"."
		}
		for _, name := range times {
			if t := at.get(name); t != nil && string(t.raw) != "false" {
				return "the property is forbidden:  " + prefix + name
			}
		}
	}
	return ""
}

var lockSeed = maphash.MakeSeed()

// lock keeps other writers of this process away from an item between reading
// what was there and writing; other processes are held off by Swap.
func (c *call) lock(id string) *sync.Mutex {
	m := &c.locks[maphash.String(lockSeed, c.res.key(id))%uint64(len(c.locks))]
	if c.res.alone {
		m = &c.whole[int(c.res.kind)%len(c.whole)]
	}
	m.Lock()
	return m
}

// resourceSchema is the schema of a resource by its singular name, nil if there is none.
func resourceSchema(name string) *schema.Schema {
	if !slices.Contains(schema.Names, name) {
		return nil
	}
	return schema.Resource(name)
}
