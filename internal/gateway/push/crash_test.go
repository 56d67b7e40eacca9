// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package push_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
)

// A gateway that is killed in the middle of a push leaves a claim that lapses
// and staged rows that nobody ever sees.
func TestGatewayDies(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		now := clocktesting.NewFakePassiveClock(time.Now())
		w := &world{T: t, s: open(storetest.WithClock(now))}
		w.tenant = w.connect("acme", "agent", nil)
		m, err := connectors.Builtin("push")
		w.must(err)
		p := &syncer.Pusher{Store: w.s, Streams: m.Streams(), Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)}
		key := syncer.Key{Tenant: w.tenant, Namespace: "acme", Name: "agent"}
		account := func(id string) []model.Record {
			return []model.Record{{Account: &model.Account{ExternalID: id, Status: model.AccountActive}}}
		}
		push := func(id string) error {
			_, err := p.Push(t.Context(), key, func(ctx context.Context, u *syncer.Push) (connector.RecordsEnd, error) {
				return connector.RecordsEnd{All: true}, u.Stage(ctx, account(id)[0])
			})
			return err
		}
		before := w.dump()
		c, err := w.s.ClaimIntegration(t.Context(), w.tenant, "agent", "push/of-the-dead", time.Minute)
		w.must(err)
		y, err := w.s.BeginSync(t.Context(), c)
		w.must(err)
		w.must(y.Stage(t.Context(), "accounts", "", account("lost")))
		var busy *store.BusyError
		if err := push("kept"); !errors.As(err, &busy) {
			t.Fatalf("while the lease of the dead lasts: %v", err)
		}
		now.SetTime(now.Now().Add(time.Minute))
		w.must(push("kept"))
		if _, err := y.FinishStream(t.Context(), "accounts", store.StreamOutcome{Complete: true, Types: []model.DataType{model.DataAccounts}}); err == nil {
			t.Error("the dead finished its stream")
		}
		rows, _, err := w.s.ListAccounts(t.Context(), w.tenant, store.AccountQuery{IncludeRemoved: true})
		w.must(err)
		if len(rows) != 1 || rows[0].ExternalID != "kept" || w.dump() == before {
			t.Errorf("accounts: %+v", rows)
		}
	})
}
