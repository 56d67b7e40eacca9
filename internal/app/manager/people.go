// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// people knows who holds a role for a run and how to reach them.
type people struct {
	store   *store.Store
	objects client.Reader // the manager's cache, for owners of Applications
	spaces  *tenantNames
}

var _ workflow.People = (*people)(nil)

// Holders implements workflow.People.
func (p *people) Holders(ctx context.Context, tenant model.TenantID, run workflow.Subject, role workflow.Role) ([]store.Assignee, error) {
	found, err := p.holders(ctx, tenant, run, role)
	if err != nil || len(found) == 0 {
		return found, err
	}
	return found, p.hideUnreadMailbox(ctx, tenant, run, found)
}

// mailHosts are the connectors of apps that people have their mailbox in.
var mailHosts = []string{"google-workspace", "entra"}

// hideUnreadMailbox takes the address from who is asked whether they still need
// the very app that has their mailbox: as they do not use it, nobody would read
// the question there (decision 31).
func (p *people) hideUnreadMailbox(ctx context.Context, tenant model.TenantID, run workflow.Subject, found []store.Assignee) error {
	seat, err := seatOfRun(run)
	if err != nil || seat.Integration == "" || seat.PersonID == "" {
		return err
	}
	i := slices.IndexFunc(found, func(a store.Assignee) bool { return a.PersonID == seat.PersonID })
	if i < 0 {
		return nil
	}
	state, err := p.store.IntegrationState(ctx, tenant, seat.Integration)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil && slices.Contains(mailHosts, state.Connector) {
		found[i].Email = ""
	}
	return err
}

