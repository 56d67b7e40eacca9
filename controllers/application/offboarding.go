// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package application

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/intent"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/offboarding"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// offboard shows in the status what happens to a leaver's accounts, and returns
// what keeps entries of spec.offboarding from being carried out.
func (r *Reconciler) offboard(ctx context.Context, app *v1alpha1.Application, all, own []v1alpha1.Integration) error {
	entries := intent.Offboarding(app)
	found := map[string]offboarding.Integration{}
	owned := map[string]bool{}
	for i := range own {
		found[own[i].Name], owned[own[i].Name] = r.Backend.Offboarding(ctx, &own[i]), true
	}
	for _, e := range entries {
		at := slices.IndexFunc(all, func(i v1alpha1.Integration) bool { return i.Name == e.Integration })
		if _, have := found[e.Integration]; at >= 0 && !have {
			found[e.Integration] = r.Backend.Offboarding(ctx, &all[at])
		}
	}
	app.Status.Offboarding = methods(entries, found, owned)
	return unfit(entries, found, owned)
}

// methods says what would happen to an account in use at each Integration.
func methods(entries []offboarding.Entry, found map[string]offboarding.Integration, owned map[string]bool) []v1alpha1.OffboardingStatus {
	var out []v1alpha1.OffboardingStatus
	for name := range found {
		account := offboarding.Account{Integration: name, ID: "any", Status: model.AccountActive, Kind: model.AccountHuman}
		if !owned[name] {
			account.App = "any" // it sees the app from the side
		}
		d := offboarding.Resolve(entries, found, []offboarding.Account{account})[0]
		source := v1alpha1.OffboardingDefault
		if d.Source == offboarding.Declared {
			source = v1alpha1.OffboardingDeclared
		}
		out = append(out, v1alpha1.OffboardingStatus{
			Name: v1alpha1.ResourceName(name), Method: string(d.Method), Action: v1alpha1.ActionName(d.Action), Source: source,
		})
	}
	slices.SortFunc(out, func(a, b v1alpha1.OffboardingStatus) int { return cmp.Compare(a.Name, b.Name) })
	return out[:min(len(out), maxList)]
}

// maxProblems bounds how many problems a message tells.
const maxProblems = 4

// unfit sums up what is wrong with the entries. What a change of a spec mends
// comes first, then what waits for something.
func unfit(entries []offboarding.Entry, found map[string]offboarding.Integration, owned map[string]bool) error {
	messages := map[offboarding.Kind][]string{}
	for _, e := range entries {
		var in *offboarding.Integration
		if have, ok := found[e.Integration]; ok {
			in = &have
		}
		if p := offboarding.Check(e, in, owned[e.Integration]); p != nil {
			messages[p.Kind] = append(messages[p.Kind], fmt.Sprintf("spec.offboarding[%s].%s: %s", e.Integration, p.Field, p.Message))
		}
	}
	list := slices.Concat(messages[offboarding.Wrong], messages[offboarding.Missing], messages[offboarding.Unknown])
	if len(list) == 0 {
		return nil
	}
	text := strings.Join(list[:min(len(list), maxProblems)], ". ")
	if more := len(list) - maxProblems; more > 0 {
		text += fmt.Sprintf(". And %d more", more)
	}
	switch {
	case len(messages[offboarding.Wrong]) > 0:
		return &reconcile.StallingError{Reason: v1alpha1.ReasonOffboardingInvalid, Message: text, After: refresh}
	case len(messages[offboarding.Missing]) > 0:
		return reconcile.Waiting(v1alpha1.ReasonReferenceNotFound, refresh, "%s", text)
	}
	return reconcile.Waiting(v1alpha1.ReasonDependencyNotReady, refresh, "%s", text)
}
