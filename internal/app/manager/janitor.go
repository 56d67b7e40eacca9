// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"log/slog"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// janitorInterval is how often rows whose time has come are erased.
const janitorInterval = time.Hour

// handledRetention is how long handled outbox events stay for a look back.
const handledRetention = 30 * 24 * time.Hour

// declaredRetention is after how long an Application that its controller did not
// see is gone: it looks at each every hour.
const declaredRetention = 3 * time.Hour

// keyRetention is how long a key that ended is known, so that its uses are told
// apart from those of unknown ones.
const keyRetention = 90 * 24 * time.Hour

// inboxRetention is for how long a delivery's id is known after it was handled:
// longer than senders try again, which is up to three days and some hours.
// letterRetention is for how long a dead letter can be replayed.
const (
	inboxRetention  = 7 * 24 * time.Hour
	letterRetention = 30 * 24 * time.Hour
)

// janitor erases what retention no longer keeps.
type janitor struct {
	store *store.Store
	clock clock.WithTicker
	log   *slog.Logger
}

// NeedLeaderElection tells controller-runtime that one replica is enough.
func (j *janitor) NeedLeaderElection() bool { return true }

// Start erases at once and then every hour, until ctx ends.
func (j *janitor) Start(ctx context.Context) error {
	ticker := j.clock.NewTicker(janitorInterval)
	defer ticker.Stop()
	for {
		j.clean(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

func (j *janitor) clean(ctx context.Context) {
	purged, err := j.store.PurgeHidden(ctx)
	if err != nil {
		j.log.Error("Could not purge disconnected Integrations", "error", err)
	}
	if purged > 0 {
		j.log.Info("Purged the rows of disconnected Integrations", "integrations", purged)
	}
	tenants, err := j.store.Tenants(ctx)
	if err != nil {
		j.log.Error("Could not list tenants", "error", err)
		return
	}
	now := j.clock.Now()
	for _, t := range tenants {
		if err := j.store.PruneEvents(ctx, t.ID, now.Add(-handledRetention)); err != nil {
			j.log.Error("Could not erase handled events", "namespace", t.Namespace, "error", err)
		}
		if err := j.store.PruneStarts(ctx, t.ID, now.Add(-handledRetention)); err != nil {
			j.log.Error("Could not erase what Workflows passed over", "namespace", t.Namespace, "error", err)
		}
		if err := j.store.PrunePushes(ctx, t.ID); err != nil {
			j.log.Error("Could not erase what was pushed for a day", "namespace", t.Namespace, "error", err)
		}
		if err := j.store.PruneDeclaredApps(ctx, t.ID, now.Add(-declaredRetention)); err != nil {
			j.log.Error("Could not forget Applications that are gone", "namespace", t.Namespace, "error", err)
		}
		if err := j.store.PruneDeclaredContracts(ctx, t.ID, now.Add(-declaredRetention)); err != nil {
			j.log.Error("Could not forget Contracts that are gone", "namespace", t.Namespace, "error", err)
		}
		if err := j.store.PruneOwnConnectors(ctx, t.ID, now.Add(-declaredRetention)); err != nil {
			j.log.Error("Could not forget Connectors that are gone", "namespace", t.Namespace, "error", err)
		}
		if err := j.store.PruneAPIKeys(ctx, t.ID, now.Add(-keyRetention)); err != nil {
			j.log.Error("Could not forget keys that ended", "namespace", t.Namespace, "error", err)
		}
		if err := j.store.PruneInbox(ctx, t.ID, now.Add(-inboxRetention), now.Add(-letterRetention)); err != nil {
			j.log.Error("Could not erase received events", "namespace", t.Namespace, "error", err)
		}
		if err := j.store.PruneSCIMLog(ctx, t.ID, now.Add(-scimRetention)); err != nil {
			j.log.Error("Could not erase the log of SCIM", "namespace", t.Namespace, "error", err)
		}
		if err := j.store.PruneDelegations(ctx, t.ID, now.Add(-delegationRetention)); err != nil {
			j.log.Error("Could not erase ended delegations", "namespace", t.Namespace, "error", err)
		}
	}
}
