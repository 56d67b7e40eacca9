// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"path"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/config"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
)

// A refusal names a role, and that role must mend it.
func TestRefusalsNameARoleThatAllows(t *testing.T) {
	for _, e := range (&API{}).endpoints() {
		resource, subresource, _ := strings.Cut(e.want, "/")
		name := access.RoleFor(access.Request{Verb: e.verb, Resource: resource, Subresource: subresource})
		data, err := config.Files.ReadFile(path.Join("rbac/roles", strings.TrimPrefix(name, "seatkeeper-")+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var role rbacv1.ClusterRole
		if err := yaml.UnmarshalStrict(data, &role); err != nil {
			t.Fatal(err)
		}
		if role.Name != name || !slices.ContainsFunc(role.Rules, func(r rbacv1.PolicyRule) bool {
			return slices.Contains(r.APIGroups, "seatkeeper.dev") && slices.Contains(r.Resources, e.want) && slices.Contains(r.Verbs, e.verb)
		}) {
			t.Errorf("%s needs %s %s, which the role %s does not allow", e.pattern, e.verb, e.want, name)
		}
	}
}
