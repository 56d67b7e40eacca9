// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// TestPartialTest is journey 3: a token without the scope of the licences.
func TestPartialTest(t *testing.T) {
	s := newSite(t, plan{people: 30, seed: 3, objects: func(obj *unstructured.Unstructured) bool {
		if obj.GetKind() == "Integration" && obj.GetName() == "slack" {
			obj.Object["spec"].(map[string]any)["credentialsRef"] = map[string]any{"name": "slack-without-admin"}
		}
		return obj.GetKind() != "LicensePolicy" && obj.GetKind() != "Contract"
	}})
	g := NewWithT(t)
	fault := s.sim.AddFault(fakesaas.Fault{Vendor: fakesaas.Slack, Path: "/api/team.billableInfo", Kind: fakesaas.FaultMissingScope, Error: "admin"})
	s.create(s.secret("slack-without-admin", vendorSecrets["slack-tokens"]))
	s.request("slack", "1")

	c := s.condition(&v1alpha1.Integration{}, "slack", v1alpha1.ConditionReady, v1alpha1.ReasonPartial)
	g.Expect(string(c.Status)).To(Equal("False"))
	g.Expect(c.Message).To(And(ContainSubstring("licenses"), ContainSubstring("acceptPartial")))
	g.Expect(list[account](s, "accounts", "--integration", "slack")).To(BeEmpty(), "a refused test synced")

	s.patch(&v1alpha1.Integration{}, "slack", map[string]any{"spec": map[string]any{"acceptPartial": true}})
	s.condition(&v1alpha1.Integration{}, "slack", v1alpha1.ConditionReady, v1alpha1.ReasonSynced)
	g.Expect(list[account](s, "accounts", "--integration", "slack")).To(HaveLen(s.sim.Truth(fakesaas.TruthOptions{}).Accounts[fakesaas.Slack]))
	app := &v1alpha1.Application{}
	s.condition(app, "slack", v1alpha1.ConditionReady, v1alpha1.ReasonReconciled)
	// Unknown is not 0.
	r := s.cli("seats", "--integration", "slack")
	g.Expect(r.code).To(BeZero(), r.err)
	g.Expect(r.out).To(BeEmpty())
	i := &v1alpha1.Integration{}
	s.condition(i, "slack", v1alpha1.ConditionTested, v1alpha1.ReasonPartial)
	g.Expect(i.Status.DataTypes).To(ContainElement(SatisfyAll(
		HaveField("Name", v1alpha1.DataType("licenses")), HaveField("State", v1alpha1.DataTypeDisabled))))

	// With the scope it is whole again.
	s.sim.RemoveFault(fault)
	s.request("slack", "2")
	s.condition(&v1alpha1.Integration{}, "slack", v1alpha1.ConditionTested, v1alpha1.ReasonAllPassed)
	g.Eventually(func() string { return s.cli("seats", "--integration", "slack").out }, wait).ShouldNot(BeEmpty())
}

// account as `seatkeeper accounts` shows it.
type account struct {
	Integration, ExternalID, Username, Status, PersonEmail, LastActivity string
}

// TestBadFeed is journey 6: an HRIS that lists nobody, or calls 300 of 1,000
// people leavers, moves nothing until a person releases exactly that set.
func TestBadFeed(t *testing.T) {
	s := newSite(t, plan{people: 1000, seed: 5, objects: func(obj *unstructured.Unstructured) bool {
		switch obj.GetKind() {
		case "Organization":
			return true
		case "Integration":
			return obj.GetName() == "hris"
		}
		return false
	}})
	g := NewWithT(t)
	s.condition(&v1alpha1.Integration{}, "hris", v1alpha1.ConditionReady, v1alpha1.ReasonSynced)
	lifecycles := func() map[string]int { return read[model.Summary](s, "summary").People }
	before := lifecycles()
	g.Expect(before).To(Equal(s.sim.Truth(fakesaas.TruthOptions{}).ByLifecycle))

	// Nobody left in the file.
	fault := s.sim.AddFault(fakesaas.Fault{Vendor: fakesaas.HRIS, Kind: fakesaas.FaultShrink, Percent: 100})
	s.request("hris", "empty")
	c := s.condition(&v1alpha1.Integration{}, "hris", v1alpha1.ConditionSynced, v1alpha1.ReasonSyncFailed)
	g.Expect(c.Message).To(ContainSubstring("no rows"))
	g.Expect(lifecycles()).To(Equal(before), "an empty feed removed people")
	s.sim.RemoveFault(fault)

	// Half of it is left.
	fault = s.sim.AddFault(fakesaas.Fault{Vendor: fakesaas.HRIS, Kind: fakesaas.FaultShrink, Percent: 50})
	s.request("hris", "half")
	s.condition(&v1alpha1.Integration{}, "hris", v1alpha1.ConditionSynced, v1alpha1.ReasonGuardHeld)
	g.Expect(lifecycles()).To(Equal(before), "half a feed removed people")
	s.sim.RemoveFault(fault)
	s.request("hris", "whole")
	s.condition(&v1alpha1.Integration{}, "hris", v1alpha1.ConditionReady, v1alpha1.ReasonSynced)
	g.Expect(list[held](s, "guards")).To(BeEmpty(), "a hold outlived its cause")

	// 300 leavers at once.
	gone := 0
	g.Expect(s.sim.Update(func(company *fakesaas.Company) {
		for _, p := range company.People {
			if p.Lifecycle == fakesaas.LifecycleCurrent && gone < 300 {
				p.Lifecycle, p.EndDate = fakesaas.LifecyclePast, "2026-11-17"
				gone++
			}
		}
	})).To(Succeed())
	s.request("hris", "leavers")
	s.condition(&v1alpha1.Integration{}, "hris", v1alpha1.ConditionSynced, v1alpha1.ReasonGuardHeld)
	g.Expect(lifecycles()).To(Equal(before), "held leavers are past already")
	guards := list[held](s, "guards")
	g.Expect(guards).To(HaveLen(1))
	g.Expect(guards[0].Count).To(Equal(300))
	shown := read[held](s, "guards", guards[0].Guard)
	g.Expect(shown.Items).To(HaveLen(300))

	// Another set is not released by this one's digest.
	wrong := s.cli("release", guards[0].Guard, "--digest", strings.Repeat("0", 8)+shown.Digest[8:])
	g.Expect(wrong.code).To(Equal(1), wrong.err)
	g.Expect(lifecycles()).To(Equal(before))

	r := s.cli("release", guards[0].Guard, "--digest", shown.Digest)
	g.Expect(r.code).To(BeZero(), r.err)
	g.Eventually(lifecycles, wait).Should(HaveKeyWithValue(fakesaas.LifecyclePast, before[fakesaas.LifecyclePast]+300))
	g.Expect(list[record](s, "audit", "--action", "guard.release")).To(HaveLen(1))
}
