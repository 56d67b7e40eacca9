// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// sessionAge bounds how long a session, and with it what was read of the
// Secret, serves actions: far less than the 5 minutes of decision 12, and long
// enough that the steps of one action share it.
const sessionAge = 30 * time.Second

// actions carries out the calls of the workflow engine.
type actions struct {
	store    *store.Store
	sessions *syncer.Sessions
	clock    clock.PassiveClock
	guard    protector

	mu   sync.Mutex
	open map[syncer.Key]*openSession
}

// protector says why the accounts that the input of a call names may not be
// touched, or nothing.
type protector interface {
	Protected(ctx context.Context, tenant model.TenantID, integration string, input map[string]any) (string, error)
}

func newActions(s *store.Store, sessions *syncer.Sessions, c clock.PassiveClock, guard protector) *actions {
	return &actions{store: s, sessions: sessions, clock: c, guard: guard, open: map[syncer.Key]*openSession{}}
}

var _ workflow.Actions = (*actions)(nil)

type openSession struct {
	session *connector.Session
	spec    string // the hand-over that it was opened for
	until   time.Time
}

// Action implements workflow.Actions.
func (a *actions) Action(ctx context.Context, tenant model.TenantID, integration, action string) (workflow.ActionInfo, error) {
	session, spec, err := a.session(ctx, tenant, integration)
	if err != nil {
		return workflow.ActionInfo{}, err
	}
	info, ok := session.Action(action)
	if !ok {
		return workflow.ActionInfo{Class: workflow.ClassUnsafe, Refused: fmt.Sprintf("the connector of Integration %q has no action %q", integration, action)}, nil
	}
	refused, paused := refusal(integration, spec, info), ""
	if spec.Suspended && !spec.Disconnecting {
		refused, paused = "", refused
	}
	return workflow.ActionInfo{
		Class: workflow.Class(info.Class), HasPrecheck: info.HasPrecheck, HasVerify: info.HasVerify, VerifyWithin: info.VerifyWithin,
		WaitTimeout: info.WaitTimeout, WaitEvery: info.WaitEvery, EndsAccount: info.EndsAccount, Removes: info.Effect == connector.EffectRemoves || info.Destructive, Refused: refused, Paused: paused,
	}, nil
}

// touches reports an action that protected accounts are protected from: one that
// takes something away, changes the account itself, or moves its data.
func touches(info connector.ActionInfo) bool {
	return info.Effect == connector.EffectRemoves || info.Destructive || info.Name == "user.update" || info.Name == "data.transfer"
}

// refusal says why an action may not be sent, or nothing.
func refusal(integration string, spec handover.Spec, info connector.ActionInfo) string {
	switch {
	case spec.Suspended:
		return fmt.Sprintf("Integration %q is suspended, or something keeps it from being synced", integration)
	case spec.Disconnecting:
		return fmt.Sprintf("Integration %q is being disconnected", integration)
	case info.Mode == connector.ModeAct && spec.Permission != string(connector.PermissionReadAndAct):
		return fmt.Sprintf("Integration %q has permission %s; spec.permission: ReadAndAct would allow it", integration, spec.Permission)
	case info.Destructive && !slices.Contains(spec.DestructiveActions, info.Name):
		return fmt.Sprintf("action %s is destructive and spec.destructiveActions of Integration %q does not name it", info.Name, integration)
	case !info.Enabled:
		return fmt.Sprintf("action %s is switched off by config or for want of a credential of Integration %q", info.Name, integration)
	}
	return ""
}

// Precheck implements workflow.Actions.
func (a *actions) Precheck(ctx context.Context, tenant model.TenantID, c workflow.Call) (workflow.Result, error) {
	return a.call(ctx, tenant, c, (*connector.Session).Precheck)
}

