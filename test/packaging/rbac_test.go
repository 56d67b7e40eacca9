// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// may asks the API server what a ServiceAccount of the release may do.
func (in *installation) may(t *testing.T, account string, a authorizationv1.ResourceAttributes) bool {
	t.Helper()
	review, err := in.client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: in.user(account), Groups: in.groups(), ResourceAttributes: &a},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

func (in *installation) user(account string) string {
	return fmt.Sprintf("system:serviceaccount:%s:%s-%s", in.namespace, release, account)
}

func (in *installation) groups() []string {
	return []string{"system:serviceaccounts", "system:serviceaccounts:" + in.namespace, "system:authenticated"}
}

// rights lists everything that a ServiceAccount may do to resources in a
// namespace, beyond what every authenticated user may.
func (in *installation) rights(t *testing.T, account, namespace string) map[string][]string {
	t.Helper()
	list := func(user string, groups []string) map[string][]string {
		config := rest.CopyConfig(in.env.Config)
		config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		review, err := client.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), &authorizationv1.SelfSubjectRulesReview{
			Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string][]string{}
		for _, rule := range review.Status.ResourceRules {
			for _, g := range rule.APIGroups {
				for _, r := range rule.Resources {
					key := strings.TrimSuffix(r+"."+g, ".")
					out[key] = append(out[key], rule.Verbs...)
				}
			}
		}
		return out
	}
	out := list(in.user(account), in.groups())
	for key := range list("nobody-in-particular", []string{"system:authenticated"}) {
		delete(out, key)
	}
	for key, verbs := range out {
		slices.Sort(verbs)
		out[key] = slices.Compact(verbs)
	}
	return out
}

func TestRightsOfTheServiceAccounts(t *testing.T) {
	for mode := range modes {
		t.Run(mode, func(t *testing.T) {
			in := install(t, mode)
			tenantSecret := authorizationv1.ResourceAttributes{Verb: "get", Resource: "secrets", Name: "okta-token", Namespace: in.tenant}
			gomega.NewWithT(t).Eventually(func() bool { return in.may(t, "manager", tenantSecret) }).Should(gomega.BeTrue(),
				"the manager may not read the Secrets of a bound namespace")
			checkSecrets(t, in, "manager", true)
			checkManagerRights(t, in, mode)
			if mode == "postgres" {
				checkSecrets(t, in, "gateway", false)
				checkGatewayRights(t, in)
			}
		})
	}
}

// checkSecrets asks for every verb on Secrets everywhere.
func checkSecrets(t *testing.T, in *installation, account string, tenant bool) {
	t.Helper()
	for _, namespace := range []string{"", in.tenant, in.other, in.namespace, "kube-system", "default"} {
		for _, verb := range []string{"get", "list", "watch", "create", "patch", "update", "delete", "deletecollection", "*"} {
			want := tenant && namespace == in.tenant && slices.Contains([]string{"get", "create", "patch"}, verb)
			a := authorizationv1.ResourceAttributes{Verb: verb, Resource: "secrets", Namespace: namespace}
			if got := in.may(t, account, a); got != want {
				t.Errorf("%s may %s secrets in namespace %q: %v; want %v", account, verb, namespace, got, want)
			}
		}
	}
}

// reviews are the rights of whoever serves the gateway.
var reviews = map[string][]string{
	"tokenreviews.authentication.k8s.io":        {"create"},
	"subjectaccessreviews.authorization.k8s.io": {"create"},
}

func checkGatewayRights(t *testing.T, in *installation) {
	t.Helper()
	for _, namespace := range []string{in.tenant, in.other, in.namespace, "kube-system"} {
		if diff := cmp.Diff(reviews, in.rights(t, "gateway", namespace)); diff != "" {
			t.Errorf("the gateway's rights in %s (-want +got):\n%s", namespace, diff)
		}
	}
}

