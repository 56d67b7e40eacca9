// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// staleContract is how long ago the date of a contract may be that came to be known
// now: the contracts of many years are of no interest when they are first listed.
const staleContract = 31 * 24 * time.Hour

// contracts adds the dates of contracts that come next, and those that have come
// since the last look, or came to be known since. What waits for a date that is
// another one now is looked at as well, and ends.
func (l *look) contracts(ctx context.Context, w *watch, facts []fact) ([]fact, error) {
	all, err := l.Store.Contracts(ctx, l.tenant)
	if err != nil {
		return nil, err
	}
	org, err := l.Store.TenantFacts(ctx, l.tenant)
	if err != nil {
		return nil, err
	}
	clocks := workflow.ClocksOf(org, "")
	// What was written while the last look was taken came to be known since.
	since := w.ScannedAt.Add(-scanEvery)
	if since.Before(w.CreatedAt) {
		since = w.CreatedAt
	}
	now := map[string]bool{}
	var fresh []fact
	for _, c := range all {
		date := w.date(c.ContractFacts)
		if date == "" {
			continue
		}
		at, err := w.contractAt.Instant(string(date), clocks)
		if err != nil {
			continue // a source gives what is no date; its own check says so
		}
		key := w.contractKey(c.ContractFacts)
		now[key] = true
		late := !at.After(w.ScannedAt)
		if at.After(l.now.Add(ahead)) || late && (c.DatedAt.Before(since) || l.now.Sub(at) > staleContract) {
			continue // it comes later; or it had passed before the Workflow looked, and that was known
		}
		known := at
		if c.DatedAt.After(at) {
			known = c.DatedAt
		}
		if known.After(l.now) {
			known = l.now
		}
		fresh = append(fresh, fact{key: key, kind: kindContract, subject: c.Name, label: or(c.DisplayName, c.Name), source: c.Source, at: known, due: at,
			data: map[string]any{"date": string(date), "of": w.spec.Contract.Of, "before": int64(w.spec.Contract.Before)}})
	}
	if facts, err = l.unseen(ctx, w, facts, fresh); err != nil {
		return nil, err
	}
	return l.moved(ctx, w, facts, now)
}

// unseen adds those of the fresh facts of which nothing has been made.
func (l *look) unseen(ctx context.Context, w *watch, facts, fresh []fact) ([]fact, error) {
	keys := make([]string, len(fresh))
	for i, f := range fresh {
		keys[i] = f.key
	}
	taken, err := l.Store.TakenKeys(ctx, l.tenant, w.Name, keys)
	if err != nil {
		return nil, err
	}
	for _, f := range fresh {
		if !taken[f.key] && !hasKey(facts, f.key) {
			facts = append(facts, f)
		}
	}
	return facts, nil
}

func hasKey(facts []fact, key string) bool {
	return slices.ContainsFunc(facts, func(f fact) bool { return f.key == key })
}

// moved adds what waits for something that is no longer so, for it to end now and
// not when it is due.
func (l *look) moved(ctx context.Context, w *watch, facts []fact, now map[string]bool) ([]fact, error) {
	rows, err := l.Store.ListStarts(ctx, l.tenant, store.StartQuery{Workflow: w.Name, States: []string{string(store.StartWaiting), string(store.StartHeld)}, Limit: maxWaiting})
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if now[row.Key] || hasKey(facts, row.Key) {
			continue
		}
		f, err := waiting(row)
		if err != nil {
			return nil, err
		}
		facts = append(facts, f)
	}
	return facts, nil
}

// maxWaiting bounds how many starts one look goes through for this.
const maxWaiting = 1000

// licenses adds unused seats of which nothing has been made, some at a time; more
// says that there are others.
func (l *look) licenses(ctx context.Context, w *watch, facts []fact) (_ []fact, more bool, err error) {
	cursor := watchKey{l.tenant, w.Name}
	after := l.seats[cursor]
	delete(l.seats, cursor)
	found, err := l.findings(ctx, w, after)
	if errors.Is(err, store.ErrNotFound) { // the LicensePolicy is gone, which the Workflow's status says
		return facts, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("find unused seats: %w", err)
	}
	var fresh []fact
	for _, f := range found {
		fresh = append(fresh, fact{key: w.licenseKey(f), kind: kindLicense, person: f.PersonID, subject: f.Integration + "/" + f.AccountID, source: f.Integration,
			label: f.AccountID, at: l.now, due: l.now,
			data: map[string]any{"integration": f.Integration, "externalId": f.AccountID, "planKey": f.PlanKey, "since": string(f.Since), "reason": f.Reason}})
	}
	if len(found) == batch {
		last := found[batch-1].Key()
		l.seats[cursor], more = &last, true
	}
	facts, err = l.unseen(ctx, w, facts, fresh)
	return facts, more, err
}

func (l *look) findings(ctx context.Context, w *watch, after *model.SeatKey) ([]model.Finding, error) {
	if l.Seats == nil {
		return nil, nil
	}
	if policy := w.spec.License.Policy; policy != "" {
		return l.Seats.Found(ctx, l.tenant, policy, after, batch)
	}
	all, err := l.Seats.For(ctx, l.tenant, w.spec.License.InactiveFor, nil)
	if err != nil {
		return nil, err
	}
	if after != nil {
		i := slices.IndexFunc(all, func(f model.Finding) bool { return f.Key() == *after })
		all = all[i+1:] // from the beginning where it is used again
	}
	return all[:min(len(all), batch)], nil
}

// unused is what is found of one seat now; nil: it is none that may be taken.
func (l *look) unused(ctx context.Context, w *watch, seat model.SeatKey) (*model.Finding, error) {
	if l.Seats == nil {
		return nil, nil
	}
	var found []model.Finding
	var err error
	if policy := w.spec.License.Policy; policy != "" {
		found, err = l.Seats.Seat(ctx, l.tenant, policy, seat)
	} else {
		found, err = l.Seats.For(ctx, l.tenant, w.spec.License.InactiveFor, &seat)
	}
	switch {
	case errors.Is(err, store.ErrNotFound): // the LicensePolicy is gone
		return nil, nil
	case err != nil || len(found) == 0:
		return nil, err
	}
	return &found[0], nil
}
