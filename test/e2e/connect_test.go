// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/app/manager"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
)

// TestOnlyTheOperatorRedirects: the same Integrations and the same manager,
// without the endpoint override, call nobody on this machine (decision 27).
func TestOnlyTheOperatorRedirects(t *testing.T) {
	s := newSite(t, plan{
		people: 20, seed: 2,
		objects: func(obj *unstructured.Unstructured) bool {
			// What a resource may name, it names on this machine, so that nothing
			// leaves it in any case.
			switch obj.GetName() {
			case "hris":
				set(t, obj, "https://localhost:1/people.csv", "spec", "config", "url")
			case "okta":
				set(t, obj, "localhost", "spec", "config", "domain")
			default:
				return false
			}
			return obj.GetKind() == "Integration"
		},
		manager: func(o *manager.Options) { o.ConnectorEndpoints = nil },
	})
	g := NewWithT(t)
	for name, want := range map[string]struct{ reason, says string }{
		"hris": {v1alpha1.ReasonFailed, "loopback"}, "okta": {v1alpha1.ReasonInvalidConfig, "spec.config.domain"},
	} {
		i := &v1alpha1.Integration{}
		c := s.condition(i, name, v1alpha1.ConditionReady, want.reason)
		g.Expect(c.Message).To(And(ContainSubstring("localhost"), ContainSubstring(want.says)))
		g.Expect(meta.FindStatusCondition(i.Status.Conditions, v1alpha1.ConditionEndpointOverridden)).To(BeNil(), name)
	}
	for call, n := range s.sim.Requests() {
		t.Errorf("%d calls of %s reached a simulator that nobody had redirected to", n, call)
	}
}

func set(t *testing.T, obj *unstructured.Unstructured, value any, fields ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(obj.Object, value, fields...); err != nil {
		t.Fatal(err)
	}
}

// TestQuietHours: whoever sleeps is asked in the morning, in their own zone.
func TestQuietHours(t *testing.T) {
	s := newSite(t, plan{people: 60, seed: 7})
	s.settled()
	g := NewWithT(t)
	company, err := s.sim.Company()
	g.Expect(err).NotTo(HaveOccurred())
	waking := func(p *fakesaas.Person) bool {
		zone, err := time.LoadLocation(p.TimeZone)
		g.Expect(err).NotTo(HaveOccurred())
		hour := s.clock.Now().In(zone).Hour()
		return hour >= 9 && hour < 18
	}
	g.Eventually(func() []run { return list[run](s, "runs", "--policy", "zoom-90d") }, wait).Should(
		ContainElement(HaveField("Reason", "QuietHours")), "nobody is outside working hours")
	g.Eventually(s.sim.Messages, wait).ShouldNot(BeEmpty())
	for _, m := range s.sim.Messages() {
		p := company.PersonByEmail(memberEmail(company, m.User))
		g.Expect(waking(p)).To(BeTrue(), "%s in %s was asked at night", p.Name(), p.TimeZone)
	}
	before := len(s.sim.Messages())
	s.clock.forward(6 * time.Hour) // from noon in London to noon in Chicago
	g.Eventually(func() int { return len(s.sim.Messages()) }, wait).Should(BeNumerically(">", before), "nobody was asked later")
}
