// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Reasons of verdicts about the accounts of leavers.
const (
	ReasonReturned         = "Returned"
	ReasonAccountGone      = "AccountGone"
	ReasonNotLeft          = "PersonNotLeft"
	ReasonNotSynced        = "AccountNotSynced"
	ReasonWorkflowStopped  = "WorkflowSuspended"
	ReasonProtectionBroken = "ProtectionUnknown"
)

// shownAfter is how long after a call an account that was read may still be as
// it was before.
const shownAfter = time.Hour

// maxLeaverAccounts bounds the accounts of one person.
const maxLeaverAccounts = 1000

// leaver is what a run knows of the account that it is about.
type leaver struct {
	Leaver struct {
		Integration string                 `json:"integration"`
		AccountID   string                 `json:"accountID"`
		AppID       string                 `json:"appID"`
		Calls       []workflow.LeavingCall `json:"calls"`
		Lifecycle   model.Lifecycle        `json:"lifecycle"`
		Period      int64                  `json:"period"`
	} `json:"leaver"`
	Steps map[string]struct {
		At string `json:"at"`
	} `json:"steps"`
}

// done is how many of the calls have succeeded, and when the last did.
func (l leaver) done() (n int, at time.Time) {
	for {
		s, ok := l.Steps["act"+strconv.Itoa(n)]
		if !ok {
			return n, at
		}
		if when, err := time.Parse(time.RFC3339, s.At); err == nil {
			at = when
		}
		n++
	}
}

// back reports that the person is employed anew since the step began: they had
// left and have not any more, or a later employment counts.
func (l leaver) back(p store.PersonView) bool {
	if p.Lifecycle == model.LifecyclePast {
		return false
	}
	return l.Leaver.Lifecycle == model.LifecyclePast || p.Period > l.Leaver.Period
}

// LeaverFacts is what the store knows of a leaver's account at an instant.
type LeaverFacts struct {
	// Suspended: the Workflow that offboards is.
	Suspended bool
	// Account is nil where it is gone, or somebody else's.
	Account *store.AccountView
	// Aside: only an identity provider listed the account, and a person takes it
	// away. That it is gone from there says nothing of the app.
	Aside bool
	// Person is nil for one who is gone from the directory.
	Person *store.PersonView
	// Protected is why the account may not be touched; empty: it may.
	Protected string
	// Tracked: something tells when people leave.
	Tracked bool
	// Back: the person had left, or was about to, and is employed anew.
	Back bool
}

// JudgeLeaver decides whether the next call on a leaver's account may be sent.
// afterGrace says that a grace period lies before it, and since when the account
// is stopped.
func JudgeLeaver(f LeaverFacts, afterGrace bool, since time.Time) workflow.Verdict {
	switch {
	case f.Protected != "":
		return drop(ReasonProtected, "The person or the account is protected ("+f.Protected+"); nothing is done.")
	case f.Account == nil && !f.Aside:
		return drop(ReasonAccountGone, "The account is no longer there, or no longer this person's; nothing is done.")
	case f.Back:
		return drop(ReasonReturned, "The person is back; nothing more is done to the account.")
	case f.Suspended:
		return hold(ReasonWorkflowStopped, "The Workflow is suspended; nothing is done until it goes on.")
	case !afterGrace:
		return workflow.Verdict{Decision: workflow.Go}
	case f.Account.SyncedAt.Before(since.Add(shownAfter)):
		return hold(ReasonNotSynced, "The account was not read since it was stopped; it is not deleted before it is known that nobody has opened it again.")
	case f.Account.Status == model.AccountActive:
		return drop(ReasonReturned, "Somebody has opened the account again; it is not deleted.")
	case f.Tracked && f.Person != nil && f.Person.Lifecycle != model.LifecyclePast:
		return hold(ReasonNotLeft, "The directory says that the person has not left; the account is not deleted until it does.")
	}
	return workflow.Verdict{Decision: workflow.Go}
}

