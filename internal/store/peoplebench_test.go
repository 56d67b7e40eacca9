// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// BenchmarkMergePeople measures a first load of people from two sources that
// describe the same human beings, and of their accounts' links.
func BenchmarkMergePeople(b *testing.B) {
	rows := storetest.BenchRows(b) / 10
	for b.Loop() {
		for _, dsn := range []string{storetest.SQLite(b), storetest.Postgres(b)} {
			clock := clocktesting.NewFakePassiveClock(t0)
			s := storetest.Open(b, dsn, storetest.WithClock(clock))
			tenant, err := s.EnsureTenant(b.Context(), "bench")
			if err != nil {
				b.Fatal(err)
			}
			var hris, okta []model.Record
			for i := range rows {
				mail := fmt.Sprintf("p%07d@acme.example", i)
				hris = append(hris, person(fmt.Sprint("h", i), mail, employee(fmt.Sprint("E", i)), func(p *model.Person) { p.ManagerExternalID = fmt.Sprint("h", i/10) }))
				okta = append(okta, person(fmt.Sprint("o", i), mail))
			}
			sync := func(name string, l listing) {
				b.Helper()
				if err := benchPeople(b.Context(), s, tenant, name, l); err != nil {
					b.Fatal(err)
				}
			}
			start := time.Now()
			sync("hris", peopleOf(hris...))
			first := time.Since(start)
			start = time.Now()
			sync("okta", peopleOf(okta...))
			fmt.Printf("| people from two sources, %s | %d | new %.0f/s | known %.0f/s |\n", s.Dialect(), rows, float64(rows)/first.Seconds(), float64(rows)/time.Since(start).Seconds())
			_ = s.Close()
		}
	}
}

func benchPeople(ctx context.Context, s *store.Store, tenant model.TenantID, name string, l listing) error {
	if _, err := s.UpsertIntegration(ctx, tenant, store.IntegrationSpec{Name: name, Connector: name}); err != nil {
		return err
	}
	claims, err := s.ClaimDueIntegrations(ctx, "bench", 1, time.Hour)
	if err != nil {
		return err
	}
	y, err := s.BeginSync(ctx, claims[0])
	if err != nil {
		return err
	}
	if err := y.Stage(ctx, l.stream, "", l.records); err != nil {
		return err
	}
	if _, err := y.FinishStream(ctx, l.stream, l.outcome); err != nil {
		return err
	}
	return s.FinishIntegration(ctx, claims[0], store.IntegrationResult{Synced: true})
}
