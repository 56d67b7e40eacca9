// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"time"
)

// Spend takes one more request from the budget of a key, for each part of a
// request that could be one of its own. It returns how long to wait for it, or 0.
func (k *Keys) Spend(ctx context.Context, id KeyIdentity) time.Duration {
	return k.take(ctx, "key/"+id.KeyID, keyRate)
}
