// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

// scim sends a request of an identity provider to the tenant URL.
func (k *keyWorld) scim(token, method, path string, body any) (int, map[string]any) {
	k.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		k.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(k.t.Context(), method, k.server+"/v1.0/scim/v2"+path, bytes.NewReader(raw))
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/scim+json")
	resp, err := httpClientTrusting(k.t, k.ca).Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err = io.ReadAll(resp.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	var out map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			k.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, raw)
		}
	}
	return resp.StatusCode, out
}

// TestSCIMFromEndToEnd connects an identity provider as an administrator would:
// the Organization, a key, users, and what people see of it.
func TestSCIMFromEndToEnd(t *testing.T) {
	k := newKeyWorld(t)
	g, ctx := NewWithT(t), t.Context()
	k.create(&v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: v1alpha1.OrganizationName}, Spec: v1alpha1.OrganizationSpec{
		Roles: []v1alpha1.Role{{Name: "IT Admin", Admin: true}}, SCIM: &v1alpha1.SCIMSettings{},
	}})
	token := k.token("keys", "create", "entra", "--type", "SCIM", "--expires-in", "180d", "--scope", "scim:read,scim:write,scim:admins")
	rest := k.token("keys", "create", "export", "--type", "REST")

	// Off, it says what switches it on.
	code, body := k.scim(token, "GET", "/Users", nil)
	g.Expect(code).To(Equal(403))
	g.Expect(body["detail"]).To(ContainSubstring("spec.scim.enabled"))
	org := &v1alpha1.Organization{}
	k.get(v1alpha1.OrganizationName, org)
	org.Spec.SCIM.Enabled = true
	g.Expect(k.client.Update(ctx, org)).To(Succeed())
	g.Eventually(func() int { code, _ := k.scim(token, "GET", "/ServiceProviderConfig", nil); return code }).Should(Equal(200))
	code, _ = k.scim(rest, "GET", "/Users", nil)
	g.Expect(code).To(Equal(403), "a key of another type")

	code, body = k.scim(token, "POST", "/Users", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"},
		"userName": "ann@acme.example", "userType": "IT Admin", "displayName": "Ann Lee", "active": true})
	g.Expect(code).To(Equal(201), "%v", body)
	id, _ := body["id"].(string)
	g.Expect(body["meta"]).To(HaveKeyWithValue("location", k.server+"/v1.0/scim/v2/Users/"+id))
	code, body = k.scim(token, "PATCH", "/Users/"+id, map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
		"Operations": []any{map[string]any{"op": "Replace", "path": "active", "value": "False"}}})
	g.Expect(code).To(Equal(403), "the last administrator: %v", body)

	// The person is in the directory, the member in the list, the requests in
	// the log, and the role in the REST API.
	see := func(want string, args ...string) {
		t.Helper()
		g.Eventually(func() string {
			out, errOut, _ := k.seatkeeper(args...)
			return out + errOut
		}).Should(ContainSubstring(want), strings.Join(args, " "))
	}
	see("ann@acme.example", "people")
	see("IT Admin", "scim", "members")
	see("PATCH", "scim", "log", "--failed")
	see("201", "scim", "log", "-o", "wide")
	code, text := k.call("GET", "/v1.0/roles", rest)
	g.Expect(code).To(Equal(200), text)
	g.Expect(text).To(ContainSubstring(`"name":"IT Admin"`))
	g.Expect(text).To(ContainSubstring(`"usersCount":1`))

	// A stream of failures shows on the Organization.
	for range 20 {
		code, _ := k.scim(token, "POST", "/Users", map[string]any{"userName": "no address"})
		g.Expect(code).To(Equal(400))
	}
	k.get(v1alpha1.OrganizationName, org)
	org.Spec.DisplayName = "Acme" // looked at again at once
	g.Eventually(func(g Gomega) {
		k.get(v1alpha1.OrganizationName, org)
		org.Spec.DisplayName += "!"
		g.Expect(k.client.Update(ctx, org)).To(Succeed())
		c := meta.FindStatusCondition(org.Status.Conditions, v1alpha1.ConditionSCIMServed)
		g.Expect(c).NotTo(BeNil())
		g.Expect(c.Reason).To(Equal(v1alpha1.ReasonSCIMFailing))
	}).Should(Succeed())

	// Revoked, the key opens nothing.
	_, errOut, code := k.seatkeeper("keys", "revoke", "entra")
	g.Expect(code).To(Equal(0), errOut)
	code, body = k.scim(token, "GET", "/Users", nil)
	g.Expect(code).To(Equal(401))
	g.Expect(body["status"]).To(Equal("401"))
}
