// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/controllers/integration"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// integrations is the Integration controller's backend.
type integrations struct {
	store    *store.Store
	sessions *syncer.Sessions
	keys     *store.Keyring
	// wake tells this replica's sync worker to look for due work.
	wake func()
}

var _ integration.Backend = (*integrations)(nil)

// Describe implements integration.Backend.
func (b *integrations) Describe(spec handover.Spec) (integration.Connector, *handover.Problem) {
	return describe(b.sessions, spec)
}

// Check implements integration.Backend.
func (b *integrations) Check(ctx context.Context, name string, spec handover.Spec) (integration.Checked, *handover.Problem) {
	session, version, err := b.sessions.Open(ctx, syncer.Key{Namespace: spec.Namespace, Name: name}, spec, nil)
	if err != nil {
		return integration.Checked{SecretVersion: version}, problemOf(err)
	}
	defer session.Close()
	return integration.Checked{SecretVersion: version, Overridden: session.EndpointOverridden()}, nil
}

// HandOver implements integration.Backend.
func (b *integrations) HandOver(ctx context.Context, h integration.HandOver) error {
	tenant, err := b.store.EnsureTenant(ctx, h.Namespace)
	if err != nil {
		return err
	}
	spec, err := json.Marshal(h.Spec)
	if err != nil {
		return fmt.Errorf("encode the hand-over: %w", err)
	}
	name := h.Spec.Connector
	if h.Spec.ConnectorRef != "" {
		name = "resource/" + h.Spec.ConnectorRef
	}
	changed, err := b.store.UpsertIntegration(ctx, tenant, store.IntegrationSpec{
		Name: h.Name, UID: h.UID, Generation: h.Generation, Connector: name, Spec: spec, SecretVersion: h.Spec.SecretVersion,
		RequestedAt: h.Request, AcceptAccount: h.Spec.AcceptAccount, Interval: h.Spec.Interval, RetryInterval: h.Spec.RetryInterval,
		Suspended: h.Spec.Suspended,
	})
	if changed {
		b.wake()
	}
	return err
}

// State implements integration.Backend.
func (b *integrations) State(ctx context.Context, namespace, name string) (*handover.Status, error) {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	st, err := b.store.IntegrationState(ctx, tenant, name)
	if errors.Is(err, store.ErrNotFound) || err == nil && len(st.Status) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out handover.Status
	if err := json.Unmarshal(st.Status, &out); err != nil {
		return nil, fmt.Errorf("read the state of Integration %q: %w", name, err)
	}
	return &out, nil
}

// Release implements integration.Backend.
func (b *integrations) Release(ctx context.Context, namespace, name, stream, digest string) (bool, error) {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if err != nil {
		return false, err
	}
	subject := store.HoldSubject{Kind: store.HoldShrink, SubjectKind: v1alpha1.KindIntegration, SubjectName: name + "/" + stream}
	before, err := b.store.Hold(ctx, tenant, subject)
	if errors.Is(err, store.ErrNotFound) || err == nil && (before.ReleasedAt != nil || before.Digest != digest) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	by := model.Actor{Name: "annotation " + v1alpha1.ReleaseAnnotation, Kind: model.ActorUser}
	if _, err := b.store.ReleaseHold(ctx, tenant, subject, digest, by, "released by annotation of the Integration"); err != nil {
		var other *store.DigestError
		if errors.Is(err, store.ErrNotFound) || errors.As(err, &other) {
			return false, nil // another sync was faster; what is held now is another set
		}
		return false, err
	}
	b.wake()
	return true, nil
}

// Disconnect implements integration.Backend.
func (b *integrations) Disconnect(ctx context.Context, namespace, name, reason string, retainFor time.Duration) error {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := b.store.IntegrationState(ctx, tenant, name); errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	b.sessions.Forget(syncer.Key{Tenant: tenant, Namespace: namespace, Name: name})
	if err := b.store.DeleteEndpoints(ctx, tenant, v1alpha1.KindIntegration, name); err != nil {
		return err
	}
	if err := b.store.HideIntegration(ctx, tenant, name, retainFor); err != nil {
		return err
	}
	return b.store.AppendAudit(ctx, tenant, model.AuditRecord{
		Actor: "seatkeeper", ActorKind: model.ActorSystem, Action: "integration.disconnect", ObjectKind: v1alpha1.KindIntegration, ObjectName: name,
		Reason: reason, Result: "done", Detail: map[string]string{"retainFor": retainFor.String()},
	})
}

