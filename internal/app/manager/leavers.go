// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/leaver"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// leavers plans what happens to the accounts of somebody who leaves, by the
// manager's cache.
func (w *wiring) leavers(who *people) *leaver.Planner {
	return &leaver.Planner{Store: w.store, People: who, Catalog: &catalog{reader: w.GetClient()}, Objects: func(ctx context.Context, tenant model.TenantID) ([]v1alpha1.Application, []v1alpha1.Integration, error) {
		ns, err := w.spaces.of(ctx, tenant)
		if err != nil {
			return nil, nil, err
		}
		var apps v1alpha1.ApplicationList
		var all v1alpha1.IntegrationList
		if err := w.GetCache().List(ctx, &apps, client.InNamespace(ns)); err != nil {
			return nil, nil, fmt.Errorf("list Applications: %w", err)
		}
		if err := w.GetCache().List(ctx, &all, client.InNamespace(ns)); err != nil {
			return nil, nil, fmt.Errorf("list Integrations: %w", err)
		}
		return apps.Items, all.Items, nil
	}}
}
