// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func later(c *model.Contract) { c.End = "2027-12-31" }

// Transactions and contracts are facts like any: compared, held, hidden with
// their Integration, and listed with every field that came in.
func TestSpendIsDiffed(t *testing.T) {
	eachWorld(t, func(w *world) {
		value := int64(54000)
		full := spend("t1", func(s *model.Transaction) {
			*s = model.Transaction{ExternalID: "t1", Date: "2026-02-01", Amount: model.Money{Minor: -250, Currency: "JPY"}, VendorName: "Zoom", VendorExternalID: "v1",
				MCC: "5734", Description: "refund", PayerEmail: "ada@acme.example", Department: "Sales", GLAccount: "6100", Kind: model.TransactionRefund,
				Status: "cleared", ReceiptURL: "https://receipts.example/1"}
		})
		deal := agreement("c1", func(c *model.Contract) {
			c.AutoRenew, c.NoticeDays, c.ValueMinor, c.BillingPeriod, c.OwnerEmail, c.DocumentURL, c.Status = true, new(int64), &value, model.PeriodYear, "ada@acme.example", "https://x.example/c", "signed"
		})
		records := []model.Record{full, deal, agreement("c2", later), agreement("c3", later)}
		for i := range 9 {
			records = append(records, spend("u"+string(rune('0'+i))))
		}
		types := []model.DataType{model.DataTransactions, model.DataContracts}
		first := w.sync("ramp", complete("spend", types, records...))[0]
		if c := first.Types[model.DataTransactions]; c.Added != 10 || c.Total != 10 {
			t.Fatalf("first sync: %+v", c)
		}
		spent, next, err := w.s.ListTransactions(w.Context(), w.tenant, store.SpendQuery{Page: store.Page{Limit: 1}, Integration: "ramp"})
		w.must(err)
		if next == "" || len(spent) != 1 {
			t.Fatalf("a page of one: %d rows, cursor %q", len(spent), next)
		}
		if diff := cmp.Diff(*full.Transaction, spent[0].Transaction); diff != "" {
			t.Errorf("a transaction came back otherwise:\n%s", diff)
		}
		held, _, err := w.s.ListContracts(w.Context(), w.tenant, store.SpendQuery{From: "2026-12-31", Until: "2026-12-31", Search: "ZOOM"})
		w.must(err)
		want := *deal.Contract
		want.Lines = []model.ContractLine{want.Lines[1], want.Lines[0]} // in the order of the plans
		if len(held) != 1 {
			t.Fatalf("contracts that end that day: %+v", held)
		}
		if diff := cmp.Diff(want, held[0].Contract); diff != "" {
			t.Errorf("a contract came back otherwise:\n%s", diff)
		}

		w.step(time.Hour)
		again := w.sync("ramp", complete("spend", types, records...))[0]
		if again.Written() != 0 {
			t.Errorf("the same listing wrote %d rows", again.Written())
		}
		records[0] = spend("t1", func(s *model.Transaction) { s.Amount.Minor = 1 })
		changed := w.sync("ramp", complete("spend", types, append(records[:1:1], records[2:]...)...))[0]
		if c := changed.Types; c[model.DataTransactions].Changed != 1 || c[model.DataContracts].Removed != 1 {
			t.Errorf("one changed amount and one contract that is gone: %+v", c)
		}
		empty := complete("spend", types)
		empty.wantHeld = true
		w.sync("ramp", empty)

		w.must(w.s.HideIntegration(w.Context(), w.tenant, "ramp", 0))
		spent, _, err = w.s.ListTransactions(w.Context(), w.tenant, store.SpendQuery{IncludeRemoved: true})
		w.must(err)
		if len(spent) != 0 {
			t.Errorf("%d transactions of a disconnected Integration are in sight", len(spent))
		}
		w.step(time.Hour)
		_, err = w.s.PurgeHidden(w.Context())
		w.must(err)
		for _, table := range []string{"spend_transaction", "reported_contract"} {
			if rows := w.dump()[table]; len(rows) != 0 {
				t.Errorf("%d rows of %s were not purged", len(rows), table)
			}
		}
	})
}
