package engine

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	mathbig "math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"headrace/conf"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

// sign makes a certificate for names and its key, both as PEM; of a CA too.
func (a *authority) sign(t *testing.T, serial int64, ca bool, names ...string) (cert, key string, made *authority) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: mathbig.NewInt(serial), Subject: pkix.Name{CommonName: fmt.Sprint("test ", serial)}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: ca, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := tmpl, k
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &k.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	der2, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	key = string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der2}))
	return cert, key, &authority{parsed, k, cert}
}

func newAuthority(t *testing.T) *authority {
	_, _, a := (*authority)(nil).sign(t, 1, true)
	return a
}

func ssl(t *testing.T, fields map[string]any) string {
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// tlsRig is a rig that listens for TLS too.
func tlsRig(t *testing.T, o TLSOptions) (*rig, string) {
	r := newRigWith(t, Options{}, mergeSpecs...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go r.e.ServeTLS(ln, o)
	return r, ln.Addr().String()
}

func dialTLS(addr string, ca *authority, sni string, own ...tls.Certificate) (*tls.Conn, error) {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", addr, &tls.Config{RootCAs: pool, ServerName: sni, Certificates: own})
}

// askTLS sends one request for host and path and returns the status and body.
func askTLS(c *tls.Conn, host, path string) string {
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, host, len(chatBody), chatBody)
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err.Error()
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	if resp.StatusCode == 200 {
		return "200"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, body))
}

func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	r, addr := tlsRig(t, TLSOptions{FallbackSNI: "a.com"})
	r.route("1", "/c", "")
	is := func(sni, want string) {
		t.Helper()
		c, err := dialTLS(addr, ca, sni)
		if err != nil {
			if want != "" {
				t.Errorf("%s: %v", sni, err)
			}
			return
		}
		defer c.Close()
		serial := c.ConnectionState().PeerCertificates[0].Subject.CommonName
		if got := askTLS(c, sni, "/c"); serial != want || got != "200" {
			t.Errorf("%s: certificate %q, answer %s; want %q", sni, serial, got, want)
		}
	}
	select {
	case <-r.e.HasCertificate():
		t.Error("there is no certificate yet")
	default:
	}
	is("a.com", "")
	put := func(id string, serial int64, names ...string) {
		cert, key, _ := ca.sign(t, serial, false, names...)
		r.src.put(conf.SSLs, id, ssl(t, map[string]any{"snis": names, "cert": cert, "key": key}))
	}
	put("1", 10, "a.com", "*.B.com")
	<-r.e.HasCertificate()
	is("A.com", "test 10")
	is("x.b.com", "test 10")
	is("b.com", "")
	is("x.y.b.com", "")
	// A connection outlives its certificate's replacement and its deletion.
	c, err := dialTLS(addr, ca, "a.com")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	put("1", 11, "a.com")
	is("a.com", "test 11")
	put("2", 12, "a.com") // the first one counts
	is("a.com", "test 11")
	r.src.put(conf.SSLs, "1", "")
	is("a.com", "test 12")
	for range 2 {
		if got := askTLS(c, "a.com", "/c"); got != "200" {
			t.Errorf("the old connection: %s", got)
		}
	}
	// A client without a name gets the fallback's.
	nameless, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	nameless.Close()
	// An object that cannot be used leaves the others alone.
	r.src.put(conf.SSLs, "3", ssl(t, map[string]any{"sni": "c.com", "cert": "$env://NO", "key": "$env://NO"}))
	is("c.com", "")
	is("a.com", "test 12")
	r.src.put(conf.SSLs, "2", ssl(t, map[string]any{"sni": "a.com", "cert": "$env://NO", "key": "$env://NO", "status": 0}))
	is("a.com", "")
}

func TestTLSPlain(t *testing.T) {
	ca := newAuthority(t)
	r, addr := tlsRig(t, TLSOptions{})
	cert, key, _ := ca.sign(t, 10, false, "a.com")
	r.src.put(conf.SSLs, "1", ssl(t, map[string]any{"sni": "a.com", "cert": cert, "key": key}))
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || !strings.Contains(string(body), "HTTPS port") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	// Bytes that are neither: closed, nobody panics, nothing is left (the rig looks).
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(nc, "\x16\x03\x01\x00\x05nonsense")
	nc.SetReadDeadline(time.Now().Add(5 * time.Second))
	io.Copy(io.Discard, nc)
	nc.Close()
}

