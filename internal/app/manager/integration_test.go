// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
)

// hrisConfig is the config of the csv connector for the simulated HRIS.
func hrisConfig() map[string]any {
	return map[string]any{
		"url": "https://hris.acme.example/export/people.csv", "format": "generic",
		"columns": map[string]any{
			"employee_id": "person.externalId", "email": "person.email", "display_name": "person.displayName",
			"first_name": "person.givenName", "last_name": "person.familyName", "department": "person.department",
			"manager_email": "person.managerEmail", "lifecycle": "person.lifecycle", "status": "-",
		},
	}
}

func records(i *v1alpha1.Integration) map[v1alpha1.DataType]int64 {
	out := map[v1alpha1.DataType]int64{}
	for _, d := range i.Status.DataTypes {
		out[d.Name] = d.Records
	}
	return out
}

func TestIntegrationsBecomeReadyAndCountWhatTheVendorsHold(t *testing.T) {
	w := newWorld(t)
	for name, data := range secrets {
		w.secret(name, data)
	}
	okta := w.integration("okta", map[string]any{"domain": "acme.okta.com"})
	slack := w.integration("slack", nil)
	zoom := w.integration("zoom", nil)
	hris := w.integration("csv", hrisConfig())
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	w.create(okta, slack, zoom, hris)

	truth := w.vendors.Truth(fakesaas.TruthOptions{})
	g := NewWithT(t)
	for _, i := range []*v1alpha1.Integration{okta, slack, zoom, hris} {
		w.ready(i, metav1.ConditionTrue, v1alpha1.ReasonSynced)
		w.condition(i, v1alpha1.ConditionTested, metav1.ConditionTrue, v1alpha1.ReasonAllPassed)
		g.Expect(i.Finalizers).To(ContainElement(v1alpha1.DisconnectFinalizer))
		g.Expect(i.Status.Capabilities).NotTo(BeNil())
		g.Expect(i.Status.Digest).NotTo(BeEmpty())
	}
	for _, i := range []*v1alpha1.Integration{okta, slack, zoom} {
		w.condition(i, v1alpha1.ConditionEndpointOverridden, metav1.ConditionTrue, v1alpha1.ReasonOperatorOverride)
		g.Expect(i.Status.Account).NotTo(BeNil())
	}
	g.Expect(records(zoom)[v1alpha1.DataAccounts]).To(BeEquivalentTo(truth.Accounts[fakesaas.Zoom]))
	g.Expect(records(hris)[v1alpha1.DataPeople]).To(BeEquivalentTo(truth.People))
	g.Expect(records(okta)[v1alpha1.DataApps]).To(BeEquivalentTo(truth.Apps))
	g.Expect(w.vendors.Violations()).To(BeEmpty())
	for _, v := range []string{fakesaas.Okta, fakesaas.Slack, fakesaas.Zoom, fakesaas.HRIS} {
		g.Expect(w.vendors.Writes(v)).To(BeZero(), "a sync wrote to %s", v)
	}
}

func TestConnectTestOutcomes(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)

	// C: the credential is wrong. Nothing is synced; a new Secret is tested by
	// itself and heals it.
	w.secret("okta", map[string]string{"token": "wrong"})
	okta := w.integration("okta", map[string]any{"domain": "acme.okta.com"})
	w.create(okta)
	c := w.ready(okta, metav1.ConditionFalse, v1alpha1.ReasonFailed)
	g.Expect(c.Message).NotTo(ContainSubstring("wrong"), "a message holds a credential")
	w.condition(okta, v1alpha1.ConditionTested, metav1.ConditionFalse, v1alpha1.ReasonFailed)
	w.condition(okta, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonFailed)
	g.Expect(records(okta)[v1alpha1.DataAccounts]).To(BeZero())
	w.secret("okta", secrets["okta"])
	w.annotate(okta, v1alpha1.RequestedAtAnnotation, "1")
	w.ready(okta, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.condition(okta, v1alpha1.ConditionTested, metav1.ConditionTrue, v1alpha1.ReasonAllPassed)
}

