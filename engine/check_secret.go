package engine

import (
	"strings"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/conf/secret"
)

// checkSecret validates an entry of a secret manager; its id begins with the
// manager's name (gateway.md 6.1).
func checkSecret(it conf.Item) []Finding {
	manager, _, _ := strings.Cut(it.ID, "/")
	s := schema.SecretManager(manager)
	if s == nil {
		return []Finding{{Level: Invalid, Text: "invalid secret manager: " + manager}}
	}
	if _, err := s.Check(it.Raw); err != nil {
		return invalidItem(err)
	}
	if err := secret.Check(it.ID, it.Raw); err != nil {
		return invalidItem(err)
	}
	return nil
}