func TestTLSClients(t *testing.T) {
	ca, own := newAuthority(t), newAuthority(t)
	r, addr := tlsRig(t, TLSOptions{})
	r.src.put(conf.Routes, "1", `{"uris":["/c","/open/*"],"plugins":{`+r.proxy()+`}}`)
	cert, key, _ := ca.sign(t, 10, false, "a.com", "b.com", "skip.com", "*.w.com")
	object := func(client map[string]any, snis ...string) string {
		f := map[string]any{"snis": snis, "cert": cert, "key": key}
		if client != nil {
			f["client"] = client
		}
		return ssl(t, f)
	}
	r.src.put(conf.SSLs, "1", object(map[string]any{"ca": own.pem}, "a.com", "*.w.com"))
	r.src.put(conf.SSLs, "2", object(nil, "b.com"))
	r.src.put(conf.SSLs, "3", object(map[string]any{"ca": own.pem, "skip_mtls_uri_regex": []string{"^/open/"}}, "skip.com"))

	pair := func(by *authority) tls.Certificate {
		cert, key, _ := by.sign(t, 20, false)
		p, err := tls.X509KeyPair([]byte(cert), []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	good, bad := pair(own), pair(ca)
	_, _, middle := own.sign(t, 30, true)
	deep := pair(middle)
	deep.Certificate = append(deep.Certificate, middle.cert.Raw)
	const refused = `400 {"error_msg":"a verified client certificate for this host is required"}`
	for _, tt := range []struct {
		name, sni, host, path, want string // "": no handshake, or no answer
		own                         []tls.Certificate
	}{
		{"good", "a.com", "a.com", "/c", "200", []tls.Certificate{good}},
		{"none", "a.com", "a.com", "/c", "", nil},
		{"of another authority", "a.com", "a.com", "/c", "", []tls.Certificate{bad}},
		{"too deep", "a.com", "a.com", "/c", "", []tls.Certificate{deep}},
		{"not wanted", "b.com", "b.com", "/c", "200", nil},
		{"around by another name", "b.com", "a.com", "/c", refused, nil},
		{"around by another name, letter case", "b.com", "A.COM:443", "/c", refused, nil},
		{"for another name", "x.w.com", "y.w.com", "/c", refused, []tls.Certificate{good}},
		{"path without", "skip.com", "skip.com", "/open/x", "404", nil},
		{"path with", "skip.com", "skip.com", "/c", refused, nil},
		{"skip and good", "skip.com", "skip.com", "/c", "200", []tls.Certificate{good}},
	} {
		c, err := dialTLS(addr, ca, tt.sni, tt.own...)
		got := ""
		if err == nil {
			if got = askTLS(c, tt.host, tt.path); !strings.HasPrefix(got, "200") && !strings.HasPrefix(got, "4") {
				got = ""
			}
			c.Close()
		}
		if got != tt.want && !(tt.want == "404" && strings.HasPrefix(got, "200")) {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A stream over TLS is relayed as every stream is, a client that leaves frees
// its provider, and the connection serves the next request.
func TestTLSStream(t *testing.T) {
	ca := newAuthority(t)
	r, addr := tlsRig(t, TLSOptions{SessionTickets: true})
	r.route("1", "/c", "")
	cert, key, _ := ca.sign(t, 10, false, "a.com")
	r.src.put(conf.SSLs, "1", ssl(t, map[string]any{"sni": "a.com", "cert": cert, "key": key}))
	c, err := dialTLS(addr, ca, "a.com")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	br := bufio.NewReader(c)
	for range 3 {
		io.WriteString(c, post("/c", "x-mock-tokens: 50\r\n", chatStream))
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
			t.Fatalf("%v %.200s", err, body)
		}
	}
	io.WriteString(c, post("/c", "x-mock-tokens: 10000\r\nx-mock-gap: 20ms\r\n", chatStream))
	if _, err := http.ReadResponse(br, nil); err != nil {
		t.Fatal(err)
	}
	c.Close()
	poll(t, "the provider is free", func() bool { return r.mock.Connections() == 0 || r.e.Streams() == 0 })
}
