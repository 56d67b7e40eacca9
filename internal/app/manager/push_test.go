// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
)

// push sends records as the gateway does.
func (w *world) push(name string, complete bool, records ...model.Record) []syncer.PushedType {
	w.t.Helper()
	g := NewWithT(w.t)
	m, err := connectors.Builtin("push")
	g.Expect(err).NotTo(HaveOccurred())
	tenant, err := w.store.TenantByNamespace(w.t.Context(), w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	p := &syncer.Pusher{Store: w.store, Streams: m.Streams(), Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)}
	types, err := p.Push(w.t.Context(), syncer.Key{Tenant: tenant, Namespace: w.ns, Name: name}, func(ctx context.Context, p *syncer.Push) (connector.RecordsEnd, error) {
		for _, r := range records {
			if err := p.Stage(ctx, r); err != nil {
				return connector.RecordsEnd{}, err
			}
		}
		return connector.RecordsEnd{All: complete}, nil
	})
	g.Expect(err).NotTo(HaveOccurred())
	return types
}

func pushedAccounts(n int) []model.Record {
	out := make([]model.Record, n)
	for i := range out {
		out[i] = model.Record{Account: &model.Account{ExternalID: fmt.Sprint(i), Status: model.AccountActive}}
	}
	return out
}

// An Integration of the connector push is connected without a Secret, shows what
// was pushed, keeps it through the workers' own syncs, and gets it back when it
// is made anew.
func TestPushedIntegration(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	agent := &v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "agent"},
		Spec: v1alpha1.IntegrationSpec{Connector: "push", Interval: "1h", RetainFor: "30d", ShrinkGuard: &v1alpha1.ShrinkGuard{MinItems: ptrTo(int32(1)), MaxPercent: ptrTo(int32(10))}}}
	w.create(agent)
	c := w.ready(agent, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	g.Expect(c.Message).To(ContainSubstring("no records were pushed yet"))
	g.Expect(agent.Status.DataTypes).To(BeEmpty())
	g.Expect(agent.Status.Account.ID).To(Equal("push/agent"))

	w.push("agent", true, pushedAccounts(30)...)
	shows := func(state v1alpha1.DataTypeState, records int64) {
		t.Helper()
		g.Eventually(func(g Gomega) {
			w.get("agent", agent)
			g.Expect(agent.Status.DataTypes).To(HaveLen(1))
			g.Expect(agent.Status.DataTypes[0].State).To(Equal(state))
			g.Expect(agent.Status.DataTypes[0].Records).To(Equal(records))
		}).WithTimeout(60 * time.Second).Should(Succeed())
	}
	shows(v1alpha1.DataTypeFresh, 30)
	digest := agent.Status.Digest

	// A worker's sync changes nothing of it.
	w.annotate(agent, v1alpha1.RequestedAtAnnotation, "now")
	g.Eventually(func(g Gomega) {
		w.get("agent", agent)
		g.Expect(agent.Status.LastHandledReconcileAt).To(Equal("now"))
	}).WithTimeout(60 * time.Second).Should(Succeed())
	shows(v1alpha1.DataTypeFresh, 30)
	g.Expect(agent.Status.Digest).To(Equal(digest))

	// What is held stays held through such a sync, and the annotation releases it.
	w.push("agent", true, pushedAccounts(20)...)
	c = w.ready(agent, metav1.ConditionFalse, v1alpha1.ReasonGuardHeld)
	held := agent.Status.Held
	g.Expect(held).NotTo(BeNil())
	w.annotate(agent, v1alpha1.RequestedAtAnnotation, "again")
	g.Eventually(func(g Gomega) {
		w.get("agent", agent)
		g.Expect(agent.Status.LastHandledReconcileAt).To(Equal("again"))
	}).WithTimeout(60 * time.Second).Should(Succeed())
	w.ready(agent, metav1.ConditionFalse, v1alpha1.ReasonGuardHeld)
	w.annotate(agent, v1alpha1.ReleaseAnnotation, held.Digest)
	w.condition(agent, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonGuardHeld)
	g.Eventually(func() int64 { return w.push("agent", true, pushedAccounts(20)...)[0].Removed }).WithTimeout(60 * time.Second).Should(BeEquivalentTo(10))
	w.ready(agent, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	shows(v1alpha1.DataTypeFresh, 20)

	// Made anew, it has its rows again.
	g.Expect(w.client.Delete(t.Context(), agent)).To(Succeed())
	g.Eventually(func() error {
		return w.client.Get(t.Context(), client.ObjectKeyFromObject(agent), &v1alpha1.Integration{})
	}).ShouldNot(Succeed())
	anew := &v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "agent"}, Spec: agent.Spec}
	w.create(anew)
	w.ready(anew, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	shows(v1alpha1.DataTypeFresh, 20)
	g.Expect(agent.Status.Digest).NotTo(BeEmpty())
	tenant, err := w.store.TenantByNamespace(t.Context(), w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	rows, _, err := w.store.ListAccounts(t.Context(), tenant, store.AccountQuery{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(rows).To(HaveLen(20))
}
