package t

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// liveMock stands before a mock with fixtures and chooses among them, so that
// TestLive finds in it what it finds at real providers: who asks is known by
// the key, what is asked by path and body.
type liveMock struct {
	t     *testing.T
	root  string
	proxy *httputil.ReverseProxy
	// broken are providers and what is wrong with them: stream, tools, usage,
	// model or key.
	broken map[string]string

	mu    sync.Mutex
	wrong []string // requests that no provider would take
}

// startLiveMock runs it and returns the environment of a user with keys of all
// providers.
func startLiveMock(t *testing.T, broken map[string]string) (*liveMock, map[string]string) {
	t.Helper()
	s := newPlainState(t)
	m := &liveMock{t: t, root: copyFixtures(t, s), broken: broken}
	if _, err := s.cmdMock([]string{"start", "--fixtures", m.root}); err != nil {
		t.Fatal(err)
	}
	if err := s.startGoogle(); err != nil {
		t.Fatal(err)
	}
	mock := &url.URL{Scheme: "http", Host: s.getenv("MOCK")}
	m.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(mock) }, FlushInterval: -1}
	front := httptest.NewServer(m)
	t.Cleanup(front.Close)
	env := map[string]string{"HEADRACE_LIVE_ENDPOINT": front.URL, "GCP_SERVICE_ACCOUNT": s.getenv("SERVICE_ACCOUNT")}
	for _, p := range liveProviders {
		for _, name := range p.needs {
			if env[name] == "" {
				env[name] = strings.ToLower(name)
			}
		}
		if p.headers != nil {
			env[p.needs[0]] = "secret-key-of-" + p.name
		}
	}
	env["AZURE_OPENAI_ENDPOINT"] = "https://example.invalid"
	env["AWS_SECRET_ACCESS_KEY"], env["AWS_SESSION_TOKEN"] = "secret-key-of-bedrock", "secret-token-of-bedrock"
	return m, env
}

