package schema

import (
	"embed"
	"sync"
)

// The texts are the rules of APISIX 3.18 (its schema_def.lua), field by
// field in its order.
//
//go:embed schemas
var texts embed.FS

//go:embed schemas/meta.json
var metaText string

// Names are the resources that have a schema.
var Names = []string{
	"route", "service", "upstream", "consumer", "credential", "consumer_group",
	"plugin_config", "global_rule", "ssl", "plugins", "stream_route", "proto",
}

var resources = sync.OnceValue(func() map[string]*Schema {
	return compileAll("schemas/", Names)
})

func compileAll(dir string, names []string) map[string]*Schema {
	m := make(map[string]*Schema, len(names))
	for _, name := range names {
		text, err := texts.ReadFile(dir + name + ".json")
		if err != nil {
			panic("BUG: " + err.Error())
		}
		m[name] = MustCompile(name, string(text))
	}
	return m
}

// Resource returns the schema of a kind of resource by its singular name, as
// the Admin API spells it ("route", "plugins"), or nil if there is none.
// Plugins' own configurations are not part of it. The schemas are compiled at
// the first call.
func Resource(name string) *Schema {
	return resources()[name]
}

var secretManagers = sync.OnceValue(func() map[string]*Schema {
	return compileAll("schemas/secrets/", []string{"vault", "aws", "gcp"})
})

// SecretManager returns the schema of an entry of a secret manager (vault, aws
// or gcp; gateway.md 6.1), nil if there is no such manager.
func SecretManager(name string) *Schema {
	return secretManagers()[name]
}

var meta = sync.OnceValue(func() *Schema {
	return MustCompile("_meta", metaText)
})

// Meta returns the schema of the object "_meta" that every plugin's
// configuration may have. Unlike APISIX's it has no pre_function, which is
// Lua. CompilePlugin adds it to a plugin's schema.
func Meta() *Schema {
	return meta()
}
