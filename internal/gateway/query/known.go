// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"errors"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/spelling"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// namedFilters are the parameters of lists that name one thing.
var namedFilters = []struct {
	param, kind string
	// only is the resource whose parameter this is; empty: of every list.
	only  string
	names func(*API, *call) ([]string, error)
}{
	{"workflow", "Workflow", "", (*API).workflowNames},
	{"policy", "LicensePolicy", "", (*API).policyNames},
	{"name", "Workflow or LicensePolicy", "runs", (*API).definitionNames},
	{"integration", "Integration", "", (*API).integrationNames},
}

// known refuses a list that is empty because a filter names what is not there:
// it would look as if there were nothing to see.
func (a *API) known(c *call, e endpoint, answer any) error {
	l, ok := answer.(interface{ empty() bool })
	if !ok || !l.empty() || c.query.Get("continue") != "" {
		return nil
	}
	for _, f := range namedFilters {
		name := c.query.Get(f.param)
		if name == "" || f.only != "" && f.only != e.want {
			continue
		}
		names, err := f.names(a, c)
		if err != nil {
			return err
		}
		if err := c.knows(f.kind, name, names); err != nil {
			return err
		}
	}
	if id := c.query.Get("run"); id != "" {
		if _, err := a.Store.Run(c, c.tenant, id); errors.Is(err, store.ErrNotFound) {
			return notFound("there is no run %q in namespace %q", id, c.namespace)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (c *call) knows(kind, name string, names []string) error {
	hint := ""
	for _, n := range names {
		if n == name {
			return nil
		}
	}
	if near := spelling.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return notFound("there is no %s %q in namespace %q%s", kind, name, c.namespace, hint)
}

func (l List[T]) empty() bool { return len(l.Items) == 0 }

func (a *API) workflowNames(c *call) (names []string, err error) {
	all, err := a.Store.ListWorkflows(c, c.tenant)
	for _, w := range all {
		names = append(names, w.Name)
	}
	return names, err
}

func (a *API) policyNames(c *call) (names []string, err error) {
	all, err := a.Store.ListPolicies(c, c.tenant)
	for _, p := range all {
		names = append(names, p.Policy)
	}
	return names, err
}

func (a *API) definitionNames(c *call) ([]string, error) {
	policies, err := a.policyNames(c)
	if err != nil {
		return nil, err
	}
	flows, err := a.workflowNames(c)
	return append(policies, flows...), err
}

func (a *API) integrationNames(c *call) (names []string, err error) {
	all, err := a.Store.ListIntegrations(c, c.tenant)
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names, err
}
