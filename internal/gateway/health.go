// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// HealthStore is what readiness asks.
type HealthStore interface {
	Ping(ctx context.Context) error
	CheckSchema(ctx context.Context) error
	SchemaVersion(ctx context.Context) (int64, error)
	SchemaRange() (oldest, newest int64, err error)
}

// Health serves /healthz, which says that the process runs, and /readyz, which
// says that the store answers with a schema this binary can serve, and names
// both the schema and the range.
func Health(s HealthStore) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
		defer cancel()
		err := s.Ping(ctx)
		if err == nil {
			err = s.CheckSchema(ctx)
		}
		if err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		var version, oldest, newest int64
		if version, err = s.SchemaVersion(ctx); err == nil {
			oldest, newest, err = s.SchemaRange()
		}
		if err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintf(w, "ok\nstore: answers\nschema: %d, served from %d to %d\n", version, oldest, newest)
	})
	return mux
}