// recheckLeaver looks again right before a call on a leaver's account.
func (r *Rechecker) recheckLeaver(ctx context.Context, tenant model.TenantID, run workflow.Subject) (workflow.Verdict, error) {
	var l leaver
	if err := json.Unmarshal(run.Vars, &l); err != nil {
		return workflow.Verdict{}, fmt.Errorf("recheck run %s: variables: %w", run.RunID, err)
	}
	f, err := r.leaverFacts(ctx, tenant, run, l)
	if err != nil {
		return workflow.Verdict{}, err
	}
	next, at := l.done()
	return JudgeLeaver(f, next < len(l.Leaver.Calls) && l.Leaver.Calls[next].AfterDays > 0, at), nil
}

func (r *Rechecker) leaverFacts(ctx context.Context, tenant model.TenantID, run workflow.Subject, l leaver) (f LeaverFacts, err error) {
	w, err := r.store.Workflow(ctx, tenant, run.Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return f, err
	}
	f.Suspended, f.Aside = w.Suspended, l.Leaver.AppID != "" && len(l.Leaver.Calls) == 0
	org, err := r.store.TenantFacts(ctx, tenant)
	if err != nil {
		return f, err
	}
	f.Tracked = org.LifecycleIntegration != "" || org.LifecycleSCIM
	switch p, err := r.store.Person(ctx, tenant, run.PersonID); {
	case err == nil:
		f.Person, f.Back = &p, l.back(p)
	case !errors.Is(err, store.ErrNotFound):
		return f, err
	}
	found, _, err := r.store.ListAccounts(ctx, tenant, store.AccountQuery{
		Page: store.Page{Limit: maxLeaverAccounts}, PersonID: run.PersonID, Integrations: []string{l.Leaver.Integration},
	})
	if err != nil {
		return f, fmt.Errorf("read the accounts of a leaver: %w", err)
	}
	at := slices.IndexFunc(found, func(a store.AccountView) bool {
		return a.ExternalID == l.Leaver.AccountID && a.AppExternalID == l.Leaver.AppID && a.RemovedAt == nil && a.Status != model.AccountDeleted
	})
	if at >= 0 {
		f.Account = &found[at]
	}
	f.Protected, err = r.protected(ctx, tenant, org, f)
	return f, err
}

// protected is why nobody may touch the account, or the person's.
func (r *Rechecker) protected(ctx context.Context, tenant model.TenantID, org store.TenantFacts, f LeaverFacts) (string, error) {
	in := policy.Input{Now: r.clock.Now()}
	if p := f.Person; p != nil {
		in.Seat = model.Seat{
			PersonID: p.ID, PersonName: p.DisplayName, Email: p.Email, Department: p.Department, TimeZone: p.TimeZone, Lifecycle: p.Lifecycle,
			ManagerEmail: p.ManagerEmail, EmploymentType: p.EmploymentType,
		}
	}
	if a := f.Account; a != nil {
		s := &in.Seat
		s.Integration, s.AccountExternalID, s.Username, s.DisplayName, s.AccountStatus, s.AccountKind, s.IsAdmin = a.Integration, a.ExternalID, a.Username, a.DisplayName, a.Status, a.Kind, a.IsAdmin
		s.AccountCreatedAt, s.ActivityReported, s.LastActivityAt = a.CreatedAt, a.ActivityReported, a.LastActivityAt
		if s.Email == "" {
			s.Email = a.PersonEmail
		}
		if a.IsAdmin {
			admins, err := r.store.Admins(ctx, tenant, []string{a.Integration})
			if err != nil {
				return "", err
			}
			for _, id := range admins[a.Integration] {
				if id != a.ExternalID {
					in.OtherAdmins++
				}
			}
		}
	}
	reason, protected, err := policy.Protects(ctx, policy.Protected{People: org.Protected, Accounts: org.ProtectedAccounts, When: org.ProtectedWhen}, in)
	switch {
	case err != nil:
		return ReasonProtectionBroken, nil //nolint:nilerr // who cannot be judged is protected
	case protected:
		return reason, nil
	}
	return "", nil
}
