package admin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"headrace/conf"
)

// T: admin/services.t, services-force-delete.t, plugin-configs.t,
// plugin-configs-force-delete.t, consumer-group-force-delete.t.
func TestSharedKinds(t *testing.T) {
	g := newGate(t, nil)
	const nodes = `{"nodes":{"127.0.0.1:80":1}}`
	g.f("PUT /services/1", `{"name":"s","hosts":["a.test"],"upstream":`+nodes+`}`, 201,
		`{"key":"/apisix/services/1","value":{"name":"s","hosts":["a.test"],"upstream":{"nodes":{"127.0.0.1:80":1}},"id":"1","create_time":$now,"update_time":$now}}`)
	g.f("POST /services", `{}`, 201,
		`{"key":"/apisix/services/00000000000000000002","value":{"id":"00000000000000000002","create_time":$now,"update_time":$now}}`)
	g.f("PATCH /services/1/name", `"t"`, 200,
		`{"key":"/apisix/services/1","value":{"name":"t","hosts":["a.test"],"upstream":{"nodes":{"127.0.0.1:80":1}},"id":"1","create_time":$now,"update_time":$now}}`)
	g.refused("PUT /services/2", `{"uri":"/"}`, "invalid configuration: additional properties forbidden, found uri")
	g.refused("PUT /services/2", `{"plugins":{"nobody":{}}}`, "unknown plugin [nobody]")
	g.refused("PUT /services/2", `{"upstream":{"type":"chash","nodes":{"a:1":1}}}`, "missing key")
	g.refused("PUT /services/2", `{"upstream_id":"9"}`, "failed to fetch upstream info by upstream id [9], response code: 404")
	g.refused("PUT /services", `{}`, "missing service id")

	g.f("PUT /plugin_configs/1", `{"plugins":{"test-plugin":{"n":1}}}`, 201,
		`{"key":"/apisix/plugin_configs/1","value":{"plugins":{"test-plugin":{"n":1}},"id":"1","create_time":$now,"update_time":$now}}`)
	g.f("PATCH /plugin_configs/1", `{"desc":"d"}`, 200,
		`{"key":"/apisix/plugin_configs/1","value":{"plugins":{"test-plugin":{"n":1}},"id":"1","create_time":$now,"update_time":$now,"desc":"d"}}`)
	g.f("POST /plugin_configs", `{}`, 405, "$e\"not supported `POST` method for plugin config\"}")
	g.refused("PUT /plugin_configs/2", `{}`, `invalid configuration: property "plugins" is required`)
	g.f("PUT /consumer_groups/1", `{"plugins":{"prometheus":{}}}`, 201,
		`{"key":"/apisix/consumer_groups/1","value":{"plugins":{"prometheus":{}},"id":"1","create_time":$now,"update_time":$now}}`)
	g.f("POST /consumer_groups", `{}`, 405, "$e\"not supported `POST` method for consumer group\"}")
	g.refused("PUT /consumer_groups/2", `{"plugins":{"test-plugin":{}}}`,
		`failed to check the configuration of plugin test-plugin err: property "n" is required`)

	g.refused("PUT /routes/1", `{"uri":"/a","service_id":9}`, "failed to fetch service info by service id [9], response code: 404")
	g.refused("PUT /routes/1", `{"uri":"/a","plugins":{},"plugin_config_id":"9"}`, "failed to fetch plugin config info by plugin config id [9], response code: 404")
	g.put("/upstreams/u", nodes)
	g.put("/services/2", `{"upstream_id":"u"}`)
	g.put("/routes/1", `{"uri":"/a","service_id":1,"plugin_config_id":"1"}`)
	g.refused("DELETE /services/1", "", "can not delete this service directly, route [1] is still using it now")
	g.refused("DELETE /plugin_configs/1", "", "can not delete this plugin config, route [1] is still using it now")
	g.refused("DELETE /upstreams/u", "", "can not delete this upstream, service [2] is still using it now")
	g.refused("DELETE /services/1?force=yes", "", "can not delete this service directly, route [1] is still using it now")
	g.f("DELETE /services/1?force=true", "", 200, `{"key":"/apisix/services/1","deleted":"1"}`)
	g.f("DELETE /plugin_configs/1?force=true", "", 200, `{"key":"/apisix/plugin_configs/1","deleted":"1"}`)
	g.f("DELETE /services/2", "", 200, `{"key":"/apisix/services/2","deleted":"1"}`)
	g.f("DELETE /upstreams/u", "", 200, `{"key":"/apisix/upstreams/u","deleted":"1"}`)
	g.f("DELETE /consumer_groups/1", "", 200, `{"key":"/apisix/consumer_groups/1","deleted":"1"}`)
	if _, got := g.do("GET /routes?filter=service_id%3D1", ""); !strings.Contains(got, `"total":1`) {
		t.Errorf("filter by service: %s", got)
	}
}

