// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

const gatewayAccount = "system:serviceaccount:seatkeeper-system:seatkeeper-gateway"

// asGateway gives the gateway's ServiceAccount what config/gateway gives it,
// and returns its configuration.
func asGateway(t *testing.T, env *testenv.Env) *rest.Config {
	t.Helper()
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "config", "gateway", "rbac.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	admin := kubernetes.NewForConfigOrDie(env.Config).RbacV1()
	for doc := range strings.SplitSeq(string(data), "\n---") {
		var kind metav1.TypeMeta
		if err := utilyaml.Unmarshal([]byte(doc), &kind); err != nil {
			t.Fatal(err)
		}
		switch kind.Kind {
		case "ServiceAccount": // a client certificate stands for it here
		case "ClusterRoleBinding":
			var binding rbacv1.ClusterRoleBinding
			if err := utilyaml.UnmarshalStrict([]byte(doc), &binding); err != nil {
				t.Fatal(err)
			}
			if _, err := admin.ClusterRoleBindings().Create(t.Context(), &binding, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
				t.Fatal(err)
			}
		default:
			t.Fatalf("config/gateway/rbac.yaml has a %q, which this test does not apply", kind.Kind)
		}
	}
	return env.ClientCert(t, gatewayAccount, "system:serviceaccounts", "system:authenticated")
}

// TestTheGatewayMayAskWhoACallerIsAndNothingElse lists every right that the
// gateway's ServiceAccount has, so that another one is added knowingly.
func TestTheGatewayMayAskWhoACallerIsAndNothingElse(t *testing.T) {
	env := testenv.Cluster(t)
	client := kubernetes.NewForConfigOrDie(asGateway(t, env))
	for _, namespace := range []string{env.Namespace(t), "seatkeeper-system", "kube-system"} {
		review, err := client.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(),
			&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var rights []string
		for _, r := range review.Status.ResourceRules {
			for _, res := range r.Resources {
				rights = append(rights, strings.Join(r.Verbs, ",")+" "+strings.Join(r.APIGroups, ",")+"/"+res)
			}
		}
		slices.Sort(rights)
		want := []string{
			"create authentication.k8s.io/selfsubjectreviews", // everybody's: who am I
			"create authentication.k8s.io/tokenreviews",
			"create authorization.k8s.io/selfsubjectaccessreviews", // everybody's: what may I
			"create authorization.k8s.io/selfsubjectrulesreviews",
			"create authorization.k8s.io/subjectaccessreviews",
		}
		if got := slices.Compact(rights); !slices.Equal(got, want) {
			t.Errorf("rights in %s:\n%s\nwant\n%s", namespace, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, r := range review.Status.NonResourceRules {
			if !slices.Equal(r.Verbs, []string{"get"}) { // everybody's: discovery and health
				t.Errorf("%v of %v", r.Verbs, r.NonResourceURLs)
			}
		}
	}
}

// TestTheGatewayWorksWithItsOwnRights serves a caller with nothing but what
// config/gateway grants.
func TestTheGatewayWorksWithItsOwnRights(t *testing.T) {
	f := newFixtureAs(t, storetest.Open(t, storetest.SQLite(t)), asGateway(t, testenv.Cluster(t)))
	ns := f.env.Namespace(t)
	if _, err := f.store.EnsureTenant(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	f.bind(ns, "viewer", []string{"list"}, "savings")
	viewer := f.client(f.env.ClientCert(t, "viewer"))
	f.expect(viewer, 200, apis(ns, "savings"))
	f.expect(viewer, 403, apis(ns, "people"))
}
