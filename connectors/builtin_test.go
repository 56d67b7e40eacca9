// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors

import "testing"

func TestBuiltin(t *testing.T) {
	for _, n := range Names() {
		if _, err := Builtin(n); err != nil {
			t.Error(err)
		}
	}
}
