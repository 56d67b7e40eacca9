// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Seat is a paid seat and what one policy says of it.
type Seat struct {
	Policy            string                `json:"policy,omitempty"`
	Integration       string                `json:"integration"`
	AccountExternalID string                `json:"accountExternalID"`
	AccountKind       model.AccountKind     `json:"accountKind"`
	Holder            string                `json:"holder"`
	Email             string                `json:"email,omitempty"`
	PersonID          string                `json:"personID,omitempty"`
	Department        string                `json:"department,omitempty"`
	PlanKey           string                `json:"planKey"`
	PlanName          string                `json:"planName"`
	Class             model.SeatClass       `json:"class"` // empty: no policy covers it
	Use               model.Use             `json:"use,omitempty"`
	Reason            string                `json:"reason,omitempty"`
	LastUse           string                `json:"lastUse"` // a date, "recent" (inside the window), "never" or "unknown"
	LastUseSource     string                `json:"lastUseSource,omitempty"`
	IdleSince         model.Date            `json:"idleSince,omitempty"`
	AnnualCost        *model.Money          `json:"annualCost,omitempty"`
	State             model.AssignmentState `json:"state"`
}

func seatView(v store.SeatVerdict) Seat {
	s := Seat{
		Policy: v.Policy, Integration: v.Integration, AccountExternalID: v.AccountID, AccountKind: cmp.Or(v.AccountKind, model.AccountHuman),
		Holder: v.Holder, Email: v.Email, PersonID: v.PersonID, Department: v.Department, PlanKey: v.PlanKey, PlanName: v.PlanName,
		Class: v.Class, Use: v.Use, Reason: v.Reason, LastUse: "unknown", LastUseSource: v.Evidence.Source, IdleSince: v.Since, AnnualCost: v.Annual, State: v.State,
	}
	switch {
	case v.Evidence.LastUsed != nil:
		s.LastUse = v.Evidence.LastUsed.UTC().Format(time.DateOnly)
	case v.Use == model.UseActive:
		// The day moves with every use, and is kept of idle seats only.
		s.LastUse = "recent"
	case v.Use == model.UseInactive:
		s.LastUse = "never"
	}
	return s
}

func (a *API) seats(c *call) (any, error) {
	q := store.VerdictQuery{Page: c.page(), Policy: c.query.Get("policy"), Integration: c.query.Get("integration"), PersonID: c.query.Get("person")}
	classes, err := oneOf(c, "class", model.SeatActive, model.SeatInactive, model.SeatUnknown, model.SeatExempt, model.SeatProtected,
		model.SeatHeld, model.SeatKept, model.SeatInFlight)
	if err != nil {
		return nil, err
	}
	uses, err := oneOf(c, "use", model.UseActive, model.UseInactive, model.UseUnknown)
	if err != nil {
		return nil, err
	}
	q.Classes, q.Uses = plain(classes), plain(uses)
	found, next, err := a.Store.SeatVerdicts(c, c.tenant, q)
	if err != nil {
		return nil, cursorError(err)
	}
	views := make([]Seat, len(found))
	for i, f := range found {
		views[i] = seatView(f)
	}
	return page("SeatList", views, next), nil
}

// Saving is one line of the ledger.
type Saving struct {
	ID         string           `json:"id"`
	At         time.Time        `json:"at"`
	Kind       model.LedgerKind `json:"kind"`
	Amount     *model.Money     `json:"amount,omitempty"` // absent: unknown
	Quantity   int64            `json:"quantity"`
	App        string           `json:"app"`
	Policy     string           `json:"policy,omitempty"`
	Plan       string           `json:"plan,omitempty"`
	Department string           `json:"department,omitempty"`
	PersonID   string           `json:"personID,omitempty"`
	Contract   string           `json:"contract,omitempty"`
	Line       string           `json:"line,omitempty"`
	Effective  model.Date       `json:"effective,omitempty"`
	RunID      string           `json:"runID,omitempty"`
	DecidedBy  string           `json:"decidedBy,omitempty"`
	Reason     string           `json:"reason,omitempty"`
}

func (a *API) savings(c *call) (any, error) {
	entries, err := a.Store.Ledger(c, c.tenant, store.LedgerQuery{
		Kind: model.LedgerKind(c.query.Get("kind")), Policy: c.query.Get("policy"), App: c.query.Get("app"), RunID: c.query.Get("run"),
		Before: c.query.Get("continue"), Limit: c.limit,
	})
	if err != nil {
		return nil, err
	}
	views := make([]Saving, len(entries))
	for i, e := range entries {
		views[i] = Saving{
			ID: e.ID, At: e.At, Kind: e.Kind, Amount: e.Amount, Quantity: e.Quantity, App: e.App, Policy: e.Policy, Plan: e.PlanKey, Department: e.Department,
			PersonID: e.PersonID, Contract: e.Contract, Line: e.Line, Effective: e.EffectiveOn, RunID: e.RunID, DecidedBy: e.DecidedBy, Reason: e.Reason,
		}
	}
	return page("SavingList", views, c.next(len(entries), func(i int) string { return entries[i].ID })), nil
}

func (a *API) audit(c *call) (any, error) {
	records, err := a.Store.Audit(c, c.tenant, store.AuditQuery{
		Action: c.query.Get("action"), Actor: c.query.Get("actor"), RunID: c.query.Get("run"), PersonID: c.query.Get("person"),
		ObjectKind: c.query.Get("objectKind"), ObjectName: c.query.Get("objectName"), Before: c.query.Get("continue"), Limit: c.limit,
	})
	if err != nil {
		return nil, err
	}
	return page("AuditRecordList", records, c.next(len(records), func(i int) string { return records[i].ID })), nil
}

// next is the cursor of lists that page by the id of the last row: empty when
// the page was not full.
func (c *call) next(n int, id func(int) string) string {
	limit := c.limit
	if limit == 0 {
		limit = 100 // the store's default
	}
	if n == 0 || n < limit {
		return ""
	}
	return id(n - 1)
}

// decode reads a small JSON body strictly.
func (c *call) decode(into any) error {
	dec := json.NewDecoder(httpMaxBytes(c.request))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return badRequest("body: %v", err)
	}
	return nil
}
