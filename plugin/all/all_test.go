package all

import (
	"slices"
	"strings"
	"testing"

	"headrace/engine"
	"headrace/plugin"
)

// TestSpecs holds that each plugin is there once and stands where APISIX has it.
func TestSpecs(t *testing.T) {
	names := map[string]bool{}
	for _, s := range Specs() {
		known, ok := plugin.Known(s.Name)
		if names[s.Name] || ok && known.Priority != s.Priority || s.Schema == nil || s.New == nil {
			t.Errorf("%s: %+v, in the catalog %+v", s.Name, s, known)
		}
		names[s.Name] = true
	}
	if !names["file-logger"] {
		t.Error("file-logger is not there")
	}
}

// TestEncrypted holds that what is encrypted at rest is also masked for
// viewers, and that the table names plugins that there are.
func TestEncrypted(t *testing.T) {
	reg := engine.NewRegistry(Specs(), nil)
	f := func(name, path string, secrets []string) {
		t.Helper()
		covered := slices.ContainsFunc(secrets, func(s string) bool { return path == s || strings.HasPrefix(path, s+".") })
		if !covered {
			t.Errorf("%s: %s is encrypted at rest, but no secret: %q", name, path, secrets)
		}
	}
	for name, paths := range plugin.Encrypted {
		if _, ok := plugin.Known(name); !ok {
			t.Errorf("no plugin is called %s", name)
		}
		for _, path := range paths {
			if spec := reg.Spec(name); spec != nil {
				f(name, path, spec.Secrets)
			}
		}
	}
	for name, paths := range plugin.EncryptedCredential {
		if e, ok := plugin.Known(name); !ok || e.Category != plugin.CategoryAuth {
			t.Errorf("no auth plugin is called %s", name)
		}
		for _, path := range paths {
			if spec := reg.Spec(name); spec != nil && spec.Credential != nil {
				f(name, path, spec.Credential.Secrets)
			}
		}
	}
}
