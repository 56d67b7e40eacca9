// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Turns bounds how much of one kind of work goes on at the same time in this
// process, so that connections and memory are left for others: so much of one
// tenant, and so much in all.
type Turns struct {
	perTenant int64
	all       *semaphore.Weighted // nil: no bound

	mu      sync.Mutex
	tenants map[model.TenantID]*semaphore.Weighted
}

// NewTurns bounds one tenant, and all of them together; 0 in all is no bound.
func NewTurns(perTenant, inAll int64) *Turns {
	t := &Turns{perTenant: perTenant, tenants: map[model.TenantID]*semaphore.Weighted{}}
	if inAll > 0 {
		t.all = semaphore.NewWeighted(inAll)
	}
	return t
}

// Enter waits for a turn as long as it may, and returns what ends it; false if
// none came in time. Without time to wait it takes what is free.
func (t *Turns) Enter(ctx context.Context, tenant model.TenantID, wait time.Duration) (leave func(), ok bool) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	own := t.of(tenant)
	if !acquire(ctx, own) {
		return nil, false
	}
	if t.all == nil {
		return func() { own.Release(1) }, true
	}
	if !acquire(ctx, t.all) {
		own.Release(1)
		return nil, false
	}
	return func() { t.all.Release(1); own.Release(1) }, true
}

func (t *Turns) of(tenant model.TenantID) *semaphore.Weighted {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.tenants[tenant]
	if own == nil {
		own = semaphore.NewWeighted(t.perTenant)
		t.tenants[tenant] = own
	}
	return own
}

// acquire takes what is free even when there is no time to wait.
func acquire(ctx context.Context, s *semaphore.Weighted) bool {
	return s.TryAcquire(1) || s.Acquire(ctx, 1) == nil
}
