// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import "cmp"

// SecretField is one key of a Secret, for whoever has to fill it in.
type SecretField struct {
	Name, Title string
	Optional    bool
	PEM         bool // a private key, of several lines
}

// SecretFields lists the keys of one of the ways that SecretSets lists.
func (m *Manifest) SecretFields(auth string) []SecretField {
	var out []SecretField
	for _, a := range m.auth {
		if a.id != auth {
			continue
		}
		for _, f := range a.secrets {
			out = append(out, SecretField{Name: f.name, Title: cmp.Or(f.title, f.name), Optional: f.optional, PEM: f.pem || f.certificate})
		}
	}
	return out
}
