package driver

// provider is one row of the table of ai-proxy.md sections 3.1 and 3.2. A new
// OpenAI-like provider is a new row.
type provider struct {
	name      string
	host      string             // "": override.endpoint is needed; may be a template
	paths     [protoCount]string // "": not spoken natively; may be templates
	maxTokens [protoCount]limitMap
	dropModel bool // the model is in the URL, never in the body
	aws       bool // signed with auth.aws; whether to stream is in the URL too
}

// Templates of hosts and paths. Project and region are those of provider_conf,
// the model is the request's.
const (
	varProject = "{project}"
	varRegion  = "{region}"
	varModel   = "{model}"
)

// limitMap says what override.llm_options.max_tokens becomes.
type limitMap struct {
	set    string // "": the provider has no mapping, the option is ignored; a dot leads into an object
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
	{
		name: "vertex-ai", host: varRegion + "-aiplatform.googleapis.com",
		paths: [protoCount]string{
			OpenAIChat:    "/v1beta1/projects/" + varProject + "/locations/" + varRegion + "/endpoints/openapi/chat/completions",
			VertexPredict: "/v1/projects/" + varProject + "/locations/" + varRegion + "/publishers/google/models/" + varModel + ":predict",
		},
		maxTokens: [protoCount]limitMap{OpenAIChat: {set: "max_completion_tokens"}},
	},
	{
		name: "bedrock", host: "bedrock-runtime." + varRegion + ".amazonaws.com",
		paths:     [protoCount]string{BedrockConverse: "/model/" + varModel + conversePath},
		maxTokens: [protoCount]limitMap{BedrockConverse: {set: "inferenceConfig.maxTokens"}},
		dropModel: true, aws: true,
	},
}

// apiNative is the provider_conf.api of an instance that is spoken to in the
// provider's own protocol even where it has a layer of OpenAI's.
const apiNative = "native"

// twoAPIs tells the providers that speak Anthropic's protocol and OpenAI's.
func (p *provider) twoAPIs() bool {
	return p.paths[OpenAIChat] != "" && p.paths[AnthropicMessages] != ""
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
