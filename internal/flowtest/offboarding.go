// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	k8sjson "sigs.k8s.io/json"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/leaver"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/offboarding"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Application is one in a test: the file of the resource, beside the tests, or
// its name and fields of its spec.
type Application struct {
	v1alpha1.Application
	file string
}

// UnmarshalYAML takes a file's name, or a name with fields of the spec.
func (a *Application) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		a.file = n.Value
		return nil
	}
	var fields map[string]any
	if err := n.Decode(&fields); err != nil {
		return err
	}
	name, _ := fields["name"].(string)
	if name == "" {
		return fmt.Errorf("line %d: an Application has a name", n.Line)
	}
	delete(fields, "name")
	a.Name = name
	raw, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	strict, err := k8sjson.UnmarshalStrict(raw, &a.Spec)
	if err == nil && len(strict) > 0 {
		err = strict[0]
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	return nil
}

// readApplication reads the file of an Application.
func readApplication(path string) (a v1alpha1.Application, err error) {
	raw, err := read(path)
	if err != nil {
		return a, err
	}
	asJSON, err := k8syaml.YAMLToJSONStrict(raw)
	if err != nil {
		return a, located(path, err)
	}
	strict, err := k8sjson.UnmarshalStrict(asJSON, &a)
	switch {
	case err != nil:
		return a, fmt.Errorf("%s: %w", path, err)
	case len(strict) > 0:
		return a, fmt.Errorf("%s: %w", path, strict[0])
	case a.Kind != v1alpha1.KindApplication || a.Name == "":
		return a, fmt.Errorf("%s: is %s %q, want an %s with a name", path, a.Kind, a.Name, v1alpha1.KindApplication)
	}
	return a, nil
}

// Integration is what matters of an Integration: its connector alone, and then
// it may do everything, or with what it may do.
type Integration struct {
	Connector          string   `yaml:"connector"`
	Permission         string   `yaml:"permission"` // default: ReadAndAct
	DestructiveActions []string `yaml:"destructiveActions"`

	anything bool
}

// UnmarshalYAML takes the name of a connector, or the fields.
func (i *Integration) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		i.Connector, i.anything = n.Value, true
		return nil
	}
	type plain Integration
	return known(n, (*plain)(i))
}

// integration is the resource of an Integration of the test.
func (g Given) integration(name string) v1alpha1.Integration {
	in, said := g.Integrations[name]
	if !said {
		in.anything = true
	}
	out := v1alpha1.Integration{}
	out.Name = name
	out.Spec.Connector = cmp.Or(in.Connector, name)
	out.Spec.Permission = v1alpha1.Permission(cmp.Or(in.Permission, string(v1alpha1.PermissionReadAndAct)))
	for _, a := range in.DestructiveActions {
		out.Spec.DestructiveActions = append(out.Spec.DestructiveActions, v1alpha1.ActionName(a))
	}
	if m, err := connectors.Builtin(out.Spec.Connector); in.anything && err == nil {
		for _, a := range m.Actions() {
			if a.Destructive {
				out.Spec.DestructiveActions = append(out.Spec.DestructiveActions, v1alpha1.ActionName(a.Name))
			}
		}
	}
	return out
}

// leavers is world as the planner of offboarding steps sees it.
func (w *world) leavers() *leaver.Planner {
	return &leaver.Planner{Store: w, People: asked{w}, Catalog: catalog{}, Objects: func(context.Context, model.TenantID) ([]v1alpha1.Application, []v1alpha1.Integration, error) {
		names := map[string]bool{}
		for _, p := range w.everybody() {
			for _, a := range p.Accounts {
				names[a.Integration] = true
			}
		}
		var all []v1alpha1.Integration
		for _, name := range slices.Sorted(maps.Keys(names)) {
			all = append(all, w.given.integration(name))
		}
		var apps []v1alpha1.Application
		for _, a := range w.given.Applications {
			apps = append(apps, a.Application)
		}
		return apps, all, nil
	}}
}

// IDPApps implements leaver.Store: apps of tests have no other id than their name.
func (w *world) IDPApps(_ context.Context, _ model.TenantID, refs []store.AppRef) (map[store.AppRef]model.DiscoveredApp, error) {
	out := map[store.AppRef]model.DiscoveredApp{}
	for _, r := range refs {
		out[r] = model.DiscoveredApp{ExternalID: r.AppExternalID, Name: r.AppExternalID}
	}
	return out, nil
}