func TestPartialTestNeedsConsent(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	// B: a token that may not read groups.
	w.vendors.AddFault(fakesaas.Fault{Vendor: fakesaas.Okta, Path: "/api/v1/groups", Kind: fakesaas.FaultMissingScope, Error: "okta.groups.read"})
	w.secret("okta", secrets["okta"])
	okta := w.integration("okta", map[string]any{"domain": "acme.okta.com"})
	w.create(okta)
	c := w.ready(okta, metav1.ConditionFalse, v1alpha1.ReasonPartial)
	g.Expect(c.Message).To(ContainSubstring("groups"))
	g.Expect(c.Message).To(ContainSubstring("acceptPartial"))
	g.Expect(records(okta)).To(BeEmpty(), "a refused partial test synced")

	w.patch(okta, map[string]any{"spec": map[string]any{"acceptPartial": true}})
	w.ready(okta, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.condition(okta, v1alpha1.ConditionTested, metav1.ConditionTrue, v1alpha1.ReasonPartial)
	states := map[v1alpha1.DataType]v1alpha1.DataTypeState{}
	for _, d := range okta.Status.DataTypes {
		states[d.Name] = d.State
	}
	g.Expect(states).To(HaveKeyWithValue(v1alpha1.DataGroups, v1alpha1.DataTypeDisabled))
	g.Expect(states).To(HaveKeyWithValue(v1alpha1.DataAccounts, v1alpha1.DataTypeFresh))

	// Taking the consent back stops it again.
	w.patch(okta, map[string]any{"spec": map[string]any{"acceptPartial": false}})
	w.ready(okta, metav1.ConditionFalse, v1alpha1.ReasonPartial)
}

func TestSecretMissingOrDenied(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	zoom := w.integration("zoom", nil)
	w.create(zoom)
	c := w.ready(zoom, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	g.Expect(c.Message).To(ContainSubstring(`"zoom"`))
	w.secret("zoom", secrets["zoom"])
	w.annotate(zoom, v1alpha1.RequestedAtAnnotation, "1")
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
}

func TestInvalidConfigNamesFieldAndType(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	w.secret("okta", secrets["okta"])
	okta := w.integration("okta", map[string]any{"domain": 42})
	w.create(okta)
	c := w.ready(okta, metav1.ConditionFalse, v1alpha1.ReasonInvalidConfig)
	g.Expect(c.Message).To(And(ContainSubstring("spec.config.domain"), ContainSubstring("string")))

	unknown := w.integration("zoom", nil)
	unknown.Spec.Connector, unknown.Name = "zzz", "zzz"
	w.create(unknown)
	c = w.ready(unknown, metav1.ConditionFalse, v1alpha1.ReasonConnectorNotFound)
	g.Expect(c.Message).To(ContainSubstring("okta"), "the built-in ones are not named")

	types := w.integration("zoom", nil)
	types.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataTransactions}
	w.create(types)
	w.ready(types, metav1.ConditionFalse, v1alpha1.ReasonDataTypeUnsupported)
}

func TestLoopbackIsRefusedWithoutTheOperator(t *testing.T) {
	w := newWorld(t, func(w *world) {
		// The address that the config names is a loopback one, and the operator
		// neither redirects nor allows it.
		w.options.ConnectorEndpoints, w.options.AllowedNetworks = nil, nil
	})
	g := NewWithT(t)
	hris := w.integration("csv", hrisConfig())
	value, err := v1alpha1.NewValue("https://127.0.0.1:1/people.csv")
	g.Expect(err).NotTo(HaveOccurred())
	hris.Spec.Config["url"] = value
	hris.Spec.CredentialsRef = nil
	w.create(hris)
	c := w.ready(hris, metav1.ConditionFalse, v1alpha1.ReasonFailed)
	g.Expect(c.Message).To(ContainSubstring("127.0.0.1"))
	g.Expect(c.Message).To(ContainSubstring("loopback"))
}
