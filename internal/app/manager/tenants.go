// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// tenantNames finds the namespace of a tenant.
type tenantNames struct{ names *store.Namespaces }

func newTenantNames(st *store.Store) *tenantNames {
	return &tenantNames{names: &store.Namespaces{Store: st}}
}

func (t *tenantNames) of(ctx context.Context, tenant model.TenantID) (string, error) {
	return t.names.Of(ctx, tenant)
}
