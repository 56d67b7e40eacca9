// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Use is the tri-state alone, whoever holds the seat: Active, Inactive or
// Unknown. Roll-ups count with it.
func (c *Compiled) Use(s model.Seat, now time.Time) model.SeatClass { return c.judge(s, now).class }