// ServeHTTP implements http.Handler.
func (m *liveMock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	doc, err := decode(body)
	who := caller(r.Header)
	client, stream := asked(r.URL.Path, doc)
	if err != nil || who == "" || client != "embeddings" && !limited(doc) {
		m.mu.Lock()
		m.wrong = append(m.wrong, fmt.Sprintf("%s %s %s: %s", who, r.Method, r.URL, body))
		m.mu.Unlock()
	}
	fault := m.broken[who]
	folder := strings.Replace(who, "openai-compatible", "vllm", 1)
	name, status := client, "200"
	if _, ok := doc.(map[string]any)["tools"]; ok && fault != "tools" || bytes.Contains(body, []byte("toolConfig")) {
		name += "-tools"
	}
	bad := bytes.Contains(body, []byte(liveBadModel)) || strings.Contains(r.URL.Path, liveBadModel)
	switch {
	case fault == "key":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":{"message":"%s is no key"}}`, r.Header.Get("Authorization"))
		return
	case bad && fault != "model":
		for _, file := range []string{client + "-404.json", client + "-400.json", "chat-404.json"} {
			if _, err := os.Stat(filepath.Join(m.root, folder, file)); err == nil {
				name, status = file, file[strings.Index(file, "-")+1:][:3]
				break
			}
		}
	case stream && fault == "stream":
		name = client + "-error.sse"
	case stream:
		name += ".sse"
		if client == "converse" {
			r.Header.Set("x-mock-content-type", "application/vnd.amazon.eventstream")
		}
	default:
		name += ".json"
	}
	if fault == "usage" && !bad {
		w.Header().Set("Content-Type", "application/json")
		text, _ := os.ReadFile(filepath.Join(m.root, folder, name))
		if stream {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		w.Write(bytes.ReplaceAll(text, []byte(`"usage"`), []byte(`"unused"`)))
		return
	}
	r.Header.Set("X-AI-Fixture", folder+"/"+name)
	r.Header.Set("X-AI-Fixture-Status", status)
	m.proxy.ServeHTTP(w, r)
}

// caller is the provider whose key a request has.
func caller(h http.Header) string {
	for _, name := range []string{"Authorization", "api-key", "x-api-key"} {
		if _, who, ok := strings.Cut(h.Get(name), "secret-key-of-"); ok {
			return who
		}
	}
	switch auth := h.Get("Authorization"); {
	case strings.HasPrefix(auth, "Bearer ya29."):
		return "vertex-ai"
	case strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=aws_access_key_id/") && h.Get("x-amz-security-token") != "":
		return "bedrock"
	}
	return ""
}

// asked tells the protocol of a request at the provider and whether it wants a stream.
func asked(path string, doc any) (client string, stream bool) {
	v, _ := walk(doc, "stream")
	stream = v == true
	switch {
	case strings.HasSuffix(path, "/messages"):
		return "messages", stream
	case strings.HasSuffix(path, "/responses"):
		return "responses", stream
	case strings.HasSuffix(path, "/embeddings"), strings.HasSuffix(path, ":predict"):
		return "embeddings", false
	case strings.HasSuffix(path, "/converse"):
		return "converse", false
	case strings.HasSuffix(path, "/converse-stream"):
		return "converse", true
	}
	return "chat", stream
}

// limited tells whether a request bounds the answer as TestLive promises.
func limited(doc any) bool {
	n := 0
	for _, path := range []string{"max_tokens", "max_completion_tokens", "max_output_tokens", "inferenceConfig.maxTokens"} {
		if v, ok := walk(doc, path); ok {
			if n++; v != json.Number(fmt.Sprint(liveLimit)) {
				return false
			}
		}
	}
	return n > 0
}

// TestLiveChecks runs the checks of "make live" against the mock: all keys, some
// keys, and providers that are broken in one way each.
func TestLiveChecks(t *testing.T) {
	t.Parallel()
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		m, env := startLiveMock(t, nil)
		l := runLive(t, func(name string) string { return env[name] })
		table := l.String()
		if l.faults != nil || m.wrong != nil || l.asked < 20 || strings.Contains(table, "FAIL") || strings.Contains(table, "skipped") {
			t.Errorf("%s\n%s\nrequests:\n%s", table, strings.Join(l.faults, "\n"), strings.Join(m.wrong, "\n"))
		}
		for _, p := range []string{"secret-", "PRIVATE KEY", "ya29"} {
			for _, file := range []string{"gateway.out", "gateway.err", "access.log", "conf/apisix.yaml", "conf/config.yaml"} {
				if text, err := os.ReadFile(filepath.Join(l.s.env.WorkDir, file)); err != nil || bytes.Contains(text, []byte(p)) {
					t.Errorf("%s has %q or is not there: %v", file, p, err)
				}
			}
		}
	})
	t.Run("skipped", func(t *testing.T) {
		t.Parallel()
		_, env := startLiveMock(t, nil)
		env = map[string]string{"DEEPSEEK_API_KEY": env["DEEPSEEK_API_KEY"], "AZURE_OPENAI_API_KEY": "secret-key-of-azure-openai", "HEADRACE_LIVE_ENDPOINT": env["HEADRACE_LIVE_ENDPOINT"]}
		l := runLive(t, func(name string) string { return env[name] })
		table := l.String()
		for _, want := range []string{
			"deepseek           chat        ok     ok     ok     ok     ok\n",
			"deepseek           messages    ok     ok     ok     ok     ok\n",
			"deepseek           responses   ok     ok     ok     ok     ok\n",
			"\nopenai             skipped: OPENAI_API_KEY is not set\n",
			"azure-openai       skipped: AZURE_OPENAI_ENDPOINT is not set\n",
			"bedrock            skipped: AWS_ACCESS_KEY_ID is not set\n",
		} {
			if !strings.Contains(table, want) {
				t.Errorf("no %q in\n%s", want, table)
			}
		}
		if l = runLive(t, func(string) string { return "" }); l.asked != 0 || strings.Count(l.String(), "skipped") != len(liveProviders) {
			t.Error(l)
		}
	})
	t.Run("broken", func(t *testing.T) {
		t.Parallel()
		broken := map[string]string{"openai": "stream", "deepseek": "tools", "aimlapi": "usage", "openrouter": "model", "gemini": "key"}
		_, env := startLiveMock(t, broken)
		delete(env, "GCP_SERVICE_ACCOUNT")
		l := runLive(t, func(name string) string { return env[name] })
		for i := range l.rows {
			r := &l.rows[i]
			want := []string{"ok", "ok", "ok", "ok", "ok"}
			switch broken[r.provider] {
			case "stream":
				want = []string{"ok", "FAIL", "FAIL", "FAIL", "ok"}
			case "tools":
				want[2] = "FAIL"
			case "usage":
				want[3] = "FAIL"
			case "model":
				want[4] = "FAIL"
			case "key": // the answer is a refusal of the provider's
				want = []string{"FAIL", "FAIL", "FAIL", "FAIL", "ok"}
			}
			if r.skipped == "" && r.client != "embeddings" && !slices.Equal(r.marks(), want) {
				t.Errorf("%s, %s: %v, want %v\n%s", r.provider, r.client, r.marks(), want, strings.Join(l.faults, "\n"))
			}
		}
		text := strings.Join(l.faults, "\n") + l.String()
		if strings.Contains(text, "secret-") || !strings.Contains(text, "Bearer *** is no key") {
			t.Errorf("a key is printed, or none was hidden:\n%s", text)
		}
	})
}
