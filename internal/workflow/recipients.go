// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Recipient is whom a step of a user's Workflow turns to: a role, or an address.
type Recipient struct {
	Role Role `json:"role,omitempty"`
	// Email has holes. One without may name a mailbox that is no person's: who
	// wrote the Workflow chose it. One that was computed must be a person's.
	Email string `json:"email,omitempty"`
}

// literal reports an address that the definition itself names.
func (r Recipient) literal() bool { return !strings.Contains(r.Email, "${") }

// addressee is a recipient whose address is known.
type addressee struct {
	Recipient
	address string
}

func (t *turn) addressed(r Recipient, email value) (addressee, error) {
	if r.Role != "" {
		return addressee{Recipient: r}, nil
	}
	v, err := email(t.scope())
	if err != nil {
		return addressee{}, err
	}
	address, ok := v.(string)
	if !ok || !strings.Contains(address, "@") {
		return addressee{}, fmt.Errorf("%v is no e-mail address", v)
	}
	return addressee{r, strings.TrimSpace(address)}, nil
}

// name is how the definition names a recipient; an address is no name.
func (r addressee) name() string {
	if r.Role != "" {
		return string(r.Role)
	}
	return "Named"
}

// whom says whom the stage asks; the address may be computed.
func (t *turn) whom(n *node, s *AskStep) (gather, error) {
	stage := s.Stages[t.cur.Stage]
	g := gather{roles: stage.Roles, ask: s}
	if stage.To == nil {
		return g, nil
	}
	to, err := t.addressed(*stage.To, n.to[t.cur.Stage])
	g.to = []addressee{to}
	return g, err
}

// recipients compiles the addresses of those whom a step turns to.
func (l *linker) recipients(field string, to []Recipient) ([]value, error) {
	out := make([]value, len(to))
	for i, r := range to {
		if r.Role != "" {
			continue
		}
		v, err := l.value(fmt.Sprintf("%s.to[%d]", field, i), r.Email)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// gatherMatter finds those whom a step of a user's Workflow turns to, and how
// they are reached: nobody twice.
func (e *Engine) gatherMatter(ctx context.Context, tenant model.TenantID, fx *effect) *prepared {
	p := &prepared{}
	channels, err := e.channels(ctx, tenant, fx.gather.ask.Channels)
	if err != nil {
		return &prepared{err: fmt.Errorf("channels: %w", err)}
	}
	reach := *fx.gather.ask
	reach.Channels = channels
	how := *fx
	how.gather = &gather{ask: &reach}
	for _, r := range fx.gather.to {
		found, err := e.holders(ctx, tenant, fx.subject, r)
		if err != nil {
			return &prepared{err: err}
		}
		if len(found) == 0 {
			p.missing = append(p.missing, r.name())
		}
		for _, a := range found {
			if p.has(a) || reach.NotSelf && self(fx.subject, a) {
				continue
			}
			a.Role, a.Name = r.name(), cmp.Or(a.Name, a.Email)
			ways, err := e.ways(ctx, tenant, &how, &a, len(p.assignees))
			if err != nil {
				return &prepared{err: err}
			}
			p.assignees, p.addresses = append(p.assignees, a), append(p.addresses, ways)
		}
	}
	return p
}

func (p *prepared) has(a store.Assignee) bool {
	return slices.ContainsFunc(p.assignees, func(b store.Assignee) bool { return b.AnswerName() == a.AnswerName() })
}

// self reports somebody who would decide about themselves: the person whom the
// run is about, and who started it by hand.
func self(run Subject, a store.Assignee) bool {
	if a.PersonID != "" && a.PersonID == run.PersonID {
		return true
	}
	return run.StartedBy != "" && (strings.EqualFold(run.StartedBy, a.KubernetesUser) || strings.EqualFold(run.StartedBy, a.Email))
}

// holders are the people that a recipient stands for.
func (e *Engine) holders(ctx context.Context, tenant model.TenantID, run Subject, r addressee) ([]store.Assignee, error) {
	if r.Role != "" {
		found, err := e.o.People.Holders(ctx, tenant, run, r.Role)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Role, err)
		}
		return found, nil
	}
	found, known, err := e.o.People.ByEmail(ctx, tenant, r.address)
	if err != nil {
		return nil, fmt.Errorf("an address: %w", err)
	}
	if !known && r.literal() {
		return []store.Assignee{{Name: r.address, Email: r.address, KubernetesUser: r.address}}, nil
	}
	return found, nil
}

// channels are those that a step names, or the organisation's. One that names
// no Integration stands for all of its kind.
func (e *Engine) channels(ctx context.Context, tenant model.TenantID, named []ChannelRef) ([]ChannelRef, error) {
	open := func(c ChannelRef) bool { return c.Kind == ChannelSlack && c.Integration == "" }
	if len(named) > 0 && !slices.ContainsFunc(named, open) {
		return named, nil
	}
	declared, err := e.o.People.Channels(ctx, tenant)
	if err != nil || len(named) == 0 {
		return declared, err
	}
	var out []ChannelRef
	for _, c := range named {
		if !open(c) {
			out = append(out, c)
			continue
		}
		for _, d := range declared {
			if d.Kind == c.Kind {
				out = append(out, d)
			}
		}
	}
	return out, nil
}
