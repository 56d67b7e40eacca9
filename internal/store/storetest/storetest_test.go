// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest_test

import (
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

func TestEachOpensAnEmptyMigratedStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := open()
		newest, err := s.MaxSchema()
		if err != nil {
			t.Fatal(err)
		}
		if have, err := s.SchemaVersion(t.Context()); err != nil || have != newest {
			t.Fatalf("schema version = %d, %v; want %d", have, err, newest)
		}
		if tenants, err := s.Tenants(t.Context()); err != nil || len(tenants) != 0 {
			t.Fatalf("tenants = %v, %v; want none", tenants, err)
		}
		// The same database again, as after a restart.
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := open().EnsureTenant(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
	})
}
