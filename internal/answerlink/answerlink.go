// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package answerlink makes and reads the links by which people answer from an
// e-mail. A link names one question and one addressee and is signed, so that
// nothing about it has to be stored and a message that is sent twice carries
// the same one. That it works once, and until when, is decided by the question.
package answerlink

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Path is where the gateway serves links.
const Path = "/answer/"

const (
	version    = 1
	tagBytes   = 16
	macBytes   = 16 // 128 bits: NIST SP 800-107r1, 5.3.3
	bodyBytes  = 1 + 8 + 16 + tagBytes
	tokenBytes = bodyBytes + macBytes
)

// Keys sign links: the first signs, all of them are believed, so that a new key
// does not void links that are out.
type Keys [][]byte

// Addressee is whom a link was sent to: the person, at that address.
type Addressee struct {
	PersonID string // empty for a mailbox that is no person's
	Email    string
}

// Link is what a token says.
type Link struct {
	Tenant   model.TenantID
	PromptID string

	key []byte // that signed it
	tag [tagBytes]byte
}

// Token signs the link of one question for one addressee.
func (k Keys) Token(tenant model.TenantID, promptID string, to Addressee) (string, error) {
	if len(k) == 0 || len(k[0]) < sha256.Size {
		return "", errors.New("answer links need a key of 32 bytes")
	}
	id, err := uuid.Parse(promptID)
	if err != nil {
		return "", fmt.Errorf("question %q: %w", promptID, err)
	}
	if to.Email == "" {
		return "", errors.New("an answer link needs the address that it is sent to")
	}
	raw := make([]byte, 0, tokenBytes)
	raw = append(raw, version)
	raw = binary.BigEndian.AppendUint64(raw, uint64(tenant))
	raw = append(raw, id[:]...)
	tag := tagOf(k[0], to)
	raw = append(raw, tag[:]...)
	raw = append(raw, macOf(k[0], raw)...)
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// Open reads a token; ok is false unless one of the keys signed it.
func (k Keys) Open(token string) (l Link, ok bool) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return Link{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != tokenBytes || raw[0] != version {
		return Link{}, false
	}
	for _, key := range k {
		if len(key) >= sha256.Size && hmac.Equal(raw[bodyBytes:], macOf(key, raw[:bodyBytes])) {
			l = Link{Tenant: model.TenantID(binary.BigEndian.Uint64(raw[1:9])), PromptID: uuid.UUID(raw[9:25]).String(), key: key}
			copy(l.tag[:], raw[25:bodyBytes])
			return l, true
		}
	}
	return Link{}, false
}

// IsFor reports whether the link was sent to the addressee.
func (l Link) IsFor(to Addressee) bool {
	tag := tagOf(l.key, to)
	return to.Email != "" && hmac.Equal(l.tag[:], tag[:])
}

// tagOf binds a link to its addressee without naming them.
func tagOf(key []byte, to Addressee) (tag [tagBytes]byte) {
	h := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(h, "addressee\n%d:%s\n%s", len(to.PersonID), to.PersonID, strings.ToLower(to.Email))
	copy(tag[:], h.Sum(nil))
	return tag
}

func macOf(key, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte("answer link\n"))
	_, _ = h.Write(body)
	return h.Sum(nil)[:macBytes]
}
