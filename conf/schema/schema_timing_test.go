package schema

import "testing"

// aiProxyText is a plugin schema of ordinary size, in the shape of ai-proxy's.
const aiProxyText = `{"type":"object","properties":{
"provider":{"type":"string","enum":["openai","deepseek","aimlapi","anthropic","openai-compatible","azure-openai","openrouter","gemini","vertex-ai","bedrock"]},
"auth":{"type":"object","properties":{
  "header":{"type":"object","patternProperties":{"^[a-zA-Z0-9._-]+$":{"type":"string"}}},
  "query":{"type":"object","patternProperties":{"^[a-zA-Z0-9._-]+$":{"type":"string"}}},
  "gcp":{"type":"object","properties":{"service_account_json":{"type":"string"},"max_ttl":{"type":"integer","minimum":1},"expire_early_secs":{"type":"integer","minimum":0,"default":60}}},
  "aws":{"type":"object","properties":{"access_key_id":{"type":"string","minLength":1},"secret_access_key":{"type":"string","minLength":1}},"required":["access_key_id","secret_access_key"]}},
  "additionalProperties":false},
"options":{"type":"object","properties":{"model":{"type":"string"}},"additionalProperties":true},
"override":{"type":"object","properties":{"endpoint":{"type":"string","minLength":1},"llm_options":{"type":"object","properties":{"max_tokens":{"type":"integer","minimum":1}},"additionalProperties":false}}},
"logging":{"type":"object","properties":{"summaries":{"type":"boolean","default":false},"payloads":{"type":"boolean","default":false}}},
"timeout":{"type":"integer","minimum":1,"maximum":600000,"default":30000},
"max_req_body_size":{"type":"integer","minimum":1,"default":67108864},
"keepalive":{"type":"boolean","default":true},
"keepalive_timeout":{"type":"integer","minimum":1000,"default":60000},
"keepalive_pool":{"type":"integer","minimum":1,"default":30},
"streaming_flush_interval_ms":{"type":"integer","minimum":0,"default":10},
"ssl_verify":{"type":"boolean","default":true}},
"required":["provider","auth"]}`

const aiProxyConf = `{"provider":"openai","auth":{"header":{"Authorization":"Bearer sk-0123456789abcdef0123456789abcdef"}},
"options":{"model":"gpt-4o-mini","temperature":0.7,"max_tokens":1024},"override":{"endpoint":"https://api.openai.com/v1/chat/completions"},
"logging":{"summaries":true},"timeout":60000,"ssl_verify":true}`

func BenchmarkCheckAIProxy(b *testing.B) {
	s := MustCompilePlugin("ai-proxy", aiProxyText)
	benchmarkCheck(b, s, aiProxyConf)
}

func BenchmarkCheckRoute(b *testing.B) {
	benchmarkCheck(b, Resource("route"), `{"id":"r1","uri":"/v1/chat/completions","name":"chat","methods":["POST"],"labels":{"team":"a"},
		"vars":[["post_arg.model","==","gpt-4"]],"plugins":{"ai-proxy":`+aiProxyConf+`}}`)
}

func BenchmarkCheckRouteWithUpstream(b *testing.B) {
	benchmarkCheck(b, Resource("route"), `{"id":"r1","uri":"/a/*","hosts":["a.com","*.b.com"],
		"upstream":{"type":"roundrobin","nodes":[{"host":"10.0.0.1","port":80,"weight":1},{"host":"10.0.0.2","port":80,"weight":1}]}}`)
}

func BenchmarkCheckRefused(b *testing.B) {
	s := MustCompilePlugin("ai-proxy", aiProxyText)
	raw := []byte(`{"provider":"openai","auth":{"header":{"Authorization":1}}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Check(raw); err == nil {
			b.Fatal("no error")
		}
	}
}

// BenchmarkCompile is what a start pays per schema.
func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		MustCompilePlugin("ai-proxy", aiProxyText)
	}
}

func benchmarkCheck(b *testing.B, s *Schema, conf string) {
	raw := []byte(conf)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Check(raw); err != nil {
			b.Fatal(err)
		}
	}
}
