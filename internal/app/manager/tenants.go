// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"fmt"
	"sync"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// tenantNames remembers the namespace of each tenant, which never changes.
type tenantNames struct {
	store *store.Store

	mu    sync.Mutex
	known map[model.TenantID]string
}

func (t *tenantNames) of(ctx context.Context, tenant model.TenantID) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ns, ok := t.known[tenant]; ok {
		return ns, nil
	}
	list, err := t.store.Tenants(ctx)
	if err != nil {
		return "", err
	}
	t.known = make(map[model.TenantID]string, len(list))
	for _, x := range list {
		t.known[x.ID] = x.Namespace
	}
	ns, ok := t.known[tenant]
	if !ok {
		return "", fmt.Errorf("tenant %d: %w", tenant, store.ErrNotFound)
	}
	return ns, nil
}
