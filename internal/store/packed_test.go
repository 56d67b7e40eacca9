// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"slices"
	"strings"
	"testing"
)

// Every text comes back as it was, and those that look like an identifier or a
// digest and are written otherwise too.
func TestPack(t *testing.T) {
	digits := strings.Repeat("0a", 32)
	sizes := map[string]int{
		"": 0, "step": 5, "073e2120-a192-58cf-b48e-4e2a48959871": 17, "073E2120-A192-58CF-B48E-4E2A48959871": 37, "{73e2120-a192-58cf-b48e-4e2a4895987}": 37,
		"sha256:" + digits: 33, digits: 33, strings.ToUpper(digits): 65, "sha256:" + strings.ToUpper(digits): 72, "sha256:" + digits[2:]: 70, "u234567890123456": 17,
	}
	var all []string
	for text, size := range sizes {
		packed := pack(text)
		if back, err := unpack(packed); err != nil || back != text {
			t.Errorf("%q came back as %q, %v", text, back, err)
		}
		if len(packed) != size {
			t.Errorf("%q takes %d bytes, want %d", text, len(packed), size)
		}
		all = append(all, text)
	}
	if back, err := unpackList(packList(all)); err != nil || !slices.Equal(back, all) {
		t.Errorf("%q came back as %q, %v", all, back, err)
	}
}

// Whatever a text is, it comes back; whatever bytes are, they are read or refused.
func FuzzPack(f *testing.F) {
	f.Add("073e2120-a192-58cf-b48e-4e2a48959871")
	f.Add("\x05ux\xff")
	f.Fuzz(func(t *testing.T, s string) {
		if back, err := unpack(pack(s)); err != nil || back != s {
			t.Fatalf("%q came back as %q, %v", s, back, err)
		}
		list, err := unpackList([]byte(s))
		if err != nil {
			return
		}
		if back, err := unpackList(packList(list)); err != nil || !slices.Equal(back, list) {
			t.Fatalf("%q came back as %q, %v", list, back, err)
		}
	})
}
