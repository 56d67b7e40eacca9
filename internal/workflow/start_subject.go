// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"context"
	"errors"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// startSubject is what a run that is started by hand is about.
type startSubject struct {
	label, personID string
}

// names checks that a request names what the runs of the Workflow are about, and
// nothing else.
func (r StartRequest) names(w store.WorkflowState) error {
	given := map[string]string{SubjectPerson: r.Person, SubjectApplication: r.Application, SubjectContract: r.Contract}
	if w.Subject == SubjectLicense {
		return notStarted(StartWrongSubject, "Workflow %q runs for an unused seat, which its trigger alone finds: nobody can start it by hand", w.Name)
	}
	for _, kind := range []struct{ subject, name, how string }{
		{SubjectPerson, "a person", "one by e-mail address"}, {SubjectApplication, "an app", "its Application"}, {SubjectContract, "a contract", "it"},
	} {
		switch {
		case w.Subject == kind.subject && given[kind.subject] == "":
			return notStarted(StartWrongSubject, "Workflow %q runs for %s: name %s", w.Name, kind.name, kind.how)
		case w.Subject != kind.subject && given[kind.subject] != "":
			return notStarted(StartWrongSubject, "Workflow %q does not run for %s: the subject of its trigger is %s", w.Name, kind.name, cmp.Or(w.Subject, "None"))
		}
	}
	return nil
}

// subject reads what the run is about.
func (r StartRequest) subject(ctx context.Context, st StartStore, tenant model.TenantID, b *Beginning) (of startSubject, err error) {
	missing := "no person in the directory has the address %q; nothing was started"
	name := r.Person
	switch {
	case r.Person != "":
		var p store.PersonView
		p, err = st.PersonByEmail(ctx, tenant, r.Person)
		b.Person, of = &p, startSubject{p.Email, p.ID}
	case r.Application != "":
		missing, name = "there is no app %q: name an Application, or INTEGRATION/ID of one that was discovered; nothing was started", r.Application
		var a model.AppFacts
		a, err = st.App(ctx, tenant, r.Application)
		b.App, b.About, of.label = &a, &About{App: r.Application}, cmp.Or(a.DisplayName, a.Name)
	case r.Contract != "":
		missing, name = "there is no contract %q; nothing was started", r.Contract
		var c store.KnownContract
		if c, err = st.Contract(ctx, tenant, r.Contract); err != nil {
			break
		}
		var a model.AppFacts
		a, err = st.AppOfContract(ctx, tenant, c.ContractFacts)
		b.App, b.Contract, b.About, of.label = &a, &c.ContractFacts, &About{Contract: c.Name, App: c.App}, cmp.Or(c.DisplayName, c.Name)
	}
	if errors.Is(err, store.ErrNotFound) {
		return of, notStarted(StartNoSubject, missing, name)
	}
	return of, err
}

// HandsOn says that a run about one subject can start one about another, in a step:
// the other is the same, or known of it.
func HandsOn(from, to string) bool {
	switch to {
	case SubjectPerson:
		return HasPerson(from)
	case SubjectApplication:
		return from == SubjectApplication || from == SubjectContract
	}
	return to == "" || from == to
}