// organizations is the Organization controller's backend.
type organizations struct {
	store *store.Store
	clock clock.PassiveClock
}

// PutFacts implements organization.Backend.
func (b organizations) PutFacts(ctx context.Context, namespace string, spec *v1alpha1.OrganizationSpec) error {
	tenant, err := b.store.EnsureTenant(ctx, namespace)
	if err != nil {
		return err
	}
	return b.store.SetTenantFacts(ctx, tenant, factsOf(spec))
}

// Counts implements organization.Backend.
func (b organizations) Counts(ctx context.Context, namespace string) (v1alpha1.PeopleCounts, int64, error) {
	var n v1alpha1.PeopleCounts
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if err != nil {
		return n, 0, err
	}
	people, err := b.store.PeopleCounts(ctx, tenant)
	if err != nil {
		return n, 0, err
	}
	for lifecycle, count := range people {
		n.Total += count
		switch lifecycle {
		case model.LifecycleFuture:
			n.Future += count
		case model.LifecycleCurrent:
			n.Current += count
		case model.LifecycleOnLeave:
			n.OnLeave += count
		case model.LifecyclePast:
			n.Past += count
		case model.LifecycleExternal:
			n.External += count
		default:
			n.Unknown += count
		}
	}
	totals, err := b.store.Totals(ctx, tenant)
	return n, totals.Apps, err
}

// factsOf is what the store's merging and its readers go by; the zero facts for
// a namespace without an Organization.
func factsOf(spec *v1alpha1.OrganizationSpec) store.TenantFacts {
	if spec == nil {
		return store.TenantFacts{}
	}
	f := store.TenantFacts{DisplayName: spec.DisplayName, TimeZone: string(spec.TimeZone), Currency: string(spec.Currency)}
	for _, d := range spec.Domains {
		f.Domains = append(f.Domains, string(d))
	}
	if s := spec.LifecycleSource; s != nil {
		f.LifecycleIntegration, f.LifecycleSCIM = string(s.Integration), s.SCIM != nil && *s.SCIM
	}
	for _, r := range spec.SourceRank {
		rank := store.SourceRank{Fields: r.Fields}
		for _, s := range r.Sources {
			rank.Sources = append(rank.Sources, string(s))
		}
		f.SourceRank = append(f.SourceRank, rank)
	}
	if p := spec.Protected; p != nil {
		for _, email := range p.People {
			f.Protected = append(f.Protected, string(email))
		}
		for _, a := range p.Accounts {
			if f.ProtectedAccounts == nil {
				f.ProtectedAccounts = map[string][]string{}
			}
			f.ProtectedAccounts[string(a.Integration)] = a.ExternalIDs
		}
		f.ProtectedWhen = string(p.When)
	}
	if w := spec.Workday; w != nil {
		f.Workday = workdayFacts(w)
	}
	if n := spec.Notifications; n != nil {
		for _, c := range n.Channels {
			if name := string(c.Integration); name != "" && !slices.Contains(f.Messengers, name) {
				f.Messengers = append(f.Messengers, name)
			}
		}
	}
	f.SCIM = scimFactsOf(spec)
	return f
}

// workdayFacts is the calendar that waits and moments go by.
func workdayFacts(w *v1alpha1.Workday) store.WorkdayFacts {
	f := store.WorkdayFacts{End: string(w.End)}
	for _, d := range w.Weekdays {
		f.Weekdays = append(f.Weekdays, string(d))
	}
	for _, d := range w.Holidays {
		f.Holidays = append(f.Holidays, string(d))
	}
	return f
}

// scimFactsOf is what the gateway goes by where identity providers call.
func scimFactsOf(spec *v1alpha1.OrganizationSpec) store.SCIMFacts {
	var f store.SCIMFacts
	for _, r := range spec.Roles {
		f.Roles = append(f.Roles, store.TenantRole{Name: r.Name, Description: r.Description, Admin: r.Admin})
	}
	if s := spec.SCIM; s != nil {
		f.Enabled, f.AnyUserName, f.Strict = s.Enabled, s.AnyUserName, s.Strict
		for _, d := range s.UserNameDomains {
			f.Domains = append(f.Domains, string(d))
		}
	}
	return f
}