// checkManagerRights holds every right against what the manager is for.
func checkManagerRights(t *testing.T, in *installation, mode string) {
	t.Helper()
	read := []string{"get", "list", "watch"}
	everywhere := map[string][]string{
		"namespaces":                             {"get"},
		"events.events.k8s.io":                   {"create", "patch"},
		"integrations.seatkeeper.dev":            {"get", "list", "patch", "watch"},
		"integrations/finalizers.seatkeeper.dev": {"update"},
		"integrations/status.seatkeeper.dev":     {"get", "patch"},
	}
	for _, plural := range []string{"accessrequests", "apikeys", "applications", "connectors", "contracts", "licensepolicies", "organizations", "workflowruns", "workflows"} {
		everywhere[plural+".seatkeeper.dev"] = read
		everywhere[plural+"/status.seatkeeper.dev"] = []string{"get", "patch"}
	}
	everywhere["apikeys.seatkeeper.dev"] = everywhere["integrations.seatkeeper.dev"]
	everywhere["apikeys/finalizers.seatkeeper.dev"] = []string{"update"}
	everywhere["workflows.seatkeeper.dev"] = everywhere["integrations.seatkeeper.dev"]
	everywhere["workflowruns.seatkeeper.dev"] = []string{"delete", "get", "list", "watch"} // when their time is over
	if mode == "sqlite" {
		maps.Copy(everywhere, reviews)
	}
	for namespace, more := range map[string]map[string][]string{
		in.tenant:     {"secrets": {"create", "get", "patch"}},
		in.namespace:  {"leases.coordination.k8s.io": {"create", "get", "patch", "update"}},
		in.other:      nil,
		"kube-system": nil,
	} {
		want := maps.Clone(everywhere)
		maps.Copy(want, more)
		if diff := cmp.Diff(want, in.rights(t, "manager", namespace)); diff != "" {
			t.Errorf("the manager's rights in %s (-want +got):\n%s", namespace, diff)
		}
	}
}

// TestRolesOfPeople asks what the roles that ship allow whom they are bound to.
func TestRolesOfPeople(t *testing.T) {
	in := install(t, "sqlite")
	for _, role := range []string{"viewer", "auditor", "editor", "approver", "answerer"} {
		in.bind(t, "seatkeeper-"+role, role)
	}
	ask := func(user, verb, resource string, namespace string) bool {
		resource, sub, _ := strings.Cut(resource, "/")
		review, err := in.client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
				Group: "seatkeeper.dev", Verb: verb, Resource: resource, Subresource: sub, Namespace: namespace}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return review.Status.Allowed
	}
	gomega.NewWithT(t).Eventually(func() bool { return ask("approver", "create", "guards/release", in.tenant) }).Should(gomega.BeTrue())
	for _, c := range []struct {
		user, verb, resource string
		want                 bool
	}{
		{"viewer", "list", "integrations", true},
		{"viewer", "list", "guards", true},
		{"viewer", "list", "people", false},
		{"viewer", "list", "audit", false},
		{"viewer", "create", "guards/release", false},
		{"viewer", "create", "integrations", false},
		{"auditor", "list", "audit", true},
		{"auditor", "list", "people", true},
		{"auditor", "create", "guards/release", false},
		{"auditor", "create", "imports", false},
		{"editor", "create", "licensepolicies", true},
		{"editor", "create", "imports", true},
		{"editor", "create", "integrations/records", true},
		{"editor", "create", "integrations/delegate", true},
		{"editor", "list", "transactions", true},
		{"viewer", "list", "transactions", false},
		{"auditor", "list", "transactions", true},
		{"auditor", "create", "integrations/records", false},
		{"approver", "create", "integrations/delegate", false},
		{"editor", "create", "guards/release", false},
		{"editor", "create", "runs/approve", false},
		{"approver", "create", "runs/stop", true},
		{"approver", "create", "integrations", false},
		{"approver", "create", "approvals/decide", true},
		{"answerer", "create", "approvals/decide", true},
		{"answerer", "list", "tasks", true},
		{"answerer", "list", "runs", false},
		{"answerer", "create", "runs/approve", false},
		{"viewer", "list", "reviews", false},
	} {
		if got := ask(c.user, c.verb, c.resource, in.tenant); got != c.want {
			t.Errorf("%s may %s %s: %v; want %v", c.user, c.verb, c.resource, got, c.want)
		}
		if ask(c.user, c.verb, c.resource, in.other) {
			t.Errorf("%s may %s %s in a namespace where nothing is bound", c.user, c.verb, c.resource)
		}
	}
}

// bind gives a user a role in the tenant's namespace.
func (in *installation) bind(t *testing.T, role, user string) {
	t.Helper()
	_, err := in.client.RbacV1().RoleBindings(in.tenant).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
