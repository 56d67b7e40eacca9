// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Request asks for one evaluation.
type Request struct {
	Rules  *policy.Compiled
	Prices map[model.SeatKey]model.Price // by integration and plan
	Guard  model.Guard
	Per    time.Duration // the guard's window
	Now    time.Time
	// NewRun makes the run that acts on a seat; nil acts on none.
	NewRun func(model.Seat, policy.Candidate, *model.Money) (run store.NewRun, err error)
	// MayAct says whether seats of an Integration may be acted on.
	MayAct func(integration string) bool
	// Directory is the group whose membership gives people their seats, if runs
	// end it instead of the seat itself.
	Directory *Group
	// Observe leaves runs and hold as they are: the policy acts, but not now.
	Observe bool
}

// Group is a group of an identity provider.
type Group struct{ Integration, ExternalID string }

// Result is what an evaluation found and did.
type Result struct {
	Counts policy.Counts
	// Started is how many runs are new.
	Started int
	// Held is what the guard holds, nil for nothing.
	Held *store.Hold
	// Barred is how many idle seats nothing may act on.
	Barred int64
}

// Evaluate judges every seat of a policy, writes what changed, and starts runs
// as far as the guard lets it.
func Evaluate(ctx context.Context, st Store, tenant model.TenantID, req Request) (Result, error) {
	name := req.Rules.Policy
	runs, err := st.PolicyRuns(ctx, tenant, name, req.Now.Add(-req.Per))
	if err != nil {
		return Result{}, err
	}
	facts, err := gather(ctx, st, tenant, req, runs.Active)
	if err != nil {
		return Result{}, err
	}
	if err := st.SetSeatPrices(ctx, tenant, name, req.Prices); err != nil {
		return Result{}, err
	}
	reclaimed, err := st.FirstReclaim(ctx, tenant, name)
	if err != nil {
		return Result{}, fmt.Errorf("read the ledger: %w", err)
	}
	e := policy.NewEvaluator(req.Rules, facts, req.Now)
	reuse := reuses{since: reclaimed}
	if _, err := st.ReplaceFindings(ctx, tenant, name, findings(ctx, st, tenant, e, filterOf(req.Rules), &reuse)); err != nil {
		return Result{}, err
	}
	if len(reuse.list) > 0 {
		if _, err := st.BookReuse(ctx, tenant, name, reuse.list); err != nil {
			return Result{}, err
		}
	}
	counts, candidates := e.Result()
	result := Result{Counts: counts}
	if err := act(ctx, st, tenant, req, candidates, runs.StartedSince, &result); err != nil {
		return result, err
	}
	raw, err := json.Marshal(counts)
	if err != nil {
		return result, err
	}
	have, err := st.Policy(ctx, tenant, name)
	if err != nil || string(have.Counts) == string(raw) {
		return result, err
	}
	return result, st.SetPolicyResult(ctx, tenant, name, raw, have.DataVersion)
}

// reuses collects seats that came after the first reclaim.
type reuses struct {
	since time.Time
	list  []store.Reuse
}

func (r *reuses) see(s model.Seat) {
	if !r.since.IsZero() && s.ObservedSince.After(r.since) {
		r.list = append(r.list, store.Reuse{Integration: s.Integration, AccountID: s.AccountExternalID, PlanKey: s.PlanKey, PersonID: s.PersonID, At: s.ObservedSince})
	}
}

// stopped ends a stream whose reader has gone.
var errStopped = errors.New("stopped")

// findings judges the stream of seats as it is read.
func findings(ctx context.Context, st Store, tenant model.TenantID, e *policy.Evaluator, filter store.SeatFilter, reuse *reuses) func(func(model.Finding, error) bool) {
	return func(yield func(model.Finding, error) bool) {
		err := st.Seats(ctx, tenant, filter, func(s model.Seat) error {
			f, ok := e.Seat(ctx, s)
			if !ok {
				return nil
			}
			reuse.see(s)
			if !yield(f, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(model.Finding{}, err)
		}
	}
}

// filterOf selects the seats that a policy is about.
func filterOf(rules *policy.Compiled) store.SeatFilter {
	f := store.SeatFilter{PaidOnly: rules.Plans == nil, KnownAs: make(map[string]model.AppIdentity, len(rules.Sources))}
	for name, source := range rules.Sources {
		f.Integrations = append(f.Integrations, name)
		if f.KnownAs[name] = source.KnownAs; len(source.KnownAs.Names) == 0 {
			f.KnownAs[name] = model.AppIdentity{Names: []string{strings.ToLower(source.App)}} // stored before there was more
		}
	}
	slices.Sort(f.Integrations)
	return f
}

// accountOf selects the seats of one account, with what filterOf would show of
// their use.
func accountOf(rules *policy.Compiled, integration, account string) store.SeatFilter {
	f := filterOf(rules)
	f.Integrations, f.Account, f.PaidOnly = []string{integration}, account, false
	if id, ok := f.KnownAs[integration]; ok {
		f.KnownAs = map[string]model.AppIdentity{integration: id}
	}
	return f
}

func gather(ctx context.Context, st Store, tenant model.TenantID, req Request, inFlight map[string]bool) (policy.Facts, error) {
	facts := policy.Facts{Keeps: map[model.SeatKey]model.Keep{}, InFlight: inFlight, Prices: req.Prices}
	keeps, err := st.Keeps(ctx, tenant, req.Rules.Policy)
	if err != nil {
		return facts, fmt.Errorf("read keeps: %w", err)
	}
	for _, k := range keeps {
		facts.Keeps[model.SeatKey{Integration: k.Integration, AccountID: k.AccountID, PlanKey: k.PlanKey}] = k
	}
	if facts.Admins, err = st.Admins(ctx, tenant, filterOf(req.Rules).Integrations); err != nil {
		return facts, err
	}
	if facts.Groups, err = groupsOf(ctx, st, tenant, req.Rules); err != nil {
		return facts, err
	}
	if req.Directory != nil {
		facts.Directory, err = directoryOf(ctx, st, tenant, *req.Directory, "")
	}
	return facts, err
}

// directoryOf returns how people, or one, stand to a group.
func directoryOf(ctx context.Context, st Store, tenant model.TenantID, g Group, person string) (*policy.Directory, error) {
	accounts, err := st.DirectoryAccounts(ctx, tenant, g.Integration, g.ExternalID, person)
	return &policy.Directory{Integration: g.Integration, Accounts: accounts}, err
}

// groupsOf returns the groups of each person, of those that the rules mention.
func groupsOf(ctx context.Context, st Store, tenant model.TenantID, rules *policy.Compiled) (map[string][]string, error) {
	if !rules.NeedsGroups() {
		return nil, nil
	}
	people, err := st.GroupPeople(ctx, tenant, rules.Groups())
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for group, ids := range people {
		for _, id := range ids {
			out[id] = append(out[id], group)
		}
	}
	return out, nil
}
