// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"context"
	"errors"

	"github.com/seatkeeper/seatkeeper/internal/schedule"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// clocks are what the moment of a run goes by that would begin with these
// variables. The organisation's days of work are read where they matter: no run
// keeps them.
func (l *look) clocks(ctx context.Context, m *moment, all map[string]any) (workflow.Clocks, error) {
	c := workflow.ClocksIn(all)
	if m == nil || m.OffsetBusinessDays == nil {
		return c, nil
	}
	facts, err := l.Store.TenantFacts(ctx, l.tenant)
	if err != nil {
		return c, err
	}
	c.Weekdays, c.Holidays = facts.Workday.Weekdays, facts.Workday.Holidays
	return c, nil
}

// between are the dates of which the moment is on a day from first to last, and
// perhaps some around them.
func (l *look) between(ctx context.Context, m *moment, first, last schedule.Day) (from, to schedule.Day, err error) {
	if m.OffsetBusinessDays == nil {
		return first.AddDays(-m.OffsetDays), last.AddDays(-m.OffsetDays), nil
	}
	c, err := l.clocks(ctx, m, nil)
	if err != nil {
		return first, last, err
	}
	days, err := c.Business()
	if err == nil && *m.OffsetBusinessDays >= 0 {
		first, err = days.Add(first, -*m.OffsetBusinessDays-1)
	} else if err == nil {
		last, err = days.Add(last, 1-*m.OffsetBusinessDays)
	}
	if err != nil && !errors.Is(err, schedule.ErrNoBusinessDay) {
		return first, last, err
	}
	return first, last, nil
}
