// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/controllers/organization"
	"github.com/seatkeeper/seatkeeper/internal/defect"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// When the requests of an identity provider count as failing. Entra ID
// quarantines a job from 40 % on.
const (
	scimWindow      = 30 * time.Minute
	scimMinRequests = 10
	scimMaxFailures = 40 // per cent
)

// scimRetention is how long requests of identity providers stay for a look back.
const scimRetention = 30 * 24 * time.Hour

// SCIM implements organization.Backend.
func (b organizations) SCIM(ctx context.Context, namespace string) (organization.SCIMState, error) {
	var out organization.SCIMState
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if err != nil {
		return out, err
	}
	health, err := b.store.SCIMHealth(ctx, tenant, b.clock.Now().Add(-scimWindow))
	if err != nil {
		return out, err
	}
	out.Failing = health.Requests >= scimMinRequests && health.Failures*100 > health.Requests*scimMaxFailures
	h, err := b.store.Hold(ctx, tenant, store.SCIMLeaversHold())
	if errors.Is(err, store.ErrNotFound) || err == nil && h.ReleasedAt != nil {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Held = &v1alpha1.HeldSet{Digest: h.Digest, Count: h.Count, Total: h.Total, Allowed: h.Allowed, Reason: v1alpha1.ReasonGuardHeld}
	return out, nil
}

// leaversInterval is how often those are looked at whom an identity provider
// has disabled.
const leaversInterval = 15 * time.Second

// scimLeavers lets people go whom an identity provider has disabled, where it
// decides who works here, as far as the guard lets them.
type scimLeavers struct {
	store *store.Store
	clock clock.WithTicker
	log   *slog.Logger
}

// NeedLeaderElection tells controller-runtime that one replica is enough.
func (l *scimLeavers) NeedLeaderElection() bool { return true }

// Start looks again and again, until ctx ends.
func (l *scimLeavers) Start(ctx context.Context) error {
	ticker := l.clock.NewTicker(leaversInterval)
	defer ticker.Stop()
	for {
		l.settle(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

func (l *scimLeavers) settle(ctx context.Context) {
	tenants, err := l.store.SCIMLeaverTenants(ctx)
	if err != nil && ctx.Err() == nil {
		l.log.Error("Could not look for people who left over SCIM", "error", err)
	}
	for _, t := range tenants {
		var left int64
		err := defect.Guard(func() (err error) { left, _, err = l.store.SettleSCIMLeavers(ctx, t.ID); return err })
		if err != nil && ctx.Err() == nil {
			l.log.Error("Could not settle who left over SCIM", append([]any{"namespace", t.Namespace}, defect.Attrs(err)...)...)
		}
		if left > 0 {
			l.log.Info("People left, as the identity provider says", "namespace", t.Namespace, "people", left)
		}
	}
}
