// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// schemaStore is a store of some schema, or one that is away.
type schemaStore struct {
	version int64
	away    error
}

func (s schemaStore) Ping(context.Context) error                   { return s.away }
func (s schemaStore) SchemaVersion(context.Context) (int64, error) { return s.version, s.away }
func (s schemaStore) SchemaRange() (int64, int64, error)           { return 18, 19, nil }
func (s schemaStore) CheckSchema(context.Context) error {
	if s.version < 18 || s.version > 19 {
		return errors.New("the store has schema 17; this version serves 18 to 19")
	}
	return nil
}

func TestReadinessTellsStoreAndSchema(t *testing.T) {
	for name, tc := range map[string]struct {
		store schemaStore
		code  int
		says  string
	}{
		"ready":              {schemaStore{version: 18}, 200, "schema: 18, served from 18 to 19"},
		"before the manager": {schemaStore{version: 17}, 503, "17; this version serves 18 to 19"},
		"store away":         {schemaStore{version: 18, away: errors.New("connection refused")}, 503, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			h := Health(tc.store)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
			if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.says) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			live := httptest.NewRecorder()
			if h.ServeHTTP(live, httptest.NewRequest(http.MethodGet, "/healthz", nil)); live.Code != 200 {
				t.Errorf("alive: %d", live.Code) // a restart would mend nothing
			}
		})
	}
}
