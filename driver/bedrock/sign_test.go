package bedrock

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/driver"
)

const (
	keyID  = "AKIDEXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var at = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)

// AWS's published test suite, as far as it signs host and date alone.
func TestSignSuite(t *testing.T) {
	s := NewSigner(&driver.AWS{AccessKeyID: keyID, SecretAccessKey: secret, Region: "us-east-1"})
	s.service = "service"
	f := func(request, signature string) {
		t.Helper()
		got, err := s.Sign([]byte(request+" HTTP/1.1\r\nhost: example.amazonaws.com\r\n\r\n"), nil, at.In(time.FixedZone("", 7200)))
		want := request + " HTTP/1.1\r\nhost: example.amazonaws.com\r\n" +
			"authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=" +
			signature + "\r\nx-amz-date: 20150830T123600Z\r\n\r\n"
		if err != nil || string(got) != want {
			t.Errorf("%v\n got %q\nwant %q", err, got, want)
		}
	}
	f("GET /", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
	f("POST /", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")
	f("GET /?Param1=value1", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb")
	f("GET /?Param1=value1&Param2=value2", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")
}

// verify recomputes the signature of a request from the bytes on the wire, as
// AWS documents it, and returns what is wrong.
func verify(head, body []byte, region, service, secret string) error {
	lines := strings.Split(strings.TrimSuffix(string(head), "\r\n\r\n"), "\r\n")
	start := strings.Split(lines[0], " ")
	if len(start) != 3 {
		return fmt.Errorf("start line %q", lines[0])
	}
	path, query, _ := strings.Cut(start[1], "?")
	headers := map[string][]string{}
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ":")
		if !ok {
			return fmt.Errorf("line %q", l)
		}
		headers[name] = append(headers[name], strings.TrimSpace(value))
	}
	one := func(name string) string { return strings.Join(headers[name], ",") }
	auth := strings.Split(strings.ReplaceAll(one("authorization"), ", ", " "), " ")
	if len(auth) != 4 {
		return fmt.Errorf("authorization %q", auth)
	}
	signed := strings.TrimPrefix(auth[2], "SignedHeaders=")

	var segments []string
	for _, s := range strings.Split(path, "/") {
		segments = append(segments, encode(s))
	}
	var pairs []string
	if query != "" {
		for _, p := range strings.Split(query, "&") {
			k, v, _ := strings.Cut(p, "=")
			pairs = append(pairs, encode(decode(k))+"\x00"+encode(decode(v)))
		}
	}
	slices.Sort(pairs) // by name, then by value
	canonical := start[0] + "\n" + strings.Join(segments, "/") + "\n" + strings.ReplaceAll(strings.Join(pairs, "&"), "\x00", "=") + "\n"
	for _, name := range strings.Split(signed, ";") {
		if len(headers[name]) != 1 {
			return fmt.Errorf("%d headers %s", len(headers[name]), name)
		}
		canonical += name + ":" + strings.Join(strings.Fields(one(name)), " ") + "\n"
	}
	canonical += "\n" + signed + "\n" + digest(body)
	date := one("x-amz-date")
	scope := date[:8] + "/" + region + "/" + service + "/aws4_request"
	if want := "Credential=" + keyID + "/" + scope; auth[1] != want {
		return fmt.Errorf("%s, want %s", auth[1], want)
	}
	for name := range headers {
		if strings.HasPrefix(name, "x-amz-") && !strings.Contains(";"+signed+";", ";"+name+";") {
			return fmt.Errorf("%s is not signed", name)
		}
	}
	key := []byte("AWS4" + secret)
	for _, part := range []string{date[:8], region, service, "aws4_request", "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + digest([]byte(canonical))} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	if want := "Signature=" + hex.EncodeToString(key); auth[3] != want {
		return fmt.Errorf("%s, want %s of\n%s", auth[3], want, canonical)
	}
	return nil
}

func digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func encode(s string) (out string) {
	for _, c := range []byte(s) {
		if strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", c) >= 0 {
			out += string(c)
		} else {
			out += fmt.Sprintf("%%%02X", c)
		}
	}
	return out
}

func decode(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) {
			if b, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				c = b[0]
				i += 2
			}
		}
		out = append(out, c)
	}
	return string(out)
}