// catalog knows the built-in connectors.
type catalog struct{}

// Domains implements leaver.Catalog.
func (catalog) Domains(_ context.Context, i *v1alpha1.Integration) []string {
	if m, err := connectors.Builtin(i.Spec.Connector); err == nil {
		return m.Domains()
	}
	return nil
}

// Offboarding implements leaver.Catalog.
func (catalog) Offboarding(_ context.Context, i *v1alpha1.Integration) offboarding.Integration {
	var actions []connector.ActionInfo
	m, err := connectors.Builtin(i.Spec.Connector)
	if err == nil {
		actions = m.Actions()
	}
	return leaver.Integration(i, err == nil, actions)
}

// appOf is the app that a run of an offboarding step is about.
func appOf(r store.Run) string {
	app, _, _ := strings.Cut(r.Subject, "/")
	return app
}

// owners are those of an Application, the primary first.
func (w *world) owners(run workflow.Subject) ([]store.Assignee, error) {
	var vars struct {
		Seat workflow.ReclaimSeat `json:"seat"`
	}
	if err := json.Unmarshal(run.Vars, &vars); err != nil {
		return nil, err
	}
	var primary, others []store.Assignee
	for _, a := range w.given.Applications {
		if a.Name != vars.Seat.App {
			continue
		}
		for _, o := range a.Spec.Owners {
			p, ok := w.find(string(o.Email))
			switch one := assignee(w.view(p)); {
			case !ok || p.lifecycle() == model.LifecyclePast:
			case o.Role == v1alpha1.OwnerPrimary:
				primary = append(primary, one)
			default:
				others = append(others, one)
			}
		}
	}
	if len(primary)+len(others) == 0 && w.given.Application != nil {
		for _, email := range w.given.Application.Owners {
			others = append(others, w.byAddress(email)...)
		}
	}
	return append(primary, others...), nil
}

// contractOwner is who answers for the contract of the test.
func (w *world) contractOwner() []store.Assignee {
	if w.given.Contract == nil {
		return nil
	}
	return w.byAddress(w.given.Contract.Owner)
}

// byAddress is who has an address and has not left.
func (w *world) byAddress(email string) []store.Assignee {
	if p, ok := w.find(email); ok && p.lifecycle() != model.LifecyclePast {
		return []store.Assignee{assignee(w.view(p))}
	}
	return nil
}

// Admins implements govern.Store with the accounts of the test.
func (w *world) Admins(_ context.Context, _ model.TenantID, integrations []string) (map[string][]string, error) {
	out := map[string][]string{}
	for _, p := range w.everybody() {
		for _, a := range p.Accounts {
			if a.IsAdmin && slices.Contains(integrations, a.Integration) && a.view(p).Status == model.AccountActive {
				out[a.Integration] = append(out[a.Integration], a.ExternalID)
			}
		}
	}
	return out, nil
}

// becomes is what an account is after an action.
var becomes = map[string]model.AccountStatus{
	"user.suspend": model.AccountSuspended, "user.unsuspend": model.AccountActive, "user.activate": model.AccountActive,
	"user.deactivate": model.AccountDeactivated, "user.delete": model.AccountDeleted,
}

// acted changes the account that an action was about.
func (w *world) acted(c workflow.Call) {
	status, ok := becomes[c.Action]
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.people {
		accounts := slices.Clone(w.people[i].Accounts)
		for j, a := range accounts {
			if a.Integration != c.Integration || !slices.Contains(slices.Collect(maps.Values(c.Input)), any(a.ExternalID)) {
				continue
			}
			accounts[j].Status = string(status)
		}
		w.people[i].Accounts = slices.DeleteFunc(accounts, func(a Account) bool { return a.Status == string(model.AccountDeleted) })
	}
}

// AppResult is what became of the accounts of one app.
type AppResult map[string]string

// apps are the results of an offboarding step.
func appResults(vars json.RawMessage, steps []workflow.StepProgress) ([]AppResult, error) {
	var all struct {
		Steps map[string]struct {
			Apps []struct{ App, Result string } `json:"apps"`
		} `json:"steps"`
	}
	if err := json.Unmarshal(vars, &all); err != nil {
		return nil, err
	}
	var out []AppResult
	for _, s := range steps {
		for _, a := range all.Steps[s.Name].Apps {
			out = append(out, AppResult{a.App: a.Result})
		}
	}
	return out, nil
}
