package engine

import (
	"errors"
	"fmt"
	"headrace/driver"
	"time"
)

// semanticSchema is the schema of ai-proxy-multi's semantic_opts (ai-proxy.md 1.4).
const semanticSchema = `{
  "type": "object",
  "properties": {
    "embeddings": {
      "type": "object",
      "properties": {
        "provider": {"type": "string", "enum": ["openai", "azure-openai"]},
        "model": {"type": "string", "minLength": 1},
        "endpoint": {"type": "string"},
        "auth": {
          "type": "object",
          "properties": {
            "header": {"type": "object", "additionalProperties": {"type": "string"}},
            "query": {"type": "object", "additionalProperties": {"type": "string"}}
          },
          "additionalProperties": false
        },
        "timeout": {"type": "integer", "minimum": 1, "default": 3000},
        "ssl_verify": {"type": "boolean", "default": true}
      },
      "required": ["provider", "model", "auth"]
    },
    "threshold": {"type": "number", "minimum": -1, "maximum": 1, "default": 0},
    "fallback": {"type": "string", "minLength": 1},
    "debugging": {"type": "boolean", "default": false}
  },
  "required": ["embeddings"]
}`

// semanticConfig is semantic_opts; the schema has filled in its defaults.
type semanticConfig struct {
	Embeddings *embeddingsConfig `json:"embeddings"`
	Threshold  float64           `json:"threshold"`
	Fallback   string            `json:"fallback"`
	Debugging  bool              `json:"debugging"`
}

type embeddingsConfig struct {
	Provider string  `json:"provider"`
	Model    string  `json:"model"`
	Endpoint *string `json:"endpoint"`
	Auth     struct {
		Header driver.Pairs `json:"header"`
		Query  driver.Pairs `json:"query"`
	} `json:"auth"`
	Timeout   int64 `json:"timeout"` // ms
	SSLVerify bool  `json:"ssl_verify"`
}

// semanticInstance is what semantic routing needs to know of an instance; the
// index in a list of them is that of the instance.
type semanticInstance struct {
	Name      string   `json:"name"`
	Examples  []string `json:"examples"`
	Threshold *float64 `json:"threshold"`
}

const embeddingsPath = "/v1/embeddings"

// service is the configuration of the embeddings service.
func (c *embeddingsConfig) service() *driver.ServiceConfig {
	endpoint := "https://api.openai.com" + embeddingsPath
	if c.Endpoint != nil {
		endpoint = *c.Endpoint
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = 3000
	}
	return &driver.ServiceConfig{
		Endpoint: endpoint, Path: embeddingsPath, Header: c.Auth.Header, Query: c.Auth.Query,
		Timeout: time.Duration(timeout) * time.Millisecond, SSLVerify: c.SSLVerify,
	}
}

// checkSemantic makes the checks of ai-proxy.md 1.5, rows 11 to 16. Call it
// where the algorithm is semantic; cfg is nil without semantic_opts.
func checkSemantic(cfg *semanticConfig, ins []semanticInstance) error {
	if cfg == nil || cfg.Embeddings == nil {
		return errors.New("must configure `semantic_opts.embeddings` when balancer algorithm is semantic")
	}
	e := cfg.Embeddings
	azure := e.Provider == "azure-openai"
	switch {
	case e.Endpoint == nil:
		if azure {
			return errors.New("must configure `semantic_opts.embeddings.endpoint` when embeddings provider is azure-openai")
		}
	case !driver.IsReference(*e.Endpoint):
		path, err := driver.EndpointPath(*e.Endpoint)
		if err != nil {
			return errors.New("invalid `semantic_opts.embeddings.endpoint`")
		}
		if azure && (path == "" || path == "/") {
			//lint:ignore ST1005 APISIX's text
			return errors.New("`semantic_opts.embeddings.endpoint` for azure-openai must include the full deployment path, " +
				"e.g. https://{resource}.openai.azure.com/openai/deployments/{deployment}/embeddings?api-version=...")
		}
	}
	known := cfg.Fallback == ""
	for i := range ins {
		if len(ins[i].Examples) == 0 {
			return fmt.Errorf("instance '%s': must configure non-empty `examples` for the semantic algorithm", ins[i].Name)
		}
		known = known || ins[i].Name == cfg.Fallback
	}
	if !known {
		return fmt.Errorf("`semantic_opts.fallback` names unknown instance '%s'", cfg.Fallback)
	}
	if _, err := driver.NewService(nil, e.service(), unresolved); err != nil {
		return fmt.Errorf("semantic_opts.embeddings.%w", err)
	}
	return nil
}