// What another program wrote into a shared store counts, too: traffic-split is
// not served here. T: admin/upstream5.t.
func TestSplitReferences(t *testing.T) {
	g := newGate(t, nil)
	const split = `{"id":"9","plugins":{"traffic-split":{"rules":[{"weighted_upstreams":[{"weight":1},{"upstream_id":1,"weight":1}]}]}}}`
	for kind, name := range map[conf.Kind]string{
		conf.Routes: "route", conf.Services: "service", conf.PluginConfigs: "plugin_config",
		conf.Consumers: "consumer", conf.ConsumerGroups: "consumer_group", conf.GlobalRules: "global_rules",
	} {
		g.put("/upstreams/1", `{"nodes":{"a:1":1}}`)
		if _, _, err := g.store.Put(conf.Item{Kind: kind, ID: "9", Raw: []byte(split)}, 0); err != nil {
			t.Fatal(err)
		}
		g.refused("DELETE /upstreams/1", "", "can not delete this upstream, plugin in "+name+" [9] is still using it now")
		if _, _, err := g.store.Delete(kind, "9"); err != nil {
			t.Fatal(err)
		}
		g.f("DELETE /upstreams/1", "", 200, `{"key":"/apisix/upstreams/1","deleted":"1"}`)
	}
}

// T: admin/secrets.t 1-8.
func TestSecretEntries(t *testing.T) {
	g := newGate(t, nil)
	const body = `"uri":"http://127.0.0.1:12800/get","prefix":"apisix","token":"apisix"`
	const key = `{"key":"/apisix/secrets/vault/test1","value":`
	const value = `{` + body + `,"id":"vault/test1","create_time":$now,"update_time":$now}`
	g.f("PUT /secrets/vault/test1", `{`+body+`}`, 201, key+value+`}`)
	g.f("GET /secrets/vault/test1", "", 200, key+value+`,"createdIndex":1,"modifiedIndex":1}`)
	g.f("PUT /secrets/aws/test1", `{"access_key_id":"a","secret_access_key":"b"}`, 201,
		`{"key":"/apisix/secrets/aws/test1","value":{"access_key_id":"a","secret_access_key":"b","id":"aws/test1","create_time":$now,"update_time":$now}}`)
	g.f("GET /secrets/vault", "", 200, `{"list":[`+key+value+`,"createdIndex":1,"modifiedIndex":1}],"total":1}`)
	if _, got := g.do("GET /secrets", ""); !strings.Contains(got, `"total":2`) {
		t.Errorf("all: %s", got)
	}
	g.f("PATCH /secrets/vault/test1/token", `"unknown"`, 200, key+strings.Replace(value, `"token":"apisix"`, `"token":"unknown"`, 1)+`}`)
	g.f("PATCH /secrets/vault/test1", `{"token":"apisix"}`, 200, key+value+`}`)
	g.refused("PATCH /secrets/vault", `{}`, "no secret id")
	g.refused("PUT /secrets/vault", `{`+body+`}`, "no secret id")
	g.refused("PUT /secrets", `{`+body+`}`, "missing secret type")
	g.refused("DELETE /secrets/vault", ``, "missing secret id")
	g.refused("PUT /secrets/safe/1", `{}`, "invalid secret manager: safe")
	g.refused("PUT /secrets/vault/1", `{"id":"1",`+body+`}`, "wrong secret id")
	g.f("PUT /secrets/vault/2", `{"id":"vault/2",`+body+`}`, 201,
		`{"key":"/apisix/secrets/vault/2","value":{"id":"vault/2",`+body+`,"create_time":$now,"update_time":$now}}`)
	if _, got := g.do("PUT /secrets/vault/1", `{"uri":"/get","prefix":"a","token":"b"}`); !strings.Contains(got, "validation failed: failed to match pattern") {
		t.Errorf("a wrong uri: %s", got)
	}
	g.f("POST /secrets/vault", `{}`, 405, "$e\"not supported `POST` method for secret\"}")
	g.f("DELETE /secrets/vault/test1", "", 200, `{"key":"/apisix/secrets/vault/test1","deleted":"1"}`)
	g.f("GET /secrets/vault/test1", "", 404, `{"message":"Key not found"}`)
}

// certificate makes the cert and key members of an ssl.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	quote := func(kind string, b []byte) string {
		q, _ := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})))
		return string(q)
	}
	return quote("CERTIFICATE", der), quote("PRIVATE KEY", kder)
}

