package etcd

import (
	"strings"

	"headrace/conf"
)

// dirMark is what APISIX stores under "<dir>/" when it starts: no JSON.
const dirMark = "init_dir"

// genID is the key that is written to get a revision, for the id of a POST.
func (s *Store) genID() string { return s.prefix + "/gen_id" }

// key is where an item is stored.
func (s *Store) key(kind conf.Kind, id string) string {
	if kind == conf.Plugins {
		return s.prefix + "/plugins"
	}
	return s.dir(kind) + id
}

func (s *Store) dir(kind conf.Kind) string { return s.prefix + "/" + kind.String() + "/" }

// parse tells which item a key stands for. Directory marks, gen_id, what hangs
// below a service and what other programs keep here are none.
func (s *Store) parse(key string) (kind conf.Kind, id string, ok bool) {
	rest, ok := strings.CutPrefix(key, s.prefix+"/")
	if !ok {
		return 0, "", false
	}
	dir, id, below := strings.Cut(rest, "/")
	kind = conf.KindOf(dir)
	switch parts := strings.Split(id, "/"); {
	case kind == 0:
		return 0, "", false
	case kind == conf.Plugins:
		return kind, dir, !below
	case !below || strings.HasSuffix(key, "/"):
		return 0, "", false
	case kind == conf.Secrets:
		ok = len(parts) == 2
	case kind == conf.Consumers:
		ok = len(parts) == 1 || len(parts) == 3 && parts[1] == "credentials"
	default:
		ok = len(parts) == 1
	}
	for _, p := range strings.Split(id, "/") {
		ok = ok && p != ""
	}
	return kind, id, ok
}

// item is what a key and its value mean; ok is as for parse.
func (s *Store) item(key string, e entry) (it conf.Item, ok bool) {
	kind, id, ok := s.parse(key)
	if !ok || string(e.value) == dirMark {
		return conf.Item{}, false
	}
	raw, failed := s.fields.open(kind, e.value)
	if failed > 0 {
		s.log.Info("encrypted fields fit no key of the keyring and stay as they are", "kind", kind.String(), "id", id, "fields", failed)
	}
	return conf.Item{Kind: kind, ID: id, Raw: raw, Rev: e.mod, Created: e.create}, true
}
