// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// declaredStore has Applications, with and without policies.
type declaredStore struct{ Store }

func (declaredStore) DeclaredApps(context.Context, model.TenantID) ([]store.DeclaredApp, error) {
	return []store.DeclaredApp{{Name: "figma", Users: 4, Paid: 3, Unused: 1, Sources: []string{"figma"}}, {Name: "zoom", Users: 9, Paid: 7, Unused: 5, Sources: []string{"zoom"}}}, nil
}

func (declaredStore) SeatTotals(context.Context, model.TenantID) ([]store.SeatTotal, error) {
	eur := func(n int64) []model.Money { return []model.Money{{Minor: n, Currency: "EUR"}} }
	return []store.SeatTotal{
		{Paid: 100}, // of no policy
		{App: "gone", Policy: "gone-90d", Paid: 1},
		{App: "zoom", Policy: "zoom-30d", Paid: 2, Unused: 1, Annual: eur(100)},
		{App: "zoom", Policy: "zoom-90d", Paid: 5, Unused: 2, Unknown: 1, Annual: eur(50)},
	}, nil
}

// Every Application is listed once, whether a policy covers it or not.
func TestEveryDeclaredAppIsListedOnce(t *testing.T) {
	apps, err := declaredStore{}.DeclaredApps(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := (&API{Store: declaredStore{}}).declared(&call{Context: t.Context()}, apps)
	if err != nil {
		t.Fatal(err)
	}
	want := []App{
		{ID: "application/figma", Name: "figma", State: "Declared", Users: 4, PaidSeats: 3, UnusedSeats: 1, Sources: []string{"figma"}},
		{ID: "application/zoom", Name: "zoom", State: "Declared", Users: 9, PaidSeats: 7, UnusedSeats: 3, UnknownSeats: 1,
			AnnualCost: []model.Money{{Minor: 150, Currency: "EUR"}}, Sources: []string{"zoom"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
