package driver

import (
	"strings"
	"testing"
	"time"
)

// startOf is the request line and the host of a request.
func startOf(in *Instance, rq *HeadInput) string {
	head, err := in.AppendHead(nil, rq)
	if err != nil {
		return err.Error()
	}
	line, rest, _ := strings.Cut(string(head), " HTTP/1.1\r\nhost: ")
	host, _, _ := strings.Cut(rest, "\r\n")
	return line + " " + host
}

// ai-proxy.md section 3.4.
func TestVertexAddress(t *testing.T) {
	f := func(conf string, p Proto, model, want string) {
		t.Helper()
		in := compile(t, `{"provider":"vertex-ai","auth":{},`+conf+`}`)
		got := startOf(in, &HeadInput{Method: []byte("POST"), Path: []byte("/c"), Target: p, Model: []byte(model)})
		if in.Broken != nil || got != want {
			t.Errorf("%s %s %q:\n got %s %v\nwant %s", conf, p, model, got, in.Broken, want)
		}
		if tls, host, port, sni := in.Upstream(p); strings.HasSuffix(want, " "+host) && (!tls || port != 443 || sni != host) {
			t.Errorf("%s: %v %s %d %s", conf, tls, host, port, sni)
		}
	}
	here := `"provider_conf":{"project_id":"p-1","region":"us-central1"}`
	world := `"provider_conf":{"project_id":"p-1","region":"global"}`
	const chat, predict = "/endpoints/openapi/chat/completions", "/publishers/google/models/"
	f(here, OpenAIChat, "", "POST /v1beta1/projects/p-1/locations/us-central1"+chat+" us-central1-aiplatform.googleapis.com")
	f(world, OpenAIChat, "m", "POST /v1beta1/projects/p-1/locations/global"+chat+" aiplatform.googleapis.com")
	f(here, VertexPredict, "text-embedding-004", "POST /v1/projects/p-1/locations/us-central1"+predict+"text-embedding-004:predict us-central1-aiplatform.googleapis.com") // T: vx 12
	f(world, VertexPredict, "gecko@003", "POST /v1/projects/p-1/locations/global"+predict+"gecko@003:predict aiplatform.googleapis.com")
	f(here, VertexPredict, "a/b?c#d%é\r\ne+f:g", "POST /v1/projects/p-1/locations/us-central1"+predict+"a%2Fb%3Fc%23d%25%C3%A9%0D%0Ae+f%3Ag:predict us-central1-aiplatform.googleapis.com")
	f(here, VertexPredict, "", ErrNoPath.Error())
	f(here, Passthrough, "m", ErrNoHost.Error())
	f(`"provider_conf":{"project_id":"example.com:p/1","region":"r"}`, OpenAIChat, "", "POST /v1beta1/projects/example.com:p%2F1/locations/r"+chat+" r-aiplatform.googleapis.com")
	f(`"provider_conf":{"project_id":"p","region":"$env://key"}`, OpenAIChat, "", "POST /v1beta1/projects/p/locations/s3cret"+chat+" s3cret-aiplatform.googleapis.com")

	end := `"override":{"endpoint":"http://h:1%"}`
	f(strings.Replace(end, "%", "/x?a=b", 1), OpenAIChat, "", "POST /x?a=b h:1")
	f(strings.Replace(end, "%", "/x", 1), VertexPredict, "", "POST /x h:1")
	f(strings.Replace(end, "%", "/x", 1), Passthrough, "", "POST /x h:1")
	f(strings.Replace(end, "%", "", 1), Passthrough, "", "POST /c h:1")
	f(strings.Replace(end, "%", "", 1), OpenAIChat, "", ErrNoPath.Error())
	f(strings.Replace(end, "%", "", 1), VertexPredict, "m", ErrNoPath.Error())
	f(strings.Replace(end, "%", "?a=b", 1)+","+here, VertexPredict, "m", "POST /v1/projects/p-1/locations/us-central1"+predict+"m:predict?a=b h:1")
	f(`"provider_conf":{"region":"r"},`+strings.Replace(end, "%", "", 1), OpenAIChat, "", ErrNoPath.Error())
}

