// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"hash/fnv"
	"log/slog"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// secretSweep is how often every Secret is looked at again (decision 12).
const secretSweep = 5 * time.Minute

// poller tells the leader's controllers what workers of any replica changed. It
// costs one query every few seconds (decision 8).
type poller struct {
	store    *store.Store
	spaces   *tenantNames
	objects  client.Reader // the manager's cache
	clock    clock.WithTicker
	interval time.Duration
	log      *slog.Logger

	integrations  chan event.GenericEvent
	organizations chan event.GenericEvent
	applications  chan event.GenericEvent
	// policies carries LicensePolicies whose inventory changed.
	policies chan event.GenericEvent

	version int64
	slot    int
}

func newPoller(s *store.Store, spaces *tenantNames, objects client.Reader, c clock.WithTicker, interval time.Duration, log *slog.Logger) *poller {
	const buffer = 1024
	return &poller{
		store: s, spaces: spaces, objects: objects, clock: c, interval: interval, log: log,
		integrations: make(chan event.GenericEvent, buffer), organizations: make(chan event.GenericEvent, buffer),
		applications: make(chan event.GenericEvent, buffer), policies: make(chan event.GenericEvent, buffer),
	}
}

// NeedLeaderElection tells controller-runtime that only the leader polls.
func (p *poller) NeedLeaderElection() bool { return true }

// Start polls until ctx ends.
func (p *poller) Start(ctx context.Context) error {
	ticker := p.clock.NewTicker(p.interval)
	defer ticker.Stop()
	for {
		if err := p.poll(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("Could not read what the sync workers changed", "error", err)
		}
		p.sweepSecrets(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// poll passes on every Integration whose state changed, and wakes what rests on
// the inventory of namespaces whose data changed.
func (p *poller) poll(ctx context.Context) error {
	changed, err := p.store.ChangedStates(ctx, p.version)
	if err != nil || len(changed) == 0 {
		return err
	}
	stale := map[string]bool{}
	for _, st := range changed {
		ns, err := p.spaces.of(ctx, st.Tenant)
		if err != nil {
			return err
		}
		p.version = max(p.version, st.StateVersion)
		p.send(ctx, p.integrations, ns, st.Name)
		stale[ns] = true // a type that turned stale changes verdicts as data does
	}
	for ns := range stale {
		p.wakeReaders(ctx, ns)
	}
	return nil
}

// wakeReaders passes on what shows a roll-up of the namespace's inventory.
func (p *poller) wakeReaders(ctx context.Context, ns string) {
	p.send(ctx, p.organizations, ns, v1alpha1.OrganizationName)
	var apps v1alpha1.ApplicationList
	var policies v1alpha1.LicensePolicyList
	for _, list := range []client.ObjectList{&apps, &policies} {
		if err := p.objects.List(ctx, list, client.InNamespace(ns), client.UnsafeDisableDeepCopy); err != nil && ctx.Err() == nil {
			p.log.Error("Could not list what a sync concerns", "namespace", ns, "error", err)
		}
	}
	for _, a := range apps.Items {
		p.send(ctx, p.applications, ns, a.Name)
	}
	for _, l := range policies.Items {
		p.send(ctx, p.policies, ns, l.Name)
	}
}

// sweepSecrets passes on a share of the Integrations with credentials at each
// tick, so that each is looked at once in secretSweep and not all at once.
func (p *poller) sweepSecrets(ctx context.Context) {
	slots := max(1, int(secretSweep/p.interval))
	slot := p.slot % slots
	p.slot++
	var all v1alpha1.IntegrationList
	if err := p.objects.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		if ctx.Err() == nil {
			p.log.Error("Could not list Integrations", "error", err)
		}
		return
	}
	for _, i := range all.Items {
		if i.Spec.CredentialsRef != nil && slotOf(i.Namespace+"/"+i.Name, slots) == slot {
			p.send(ctx, p.integrations, i.Namespace, i.Name)
		}
	}
}

func slotOf(key string, slots int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // a hash.Hash never fails a write
	return int(h.Sum32() % uint32(slots))
}

func (p *poller) send(ctx context.Context, to chan event.GenericEvent, namespace, name string) {
	select {
	case to <- event.GenericEvent{Object: &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}}:
	case <-ctx.Done():
	}
}
