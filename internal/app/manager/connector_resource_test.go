// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// overTLS puts a certificate that this process trusts before each vendor host,
// because a Connector resource reaches https only and operators redirect the
// hosts of built-in connectors alone (decision 27).
func overTLS(t *testing.T, endpoints map[string]string, hosts ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, host := range hosts {
		target, err := url.Parse(endpoints[host])
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
		t.Cleanup(srv.Close)
		out[host] = srv.URL
	}
	return out
}

// TestConnectorResource follows one Integration of a Connector resource with
// the manifest of the built-in Zoom: the same accounts and seats, the same
// roll-up, a seat taken by the same action (acceptance row 98).
func TestConnectorResource(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	urls := overTLS(t, w.vendors.Endpoints(), "api.zoom.us", "zoom.us")
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "connectors", "zoom", "connector.yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	manifest := strings.NewReplacer("https://api.zoom.us", urls["api.zoom.us"], "https://zoom.us", urls["zoom.us"]).Replace(string(raw))
	own := &v1alpha1.Connector{}
	g.Expect(yaml.UnmarshalStrict([]byte(manifest), own)).To(Succeed())
	own.Name, own.Namespace = "meetings", w.ns

	w.secret("zoom", secrets["zoom"])
	w.secret("hris", secrets["hris"])
	builtin := w.integration("zoom", nil)
	builtin.Name = "zoom-builtin"
	resource := w.integration("zoom", nil)
	resource.Spec.Connector, resource.Spec.ConnectorRef = "", &v1alpha1.ObjectReference{Name: "meetings"}
	resource.Spec.Permission = v1alpha1.PermissionReadAndAct
	app := w.zoomApp()
	app.Spec.Offboarding = []v1alpha1.OffboardingMethod{{Name: "zoom", Method: "Automatic", Action: "user.deactivate"}}
	hris := w.integration("csv", hrisConfig())
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	w.create(acme(w.ns), hris, own, builtin, resource, app)
	for _, i := range []*v1alpha1.Integration{hris, builtin, resource} {
		w.ready(i, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	}
	g.Expect(cmp.Diff(builtin.Status.Capabilities, resource.Status.Capabilities)).To(BeEmpty())
	g.Expect(resource.Status.Account).To(Equal(builtin.Status.Account))
	g.Expect(w.ready(app, metav1.ConditionFalse, v1alpha1.ReasonOffboardingInvalid).Message).To(ContainSubstring("user.deactivate is destructive"))
	w.patch(resource, map[string]any{"spec": map[string]any{"destructiveActions": []string{"user.deactivate"}}})
	w.ready(app, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	g.Expect(app.Status.Offboarding).To(HaveExactElements(v1alpha1.OffboardingStatus{Name: "zoom", Method: "Automatic", Action: "user.deactivate", Source: "Declared"}))
	tenant, err := w.store.TenantByNamespace(t.Context(), w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	accounts := func(integration string) map[string]model.AccountStatus {
		rows, _, err := w.store.ListAccounts(t.Context(), tenant, store.AccountQuery{Integrations: []string{integration}, Page: store.Page{Limit: 1000}})
		g.Expect(err).NotTo(HaveOccurred())
		out := map[string]model.AccountStatus{}
		for _, a := range rows {
			out[a.ExternalID] = a.Status
		}
		return out
	}
	g.Expect(accounts("zoom")).NotTo(BeEmpty())
	g.Expect(cmp.Diff(accounts("zoom-builtin"), accounts("zoom"))).To(BeEmpty())

	policy := &v1alpha1.LicensePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "zoom-90d"},
		Spec: v1alpha1.LicensePolicySpec{
			ApplicationRef: &v1alpha1.ObjectReference{Name: "zoom"}, Plans: []v1alpha1.PlanName{"Licensed"}, Mode: v1alpha1.ModeAuto,
			Schedule: "* * * * *", Guard: &v1alpha1.Guard{MinItems: ptrTo(int32(100)), MaxPercent: ptrTo(int32(50))},
		},
	}
	w.create(policy)
	w.ready(policy, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	seats := int(policy.Status.Evaluated.Inactive)
	g.Expect(seats).To(BeNumerically(">", 0))
	g.Eventually(func() int { return w.vendors.Writes(fakesaas.Zoom) }, "90s").Should(Equal(seats), w.describe)

	// A manifest that is no longer valid stops its Integrations and says where.
	w.patch(own, map[string]any{"spec": map[string]any{"streams": map[string]any{"users": map[string]any{"key": "r.id +"}}}})
	c := w.ready(resource, metav1.ConditionFalse, v1alpha1.ReasonInvalidManifest)
	g.Expect(c.Message).To(ContainSubstring("streams.users.key"))
	w.ready(builtin, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.ready(app, metav1.ConditionFalse, v1alpha1.ReasonDependencyNotReady)
	g.Expect(app.Status.Offboarding).To(HaveExactElements(v1alpha1.OffboardingStatus{Name: "zoom", Method: "Delegate", Source: "Declared"}))
}