func TestVertexRegion(t *testing.T) {
	for _, region := range []string{"evil.example/", "a.b", "a b", "r@x", `r\r\nx`} {
		cfg, err := ParseConfig([]byte(`{"provider":"vertex-ai","auth":{},"provider_conf":{"project_id":"p","region":"` + region + `"}}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := CompileInstance("one", cfg, nil); errText(err) != "provider_conf.region: not a region" {
			t.Errorf("%s: %v", region, err)
		}
	}
	in := compile(t, `{"provider":"vertex-ai","auth":{},"provider_conf":{"project_id":"p","region":"$env://url"}}`)
	if got := errText(in.Broken); got != `cannot use reference "$env://url" of provider_conf.region: not a region` {
		t.Error(got)
	}
}

// The limits of 3.2, the body of a predict request, the refusals of 2.4.
func TestVertexShape(t *testing.T) {
	in := compile(t, `{"provider":"vertex-ai","auth":{},"provider_conf":{"project_id":"p","region":"r"},
		"options":{"model":"m","parameters":{"outputDimensionality":3}},"override":{"llm_options":{"max_tokens":7}}}`)
	f := func(p Proto, body, want string) {
		t.Helper()
		out := load(t, body)
		in.Shape(out, p, p, &Shaping{})
		if got := string(out.AppendTo(nil)); got != want {
			t.Errorf("%s", got)
		}
	}
	f(VertexPredict, `{"instances":[]}`, `{"instances":[],"parameters":{"outputDimensionality":3}}`)
	f(OpenAIChat, `{"messages":[],"max_tokens":1}`, `{"messages":[],"max_tokens":1,"max_completion_tokens":7,"model":"m","parameters":{"outputDimensionality":3}}`)
}

// The routes of 2.4 and the refusals of 3.1, and a whole conversion by way of them.
func TestVertexRoute(t *testing.T) {
	in := compile(t, `{"provider":"vertex-ai","auth":{},"provider_conf":{"project_id":"p","region":"r"},"options":{"model":"ours"}}`)
	f := func(client, want Proto, refuse string) {
		t.Helper()
		if target, text := in.Route(client); target != want || text != refuse || (in.Converter(client) != nil) != (want != client && want != Unknown) {
			t.Errorf("%s: %s %q", client, target, text)
		}
	}
	const list = " protocol (supported: openai-chat, vertex-predict)"
	f(OpenAIChat, OpenAIChat, "")
	f(AnthropicMessages, OpenAIChat, "")
	f(OpenAIEmbeddings, VertexPredict, "")
	f(Passthrough, Passthrough, "")
	f(BedrockConverse, Unknown, "provider vertex-ai does not support bedrock-converse"+list)

	client := load(t, `{"input":"x","model":"theirs"}`)
	st := ConvState{Model: in.Model(client), RequestModel: RequestModel(client)}
	conv := in.Converter(OpenAIEmbeddings)
	body, err := conv.Request(nil, client, &st)
	out := load(t, string(body))
	in.Shape(out, OpenAIEmbeddings, VertexPredict, &Shaping{})
	if got := string(out.AppendTo(nil)); err != nil || got != `{"instances":[{"content":"x"}]}` {
		t.Errorf("%s %v", got, err)
	}
	got, ok, err := conv.AppendResponse(nil, []byte(`{"predictions":[{"embeddings":{"values":[1]}}]}`), 200, &st)
	if want := `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]}],"model":"theirs","usage":{"prompt_tokens":0,"total_tokens":0}}`; string(got) != want || !ok || err != nil {
		t.Errorf("%s %v %v", got, ok, err)
	}
}

func TestVertexUsage(t *testing.T) {
	f := func(body string, want int64, seen bool) {
		t.Helper()
		var c Capture
		Of(VertexPredict).Response(&c, []byte(body))
		if c.Usage != (Usage{Prompt: want, Total: want, Seen: seen}) {
			t.Errorf("%s: %+v", body, c.Usage)
		}
	}
	f(`{"predictions":[{"embeddings":{"statistics":{"token_count":3}}},{"embeddings":{"statistics":{"token_count":4.0}}},{"embeddings":{}},5]}`, 7, true)
	f(`{"predictions":[]}`, 0, true)
	f(`{"predictions":5}`, 0, false)
	f(`{"error":{}}`, 0, false)
	f(`[`, 0, false)
}

// The token replaces every other authorization, and is nobody's but the
// instance's.
func TestBearer(t *testing.T) {
	f := func(auth, headers, extra, bearer, want string) {
		t.Helper()
		in := compile(t, `{"provider":"openai","auth":`+auth+`}`)
		got, err := in.AppendHead(nil, &HeadInput{Target: OpenAIChat, Headers: []byte(headers), Extra: []byte(extra), Bearer: []byte(bearer)})
		_, rest, _ := strings.Cut(string(got), "host: api.openai.com\r\n")
		rest, _, _ = strings.Cut(rest, "content-type")
		if err != nil || rest != want {
			t.Errorf("%s: %q %v", auth, rest, err)
		}
	}
	f(`{"gcp":{}}`, "Authorization: mine\r\nA: 1\r\n", "authorization: theirs\r\n", "tok", "a: 1\r\nauthorization: Bearer tok\r\n") // T: vx 6
	f(`{"gcp":{},"header":{"Authorization":"k","b":"2"}}`, "", "", "tok", "authorization: Bearer tok\r\nb: 2\r\n")
	f(`{"gcp":{},"header":{"Authorization":"k"}}`, "Authorization: mine\r\n", "", "", "")
	f(`{"gcp":{}}`, "", "", "a\r\nb: c", "authorization: Bearer a  b: c\r\n")
	f(`{"header":{"Authorization":"k"}}`, "", "", "tok", "authorization: k\r\n")
	in := compile(t, `{"provider":"openai","auth":{"gcp":{},"header":{"Authorization":"k"}}}`)
	for name, value := range in.AuthHeaders() { // health probes carry no token
		if name != "authorization" || value != "k" {
			t.Error(name, value)
		}
	}
}

func TestGCP(t *testing.T) {
	resolve := func(ref string) (string, error) {
		if ref == "$env://GCP_SERVICE_ACCOUNT" {
			return "{env}", nil
		}
		return secrets(ref)
	}
	f := func(auth string, want *GCP, broken string) {
		t.Helper()
		cfg, err := ParseConfig([]byte(`{"provider":"openai","auth":` + auth + `}`))
		if err != nil {
			t.Fatal(err)
		}
		in, err := CompileInstance("one", cfg, resolve)
		if err != nil {
			t.Fatal(err)
		}
		if got := in.GCP(); (got == nil) != (want == nil) || got != nil && *got != *want || errText(in.Broken) != broken {
			t.Errorf("%s: %+v %v", auth, got, in.Broken)
		}
	}
	f(`{}`, nil, "")
	f(`{"gcp":{}}`, &GCP{"{env}", 0, time.Minute}, "")
	f(`{"gcp":{"service_account_json":"{}","max_ttl":5,"expire_early_secs":0}}`, &GCP{"{}", 5 * time.Second, 0}, "")
	f(`{"gcp":{"service_account_json":"$ENV://key","max_ttl":9223372036854775807,"expire_early_secs":7}}`, &GCP{"s3cret", 10 * 365 * 24 * time.Hour, 7 * time.Second}, "")
	f(`{"gcp":{"service_account_json":"$env://GONE"}}`, &GCP{"", 0, time.Minute}, `cannot use reference "$env://GONE" of auth.gcp.service_account_json: not set`)
	cfg, _ := ParseConfig([]byte(`{"provider":"openai","auth":{"gcp":{}}}`))
	if in, err := CompileInstance("one", cfg, secrets); err != nil || in.Broken != nil || in.GCP().ServiceAccount != "" {
		t.Errorf("%v %+v", err, in)
	}
}
