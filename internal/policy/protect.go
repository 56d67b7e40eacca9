// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// protections are the links of the chain that hold whatever is to be done with
// an account.
var protections = []check{protectedListed, protectedService, protectedRule, lastAdmin}

// Protects says whether nobody may touch the account of a seat, and why. An
// expression that fails protects.
func Protects(ctx context.Context, p Protected, in Input) (reason string, protected bool, err error) {
	c, err := Compile(Rules{InactiveAfterDays: 1, Protected: p})
	if err != nil {
		return "", true, err
	}
	for _, link := range protections {
		d, ok := link(ctx, c, in, usage{})
		if ok && (d.Class == model.SeatProtected || d.Class == model.SeatUnknown) {
			return d.Reason, true, nil
		}
	}
	return "", false, nil
}
