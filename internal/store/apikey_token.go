// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// A token is skp_KEYID_SECRET, as a scanner of secrets finds it:
// skp_[0-9a-z]{13,25}_[0-9A-Za-z]{49}. The key id is public: the tenant in base
// 36, so that every query names it, and 12 characters of its own. The secret is
// 32 random bytes in 43 characters of base 62, and 6 that are the CRC-32 of
// everything before them: a scanner and the gateway know a token that was made
// up or mistyped without a look-up.
const (
	TokenPrefix    = "skp_"
	keyIDRandom    = 12
	secretBytes    = 32
	secretChars    = 43
	checksumChars  = 6
	maxTenantChars = 13 // of an int64 in base 36
)

const (
	base36 = "0123456789abcdefghijklmnopqrstuvwxyz"
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// APIToken is a token that has the right form. That says nothing of whether it
// was ever issued.
type APIToken struct {
	Tenant model.TenantID
	KeyID  string
	digest [sha256.Size]byte
}

// Digest is what is stored of a token. Its input has 256 random bits, so that a
// fast hash is enough.
func (t APIToken) Digest() []byte { return t.digest[:] }

// ErrTokenForm reports that a string is no token. It quotes nothing of it.
var ErrTokenForm = errors.New("the token has not the form of a Seatkeeper key: skp_KEYID_SECRET, whole and without spaces")

// newAPIToken makes the token of a new key of the tenant.
func newAPIToken(tenant model.TenantID) (APIToken, string, error) {
	id := strconv.FormatInt(int64(tenant), 36)
	for range keyIDRandom {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(base36))))
		if err != nil {
			return APIToken{}, "", fmt.Errorf("key id: %w", err)
		}
		id += base36[n.Int64() : n.Int64()+1]
	}
	var secret [secretBytes]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return APIToken{}, "", fmt.Errorf("key secret: %w", err)
	}
	text := TokenPrefix + id + "_" + inBase62(new(big.Int).SetBytes(secret[:]), secretChars)
	text += checksum(text)
	return APIToken{Tenant: tenant, KeyID: id, digest: sha256.Sum256([]byte(text))}, text, nil
}

// ParseAPIToken reads a token.
func ParseAPIToken(text string) (APIToken, error) {
	rest, ok := strings.CutPrefix(text, TokenPrefix)
	id, secret, cut := strings.Cut(rest, "_")
	if !ok || !cut || len(secret) != secretChars+checksumChars || len(id) <= keyIDRandom || len(id) > keyIDRandom+maxTenantChars {
		return APIToken{}, ErrTokenForm
	}
	if strings.Trim(id, base36) != "" || strings.Trim(secret, base62) != "" {
		return APIToken{}, ErrTokenForm
	}
	body := text[:len(text)-checksumChars]
	if checksum(body) != text[len(body):] {
		return APIToken{}, ErrTokenForm
	}
	tenant, err := TenantOfKeyID(id)
	if err != nil {
		return APIToken{}, err
	}
	return APIToken{Tenant: tenant, KeyID: id, digest: sha256.Sum256([]byte(text))}, nil
}

// TenantOfKeyID is the tenant that a key id names.
func TenantOfKeyID(id string) (model.TenantID, error) {
	if len(id) <= keyIDRandom {
		return 0, ErrTokenForm
	}
	n, err := strconv.ParseInt(id[:len(id)-keyIDRandom], 36, 64)
	if err != nil || n < 1 || id[0] == '0' {
		return 0, ErrTokenForm
	}
	return model.TenantID(n), nil
}

func checksum(s string) string {
	return inBase62(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(s)))), checksumChars)
}

// inBase62 writes n with a fixed number of characters.
func inBase62(n *big.Int, width int) string {
	out, base, digit := make([]byte, width), big.NewInt(int64(len(base62))), new(big.Int)
	n = new(big.Int).Set(n)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		out[i] = base62[digit.Int64()]
	}
	return string(out)
}
