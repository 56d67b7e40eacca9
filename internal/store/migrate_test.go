// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// TestSchemaRange is decision 11: outside the range readiness fails and names
// both numbers.
func TestSchemaRange(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s, err := store.Open(t.Context(), store.Options{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		// The PostgreSQL databases of tests are copies of a migrated one.
		if before, err := s.SchemaVersion(t.Context()); err != nil {
			t.Fatal(err)
		} else if before == 0 {
			var outside *store.SchemaError
			if err := s.CheckSchema(t.Context()); !errors.As(err, &outside) || outside.Have != 0 || outside.Min != store.MinSchema {
				t.Fatalf("an empty database: %v, want a SchemaError with 0 and %d", err, store.MinSchema)
			}
		} else if s.Dialect() == "sqlite" {
			t.Fatalf("a new file has schema %d", before)
		}
		for range 2 { // the second migrates nothing
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		newest, err := s.MaxSchema()
		if err != nil {
			t.Fatal(err)
		}
		if have, err := s.SchemaVersion(t.Context()); err != nil || have != newest {
			t.Errorf("schema %d, %v; want %d", have, err, newest)
		}
	})
}