// A private key goes in and never comes out. T: admin/ssl.t, ssls.t.
func TestSSLs(t *testing.T) {
	g := newGate(t, nil)
	cert, key := certificate(t)
	pair := `"cert":` + cert + `,"key":` + key
	public := `"cert":` + cert
	const head = `{"key":"/apisix/ssls/1","value":`
	g.f("PUT /ssls/1", `{"sni":"a.test",`+pair+`,"certs":[`+cert+`],"keys":[`+key+`]}`, 201,
		head+`{"sni":"a.test",`+public+`,"certs":[`+cert+`],"id":"1","create_time":$now,"update_time":$now}}`)
	g.f("PATCH /ssls/1/sni", `"b.test"`, 200,
		head+`{"sni":"b.test",`+public+`,"certs":[`+cert+`],"id":"1","create_time":$now,"update_time":$now}}`)
	g.f("PATCH /ssls/1", `{"keys":null,"certs":null}`, 200, head+`{"sni":"b.test",`+public+`,"id":"1","create_time":$now,"update_time":$now}}`)
	g.f("GET /ssls/1", "", 200, head+`{"sni":"b.test",`+public+`,"id":"1","create_time":$now,"update_time":$now},"createdIndex":1,"modifiedIndex":3}`)
	g.f("POST /ssls", `{"snis":["a.test"],`+pair+`}`, 201, `{"key":"/apisix/ssls/00000000000000000004","value":{"snis":["a.test"],`+public+
		`,"id":"00000000000000000004","create_time":$now,"update_time":$now}}`)
	if _, got := g.do("GET /ssls", ""); strings.Contains(got, "PRIVATE") || !strings.Contains(got, `"total":2`) {
		t.Errorf("a list: %s", got)
	}
	if it, err := g.store.Get(conf.SSLs, "1"); err != nil || !strings.Contains(string(it.Raw), "PRIVATE KEY") {
		t.Errorf("the key is not stored: %v", err)
	}
	_, other := certificate(t)
	g.refused("PUT /ssls/2", `{"sni":"a.test","cert":`+cert+`,"key":`+other+`}`, "failed to parse key: private key does not match public key")
	g.refused("PUT /ssls/2", `{"sni":"a.test","cert":`+cert+`}`, "invalid configuration: then clause did not match")
	g.f("DELETE /ssls/1", "", 200, `{"key":"/apisix/ssls/1","deleted":"1"}`)
}

// What viewers see of credentials and of the entries of secret managers.
func TestMaskKinds(t *testing.T) {
	g := newGate(t, nil)
	g.put("/consumers", `{"username":"jack","plugins":{"test-plugin":{"key":"s3cret","note":"n"}}}`)
	g.put("/consumers/jack/credentials/a", `{"plugins":{"test-plugin":{"key":"s3cret2","note":"n"}}}`)
	g.put("/secrets/vault/1", `{"uri":"http://v","prefix":"p","token":"s3cret"}`)
	g.put("/secrets/aws/1", `{"access_key_id":"s3cret","secret_access_key":"s3cret","session_token":"s3cret"}`)
	g.put("/secrets/gcp/1", `{"auth_config":{"client_email":"a@b","private_key":"s3cret","project_id":"p"}}`)
	g.put("/plugin_configs/1", `{"plugins":{"test-plugin":{"n":1,"token":"s3cret"}}}`)
	g.put("/services/1", `{"plugins":{"test-plugin":{"n":1,"token":"s3cret"}}}`)
	f := func(path, want string) {
		t.Helper()
		g.key = adminKey
		if _, got := g.do("GET "+path, ""); !strings.Contains(got, "s3cret") {
			t.Errorf("an admin reads %s", got)
		}
		g.key = viewerKey
		if _, got := g.do("GET "+path, ""); !strings.Contains(got, want) || strings.Contains(got, "s3cret") {
			t.Errorf("a viewer reads %s", got)
		}
	}
	f("/consumers/jack", `"test-plugin":{"key":"********","note":"n"}`)
	f("/consumers", `"test-plugin":{"key":"********","note":"n"}`)
	f("/consumers/jack/credentials/a", `"test-plugin":{"key":"********","note":"n"}`)
	f("/consumers/jack/credentials", `"test-plugin":{"key":"********","note":"n"}`)
	f("/secrets/vault/1", `"uri":"http://v","prefix":"p","token":"********"`)
	f("/secrets/aws/1", `"access_key_id":"********","secret_access_key":"********","session_token":"********"`)
	f("/secrets/gcp/1", `"private_key":"********","project_id":"p"`)
	f("/secrets", `"token":"********"`)
	f("/plugin_configs/1", `"token":"********"`)
	f("/services/1", `"token":"********"`)
	g.key = adminKey
	const tail = ` holds ********, which stands for a secret that a viewer may not see: send the secret itself`
	g.refused("PUT /consumers", `{"username":"jack","plugins":{"test-plugin":{"key":"********"}}}`, `property "plugins.test-plugin.key"`+tail)
	g.refused("PUT /secrets/vault/1", `{"uri":"http://v","prefix":"p","token":"********"}`, `property "token"`+tail)
	if log := g.log.String(); strings.Contains(log, "s3cret") {
		t.Errorf("the log has a secret: %s", log)
	}
}