func (p *people) holders(ctx context.Context, tenant model.TenantID, run workflow.Subject, role workflow.Role) ([]store.Assignee, error) {
	switch role {
	case workflow.RolePerson:
		return p.byID(ctx, tenant, run.PersonID, role)
	case workflow.RoleManager:
		person, err := p.store.Person(ctx, tenant, run.PersonID)
		if errors.Is(err, store.ErrNotFound) || err == nil && person.ManagerID == "" && person.ManagerEmail == "" {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if person.ManagerID == "" {
			return p.byEmail(ctx, tenant, person.ManagerEmail, role)
		}
		return p.byID(ctx, tenant, person.ManagerID, role)
	case workflow.RoleAppOwner:
		return p.owners(ctx, tenant, run)
	case workflow.RoleOwner:
		about, err := aboutOf(run)
		if err != nil {
			return nil, err
		}
		if about.Contract.Owner == "" { // as the kind Contract documents
			return p.owners(ctx, tenant, run)
		}
		return p.byEmail(ctx, tenant, about.Contract.Owner, role)
	}
	return nil, fmt.Errorf("nobody knows who holds role %q", role)
}

func (p *people) byID(ctx context.Context, tenant model.TenantID, id string, role workflow.Role) ([]store.Assignee, error) {
	if id == "" {
		return nil, nil
	}
	person, err := p.store.Person(ctx, tenant, id)
	return p.assignee(ctx, tenant, person, err, role)
}

func (p *people) byEmail(ctx context.Context, tenant model.TenantID, email string, role workflow.Role) ([]store.Assignee, error) {
	person, err := p.store.PersonByEmail(ctx, tenant, email)
	return p.assignee(ctx, tenant, person, err, role)
}

// ByEmail implements workflow.People.
func (p *people) ByEmail(ctx context.Context, tenant model.TenantID, email string) (found []store.Assignee, known bool, err error) {
	person, err := p.store.PersonByEmail(ctx, tenant, email)
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	found, err = p.assignee(ctx, tenant, person, err, "")
	return found, true, err
}

// Channels implements workflow.People: the Slack Integrations among those by
// which the organisation hears news, or the only one that there is; then e-mail.
func (p *people) Channels(ctx context.Context, tenant model.TenantID) ([]workflow.ChannelRef, error) {
	facts, err := p.store.TenantFacts(ctx, tenant)
	if err != nil {
		return nil, err
	}
	states, err := p.store.ListIntegrations(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var slack, out []workflow.ChannelRef
	for _, st := range states {
		if st.Connector == workflow.ChannelSlack {
			slack = append(slack, workflow.ChannelRef{Kind: workflow.ChannelSlack, Integration: st.Name})
		}
	}
	for _, name := range facts.Messengers {
		if ref := (workflow.ChannelRef{Kind: workflow.ChannelSlack, Integration: name}); slices.Contains(slack, ref) {
			out = append(out, ref)
		}
	}
	if len(out) == 0 && len(slack) == 1 {
		out = slack
	}
	return append(out, workflow.ChannelRef{Kind: workflow.ChannelEmail}), nil
}

// assignee is nobody for a person who is unknown or has left.
func (p *people) assignee(ctx context.Context, tenant model.TenantID, person store.PersonView, err error, role workflow.Role) ([]store.Assignee, error) {
	if errors.Is(err, store.ErrNotFound) || err == nil && person.Lifecycle == model.LifecyclePast {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	users, err := p.slackUsers(ctx, tenant, person.ID)
	if err != nil {
		return nil, err
	}
	return []store.Assignee{{PersonID: person.ID, Name: person.DisplayName, Role: string(role), Email: person.Email, TimeZone: person.TimeZone,
		SlackUsers: users, KubernetesUser: person.Email}}, nil
}

// owners are those of the Application that the run is about, the primary first.
func (p *people) owners(ctx context.Context, tenant model.TenantID, run workflow.Subject) ([]store.Assignee, error) {
	about, err := aboutOf(run)
	name := about.Seat.App
	if name == "" && about.Application.Declared {
		name = about.Application.Name
	}
	if err != nil || name == "" {
		return nil, err
	}
	ns, err := p.spaces.of(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var app v1alpha1.Application
	err = p.objects.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, &app)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the owners of Application %q: %w", name, err)
	}
	var primary, others []store.Assignee
	for _, o := range app.Spec.Owners {
		found, err := p.byEmail(ctx, tenant, string(o.Email), workflow.RoleAppOwner)
		if err != nil {
			return nil, err
		}
		if o.Role == v1alpha1.OwnerPrimary {
			primary = append(primary, found...)
		} else {
			others = append(others, found...)
		}
	}
	return append(primary, others...), nil
}

// about is what a run is about, in its variables: the seat of a policy's own flow,
// or the subject of a Workflow.
type about struct {
	Seat        workflow.ReclaimSeat `json:"seat"`
	Application struct {
		Name     string `json:"name"`
		Declared bool   `json:"declared"`
	} `json:"application"`
	Contract struct {
		Owner string `json:"owner"`
	} `json:"contract"`
}

func aboutOf(run workflow.Subject) (out about, err error) {
	if err := json.Unmarshal(run.Vars, &out); err != nil {
		return out, fmt.Errorf("read the variables of run %s: %w", run.RunID, err)
	}
	return out, nil
}

func seatOfRun(run workflow.Subject) (workflow.ReclaimSeat, error) {
	out, err := aboutOf(run)
	return out.Seat, err
}

// SlackUser implements workflow.People. A question about Slack itself does not
// go through Slack to the one who does not use it (decision 31).
func (p *people) SlackUser(ctx context.Context, tenant model.TenantID, run workflow.Subject, integration, personID string) (string, bool, error) {
	seat, err := seatOfRun(run)
	if err != nil {
		return "", false, err
	}
	if seat.Integration == integration && seat.PersonID == personID {
		return "", false, nil
	}
	users, err := p.slackUsers(ctx, tenant, personID)
	id, ok := users[integration]
	return id, ok, err
}

// slackUsers returns the person's one active Slack account in each Slack
// Integration; where there are two, nobody knows which is theirs.
func (p *people) slackUsers(ctx context.Context, tenant model.TenantID, personID string) (map[string]string, error) {
	states, err := p.store.ListIntegrations(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, st := range states {
		if st.Connector == workflow.ChannelSlack {
			names = append(names, st.Name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	accounts, _, err := p.store.ListAccounts(ctx, tenant, store.AccountQuery{
		Page: store.Page{Limit: listPage}, Integrations: names, App: "-", PersonID: personID, Statuses: []string{string(model.AccountActive)},
	})
	if err != nil {
		return nil, err
	}
	out, twice := map[string]string{}, map[string]bool{}
	for _, a := range accounts {
		if known, ok := out[a.Integration]; ok && known != a.ExternalID {
			twice[a.Integration] = true
		}
		out[a.Integration] = a.ExternalID
	}
	for name := range twice {
		delete(out, name)
	}
	return out, nil
}
