package all

import (
	"testing"

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
