// Package crypt encrypts single fields of resources the way APISIX does
// (gateway.md 6.2): AES in CBC mode with the key as its own initial vector,
// PKCS#7 padding, the result in base64. Equal texts give equal ciphertexts.
package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"unicode/utf8"
)

// Keyring is a list of keys. Nil or empty, it leaves every text as it is. It is
// immutable.
type Keyring struct{ keys []key }

type key struct {
	block cipher.Block
	iv    []byte
}

// New makes a keyring of keys of 16 bytes (AES-128) or 32 (AES-256). The
// error names the place of a bad key and never the key.
func New(keys []string) (*Keyring, error) {
	r := &Keyring{}
	for i, k := range keys {
		if len(k) != 16 && len(k) != 32 {
			return nil, fmt.Errorf("key %d has %d bytes; expected 16 or 32", i+1, len(k))
		}
		block, err := aes.NewCipher([]byte(k))
		if err != nil {
			return nil, err
		}
		r.keys = append(r.keys, key{block, []byte(k)[:aes.BlockSize]})
	}
	return r, nil
}

// Encrypt returns the ciphertext of text under the first key.
func (r *Keyring) Encrypt(text string) string {
	if r == nil || len(r.keys) == 0 {
		return text
	}
	k := r.keys[0]
	pad := aes.BlockSize - len(text)%aes.BlockSize
	b := make([]byte, len(text)+pad)
	for i := copy(b, text); i < len(b); i++ {
		b[i] = byte(pad)
	}
	cipher.NewCBCEncrypter(k.block, k.iv).CryptBlocks(b, b)
	return base64.StdEncoding.EncodeToString(b)
}

// Decrypt returns the text of a ciphertext under the first key that fits. It is
// not ok, and the text as it was, if none does.
func (r *Keyring) Decrypt(text string) (plain string, ok bool) {
	if r == nil || len(r.keys) == 0 {
		return text, true
	}
	b := decode(text)
	if b == nil {
		return text, false
	}
	out := make([]byte, len(b))
	for _, k := range r.keys {
		cipher.NewCBCDecrypter(k.block, k.iv).CryptBlocks(out, b)
		// What was encrypted was part of a JSON document: text that is no
		// UTF-8 is a padding that fits by chance.
		if n, ok := unpadded(out); ok && utf8.Valid(out[:n]) {
			return string(out[:n]), true
		}
	}
	return text, false
}

// Likely tells whether text has the form of a ciphertext.
func Likely(text string) bool { return decode(text) != nil }

// decode returns the blocks of a ciphertext, nil if it is none.
func decode(text string) []byte {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) == 0 || len(b)%aes.BlockSize != 0 {
		return nil
	}
	return b
}

// unpadded returns how many bytes stand before the padding.
func unpadded(b []byte) (n int, ok bool) {
	pad := int(b[len(b)-1])
	if pad == 0 || pad > aes.BlockSize {
		return 0, false
	}
	n = len(b) - pad
	for _, c := range b[n:] {
		if int(c) != pad {
			return 0, false
		}
	}
	return n, true
}
