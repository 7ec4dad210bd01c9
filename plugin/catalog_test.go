package plugin

import "testing"

func TestCatalog(t *testing.T) {
	if len(catalog) <= 100 || len(catalogByName()) != len(catalog) {
		t.Errorf("%d entries, %d names", len(catalog), len(catalogByName()))
	}
	for i := 1; i < len(catalog); i++ {
		if catalog[i-1].Priority < catalog[i].Priority {
			t.Errorf("%s stands before %s", catalog[i-1].Name, catalog[i].Name)
		}
	}
}

func TestKnown(t *testing.T) {
	f := func(name string, priority int, refuse bool) {
		t.Helper()
		e, ok := Known(name)
		if !ok || e.Name != name || e.Priority != priority || e.Refuse() != refuse {
			t.Errorf("%s: %+v, refuse %v", name, e, e.Refuse())
		}
	}
	f("real-ip", 23000, true)
	f("ai", 22900, false)
	f("request-id", 12015, false)
	f("opentelemetry", 12009, false)
	f("fault-injection", 11000, true)
	f("mocking", 10900, true)
	f("serverless-pre-function", 10000, true)
	f("cors", 4000, true)
	f("batch-requests", 4010, false)
	f("ip-restriction", 3000, true)
	f("ua-restriction", 2999, true)
	f("hmac-auth", 2530, true)
	f("basic-auth", 2520, true)
	f("jwt-auth", 2510, true)
	f("key-auth", 2500, true)
	f("openid-connect", 2599, true)
	f("consumer-restriction", 2400, true)
	f("data-mask", 1500, true)
	f("body-transformer", 1080, true)
	f("ai-request-rewrite", 1073, true)
	f("ai-prompt-guard", 1072, true)
	f("ai-prompt-template", 1071, true)
	f("ai-prompt-decorator", 1070, true)
	f("ai-rag", 1060, true)
	f("ai-proxy-multi", 1041, true)
	f("ai-proxy", 1040, true)
	f("ai-cache", 1035, true)
	f("ai-aws-content-moderation", 1031, true)
	f("ai-rate-limiting", 1030, true)
	f("ai-aliyun-content-moderation", 1029, true)
	f("ai-lakera-guard", 1028, true)
	f("proxy-rewrite", 1008, true)
	f("limit-conn", 1003, true)
	f("limit-count", 1002, true)
	f("limit-req", 1001, true)
	f("gzip", 995, false)
	f("node-status", 1000, false)
	f("response-rewrite", 899, true)
	f("mcp-bridge", 510, true)
	f("prometheus", 500, false)
	f("http-logger", 410, false)
	f("kafka-logger", 403, false)
	f("file-logger", 399, false)
	f("serverless-post-function", -2000, true)

	if _, ok := Known("no-such-plugin"); ok {
		t.Error("an unknown plugin is known")
	}
	if (Entry{}).Refuse() {
		t.Error("the zero Entry refuses")
	}
}
