// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"database/sql"
	"encoding/json"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// What a sync has staged up to its last checkpoint is there for the next one,
// as if that had read it; what came behind it is not.
func TestCheckpoint(t *testing.T) {
	types := []model.DataType{model.DataAccounts, model.DataAssignments}
	outcome := complete("users", types).outcome
	eachWorld(t, func(w *world) {
		var c store.Claim
		begin := func() *store.Sync {
			w.Helper()
			c = w.claim("zoom", "zoom")
			y, err := w.s.BeginSync(w.Context(), c)
			w.must(err)
			return y
		}
		end := func(y *store.Sync) {
			w.Helper()
			w.must(y.Close(w.Context()))
			w.must(w.s.FinishIntegration(w.Context(), c, store.IntegrationResult{}))
		}
		y := begin()
		w.must(y.Stage(w.Context(), "users", "", []model.Record{account("a"), account("b"), seat("a", "pro", true)}))
		w.must(y.Checkpoint(w.Context(), "users", json.RawMessage(`{"page":2}`)))
		// Rows behind the checkpoint reach the database too.
		w.must(y.Stage(w.Context(), "users", "", append(accounts(6000), membership("g", "lost"))))
		w.must(y.Stage(w.Context(), "other", "", []model.Record{account("x")}))
		end(y)
		if len(w.list(store.AccountQuery{})) != 0 {
			w.Fatal("staged rows are visible")
		}
		y = begin()
		if string(y.Place("users")) != `{"page":2}` || y.Place("other") != nil {
			w.Fatalf("places %s, %s", y.Place("users"), y.Place("other"))
		}
		w.must(y.Stage(w.Context(), "users", "", []model.Record{account("c"), seat("c", "pro", true)}))
		res, err := y.FinishStream(w.Context(), "users", outcome)
		w.must(err)
		if len(w.list(store.AccountQuery{})) != 3 || res.Types[model.DataAccounts].Added != 3 || res.Types[model.DataAssignments].Added != 2 || y.Place("users") != nil {
			w.Errorf("%+v", res)
		}
		end(y)

		// What is discarded is gone, and so is what has become old.
		for _, way := range []string{"discarded", "old", "rows are missing"} {
			y = begin()
			w.must(y.Stage(w.Context(), "users", "", []model.Record{account("a"), seat("a", "pro", true)}))
			w.must(y.Checkpoint(w.Context(), "users", json.RawMessage(`{}`)))
			end(y)
			switch way {
			case "discarded":
				y = begin()
				y.Discard(w.Context(), "users")
				end(y)
			case "old":
				w.step(7 * time.Hour)
			case "rows are missing":
				w.must(w.s.WriteSQL(w.Context(), func(tx *sql.Tx) error {
					var table string
					if err := tx.QueryRowContext(w.Context(), `SELECT table_name FROM sync_stage WHERE data_type='licenses'`).Scan(&table); err != nil {
						return err
					}
					_, err := tx.ExecContext(w.Context(), "DELETE FROM "+table)
					return err
				}))
			}
			y = begin()
			if p := y.Place("users"); p != nil {
				w.Errorf("%s: there is a place %s", way, p)
			}
			end(y)
			var left int
			w.must(w.s.ReadDB().QueryRowContext(w.Context(), `SELECT count(*) FROM sync_stage`).Scan(&left))
			if left != 0 {
				w.Errorf("%s: %d stages are left", way, left)
			}
		}
	})
}