func compile(t testing.TB, raw string) *driver.Instance {
	t.Helper()
	cfg, err := driver.ParseConfig([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	in, err := driver.CompileInstance("one", cfg, func(string) (string, error) { return "resolved", nil })
	if err != nil {
		t.Fatal(err)
	}
	return in
}

const awsKeys = `"access_key_id":"` + keyID + `","secret_access_key":"` + secret + `"`

// Heads as an instance makes them, signed.
func TestSignInstance(t *testing.T) {
	f := func(mark, config, headers string, rq driver.HeadInput, wantStart, wantSigned, wantLines string) {
		t.Helper()
		in := compile(t, `{"provider":"bedrock","provider_conf":{"region":"us-east-1"},`+config+`}`)
		body := [][]byte{[]byte(`{"messages":`), []byte(`[]}`)}
		rq.Headers, rq.ContentLength = []byte(headers), 15
		head, err := in.AppendHead(nil, &rq)
		if err != nil {
			t.Fatal(err)
		}
		got, err := NewSigner(in.AWS()).Sign(head, body, at)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(got, bytes.Join(body, nil), "us-east-1", "bedrock", secret); err != nil {
			t.Errorf("%s: %v\n%s", mark, err, got)
		}
		start, rest, _ := strings.Cut(string(got), " HTTP/1.1\r\n")
		if start != wantStart {
			t.Errorf("%s: %s, want %s", mark, start, wantStart)
		}
		lines, auth, _ := strings.Cut(rest, "authorization: ")
		if lines != wantLines || !strings.Contains(auth, ", SignedHeaders="+wantSigned+", ") || strings.Count(string(got), "\r\n\r\n") != 1 {
			t.Errorf("%s: %q\nwant %q with %s", mark, rest, wantLines, wantSigned)
		}
	}
	const (
		plain = `"auth":{"aws":{` + awsKeys + `}}`
		both  = "host;x-amz-date"
		tail  = "content-type: application/json\r\ncontent-length: 15\r\n"
		host  = "host: bedrock-runtime.us-east-1.amazonaws.com\r\n" + tail
	)
	converse := driver.HeadInput{Client: driver.BedrockConverse, Target: driver.BedrockConverse}
	with := func(model string, stream bool) driver.HeadInput {
		rq := converse
		rq.Model, rq.Stream = []byte(model), stream
		return rq
	}
	f("T: br 9", plain, "", with("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", false),
		"POST /model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc/converse", both, host)
	f("T: br 11", `"auth":{"aws":{`+awsKeys+`,"session_token":"to+k/en=="}}`, "X-Amz-Security-Token: mine\r\nX-AMZ-Date: x\r\nAuthorization: mine\r\nX-Amzn-Trace-Id: 1\r\nA: b\r\n",
		with("m", false), "POST /model/m/converse", both+";x-amz-security-token",
		"host: bedrock-runtime.us-east-1.amazonaws.com\r\nx-amzn-trace-id: 1\r\na: b\r\n"+tail)
	f("T: br 11, no token", plain, "X-Amz-Security-Token: mine\r\n", with("m", false), "POST /model/m/converse", both, host)
	f("T: br 14", plain, "", with("anthropic.claude-3-5-sonnet-20241022-v2:0", false), "POST /model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse", both, host)
	f("T: br 17", plain, "", with("m:0", true), "POST /model/m%3A0/converse-stream", both, host)
	f("odd model", plain, "", with("a+b c%3Aé?#", false), "POST /model/a%2Bb%20c%253A%C3%A9%3F%23/converse", both, host)
	f("endpoint", `"override":{"endpoint":"http://127.0.0.1:8080"},`+plain, "", with("m:0", false), "POST /model/m%3A0/converse", both, "host: 127.0.0.1:8080\r\n"+tail)
	f("endpoint with a port of the other scheme", `"override":{"endpoint":"https://h:80"},`+plain, "", with("m", false), "POST /model/m/converse", both, "host: h:80\r\n"+tail)
	f("IPv6", `"override":{"endpoint":"http://[::1]:8080"},`+plain, "", with("m", false), "POST /model/m/converse", both, "host: [::1]:8080\r\n"+tail)
	f("endpoint with a path", `"override":{"endpoint":"http://h//a:b/%41%3a/c+d/é%zz/?z=1&b=%2f&b=+&a-b&a/b=;"},`+plain, "", with("m", true),
		"POST //a%3Ab/A%3A/c%2Bd/%C3%A9%25zz/?a%2Fb=%3B&a-b=&b=%20&b=%2F&z=1", both, "host: h\r\n"+tail)
	f("passthrough", `"override":{"endpoint":"https://h"},`+plain, "",
		driver.HeadInput{Method: []byte("PUT"), Path: []byte("/model/a:b/invoke"), RawPath: []byte("/model/a%3Ab/invoke"), Query: []byte("x=1"), Client: driver.Passthrough, Target: driver.Passthrough},
		"PUT /model/a%3Ab/invoke?x=1", both, "host: h\r\n"+tail)
}

// A changed body, path, host or key is another signature.
func TestSignCovers(t *testing.T) {
	s := NewSigner(&driver.AWS{AccessKeyID: keyID, SecretAccessKey: secret, Region: "r"})
	seen := map[string]bool{}
	f := func(s *Signer, head, body string) {
		t.Helper()
		got, err := s.Sign([]byte(head+"\r\n\r\n"), [][]byte{[]byte(body)}, at)
		if err != nil {
			t.Fatal(err)
		}
		_, sig, _ := strings.Cut(string(got), "Signature=")
		if sig = sig[:64]; seen[sig] {
			t.Errorf("%q: the signature of another request", head)
		}
		seen[sig] = true
	}
	f(s, "POST /a HTTP/1.1\r\nhost: h", "1")
	f(s, "POST /a HTTP/1.1\r\nhost: h", "2")
	f(s, "POST /b HTTP/1.1\r\nhost: h", "1")
	f(s, "PUT /a HTTP/1.1\r\nhost: h", "1")
	f(s, "POST /a HTTP/1.1\r\nhost: h:1", "1")
	f(s, "POST /a?b HTTP/1.1\r\nhost: h", "1")
	f(NewSigner(&driver.AWS{AccessKeyID: keyID, SecretAccessKey: "other", Region: "r"}), "POST /a HTTP/1.1\r\nhost: h", "1")
}

func TestSignErrors(t *testing.T) {
	f := func(a driver.AWS, head, want string) {
		t.Helper()
		in := []byte(head)
		got, err := NewSigner(&a).Sign(in, nil, at)
		if err == nil || err.Error() != want || string(got) != head {
			t.Errorf("%v with %q, want %s", err, got, want)
		}
	}
	const head = "POST / HTTP/1.1\r\nhost: h\r\n\r\n"
	good := driver.AWS{AccessKeyID: "a", SecretAccessKey: "b", Region: "r"}
	f(driver.AWS{AccessKeyID: "a", SecretAccessKey: "b"}, head, "missing region for AWS SigV4 signing (provider_conf.region required for bedrock)")
	f(driver.AWS{AccessKeyID: "a", Region: "r"}, head, "failed to sign AWS request: access_key_id or secret_access_key is empty")
	f(driver.AWS{SecretAccessKey: "b", Region: "r"}, head, "failed to sign AWS request: access_key_id or secret_access_key is empty")
	for _, h := range []string{"", "POST", "POST /", "POST / \r\nhost: h", "POST  HTTP/1.1\r\nhost: h\r\n\r\n", "POST x HTTP/1.1\r\nhost: h\r\n\r\n", "POST / HTTP/1.1\r\nhosts: h\r\n\r\n"} {
		f(good, h, "failed to sign AWS request: the request has no proper head")
	}
}

// The head's own memory is used, and another request's is left alone.
func TestSignInPlace(t *testing.T) {
	s := NewSigner(&driver.AWS{AccessKeyID: keyID, SecretAccessKey: secret, Region: "r"})
	buf := make([]byte, 0, 4096)
	head := append(buf, "POST /a HTTP/1.1\r\nhost: h\r\n\r\n"...)
	got, err := s.Sign(head, nil, at)
	if err != nil || &got[0] != &buf[:1][0] {
		t.Fatal("another buffer")
	}
	again, err := s.Sign(got, nil, at)
	if err != nil || string(again) != string(got) {
		t.Errorf("signed twice: %q", again)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				body := []byte(strings.Repeat("x", i*j))
				got, err := s.Sign(fmt.Appendf(nil, "POST /%d HTTP/1.1\r\nhost: h\r\n\r\n", i), [][]byte{body}, at.AddDate(0, 0, j%3))
				if err == nil {
					err = verify(got, body, "r", "bedrock", secret)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzSign: whatever a client sends, one well-formed request goes out, and its
// signature is that of its bytes.
func FuzzSign(f *testing.F) {
	f.Add([]byte("m:0"), []byte("/model/a%2Fb:c//invoke"), []byte("a=1&b&=x&a+b=%2B;"), []byte("A: b\r\nX-Amz-Date: 1\r\n"), []byte(`{"messages":[]}`))
	f.Add([]byte(".."), []byte("%"), []byte("%zz&&"), []byte("authorization: x\r\n y\r\nHost: z"), []byte{})
	in := compile(f, `{"provider":"bedrock","provider_conf":{"region":"us-east-1"},"auth":{"aws":{`+awsKeys+`}},"override":{"endpoint":"http://h:8080?q=1"}}`)
	s := NewSigner(in.AWS())
	f.Fuzz(func(t *testing.T, model, path, query, headers, body []byte) {
		if bytes.Count(query, []byte("&")) > 9000 {
			return // beyond what net/url reads
		}
		for _, p := range []driver.Proto{driver.BedrockConverse, driver.Passthrough} {
			head, err := in.AppendHead(nil, &driver.HeadInput{Method: []byte("POST"), Path: path, RawPath: path, Query: query, Headers: headers,
				Client: p, Target: p, Model: model, ContentLength: len(body)})
			if err != nil {
				if m := string(model); p == driver.BedrockConverse && (m == "" || m == "." || m == "..") {
					continue
				}
				t.Fatal(err)
			}
			got, err := s.Sign(head, [][]byte{body}, at)
			if err != nil {
				t.Fatal(err)
			}
			if err := verify(got, body, "us-east-1", "bedrock", secret); err != nil {
				t.Fatalf("%v\n%q", err, got)
			}
			r := bufio.NewReader(bytes.NewReader(append(got, body...)))
			req, err := http.ReadRequest(r)
			if err != nil {
				t.Fatalf("%v\n%q", err, got)
			}
			if b, _ := io.ReadAll(req.Body); !bytes.Equal(b, body) || r.Buffered() != 0 || req.Host != "h:8080" || len(req.Header["Authorization"]) != 1 {
				t.Fatalf("%q", got)
			}
		}
	})
}
