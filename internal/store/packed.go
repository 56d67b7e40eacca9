// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"
)

// Columns that mostly hold identifiers and digests, of which there are many for
// each run, hold them as bytes. The first one says what follows.
const (
	packedText   = 't'
	packedUUID   = 'u' // as uuid.UUID.String writes it
	packedDigest = 's' // "sha256:" and hexadecimal
	packedHex    = 'x' // 64 hexadecimal digits
)

const digestPrefix = "sha256:"

// pack returns the bytes of a text, the same for the same text.
func pack(s string) []byte {
	if s == "" {
		return []byte{}
	}
	if len(s) == 36 {
		if id, err := uuid.Parse(s); err == nil && id.String() == s {
			return append([]byte{packedUUID}, id[:]...)
		}
	}
	kind, digits := byte(packedHex), s
	if rest, ok := strings.CutPrefix(s, digestPrefix); ok {
		kind, digits = packedDigest, rest
	}
	if len(digits) == 64 {
		if raw, err := hex.DecodeString(digits); err == nil && hex.EncodeToString(raw) == digits {
			return append([]byte{kind}, raw...)
		}
	}
	return append([]byte{packedText}, s...)
}

// unpack is the reverse of pack.
func unpack(b []byte) (string, error) {
	if len(b) == 0 {
		return "", nil
	}
	switch rest := b[1:]; b[0] {
	case packedText:
		return string(rest), nil
	case packedUUID:
		id, err := uuid.FromBytes(rest)
		return id.String(), err
	case packedDigest:
		return digestPrefix + hex.EncodeToString(rest), nil
	case packedHex:
		return hex.EncodeToString(rest), nil
	}
	return "", fmt.Errorf("packed text of unknown kind %q", b[0])
}

// packList packs texts one after the other.
func packList(list []string) []byte {
	out := []byte{}
	for _, s := range list {
		p := pack(s)
		out = append(binary.AppendUvarint(out, uint64(len(p))), p...)
	}
	return out
}

// unpackList is the reverse of packList.
func unpackList(b []byte) (list []string, err error) {
	for len(b) > 0 {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) { //nolint:gosec // n is at most the length
			return nil, io.ErrUnexpectedEOF
		}
		s, err := unpack(b[n : n+int(size)]) //nolint:gosec // at most the length
		if err != nil {
			return nil, err
		}
		list, b = append(list, s), b[n+int(size):] //nolint:gosec // at most the length
	}
	return list, nil
}

// packedColumn scans a packed text.
type packedColumn struct{ into *string }

// Scan implements sql.Scanner.
func (c packedColumn) Scan(v any) (err error) {
	raw, ok := v.([]byte)
	if !ok && v != nil {
		return fmt.Errorf("packed text: %T, want bytes", v)
	}
	*c.into, err = unpack(raw)
	return err
}
