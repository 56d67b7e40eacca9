// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/defect"
	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// gatherTimeout bounds reading facts; verifyTimeout one verification.
const (
	gatherTimeout = 30 * time.Second
	verifyTimeout = 30 * time.Second
)

// errNoLeavers is what an engine says that does not know the apps.
var errNoLeavers = errors.New("nothing here knows what apps do with the accounts of a leaver")

// launch has a turn's effect in a goroutine that reports back. There are never
// more than MaxInFlight of them.
func (e *Engine) launch(t *turn) {
	e.effects.Add(1)
	sending := e.sending
	e.launches++
	number, of := e.launches, t.place()
	e.launched[t.run.Key()] = number
	go func() {
		defer e.effects.Done()
		ev := e.contained(sending, t)
		ev.of = of
		e.results <- arrival{key: t.run.Key(), ev: ev, number: number}
	}()
}

// contained has an effect whose panic is its own: of a call or a verification the
// outcome is unknown, as after a crash; a step that cannot gather what it needs
// waits for a person.
func (e *Engine) contained(ctx context.Context, t *turn) (ev event) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		caught := defect.Caught(v)
		e.defect(t.run.Key(), caught)
		unknown := Result{Class: ResultUnknown, Sent: t.effect.call != nil, Message: caught.Error()}
		switch {
		case t.effect.gather != nil:
			ev = event{kind: eventCrashed, crash: caught}
		case t.effect.verify != nil:
			ev = event{kind: eventVerified, result: unknown}
		default:
			ev = event{kind: eventResult, result: unknown}
		}
	}()
	return e.have(ctx, t)
}

// have does what the effect says and returns the event that it leads to.
func (e *Engine) have(ctx context.Context, t *turn) event {
	tenant, fx := t.run.Tenant, t.effect
	switch {
	case fx.gather != nil && fx.gather.info != nil:
		e.infos.fill(ctx, e.o.Actions, *fx.gather.info)
		return event{kind: eventDue}
	case fx.gather != nil:
		return event{kind: eventPrepared, prepared: e.gather(ctx, tenant, fx)}
	case fx.verify != nil:
		ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
		defer cancel()
		failpoint.Hit(failpoint.BeforeVerify)
		verify := e.o.Actions.Verify
		if fx.verify.ReadBack != nil {
			verify = e.readBack
		}
		res, err := verify(ctx, tenant, *fx.verify)
		failpoint.Hit(failpoint.AfterVerifyBeforeOutcome)
		if err != nil {
			res = Result{Class: ResultUnknown, Message: err.Error()}
		}
		return event{kind: eventVerified, result: res}
	}
	defer e.lanes.ended(fx.lane)
	return event{kind: eventResult, result: e.call(ctx, tenant, fx)}
}

