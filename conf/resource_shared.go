package conf

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Service is what several routes have in common (gateway.md 1.6, 3.6),
// decoded as DecodeRoute does.
type Service struct {
	ID              ID                `json:"id"`
	Name            string            `json:"name"`
	Desc            string            `json:"desc"`
	Labels          map[string]string `json:"labels"`
	Hosts           []string          `json:"hosts"` // of routes that name none
	Plugins         PluginList        `json:"plugins"`
	Upstream        json.RawMessage   `json:"upstream"`
	UpstreamID      ID                `json:"upstream_id"`
	Script          json.RawMessage   `json:"script"`
	EnableWebsocket *bool             `json:"enable_websocket"`
	CreateTime      integer           `json:"create_time"`
	UpdateTime      integer           `json:"update_time"`
}

// Unsupported lists what the service asks for and this version cannot honour,
// as Route.Unsupported does.
func (s *Service) Unsupported() []string {
	if isEmptyJSON(s.Script) {
		return nil
	}
	return []string{"script is not supported: it needs a Lua runtime"}
}

// DecodeService decodes a stored service, as DecodeRoute does.
func DecodeService(raw []byte) (*Service, error) {
	s := &Service{}
	if err := decode(raw, s); err != nil {
		return nil, fmt.Errorf("cannot decode service: %w", err)
	}
	return s, nil
}

// PluginSet holds plugins for routes (a plugin config) or for consumers (a
// consumer group).
type PluginSet struct {
	ID         ID                `json:"id"`
	Name       string            `json:"name"`
	Desc       string            `json:"desc"`
	Labels     map[string]string `json:"labels"`
	Plugins    PluginList        `json:"plugins"`
	CreateTime integer           `json:"create_time"`
	UpdateTime integer           `json:"update_time"`
}

// DecodePluginSet decodes a stored plugin config or consumer group, as
// DecodeRoute does.
func DecodePluginSet(raw []byte) (*PluginSet, error) {
	s := &PluginSet{}
	if err := decode(raw, s); err != nil {
		return nil, fmt.Errorf("cannot decode plugins: %w", err)
	}
	return s, nil
}

// Consumer is a consumer, or a credential of one: that has no username, its id
// names the consumer (gateway.md 5.1).
type Consumer struct {
	Username   string            `json:"username"`
	Name       string            `json:"name"` // of a credential
	Desc       string            `json:"desc"`
	Labels     map[string]string `json:"labels"`
	GroupID    ID                `json:"group_id"`
	Plugins    PluginList        `json:"plugins"`
	CreateTime integer           `json:"create_time"`
	UpdateTime integer           `json:"update_time"`
}

// DecodeConsumer decodes a stored consumer or credential, as DecodeRoute does.
func DecodeConsumer(raw []byte) (*Consumer, error) {
	c := &Consumer{}
	if err := decode(raw, c); err != nil {
		return nil, fmt.Errorf("cannot decode consumer: %w", err)
	}
	return c, nil
}

// CredentialID takes the id of an item of the kind Consumers apart. credential
// is empty for a consumer itself.
func CredentialID(id string) (consumer, credential string) {
	consumer, credential, _ = strings.Cut(id, "/credentials/")
	return consumer, credential
}

// WithID returns the object raw with the member id, unless it has one: where
// the id of an item stands in its key or its place, the value may lack it.
func WithID(raw []byte, id string) []byte {
	i := skipBlanks(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return raw
	}
	has := false
	members(raw, i, func(key string, _, _ int) { has = has || key == "id" })
	if has {
		return raw
	}
	out := appendString([]byte(`{"id":`), id)
	if rest := skipBlanks(raw, i+1); raw[rest] != '}' {
		out = append(out, ',')
	}
	return append(out, raw[i+1:]...)
}
