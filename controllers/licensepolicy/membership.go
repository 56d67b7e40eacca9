// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package licensepolicy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// groupRemoveMember is the action that takes a person out of a group.
const groupRemoveMember = "group.removeMember"

// membership is the group in an identity provider that gives people the seats
// of a policy.
type membership struct {
	integration string
	group       model.DirectoryGroup
	action      Action
}

// resolveMembership finds the identity provider and the group of spec.removal,
// and whether the group may be changed.
func (r *Reconciler) resolveMembership(ctx context.Context, f *flow) error {
	rm := f.policy.Spec.Removal
	name := string(rm.Integration)
	var in v1alpha1.Integration
	err := r.Env.Client.Get(ctx, types.NamespacedName{Namespace: f.policy.Namespace, Name: name}, &in)
	if apierrors.IsNotFound(err) {
		return reconcile.Waiting(v1alpha1.ReasonReferenceNotFound, 0,
			"spec.removal.integration: there is no Integration %q in this namespace; create it, or correct the name. Until then the policy only reports", name)
	}
	if err != nil {
		return fmt.Errorf("read the Integration of spec.removal: %w", err)
	}
	states, err := r.Backend.Integrations(ctx, f.policy.Namespace)
	if err != nil {
		return storeError(err)
	}
	if state, known := states[name]; !known || state.FirstSyncedAt == nil {
		return reconcile.Waiting(v1alpha1.ReasonDependencyNotReady, 0,
			"spec.removal.integration: Integration %s has not completed its first sync, so who is in which group is not known. Until then the policy only reports", name)
	}
	found, listed, err := r.Backend.Groups(ctx, f.policy.Namespace, name, rm.Group)
	if err != nil {
		return storeError(err)
	}
	group, err := groupOf(name, rm.Group, found, listed)
	if err != nil {
		return err
	}
	r.bar(ctx, f, name, &in)
	f.via = &membership{integration: name, group: group, action: f.actions[name]}
	if f.res.barred[name] == "" && (f.via.action.AccountInput == "" || f.via.action.GroupInput == "") {
		f.res.barred[name] = v1alpha1.ReasonRemovalUnsupported
	}
	return nil
}

// groupOf picks the one group that is meant, by id or exact name. With several
// nobody guesses: a wrong one would take away something else.
func groupOf(integration, ref string, found []model.DirectoryGroup, listed int64) (model.DirectoryGroup, error) {
	var exact []model.DirectoryGroup
	for _, g := range found {
		if g.ExternalID == ref || g.Name == ref {
			exact = append(exact, g)
		}
	}
	switch {
	case len(exact) == 1:
		return exact[0], nil
	case len(exact) > 1:
		return model.DirectoryGroup{}, reconcile.Waiting(v1alpha1.ReasonGroupAmbiguous, 0,
			"spec.removal.group: %d groups of Integration %s are called %q: %s; name the one that is meant by its id. Until then the policy only reports",
			len(exact), integration, ref, listGroups(exact))
	case len(found) > 0:
		return model.DirectoryGroup{}, reconcile.Waiting(v1alpha1.ReasonGroupNotFound, 0,
			"spec.removal.group: Integration %s lists no group %q; it has %s, written otherwise. Correct the name. Until then the policy only reports",
			integration, ref, listGroups(found))
	}
	return model.DirectoryGroup{}, reconcile.Waiting(v1alpha1.ReasonGroupNotFound, 0,
		"spec.removal.group: none of the %d groups that Integration %s lists has the name or id %q; correct it, or see in its status that groups are synced. Until then the policy only reports",
		listed, integration, ref)
}

func listGroups(groups []model.DirectoryGroup) string {
	var out []string
	for _, g := range groups {
		out = append(out, fmt.Sprintf("%q (id %s)", g.Name, g.ExternalID))
	}
	return reconcile.List(out, 5)
}

// directory is what an evaluation must know of the group.
func (f *flow) directory() *govern.Group {
	if f.via == nil {
		return nil
	}
	return &govern.Group{Integration: f.via.integration, ExternalID: f.via.group.ExternalID}
}

// endOf says how the seat of a member ends.
func (m *membership) endOf(c policy.Candidate, app, plan string) (ending, error) {
	if c.Directory == nil {
		return ending{}, fmt.Errorf("seat %s: no account in %s to take out of group %s", c.Subject(), m.integration, m.group.ExternalID)
	}
	via := &workflow.ReclaimVia{
		Integration: m.integration, GroupID: m.group.ExternalID, Group: m.group.Name, AccountID: c.Directory.ExternalID, Action: groupRemoveMember,
	}
	return ending{
		removal: workflow.ReclaimRemoval{Integration: m.integration, Action: groupRemoveMember,
			With: map[string]any{m.action.AccountInput: via.AccountID, m.action.GroupInput: via.GroupID}},
		via: via,
		effect: fmt.Sprintf("your account is removed from group %s in %s; your %s seat ends when %s's provisioning has taken it, and what becomes of your %s account is set there",
			via.Group, m.integration, plan, m.integration, app),
	}, nil
}

// notRemovable words why a membership cannot be taken, by reason.
var notRemovable = map[string]string{
	policy.ReasonNoDirectoryAccount:        "whose person has no account there",
	policy.ReasonNotGroupMember:            "whose person is not in the group",
	policy.ReasonDirectoryAccountAmbiguous: "whose person is in the group with several accounts",
}

// unremovable says how many unused seats a removal by group cannot end, and why.
func unremovable(n policy.Counts) string {
	if n.Unremovable == 0 {
		return ""
	}
	var parts []string
	for reason, count := range n.UnremovableBy {
		parts = append(parts, fmt.Sprintf("%d %s (%s)", count, notRemovable[reason], reason))
	}
	slices.Sort(parts)
	return "; unused as well, and left alone by the removal through the identity provider: " + strings.Join(parts, ", ")
}
