package engine

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headrace/conf"
)

// newVault is a Vault whose one secret may be changed; "" is none.
func newVault(t *testing.T) (entry string, key *atomic.Value) {
	key = new(atomic.Value)
	key.Store("")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if k := key.Load().(string); k != "" && r.URL.Path == "/v1/kv/llm" && r.Header.Get("X-Vault-Token") == "root" {
			fmt.Fprintf(w, `{"data":{"key":%q}}`, k)
			return
		}
		w.WriteHeader(404)
	}))
	t.Cleanup(srv.Close)
	return fmt.Sprintf(`{"uri":%q,"prefix":"kv","token":"root"}`, srv.URL), key
}

// A provider's key out of a vault: without it the route is closed, a new one
// is in force without a change of the configuration, and streams go on.
func TestSecretOfProvider(t *testing.T) {
	entry, key := newVault(t)
	r := newRig(t, Options{SecretTTL: time.Second, SecretNegTTL: time.Second})
	r.src.put(conf.Secrets, "vault/1", entry)
	r.src.put(conf.Routes, "1", strings.Replace(fmt.Sprintf(`{"uri":"/c","plugins":{%s}}`, r.proxy()), `"auth":{}`, `"auth":{"header":{"Authorization":"$secret://vault/1/llm/key"}}`, 1))
	res, body := r.do("POST", "/c", chatBody)
	if res.StatusCode != 503 || strings.Contains(body, "$secret") {
		t.Errorf("without the secret: %d %s", res.StatusCode, body)
	}
	is := func(want string) func() bool {
		return func() bool {
			res, _ := r.do("POST", "/c", chatBody)
			return res.StatusCode == 200 && r.seen().Headers["authorization"] == want
		}
	}
	key.Store("first")
	poll(t, "the first key", is("first"))
	stream := make(chan string, 1)
	go func() {
		_, got, err := r.stream("x-mock-tokens: 5\r\nx-mock-gap: 600ms\r\n")
		stream <- fmt.Sprint(got, err)
	}()
	key.Store("second")
	poll(t, "the second key", is("second"))
	if got := <-stream; !strings.Contains(got, "[DONE]") {
		t.Errorf("the stream of the first key: %q", got)
	}
	// The vault is gone: the last key stays.
	key.Store("")
	time.Sleep(1500 * time.Millisecond)
	if !is("second")() {
		t.Error("the last key is gone with the vault")
	}
}

// A refused key is asked for again, long before it is due.
func TestSecretRefused(t *testing.T) {
	entry, key := newVault(t)
	key.Store("old")
	r := newRig(t, Options{SecretPause: time.Nanosecond})
	r.src.put(conf.Secrets, "vault/1", entry)
	r.src.put(conf.Routes, "1", strings.Replace(fmt.Sprintf(`{"uri":"/v","plugins":{%s}}`, r.proxy()), `"auth":{}`, `"auth":{"header":{"Authorization":"$secret://vault/1/llm/key"}}`, 1))
	if res, _ := r.do("POST", "/v", chatBody); res.StatusCode != 200 {
		t.Fatalf("status %d", res.StatusCode)
	}
	key.Store("new")
	if res, _ := r.do("POST", "/v", chatBody, "x-mock-status", "401"); res.StatusCode != 401 {
		t.Fatalf("status %d", res.StatusCode)
	}
	poll(t, "the new key", func() bool {
		r.do("POST", "/v", chatBody)
		return r.seen().Headers["authorization"] == "new"
	})
}

func TestSecretOfConsumer(t *testing.T) {
	entry, key := newVault(t)
	key.Store("jill's")
	r := newRigWith(t, Options{SecretTTL: time.Second, SecretNegTTL: time.Second}, mergeSpecs...)
	r.src.put(conf.Routes, "1", `{"uri":"/c","plugins":{`+r.proxy()+`,"test-door":{}}}`)
	r.src.put(conf.Consumers, "jill", `{"username":"jill","plugins":{"test-door":{"key":"$secret://vault/1/llm/key"}}}`)
	in := func(key string) func() bool {
		return func() bool { return r.marks("/c", "X-Door", key) == " | " }
	}
	r.src.put(conf.Secrets, "vault/1", entry) // after those who need it
	poll(t, "the key is known", in("jill's"))
	if in("$secret://vault/1/llm/key")() {
		t.Error("the reference is a key")
	}
	key.Store("new")
	poll(t, "the new key is known", in("new"))
	if in("jill's")() {
		t.Error("the old key still works")
	}
}