// Execute implements workflow.Actions.
func (a *actions) Execute(ctx context.Context, tenant model.TenantID, c workflow.Call) (workflow.Result, error) {
	return a.call(ctx, tenant, c, func(s *connector.Session, ctx context.Context, call connector.ActionCall) (connector.ActionResult, error) {
		// Asked again here: between the intent and now the Integration may have
		// been suspended or deleted.
		_, spec, err := a.state(ctx, tenant, c.Integration)
		if err != nil {
			return connector.ActionResult{}, &workflow.NotSentError{Err: err}
		}
		if info, ok := s.Action(c.Action); ok {
			if why := refusal(c.Integration, spec, info); why != "" {
				return connector.ActionResult{Class: connector.ResultDenied, Message: why}, nil
			}
			if touches(info) {
				why, err := a.guard.Protected(ctx, tenant, c.Integration, c.Input)
				if err != nil { // nothing was sent: it is tried again
					return connector.ActionResult{Class: connector.ResultFailed, Message: "whether the account is protected could not be found out: " + err.Error()}, nil
				}
				if why != "" {
					return connector.ActionResult{Class: connector.ResultDenied, Message: why + "; nothing was done"}, nil
				}
			}
		}
		return s.Execute(ctx, call)
	})
}

// Verify implements workflow.Actions.
func (a *actions) Verify(ctx context.Context, tenant model.TenantID, c workflow.Call) (workflow.Result, error) {
	if c.Accepted == nil {
		return a.call(ctx, tenant, c, (*connector.Session).Verify)
	}
	failed := false
	res, err := a.call(ctx, tenant, c, func(s *connector.Session, ctx context.Context, call connector.ActionCall) (connector.ActionResult, error) {
		r, err := s.Poll(ctx, call, c.Accepted)
		failed = err == nil && r.Class == connector.ResultFailed
		if r.Class == connector.ResultAccepted {
			r.Class = connector.ResultAbsent // not yet
		}
		return r, err
	})
	res.Final = failed
	return res, err
}

type verb func(*connector.Session, context.Context, connector.ActionCall) (connector.ActionResult, error)

func (a *actions) call(ctx context.Context, tenant model.TenantID, c workflow.Call, do verb) (workflow.Result, error) {
	session, _, err := a.session(ctx, tenant, c.Integration)
	if err != nil {
		return workflow.Result{}, &workflow.NotSentError{Err: err}
	}
	r, err := do(session, ctx, connector.ActionCall{Name: c.Action, Input: c.Input, IdempotencyKey: c.IdemKey})
	out := workflow.Result{
		Class: workflow.ResultClass(r.Class), Output: r.Output, Sent: r.Sent, RequestDigest: r.RequestDigest,
		StatusCode: r.StatusCode, RetryAfter: r.RetryAfter, Message: r.Message,
	}
	var told *connector.Error
	switch {
	case err == nil:
		return out, nil
	case !errors.As(err, &told) || out.Class == "":
		return workflow.Result{}, err
	case told.Class == connector.ClassConfig && !out.Sent: // nothing was sent, and nothing would help but another input
		return workflow.Result{Class: workflow.ResultDenied, Message: told.Error()}, nil
	}
	// The error is what the class says, in words.
	out.Message = told.Error()
	return out, nil
}

// state returns what was handed over of an Integration.
func (a *actions) state(ctx context.Context, tenant model.TenantID, integration string) (store.IntegrationState, handover.Spec, error) {
	var spec handover.Spec
	st, err := a.store.IntegrationState(ctx, tenant, integration)
	if err != nil {
		return st, spec, err
	}
	if err := json.Unmarshal(st.Spec, &spec); err != nil {
		return st, spec, fmt.Errorf("read what was handed over of Integration %q: %w", integration, err)
	}
	return st, spec, nil
}

// session returns an open session for what the Integration says now.
func (a *actions) session(ctx context.Context, tenant model.TenantID, integration string) (*connector.Session, handover.Spec, error) {
	st, spec, err := a.state(ctx, tenant, integration)
	if err != nil {
		return nil, spec, err
	}
	key := syncer.Key{Tenant: tenant, Namespace: spec.Namespace, Name: integration}
	now := a.clock.Now()
	a.mu.Lock()
	have := a.open[key]
	a.mu.Unlock()
	if have != nil && have.spec == string(st.Spec) && now.Before(have.until) {
		return have.session, spec, nil
	}
	session, _, err := a.sessions.Open(ctx, key, spec, nil)
	if err != nil {
		return nil, spec, fmt.Errorf("open Integration %q: %w", integration, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// A session that is replaced may still be in use; it has nothing that needs
	// closing but idle connections, which time out.
	a.open[key] = &openSession{session: session, spec: string(st.Spec), until: now.Add(sessionAge)}
	return session, spec, nil
}
