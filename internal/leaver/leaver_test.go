// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package leaver

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/offboarding"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// builtins is a catalog of Integrations that are called as their connectors.
type builtins struct{}

func (builtins) Domains(_ context.Context, i *v1alpha1.Integration) []string {
	if m, err := connectors.Builtin(i.Name); err == nil {
		return m.Domains()
	}
	return nil
}

func (builtins) Offboarding(_ context.Context, i *v1alpha1.Integration) offboarding.Integration {
	m, err := connectors.Builtin(i.Name)
	if err != nil {
		return Integration(i, false, nil)
	}
	return Integration(i, true, m.Actions())
}

type nobody struct{}

func (nobody) Holders(context.Context, model.TenantID, workflow.Subject, workflow.Role) ([]store.Assignee, error) {
	return nil, nil
}

func (nobody) ByEmail(context.Context, model.TenantID, string) ([]store.Assignee, bool, error) {
	return nil, false, nil
}

// company is a namespace with a directory of one person, Ada.
type company struct {
	*testing.T
	store  *store.Store
	tenant model.TenantID
	apps   []v1alpha1.Application
	all    []v1alpha1.Integration
	ada    string
}

func eachCompany(t *testing.T, fn func(c *company)) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		c := &company{T: t, store: open()}
		var err error
		c.tenant, err = c.store.EnsureTenant(t.Context(), "acme")
		c.must(err)
		c.must(c.store.SetTenantFacts(t.Context(), c.tenant, store.TenantFacts{LifecycleIntegration: "workday"}))
		c.list("workday", model.Record{Person: &model.Person{ExternalID: "1", Email: "ada@acme.example", DisplayName: "Ada", Lifecycle: model.LifecycleCurrent}})
		ada, err := c.store.PersonByEmail(t.Context(), c.tenant, "ada@acme.example")
		c.must(err)
		c.ada = ada.ID
		fn(c)
	})
}

func (c *company) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// list has an Integration with every permission list these records.
func (c *company) list(name string, records ...model.Record) {
	c.Helper()
	ctx := c.Context()
	_, err := c.store.UpsertIntegration(ctx, c.tenant, store.IntegrationSpec{Name: name, UID: name, Generation: 1, Connector: name, Interval: time.Hour})
	c.must(err)
	claim, err := c.store.ClaimIntegration(ctx, c.tenant, name, "test", time.Minute)
	c.must(err)
	y, err := c.store.BeginSync(ctx, claim)
	c.must(err)
	for _, of := range []model.DataType{model.DataPeople, model.DataApps, model.DataAccounts} {
		var part []model.Record
		for _, r := range records {
			if r.Type() == of {
				part = append(part, r)
			}
		}
		c.must(y.Stage(ctx, string(of), "", part))
		_, err = y.FinishStream(ctx, string(of), store.StreamOutcome{Complete: true, Types: []model.DataType{of}, Guard: model.DefaultShrinkGuard})
		c.must(err)
	}
	c.must(y.Close(ctx))
	c.must(c.store.FinishIntegration(ctx, claim, store.IntegrationResult{Status: []byte(`{}`), Synced: true}))
	i := v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Name: name}}
	i.Spec.Connector, i.Spec.Permission = name, v1alpha1.PermissionReadAndAct
	c.all = append(c.all, i)
}

// account is one of Ada's; behind is the app behind the source, empty: its own.
func account(id, behind string) model.Record {
	return model.Record{Account: &model.Account{ExternalID: id, AppExternalID: behind, PersonKey: "ada@acme.example", Username: "ada", Status: model.AccountActive}}
}

func app(source, id, name, url string) model.Record {
	return model.Record{App: &model.DiscoveredApp{ExternalID: id, Name: name, URL: url, Source: source}}
}

// application declares one, with what it says of leavers.
func (c *company) application(name string, edit func(s *v1alpha1.ApplicationSpec)) {
	a := v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Name: name}}
	edit(&a.Spec)
	c.apps = append(c.apps, a)
}

func (c *company) plan(s workflow.OffboardingStep) []workflow.Leaving {
	c.Helper()
	l := &Planner{Store: c.store, People: nobody{}, Catalog: builtins{}, Objects: func(context.Context, model.TenantID) ([]v1alpha1.Application, []v1alpha1.Integration, error) {
		return c.apps, c.all, nil
	}}
	out, err := l.Plan(c.Context(), c.tenant, workflow.Subject{PersonID: c.ada}, s)
	c.must(err)
	return out
}

