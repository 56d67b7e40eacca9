// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/store"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

func concurrency(c *v1alpha1.Concurrency) *engine.Concurrency {
	if c == nil {
		return nil
	}
	return &engine.Concurrency{Max: int(c.Max), Key: string(c.Key), Policy: cmp.Or(store.SlotPolicy(c.Policy), store.SlotQueue)}
}
