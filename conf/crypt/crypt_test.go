package crypt

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"strings"
	"testing"
)

const (
	first  = "qeddd145sfvddff3" // the keyring that APISIX comes with
	second = "edd1c9f0985e76a2"
	long   = "0123456789abcdef0123456789abcdef"
)

func ring(t testing.TB, keys ...string) *Keyring {
	t.Helper()
	r, err := New(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestVectors are ciphertexts that APISIX wrote.
func TestVectors(t *testing.T) {
	f := func(key, plain, text string) {
		t.Helper()
		r := ring(t, key)
		if got := r.Encrypt(plain); got != text {
			t.Errorf("Encrypt(%q) = %q, want %q", plain, got, text)
		}
		if got, ok := r.Decrypt(text); !ok || got != plain {
			t.Errorf("Decrypt(%q) = %q, %v, want %q", text, got, ok, plain)
		}
	}
	f(second, "userkey", "mt39FazQccyMqt4ctoRV7w==")
	f(second, "bar", "77+NmbYqNfN+oLm0aX5akg==")
	f(second, "auth-two", "vU/ZHVJw7b0XscDJ1Fhtig==")
	f(second, "test", "9QKrmTT3TkWGvjlIoe5XXw==")
	f(first, "userkey", "MwyzIum5fVAGWep8G34o9g==")
}

func TestKeyring(t *testing.T) {
	r := ring(t, first, second, long)
	f := func(text, want string, ok bool) {
		t.Helper()
		if got, gotOK := r.Decrypt(text); got != want || gotOK != ok {
			t.Errorf("Decrypt(%q) = %q, %v, want %q, %v", text, got, gotOK, want, ok)
		}
	}
	// The first key encrypts, every key decrypts.
	if got := r.Encrypt("userkey"); got != ring(t, first).Encrypt("userkey") {
		t.Errorf("Encrypt used another key: %q", got)
	}
	f("mt39FazQccyMqt4ctoRV7w==", "userkey", true)
	f(ring(t, long).Encrypt(strings.Repeat("x", 100)), strings.Repeat("x", 100), true)
	f(r.Encrypt(""), "", true)
	f(r.Encrypt("0123456789abcdef"), "0123456789abcdef", true)
	// What does not decrypt stays.
	f("", "", false)
	f("sk-1234", "sk-1234", false)
	f("Bearer x", "Bearer x", false)
	f("$env://KEY", "$env://KEY", false)
	f("AAAA", "AAAA", false)
	other := ring(t, "0000000000000000").Encrypt("text of another key")
	f(other, other, false)
	binary := encrypted(first, []byte("\xff\xfe binary"))
	f(binary, binary, false)

	none := ring(t)
	if got, ok := none.Decrypt("x"); none.Encrypt("x") != "x" || got != "x" || !ok {
		t.Error("an empty keyring changed a text")
	}
	for _, keys := range [][]string{{""}, {first, "short"}, {strings.Repeat("s", 24)}} {
		if _, err := New(keys); err == nil || keys[len(keys)-1] != "" && strings.Contains(err.Error(), keys[len(keys)-1]) {
			t.Errorf("New with a bad key: %v", err)
		}
	}
}

// encrypted is the slow twin of Encrypt.
func encrypted(key string, plain []byte) string {
	pad := 16 - len(plain)%16
	b := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	block, _ := aes.NewCipher([]byte(key))
	cipher.NewCBCEncrypter(block, []byte(key)[:16]).CryptBlocks(b, b)
	return base64.StdEncoding.EncodeToString(b)
}

func FuzzDecrypt(f *testing.F) {
	r := ring(f, first, long)
	for _, s := range []string{"", "MwyzIum5fVAGWep8G34o9g==", "AAAAAAAAAAAAAAAAAAAAAA==", "x", "userkey"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if plain, ok := r.Decrypt(s); !ok && plain != s {
			t.Errorf("Decrypt(%q) = %q, not ok and changed", s, plain)
		}
		back, ok := r.Decrypt(r.Encrypt(s))
		if strings.ToValidUTF8(s, "") == s && (!ok || back != s) {
			t.Errorf("%q came back as %q, %v", s, back, ok)
		}
		if r.Encrypt(s) != encrypted(first, []byte(s)) {
			t.Errorf("Encrypt(%q) differs from its twin", s)
		}
	})
}
