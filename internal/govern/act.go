// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// lookups is how many seats are read one by one before the whole stream is
// read again instead.
const lookups = 256

// runBatch is how many runs one transaction starts.
const runBatch = 500

// act starts runs for candidates as far as the guard goes and holds the rest.
// Report mode (no NewRun) and Integrations that may not be acted on start
// nothing. What a person released starts whatever the guard says, once: a run's
// trigger key makes sure of that.
func act(ctx context.Context, st Store, tenant model.TenantID, req Request, candidates []policy.Candidate, started int64, result *Result) error {
	subject := store.PolicyHold(req.Rules.Policy)
	if req.NewRun == nil {
		return st.ClearHold(ctx, tenant, subject)
	}
	var actable []policy.Candidate
	for _, c := range candidates {
		if req.MayAct(c.Integration) {
			actable = append(actable, c)
		} else {
			result.Barred++
		}
	}
	released, err := st.ReleasedItems(ctx, tenant, subject)
	if err != nil {
		return err
	}
	s := policy.Select(actable, req.Guard, result.Counts.Covered, started, released)
	if req.Observe {
		return observe(ctx, st, tenant, req, s.Start, released, result)
	}
	if result.Started, err = start(ctx, st, tenant, req, s.Start); err != nil {
		return err
	}
	result.Counts.InFlight += int64(len(s.Start))
	if len(s.Held) == 0 {
		return st.ClearHold(ctx, tenant, subject)
	}
	items := make([]store.HoldItem, len(s.Held))
	for i, c := range s.Held {
		items[i] = store.HoldItem{Item: c.TriggerKey(), Label: c.Label, Detail: c.Reason + " since " + string(c.Since)}
	}
	hold, err := st.PutHold(ctx, tenant, store.Hold{HoldSubject: subject, Count: int64(len(items)), Total: result.Counts.Covered, Allowed: s.Allowed,
		Reason: policy.ReasonGuardHeld}, items)
	if err != nil {
		return err
	}
	result.Held = &hold
	return nil
}

// observe starts what a person released and nothing else, and leaves what is
// held as it is.
func observe(ctx context.Context, st Store, tenant model.TenantID, req Request, selected []policy.Candidate, released map[string]bool, result *Result) (err error) {
	subject := store.PolicyHold(req.Rules.Policy)
	if len(released) > 0 {
		free := slices.DeleteFunc(selected, func(c policy.Candidate) bool { return !released[c.TriggerKey()] })
		result.Counts.InFlight += int64(len(free))
		if result.Started, err = start(ctx, st, tenant, req, free); err != nil {
			return err
		}
		return st.ClearHold(ctx, tenant, subject)
	}
	hold, err := st.Hold(ctx, tenant, subject)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	result.Held = &hold
	return err
}

// start starts one run per candidate.
func start(ctx context.Context, st Store, tenant model.TenantID, req Request, candidates []policy.Candidate) (started int, err error) {
	if len(candidates) == 0 {
		return 0, nil
	}
	want := make(map[model.SeatKey]policy.Candidate, len(candidates))
	for _, c := range candidates {
		want[c.SeatKey] = c
	}
	var batch []store.NewRun
	flush := func() error {
		n, err := st.CreateRuns(ctx, tenant, batch)
		started, batch = started+n, batch[:0]
		return err
	}
	err = seatsOf(ctx, st, tenant, req.Rules, candidates, func(s model.Seat) error {
		c, ok := want[model.SeatKey{Integration: s.Integration, AccountID: s.AccountExternalID, PlanKey: s.PlanKey}]
		if !ok {
			return nil
		}
		run, err := req.NewRun(s, c, annualOf(req.Prices, s))
		if err != nil {
			return fmt.Errorf("start the run for seat %s: %w", c.Subject(), err)
		}
		if batch = append(batch, run); len(batch) < runBatch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return started, err
	}
	if len(batch) > 0 {
		err = flush()
	}
	return started, err
}

// seatsOf reads the seats of a few candidates one by one, of many in one pass.
func seatsOf(ctx context.Context, st Store, tenant model.TenantID, rules *policy.Compiled, candidates []policy.Candidate, fn func(model.Seat) error) error {
	if len(candidates) > lookups {
		return st.Seats(ctx, tenant, filterOf(rules), fn)
	}
	seen := map[model.SeatKey]bool{}
	for _, c := range candidates {
		account := model.SeatKey{Integration: c.Integration, AccountID: c.AccountID}
		if seen[account] {
			continue
		}
		seen[account] = true
		if err := st.Seats(ctx, tenant, accountOf(rules, c.Integration, c.AccountID), fn); err != nil {
			return err
		}
	}
	return nil
}

func annualOf(prices map[model.SeatKey]model.Price, s model.Seat) *model.Money {
	price, ok := prices[model.SeatKey{Integration: s.Integration, PlanKey: s.PlanKey}]
	if !ok {
		return nil
	}
	annual, ok := price.Annual()
	if !ok {
		return nil
	}
	return &annual
}
