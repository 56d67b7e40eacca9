// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of every kind in this package.
const GroupName = "seatkeeper.dev"

var (
	// GroupVersion is the group and version that this package registers.
	GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

	// SchemeBuilder collects the functions that add this package's kinds.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme registers every kind of this package.
	AddToScheme = SchemeBuilder.AddToScheme
)

// The kinds, as they stand in a manifest's kind field.
const (
	KindAccessRequest = "AccessRequest"
	KindAPIKey        = "APIKey"
	KindApplication   = "Application"
	KindConnector     = "Connector"
	KindContract      = "Contract"
	KindIntegration   = "Integration"
	KindLicensePolicy = "LicensePolicy"
	KindOrganization  = "Organization"
	KindWorkflow      = "Workflow"
	KindWorkflowRun   = "WorkflowRun"
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&AccessRequest{}, &AccessRequestList{},
		&APIKey{}, &APIKeyList{},
		&Application{}, &ApplicationList{},
		&Connector{}, &ConnectorList{},
		&Contract{}, &ContractList{},
		&Integration{}, &IntegrationList{},
		&LicensePolicy{}, &LicensePolicyList{},
		&Organization{}, &OrganizationList{},
		&Workflow{}, &WorkflowList{},
		&WorkflowRun{}, &WorkflowRunList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}

// Resource returns the group-qualified name of a resource of this group.
func Resource(resource string) schema.GroupResource {
	return GroupVersion.WithResource(resource).GroupResource()
}