// call makes the intended call. Its context ends at the attempt's deadline or
// with the lease, so that an old owner's call cannot race the new owner's.
func (e *Engine) call(ctx context.Context, tenant model.TenantID, fx *effect) Result {
	failpoint.Hit(failpoint.AfterIntentBeforeSend)
	// The clock is asked as well: in a process that was paused, the timers of ctx
	// may not have run yet, and the run's next owner may have called already.
	left := fx.attempt.DeadlineAt.Sub(e.o.Clock.Now())
	switch {
	case ctx.Err() != nil || e.leaseOver():
		return Result{Class: ResultUnknown, Message: "the lease ended before the call was sent"}
	case left <= 0:
		return Result{Class: ResultUnknown, Message: "the time for the call was over before it was sent"}
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	if fx.info.HasPrecheck {
		res, err := e.o.Actions.Precheck(ctx, tenant, *fx.call)
		switch {
		case err != nil:
			return Result{Class: ResultUnknown, Message: "precheck: " + err.Error()}
		case res.Class != ResultAbsent:
			res.Sent = false // a precheck changes nothing
			return res
		case e.leaseOver() || !e.o.Clock.Now().Before(fx.attempt.DeadlineAt):
			return Result{Class: ResultUnknown, Message: "the time for the call was over before it was sent"}
		}
	}
	execute := e.o.Actions.Execute
	if fx.call.Request != nil {
		execute = e.request
	}
	res, err := execute(ctx, tenant, *fx.call)
	failpoint.Hit(fx.postedPoint)
	if n := (*NotSentError)(nil); errors.As(err, &n) {
		return Result{Class: ResultUnknown, Message: err.Error()}
	}
	if err != nil {
		return Result{Class: ResultUnknown, Sent: true, Message: err.Error()}
	}
	return res
}

// gather reads the facts that a step needs.
func (e *Engine) gather(ctx context.Context, tenant model.TenantID, fx *effect) *prepared {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	p := &prepared{}
	if fx.gather.person || fx.gather.org || fx.gather.about != nil {
		p.err = e.gatherSubject(ctx, tenant, fx, p)
		return p
	}
	if fx.gather.leaving != nil {
		if p.err = errNoLeavers; e.o.Leavers != nil {
			p.leaving, p.err = e.o.Leavers.Plan(ctx, tenant, fx.subject, *fx.gather.leaving)
		}
		return p
	}
	if fx.gather.child != "" {
		p.child, p.err = e.childOf(ctx, tenant, fx.gather.child, fx.subject, fx.dry)
		return p
	}
	if fx.gather.verdict {
		v, err := e.o.Facts.Recheck(ctx, tenant, fx.subject)
		p.verdict, p.err = &v, err
		return p
	}
	if len(fx.gather.to) > 0 {
		return e.gatherMatter(ctx, tenant, fx)
	}
	for _, role := range fx.gather.roles {
		holders, err := e.o.People.Holders(ctx, tenant, fx.subject, role)
		if err != nil {
			return &prepared{err: fmt.Errorf("%s: %w", role, err)}
		}
		for _, a := range holders {
			known := slices.ContainsFunc(p.assignees, func(b store.Assignee) bool { return b.PersonID == a.PersonID })
			if known || fx.gather.ask.NotSelf && a.PersonID == fx.subject.PersonID {
				continue
			}
			a.Role = string(role)
			ways, err := e.ways(ctx, tenant, fx, &a, len(p.assignees))
			if err != nil {
				return &prepared{err: err}
			}
			p.assignees, p.addresses = append(p.assignees, a), append(p.addresses, ways)
		}
	}
	return p
}

// gatherSubject reads the run's organisation, and what it is about.
func (e *Engine) gatherSubject(ctx context.Context, tenant model.TenantID, fx *effect, p *prepared) error {
	if fx.gather.org {
		org, err := e.o.Store.TenantFacts(ctx, tenant)
		if err != nil {
			return err
		}
		p.org = &org
	}
	if a := fx.gather.about; a != nil {
		var err error
		if p.about, err = e.gatherAbout(ctx, tenant, *a); err != nil {
			return err
		}
	}
	if !fx.gather.person {
		return nil
	}
	v, err := e.o.Store.Person(ctx, tenant, fx.subject.PersonID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		p.person, err = personVars(ctx, e.o.Store, tenant, v)
	}
	return err
}

// ways lists how an assignee can be reached, in the policy's order.
func (e *Engine) ways(ctx context.Context, tenant model.TenantID, fx *effect, a *store.Assignee, index int) ([]delivery, error) {
	var out []delivery
	a.SlackUsers = maps.Clone(a.SlackUsers)
	if a.SlackUsers == nil {
		a.SlackUsers = map[string]string{}
	}
	for _, c := range fx.gather.ask.Channels {
		if _, ok := e.env.channels[c.Kind]; !ok {
			continue
		}
		address := a.Email
		if c.Kind == ChannelSlack {
			user, ok, err := e.o.People.SlackUser(ctx, tenant, fx.subject, c.Integration, a.PersonID)
			if err != nil {
				return nil, fmt.Errorf("find %s's Slack user in %s: %w", a.Role, c.Integration, err)
			}
			if !ok {
				continue
			}
			address, a.SlackUsers[c.Integration] = user, user
		}
		if address != "" {
			out = append(out, delivery{Assignee: index, Kind: c.Kind, Integration: c.Integration, Address: address})
		}
	}
	return out, nil
}

// infoCache remembers what actions are for a moment, so that a step does not
// need a transaction of its own to learn it.
type infoCache struct {
	clock clock.PassiveClock
	mu    sync.Mutex
	known map[infoKey]infoEntry
}

type infoEntry struct {
	info  ActionInfo
	err   error
	until time.Time
}

const (
	infoFor      = 30 * time.Second
	infoErrorFor = 2 * time.Second
)

func newInfoCache(c clock.PassiveClock) *infoCache {
	return &infoCache{clock: c, known: map[infoKey]infoEntry{}}
}

func (c *infoCache) get(k infoKey) (ActionInfo, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.known[k]
	if !ok || c.clock.Now().After(v.until) {
		return ActionInfo{}, false, nil
	}
	return v.info, true, v.err
}

func (c *infoCache) fill(ctx context.Context, actions Actions, k infoKey) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	v := infoEntry{until: c.clock.Now().Add(infoFor)}
	if v.info, v.err = actions.Action(ctx, k.tenant, k.integration, k.action); v.err != nil {
		v.until = c.clock.Now().Add(infoErrorFor)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxPrograms {
		clear(c.known)
	}
	c.known[k] = v
}
