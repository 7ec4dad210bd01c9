package conf

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	adminKeyFile = "admin.key"
	keyLength    = 32
	keyLetters   = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// IsExampleKey reports whether the key stands in APISIX's documents and in
// many configurations that were copied from them.
func IsExampleKey(key string) bool {
	return key == "edd1c9f034335f136f87ad84b625c8f1" || key == "4054f7cf07e344346cd3f287985e76a2"
}

// AdminKey returns the key for the Admin API that is kept in dir, and makes a
// random one of 32 letters the first time; created tells that it did. The file
// is readable by its owner only.
func AdminKey(dir string) (key string, created bool, err error) {
	path := filepath.Join(dir, adminKeyFile)
	if key, err = readKey(path); !errors.Is(err, os.ErrNotExist) {
		return key, false, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", false, fmt.Errorf("cannot make data directory %q: %w", dir, errors.Unwrap(err))
	}
	key = randomLetters(keyLength)
	// Written beside and linked: never half a key, and never one over another.
	tmp, err := os.CreateTemp(dir, adminKeyFile+".new-*") // mode 0600
	if err != nil {
		return "", false, fmt.Errorf("cannot write %q: %w", path, errors.Unwrap(err))
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(key + "\n")
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return "", false, fmt.Errorf("cannot write %q: %w", path, err)
	}
	if err = publish(tmp.Name(), path); errors.Is(err, os.ErrExist) {
		key, err = readKey(path)
		return key, false, err
	}
	if err = errors.Join(err, syncDir(dir)); err != nil {
		return "", false, fmt.Errorf("cannot write %q: %w", path, err)
	}
	return key, true, nil
}

// publish gives a finished file its name without overwriting another. Where the
// file system has no links the name is looked at before it is taken.
func publish(tmp, path string) error {
	err := os.Link(tmp, path)
	if err == nil || errors.Is(err, os.ErrExist) {
		return err
	}
	if _, serr := os.Lstat(path); serr == nil {
		return os.ErrExist
	}
	return os.Rename(tmp, path)
}

func readKey(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read admin key %q: %w", path, errors.Unwrap(err))
	}
	if b = bytes.TrimSpace(b); len(b) == 0 {
		return "", fmt.Errorf("admin key %q is empty: write a key into it, or remove it to get a new one", path)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return "", fmt.Errorf("cannot protect admin key %q: %w", path, errors.Unwrap(err))
	}
	return string(b), nil
}

// randomLetters draws each letter with the same chance.
func randomLetters(n int) string {
	out := make([]byte, 0, n)
	buf := make([]byte, n)
	for len(out) < n {
		rand.Read(buf) // never fails
		for _, c := range buf {
			if c %= 64; int(c) < len(keyLetters) && len(out) < n {
				out = append(out, keyLetters[c])
			}
		}
	}
	return string(out)
}