// planned checks a plan, as "app integration/app behind method calls".
func (c *company) planned(s workflow.OffboardingStep, want ...string) {
	c.Helper()
	var got []string
	for _, l := range c.plan(s) {
		line := fmt.Sprintf("%s %s/%s %s", l.App, l.Integration, l.AppID, l.Method)
		for _, call := range l.Calls {
			line += fmt.Sprintf(" %s %v", call.Action, call.Input)
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.Errorf("(-want +got):\n%s", diff)
	}
}

// TestBesideTheApp: accounts that only an identity provider lists are not left. What
// the Application says counts, else a person has a task; one for each app.
func TestBesideTheApp(t *testing.T) {
	eachCompany(t, func(c *company) {
		c.list("okta", app("idp", "0oa1", "Figma", "https://www.figma.com"), app("idp", "0oa2", "Miro", ""), app("idp", "0oa3", "Zoom", "https://acme.zoom.us"), app("idp", "0oa4", "Loom", ""),
			app("idp", "0oa5", "Notion Labs", "https://www.notion.so/login"), app("idp", "0oa6", "Old", ""),
			account("u1", ""), account("u1", "0oa1"), account("u1", "0oa2"), account("u1", "0oa3"), account("u1", "0oa4"), account("u1", "0oa5"),
			model.Record{Account: &model.Account{ExternalID: "u1", AppExternalID: "0oa6", PersonKey: "ada@acme.example", Status: model.AccountDeactivated}})
		c.list("entra", app("idp", "e1", "figma", ""), account("x1", "e1"), app("oauth", "e2", "Calendly", ""), account("x1", "e2"))
		c.list("slack", account("s1", ""))
		c.list("zendesk", account("z1", ""))
		c.application("figma", func(*v1alpha1.ApplicationSpec) {})
		c.application("loom", func(s *v1alpha1.ApplicationSpec) {
			s.Offboarding = []v1alpha1.OffboardingMethod{{Name: "okta", Method: "Automatic", Action: "app.unassign"}}
		})
		c.application("wiki", func(s *v1alpha1.ApplicationSpec) {
			s.Domains = []v1alpha1.DomainName{"notion.so"}
			s.Offboarding = []v1alpha1.OffboardingMethod{{Name: "slack", Method: "Ignore", UnmanagedAccounts: "Ignore"}}
		})
		for i := range c.all { // which connectors need no leave to do it
			c.all[i].Spec.DestructiveActions = []v1alpha1.ActionName{"user.deactivate"}
		}
		c.planned(workflow.OffboardingStep{},
			"Miro okta/0oa2 Delegate",
			"Old okta/0oa6 Ignore",
			"Zoom okta/0oa3 Delegate",
			"figma okta/0oa1 Delegate",
			"figma entra/e1 Ignore",
			"loom okta/0oa4 Automatic app.unassign map[appId:0oa4 userId:u1]",
			"okta okta/ Automatic user.suspend map[userId:u1]",
			"slack slack/ Automatic user.deactivate map[userId:s1]",
			"wiki okta/0oa5 Ignore",
			"zendesk zendesk/ Automatic user.suspend map[userId:z1]",
		)
		c.planned(workflow.OffboardingStep{Applications: []string{"loom", "figma"}, Except: []string{"figma"}}, "loom okta/0oa4 Automatic app.unassign map[appId:0oa4 userId:u1]")
	})
}

// TestBesideAConnectedApp: where the app's own Integration lists the account, it is
// dealt with there.
func TestBesideAConnectedApp(t *testing.T) {
	eachCompany(t, func(c *company) {
		c.list("okta", app("idp", "0oa3", "Zoom Workplace", "https://acme.zoom.us"), account("u1", "0oa3"))
		c.list("zoom", account("z1", ""))
		c.all[2].Spec.DestructiveActions = []v1alpha1.ActionName{"user.deactivate"}
		want := func(app string) []string {
			return []string{app + " okta/0oa3 Ignore", app + " zoom/ Automatic user.deactivate map[userId:z1]"}
		}
		c.planned(workflow.OffboardingStep{}, want("zoom")...)
		c.application("video", func(s *v1alpha1.ApplicationSpec) { s.IntegrationRefs = []v1alpha1.ObjectReference{{Name: "zoom"}} })
		c.planned(workflow.OffboardingStep{}, want("video")...)
	})
}
