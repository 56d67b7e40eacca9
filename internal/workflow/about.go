// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// varAbout is the variable of a run with its About. No expression sees it.
const varAbout = "about"

// About names what a run is about beside a person, for it to be read again.
type About struct {
	// App is an Application, or "INTEGRATION/ID" of what discovered the app; of a
	// contract, what it is about. Empty: none is known.
	App      string     `json:"app,omitempty"`
	Contract string     `json:"contract,omitempty"`
	Seat     *AboutSeat `json:"seat,omitempty"`
}

// AboutSeat names a seat, and who looks at its use: a LicensePolicy, or the trigger
// itself for so many days.
type AboutSeat struct {
	Integration string `json:"integration"`
	AccountID   string `json:"accountID"`
	PlanKey     string `json:"planKey"`
	Policy      string `json:"policy,omitempty"`
	InactiveFor int    `json:"inactiveFor,omitempty"`
}

// SubjectStore reads what runs are about.
type SubjectStore interface {
	App(ctx context.Context, tenant model.TenantID, name string) (model.AppFacts, error)
	Contract(ctx context.Context, tenant model.TenantID, name string) (store.KnownContract, error)
	AppOfContract(ctx context.Context, tenant model.TenantID, c model.ContractFacts) (model.AppFacts, error)
	SeatFacts(ctx context.Context, tenant model.TenantID, f model.Finding) (model.SeatFacts, model.AppFacts, error)
}

// Seats looks at the use of seats; govern.Unused is it.
type Seats interface {
	// Now returns what a LicensePolicy, or without one a look at so many days, finds
	// of a seat, be it used or not; nothing where nobody looks at it.
	Now(ctx context.Context, tenant model.TenantID, policy string, days int, seat model.SeatKey) ([]model.Finding, error)
}

// DaysUnused is for how many days a seat is unused that is so since a day; 0: it is
// used.
func DaysUnused(since model.Date, now time.Time) int64 {
	t, ok := since.In(time.UTC)
	if !ok {
		return 0
	}
	return max(0, int64(now.Sub(t)/(24*time.Hour)))
}

// aboutElse is what the run is about beside a person; nil: nothing.
func (t *turn) aboutElse() *About {
	if !t.program.cel || t.vars[varAbout] == nil {
		return nil
	}
	a := &About{}
	if err := t.vars.decode(varAbout, a); err != nil {
		return nil // a defect: it stays as last known
	}
	return a
}

// renew has the variables of what the run is about as they are now. What is gone
// stays as last known.
func (t *turn) renew(p *prepared) {
	if p.person != nil {
		t.vars["person"] = p.person
	}
	maps.Copy(t.vars, p.about)
}

// gatherAbout reads what the run is about again.
func (e *Engine) gatherAbout(ctx context.Context, tenant model.TenantID, a About) (map[string]any, error) {
	switch {
	case a.Seat != nil:
		return e.gatherSeat(ctx, tenant, *a.Seat)
	case a.Contract != "":
		c, err := e.o.Store.Contract(ctx, tenant, a.Contract)
		if errors.Is(err, store.ErrNotFound) {
			break // its app may be there still
		}
		if err != nil {
			return nil, err
		}
		app, err := e.o.Store.AppOfContract(ctx, tenant, c.ContractFacts)
		return map[string]any{"contract": contractVars(c.ContractFacts), "application": appVars(app, true)}, err
	}
	if a.App == "" {
		return nil, nil
	}
	app, err := e.o.Store.App(ctx, tenant, a.App)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return map[string]any{"application": appVars(app, true)}, err
}

func (e *Engine) gatherSeat(ctx context.Context, tenant model.TenantID, s AboutSeat) (map[string]any, error) {
	if e.o.Seats == nil {
		return nil, nil
	}
	found, err := e.o.Seats.Now(ctx, tenant, s.Policy, s.InactiveFor, model.SeatKey{Integration: s.Integration, AccountID: s.AccountID, PlanKey: s.PlanKey})
	if err != nil {
		return nil, fmt.Errorf("look at the seat: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	seat, app, err := e.o.Store.SeatFacts(ctx, tenant, found[0])
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	seat.Days = DaysUnused(found[0].Since, e.o.Clock.Now())
	return map[string]any{"license": licenseVars(seat), "application": appVars(app, false)}, err
}
