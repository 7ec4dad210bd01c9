package jwtauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"headrace/conf"
	"headrace/conf/schema"
	"headrace/plugin"
)

var credentialSchema = schema.MustCompile(name+" consumer", `{
  "type": "object",
  "properties": {
    "key": {"type": "string", "minLength": 1},
    "secret": {"type": "string", "minLength": 1},
    "algorithm": {
      "type": "string",
      "enum": ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"],
      "default": "HS256"
    },
    "exp": {"type": "integer", "minimum": 1, "default": 86400},
    "base64_secret": {"type": "boolean", "default": false},
    "lifetime_grace_period": {"type": "integer", "minimum": 0, "default": 0}
  },
  "dependencies": {
    "algorithm": {
      "oneOf": [
        {"properties": {"algorithm": {"enum": ["HS256", "HS384", "HS512"], "default": "HS256"}}},
        {
          "properties": {
            "public_key": {"type": "string", "minLength": 1},
            "algorithm": {"enum": ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"]}
          },
          "required": ["public_key"]
        }
      ]
    }
  },
  "required": ["key"]
}`)

// credential is what tokens of a consumer are verified with. The algorithm is
// the consumer's, never the token's.
type credential struct {
	method jwt.SigningMethod
	key    any
	grace  float64 // seconds
}

type credentialConfig struct {
	Secret       *string `json:"secret"`
	PublicKey    string  `json:"public_key"`
	Algorithm    string  `json:"algorithm"`
	Base64Secret bool    `json:"base64_secret"`
	Grace        float64 `json:"lifetime_grace_period"`
}

// checkCredential says what APISIX says. Whether a public key is one shows
// only when the consumer is loaded: it may be a reference.
func checkCredential(raw []byte) error {
	var c credentialConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(c.Algorithm, "HS") && c.Secret == nil:
		return errors.New(`property "secret" is required when using HS based algorithms`)
	case c.Base64Secret && c.Secret != nil && !conf.IsReference(*c.Secret):
		if _, ok := plugin.AppendBase64(nil, []byte(*c.Secret)); !ok {
			return errNotBase64
		}
	}
	return nil
}

var errNotBase64 = errors.New("base64_secret required but the secret is not in base64 format")

func newCredential(raw []byte) (any, error) {
	var c credentialConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	key, err := c.verifier()
	if err != nil {
		return nil, err
	}
	return &credential{jwt.GetSigningMethod(c.Algorithm), key, c.Grace}, nil
}

// verifier makes the key that the algorithm takes.
func (c *credentialConfig) verifier() (any, error) {
	pem := []byte(c.PublicKey)
	switch c.Algorithm[:2] {
	case "HS":
		return c.secret()
	case "RS", "PS":
		key, err := jwt.ParseRSAPublicKeyFromPEM(pem)
		return key, c.unfit(err, err == nil && key.Size() < minRSABytes)
	case "ES":
		key, err := jwt.ParseECPublicKeyFromPEM(pem)
		return key, c.unfit(err, err == nil && key.Curve.Params().BitSize != curveBits[c.Algorithm])
	}
	key, err := jwt.ParseEdPublicKeyFromPEM(pem)
	return key, c.unfit(err, false)
}

// minRSABytes is what crypto/rsa verifies with.
const minRSABytes = 1024 / 8

var curveBits = map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}

// unfit words what is wrong with a public key. The parser's error is left out:
// it may be a private key, or any other secret that went astray.
func (c *credentialConfig) unfit(err error, wrongSize bool) error {
	switch {
	case err != nil:
		return fmt.Errorf("public_key is no PEM public key for %s", c.Algorithm)
	case wrongSize:
		return fmt.Errorf("public_key has the wrong size for %s", c.Algorithm)
	}
	return nil
}

func (c *credentialConfig) secret() (key []byte, err error) {
	if key = []byte(*c.Secret); c.Base64Secret {
		var ok bool
		if key, ok = plugin.AppendBase64(nil, key); !ok {
			return nil, errNotBase64
		}
	}
	if len(key) == 0 {
		return nil, errors.New("the secret is empty")
	}
	return key, nil
}
