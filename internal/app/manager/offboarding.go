// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/leaver"
	"github.com/seatkeeper/seatkeeper/internal/offboarding"
)

// Offboarding implements the Application controller's Backend.
func (c *catalog) Offboarding(ctx context.Context, i *v1alpha1.Integration) offboarding.Integration {
	m := c.manifest(ctx, i)
	if m == nil {
		return leaver.Integration(i, false, nil)
	}
	return leaver.Integration(i, true, m.Actions())
}
