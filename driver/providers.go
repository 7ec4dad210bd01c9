package driver

// provider is one row of the table of ai-proxy.md sections 3.1 and 3.2. A new
// OpenAI-like provider is a new row.
type provider struct {
	name      string
	host      string             // "": override.endpoint is needed
	paths     [protoCount]string // "": not spoken natively
	maxTokens [protoCount]limitMap
	dropModel bool // the model is in the URL, never in the body
	pending   bool // part of the enum, not served yet
}

// limitMap says what override.llm_options.max_tokens becomes.
type limitMap struct {
	set    string // "": the provider has no mapping, the option is ignored
	remove string
}

var providers = [...]provider{
	{
		name: "openai", host: "api.openai.com",
		paths: [protoCount]string{
			OpenAIChat:       "/v1/chat/completions",
			OpenAIResponses:  "/v1/responses",
			OpenAIEmbeddings: "/v1/embeddings",
		},
		maxTokens: [protoCount]limitMap{
			OpenAIChat:      {set: "max_completion_tokens", remove: "max_tokens"},
			OpenAIResponses: {set: "max_output_tokens"},
		},
	},
	{
		name: "deepseek", host: "api.deepseek.com",
		paths:     [protoCount]string{OpenAIChat: "/chat/completions"},
		maxTokens: [protoCount]limitMap{OpenAIChat: {set: "max_tokens"}},
	},
	{
		// The path of the documentation; the code of 3.18.0 forgets /v1.
		name: "aimlapi", host: "api.aimlapi.com",
		paths:     [protoCount]string{OpenAIChat: "/v1/chat/completions"},
		maxTokens: [protoCount]limitMap{OpenAIChat: {set: "max_tokens"}},
	},
	{
		name: "anthropic", host: "api.anthropic.com",
		paths: [protoCount]string{
			OpenAIChat:        "/v1/chat/completions",
			AnthropicMessages: "/v1/messages",
		},
		maxTokens: [protoCount]limitMap{
			OpenAIChat:        {set: "max_tokens"},
			AnthropicMessages: {set: "max_tokens"},
		},
	},
	{
		name: "openai-compatible",
		paths: [protoCount]string{
			OpenAIChat:       "/v1/chat/completions",
			OpenAIResponses:  "/v1/responses",
			OpenAIEmbeddings: "/v1/embeddings",
		},
		maxTokens: [protoCount]limitMap{
			OpenAIChat:      {set: "max_tokens"},
			OpenAIResponses: {set: "max_output_tokens"},
		},
	},
	{
		name:      "azure-openai",
		paths:     [protoCount]string{OpenAIChat: "/completions"},
		maxTokens: [protoCount]limitMap{OpenAIChat: {set: "max_tokens"}},
		dropModel: true,
	},
	{
		name: "openrouter", host: "openrouter.ai",
		paths:     [protoCount]string{OpenAIChat: "/api/v1/chat/completions"},
		maxTokens: [protoCount]limitMap{OpenAIChat: {set: "max_tokens"}},
	},
	{
		name: "gemini", host: "generativelanguage.googleapis.com",
		paths:     [protoCount]string{OpenAIChat: "/v1beta/openai/chat/completions"},
		maxTokens: [protoCount]limitMap{OpenAIChat: {set: "max_completion_tokens"}},
	},
	{name: "vertex-ai", pending: true},
	{name: "bedrock", pending: true, dropModel: true},
}

func providerNamed(name string) *provider {
	for i := range providers {
		if providers[i].name == name {
			return &providers[i]
		}
	}
	return nil
}

// Known tells whether name is a provider of APISIX's enum (1.2).
func Known(name string) bool { return providerNamed(name) != nil }
