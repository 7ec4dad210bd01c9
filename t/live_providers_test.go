package t

import "strings"

// liveProvider is a provider as TestLive asks it.
type liveProvider struct {
	name    string
	needs   []string          // variables, secrets first; without one of them it is skipped
	secrets int               // how many of them are secret, 0 means 1
	models  map[string]string // by client, "" for all others
	headers map[string]string // of the key, needs[0], by client; none: GCP or AWS
	route   string            // YAML beside
	// endpoint is an override.endpoint, nil where the provider has a host.
	endpoint func(get func(string) string, model string) string
	clients  []string
}

var liveProviders = []liveProvider{
	{
		name: "openai", needs: []string{"OPENAI_API_KEY"}, headers: map[string]string{"": "Authorization"},
		models:  map[string]string{"": "gpt-4.1-nano", "embeddings": "text-embedding-3-small"},
		clients: []string{"chat", "responses", "messages", "embeddings"},
	},
	{
		name: "azure-openai", needs: []string{"AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"}, headers: map[string]string{"": "api-key"},
		models: map[string]string{"": "gpt-4o-mini"}, clients: []string{"chat", "messages", "responses"},
		endpoint: func(get func(string) string, model string) string {
			version := get("AZURE_OPENAI_API_VERSION")
			if version == "" {
				version = "2024-10-21"
			}
			return strings.TrimRight(get("AZURE_OPENAI_ENDPOINT"), "/") + "/openai/deployments/" + model + "/chat/completions?api-version=" + version
		},
	},
	{
		name: "deepseek", needs: []string{"DEEPSEEK_API_KEY"}, headers: map[string]string{"": "Authorization"},
		models: map[string]string{"": "deepseek-chat"}, clients: []string{"chat", "messages", "responses"},
	},
	{
		name: "aimlapi", needs: []string{"AIMLAPI_API_KEY"}, headers: map[string]string{"": "Authorization"},
		models: map[string]string{"": "gpt-4o-mini"}, clients: []string{"chat", "messages", "responses"},
	},
	{
		name: "openrouter", needs: []string{"OPENROUTER_API_KEY"}, headers: map[string]string{"": "Authorization"},
		models: map[string]string{"": "openai/gpt-4o-mini"}, clients: []string{"chat", "messages", "responses"},
	},
	{
		name: "gemini", needs: []string{"GEMINI_API_KEY"}, headers: map[string]string{"": "Authorization"},
		models: map[string]string{"": "gemini-2.5-flash-lite"}, clients: []string{"chat", "messages", "responses"},
	},
	{
		name: "vertex-ai", needs: []string{"GCP_SERVICE_ACCOUNT", "GCP_PROJECT", "GCP_REGION"},
		models:  map[string]string{"": "google/gemini-2.5-flash-lite", "embeddings": "text-embedding-005"},
		route:   `{auth: {gcp: {service_account_json: $env://LIVE_GCP_SERVICE_ACCOUNT}}, provider_conf: {project_id: $GCP_PROJECT, region: $GCP_REGION}}`,
		clients: []string{"chat", "messages", "responses", "embeddings"},
	},
	{
		name: "anthropic", needs: []string{"ANTHROPIC_API_KEY"}, headers: map[string]string{"": "x-api-key", "chat": "Authorization", "responses": "Authorization"},
		models: map[string]string{"": "claude-haiku-4-5"}, route: `{auth: {header: {anthropic-version: "2023-06-01"}}}`,
		clients: []string{"messages", "chat", "responses"},
	},
	{
		name: "bedrock", needs: []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"}, secrets: 2,
		models:  map[string]string{"": "amazon.nova-micro-v1:0"},
		route:   `{auth: {aws: {access_key_id: $env://LIVE_AWS_ACCESS_KEY_ID, secret_access_key: $env://LIVE_AWS_SECRET_ACCESS_KEY}}, provider_conf: {region: $AWS_REGION}}`,
		clients: []string{"converse", "chat"},
	},
	{
		name: "openai-compatible", needs: []string{"OPENAI_COMPATIBLE_API_KEY", "OPENAI_COMPATIBLE_ENDPOINT", "OPENAI_COMPATIBLE_MODEL"},
		headers: map[string]string{"": "Authorization"}, clients: []string{"chat", "messages"},
		endpoint: func(get func(string) string, _ string) string { return get("OPENAI_COMPATIBLE_ENDPOINT") },
	},
}
