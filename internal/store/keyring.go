// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Keyring holds the keys that seal secrets in the store. The first key seals;
// all of them open, so that a key is rotated by putting a new one first,
// resealing, and then removing the old one.
type Keyring struct {
	keys []sealingKey
}

type sealingKey struct {
	id     string
	aead   cipher.AEAD
	digest []byte // the key of digests, derived from the same bytes
	answer []byte // the key of answer links, likewise
}

const (
	keyBytes    = 32
	maxKeyFile  = 64 << 10
	keyringHint = `want lines "ID BASE64", the base64 of 32 random bytes, the sealing key first`
)

// ParseKeyring reads the text of a key file: a key per line as "ID BASE64",
// blank lines and lines that start with # ignored.
func ParseKeyring(text string) (*Keyring, error) {
	k := &Keyring{}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, encoded, ok := strings.Cut(line, " ")
		if !ok || len(id) > 64 {
			return nil, fmt.Errorf("key file line %d: %s", n+1, keyringHint)
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil || len(raw) != keyBytes {
			return nil, fmt.Errorf("key file line %d, key %q: %s", n+1, id, keyringHint)
		}
		if k.find(id) != nil {
			return nil, fmt.Errorf("key file line %d: key id %q is there twice", n+1, id)
		}
		block, err := aes.NewCipher(raw)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", id, err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", id, err)
		}
		k.keys = append(k.keys, sealingKey{id, aead, mac(raw, "seatkeeper digest v1"), mac(raw, "seatkeeper answer links v1")})
	}
	if len(k.keys) == 0 {
		return nil, errors.New("key file has no key: " + keyringHint)
	}
	return k, nil
}

// LoadKeyring reads a mounted key file. With create, which only a trial on one
// machine asks for, a missing file is made with one random key.
func LoadKeyring(path string, create bool) (*Keyring, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && create {
		if err := createKeyFile(path); err != nil {
			return nil, fmt.Errorf("create key file: %w", err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if info.Size() > maxKeyFile {
		return nil, fmt.Errorf("key file %s has %d bytes, more than %d: %s", path, info.Size(), maxKeyFile, keyringHint)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	k, err := ParseKeyring(string(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

func createKeyFile(path string) error {
	raw := make([]byte, keyBytes)
	if _, err := rand.Read(raw); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "k1 %s\n", base64.StdEncoding.EncodeToString(raw))
	return errors.Join(err, f.Sync(), f.Close())
}

func (k *Keyring) find(id string) *sealingKey {
	for i := range k.keys {
		if k.keys[i].id == id {
			return &k.keys[i]
		}
	}
	return nil
}

// UnknownKeyError says that a secret was sealed with a key that the key file
// does not have.
type UnknownKeyError struct{ Name, KeyID string }

func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("sealed value %q needs key %q, which the key file does not have: put that key back", e.Name, e.KeyID)
}

// seal returns the key's id, a fresh nonce and the ciphertext, bound to the
// additional data.
func (k *Keyring) seal(plain, additional []byte) (id string, nonce, sealed []byte, err error) {
	key := k.keys[0]
	nonce = make([]byte, key.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", nil, nil, err
	}
	return key.id, nonce, key.aead.Seal(nil, nonce, plain, additional), nil
}

// digests returns the keyed digest of a value with each key, the sealing key's
// first: what was stored with an older key is found as well.
func (k *Keyring) digests(value string) []string {
	out := make([]string, len(k.keys))
	for i, key := range k.keys {
		out[i] = hex.EncodeToString(mac(key.digest, value))
	}
	return out
}

// AnswerKeys returns the keys of the links that answer questions, the sealing
// key's first: it signs, and what an older one signed still opens.
func (k *Keyring) AnswerKeys() [][]byte {
	out := make([][]byte, len(k.keys))
	for i, key := range k.keys {
		out[i] = key.answer
	}
	return out
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, text) // a hash.Hash never fails a write
	return h.Sum(nil)
}

func (k *Keyring) open(name, id string, nonce, sealed, additional []byte) ([]byte, error) {
	key := k.find(id)
	if key == nil {
		return nil, &UnknownKeyError{Name: name, KeyID: id}
	}
	if len(nonce) != key.aead.NonceSize() {
		return nil, fmt.Errorf("sealed value %q is damaged", name)
	}
	plain, err := key.aead.Open(nil, nonce, sealed, additional)
	if err != nil {
		return nil, fmt.Errorf("sealed value %q does not open with key %q: it was changed, moved from another row, or the key is another", name, id)
	}
	return plain, nil
}
