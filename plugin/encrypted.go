package plugin

// Encrypted lists, by plugin, the fields that APISIX 3.18 encrypts at rest
// (gateway.md 6.2): dotted paths that end at a string, an array of strings or an
// object with strings. No other field may be: APISIX would read the ciphertext.
// Plugins that Headrace does not have are here too, so that what it writes back
// is what APISIX expects.
var Encrypted = map[string][]string{
	"ai-proxy": {
		"auth.header", "auth.query", "auth.gcp.service_account_json", "auth.aws.secret_access_key", "auth.aws.session_token",
	},
	"ai-proxy-multi": {
		"instances.auth.header", "instances.auth.query", "instances.auth.gcp.service_account_json",
		"instances.auth.aws.secret_access_key", "instances.auth.aws.session_token",
		"semantic_opts.embeddings.auth.header", "semantic_opts.embeddings.auth.query",
	},
	"ai-rate-limiting":             {"redis_password", "sentinel_password"},
	"limit-count":                  {"redis_password", "sentinel_password"},
	"limit-req":                    {"redis_password"},
	"limit-conn":                   {"redis_password"},
	"ai-cache":                     {"redis_password", "semantic.embedding.openai.api_key", "semantic.embedding.azure_openai.api_key"},
	"ai-rag":                       {"embeddings_provider.azure_openai.api_key", "vector_search_provider.azure_ai_search.api_key"},
	"ai-aws-content-moderation":    {"comprehend.secret_access_key"},
	"ai-aliyun-content-moderation": {"access_key_secret"},
	"ai-lakera-guard":              {"api_key"},
	"http-logger":                  {"auth_header"},
	"kafka-logger":                 {"brokers.sasl_config.password"},
}

// EncryptedCredential is Encrypted for the consumer's side of auth plugins.
// Other plugins of a consumer are as everywhere.
var EncryptedCredential = map[string][]string{
	"key-auth":   {"key"},
	"basic-auth": {"password"},
	"jwt-auth":   {"secret"},
	"hmac-auth":  {"secret_key"},
}
