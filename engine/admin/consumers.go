package admin

import (
	"bytes"
	"cmp"
	"errors"

	"headrace/conf"
)

const textPlugins = "invalid plugins configuration: "

// username is the id of a consumer: no member beside it repeats it.
func username(c *call, v *value) (id, text string) {
	if name := v.get("username"); name != nil && name.kind == '"' {
		return name.text(), ""
	}
	return c.id, "" // the schema has something to say
}

// checkConsumer goes through the rules in APISIX's order (gateway.md 3.6).
func checkConsumer(c *call, id string, v *value) string {
	fields, plugins := c.refusals(id, v)
	switch {
	case fields != "":
		return fields
	case c.id != "" && c.id != id:
		return "wrong username"
	case plugins != "":
		return plugins
	}
	return cmp.Or(c.duplicateKey(v, id, ""), c.missingReference(v))
}

func checkCredential(c *call, id string, v *value) string {
	fields, plugins := c.refusals(id, v)
	if text := cmp.Or(fields, plugins); text != "" {
		return text
	}
	return c.duplicateKey(v, c.owner(), id)
}

// owner is the consumer that the path of a credential names.
func (c *call) owner() string {
	name, _ := conf.CredentialID(c.folder)
	return name
}

// findOwner refuses a credential of a consumer that is not there.
func findOwner(c *call, id string) (w written, stop bool) {
	_, err := c.Store.Get(conf.Consumers, c.owner())
	switch {
	case err == nil:
		return w, false
	case errors.Is(err, conf.ErrNotFound):
		return written{status: 404, id: id, text: "consumer not found"}, true
	}
	return storeFailed(id, err), true
}

// credentialIDs are those of the consumer that is being deleted.
func credentialIDs(c *call) (ids []string, err error) {
	items, err := c.Store.List(conf.Consumers)
	for _, it := range items {
		if name, id := conf.CredentialID(it.ID); name == c.id && id != "" {
			ids = append(ids, it.ID)
		}
	}
	return ids, err
}

// duplicateKey returns APISIX's text when a key by which an auth plugin finds
// callers belongs to somebody else already. A consumer never conflicts with
// its own credentials, a credential with everything but itself. References are
// left out: what they stand for is not known here.
func (c *call) duplicateKey(v *value, consumer, credential string) string {
	var items []conf.Item
	for _, m := range pluginsOf(v) {
		spec := c.Registry.Spec(m.key)
		if spec == nil || spec.Credential == nil || spec.Credential.Key == "" {
			continue
		}
		key := m.val.get(spec.Credential.Key)
		if key == nil || key.kind != '"' || conf.IsReference(key.text()) {
			continue
		}
		if items == nil {
			var err error
			if items, err = c.Store.List(conf.Consumers); err != nil {
				return "failed to fetch consumers: " + err.Error()
			}
		}
		for _, it := range items {
			name, id := conf.CredentialID(it.ID)
			if name == consumer && (credential == "" || id == credential) || !mayHold(it.Raw, key.text()) {
				continue
			}
			theirs := mustParse(it.Raw).get("plugins").get(m.key).get(spec.Credential.Key)
			if theirs == nil || theirs.kind != '"' || theirs.text() != key.text() {
				continue
			}
			text := "duplicate " + spec.Credential.Key + " of plugin " + m.key + " found with "
			if id != "" {
				text += "credential: " + id + " of "
			}
			return text + "consumer: " + name
		}
	}
	return ""
}

// mayHold is quick and never wrong about a text that is there: only a
// backslash can spell it in another way.
func mayHold(raw []byte, text string) bool {
	return bytes.Contains(raw, []byte(text)) || bytes.IndexByte(raw, '\\') >= 0
}

func pluginsOf(v *value) []member {
	if plugins := v.get("plugins"); plugins != nil {
		return plugins.members
	}
	return nil
}
