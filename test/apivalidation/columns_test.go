// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package apivalidation

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// statuses has a filled status of each kind and what kubectl shows of it, in
// the columns between Reason and Age.
var statuses = map[string]struct {
	status any
	want   map[string]any
}{
	v1alpha1.KindOrganization: {
		v1alpha1.OrganizationStatus{
			CommonStatus: common(v1alpha1.ConditionReady), Applications: 41,
			People: &v1alpha1.PeopleCounts{Total: 500, Future: 3, Current: 470, OnLeave: 7, Past: 15, External: 4, Unknown: 1},
		},
		map[string]any{"People": int64(470), "Apps": int64(41)},
	},
	v1alpha1.KindIntegration: {
		v1alpha1.IntegrationStatus{
			CommonStatus: common(v1alpha1.ConditionReady, v1alpha1.ConditionTested, v1alpha1.ConditionSynced), Connector: "okta",
			Account: &v1alpha1.RemoteAccount{ID: "00o1", Name: "acme"},
			Capabilities: &v1alpha1.Capabilities{
				Version: "1", DataTypes: []v1alpha1.DataType{v1alpha1.DataAccounts}, CustomFields: []string{"costCenter"},
				Actions: []v1alpha1.ActionName{"license.remove"}, UsageBackfill: "30d",
				LastActivity: v1alpha1.LastActivityReported, Accounts: v1alpha1.AccountsMultiple,
			},
			DataTypes: []v1alpha1.DataTypeStatus{
				{Name: v1alpha1.DataAccounts, State: v1alpha1.DataTypeFresh, Records: 4210},
				{Name: v1alpha1.DataPeople, State: v1alpha1.DataTypeHeld, Records: 0, Reason: v1alpha1.ReasonGuardHeld, Message: "m"},
			},
			Held:   &v1alpha1.HeldSet{Digest: "sha256:1", Count: 300, Total: 1000, Allowed: 100, Reason: v1alpha1.ReasonGuardHeld},
			Digest: "sha256:2",
		},
		map[string]any{"Connector": "okta", "Accounts": int64(4210), "People": int64(0)},
	},
	v1alpha1.KindApplication: {
		v1alpha1.ApplicationStatus{
			CommonStatus: common(v1alpha1.ConditionReady), Connected: true, InIDP: true, Sources: []string{"okta", "browser"},
			Users:       &v1alpha1.UserCounts{Total: 480, Active: 400, Inactive: 60, Unknown: 20},
			Seats:       &v1alpha1.SeatCounts{Purchased: ptr.To[int64](500), Assigned: 450, Used: 380, Unused: 50, Unknown: 20},
			Plans:       []v1alpha1.PlanStatus{{Name: "Licensed", Seats: &v1alpha1.SeatCounts{Assigned: 450}}},
			Spend:       &v1alpha1.Spend{AnnualMinor: 7675200, Currency: "USD", Summary: "USD 76752.00", Source: v1alpha1.SpendFromContract},
			SimilarApps: []string{"meet"}, RecommendedConnector: "zoom",
		},
		map[string]any{"Users": int64(480), "Seats": int64(450), "Unused": int64(50), "Unknown": int64(20), "Annual": "USD 76752.00"},
	},
	v1alpha1.KindContract: {
		v1alpha1.ContractStatus{
			CommonStatus: common(v1alpha1.ConditionReady), Stage: v1alpha1.StageInNotice, CancellationDeadline: "2026-11-01",
			Seats:  &v1alpha1.ContractSeats{Contracted: 500, Assigned: 450, Unused: 100, Unknown: 20},
			Annual: &v1alpha1.Money{Minor: 9000000, Currency: "USD"}, PotentialSavings: &v1alpha1.Money{Minor: 1918800, Currency: "USD"},
			Summary: "USD 19188.00",
		},
		map[string]any{"Application": "slack", "Stage": "InNotice", "End": "2026-12-31", "Deadline": "2026-11-01", "Unused": int64(100)},
	},
	v1alpha1.KindLicensePolicy: {
		v1alpha1.LicensePolicyStatus{
			CommonStatus: common(v1alpha1.ConditionReady, v1alpha1.ConditionHeld), EffectiveMode: v1alpha1.ModeReport,
			Evaluated: &v1alpha1.PolicyCounts{
				Candidates: 450, Active: 300, Inactive: 100, Unknown: 20, Exempt: 5, Held: 25, InFlight: 1, Reclaimed: 2, Kept: 3, Failed: 4,
			},
			Savings: &v1alpha1.PolicySavings{
				PotentialAnnual: []v1alpha1.Money{{Minor: 1918800, Currency: "USD"}, {Minor: 100, Currency: "EUR"}},
				Sunk:            []v1alpha1.Money{{Minor: 1, Currency: "USD"}}, Unpriced: 3, Summary: "USD 19188.00, EUR 1.00",
			},
			Held: &v1alpha1.HeldSet{Digest: "sha256:1", Count: 25, Total: 450, Allowed: 23},
		},
		map[string]any{"Mode": "Report", "Inactive": int64(100), "Unknown": int64(20), "Held": int64(25), "Savings": "USD 19188.00, EUR 1.00"},
	},
	v1alpha1.KindWorkflow: {
		v1alpha1.WorkflowStatus{
			CommonStatus: common(v1alpha1.ConditionReady, v1alpha1.ConditionValid), Revision: 8, Tokens: []string{"first_name"},
			Runs:    &v1alpha1.RunCounts{Running: 2, Waiting: 3, Attention: 1},
			Webhook: &v1alpha1.WebhookStatus{SecretName: "leaver-webhook", Rotation: "Current"},
			Held:    &v1alpha1.HeldSet{Digest: "sha256:1"},
		},
		map[string]any{"Revision": int64(8), "Running": int64(2), "Attention": int64(1)},
	},
	v1alpha1.KindWorkflowRun: {
		v1alpha1.WorkflowRunStatus{
			CommonStatus: common(v1alpha1.ConditionSucceeded), RunID: "r-1", Revision: 8,
			Steps:     []v1alpha1.RunStepStatus{{Name: "dept.crm", State: v1alpha1.StepFailed, Reason: v1alpha1.ReasonStepFailed, Attempts: 3}},
			StartTime: ptr.To(metav1.NewTime(time.Unix(1e9, 0))), CompletionTime: ptr.To(metav1.NewTime(time.Unix(2e9, 0))),
		},
		map[string]any{"Workflow": "leaver"},
	},
	v1alpha1.KindConnector: {
		v1alpha1.ConnectorStatus{CommonStatus: common(v1alpha1.ConditionReady), Capabilities: &v1alpha1.Capabilities{}, Integrations: 2},
		map[string]any{"Title": "Timesheets", "Category": "app"},
	},
	v1alpha1.KindAccessRequest: {
		v1alpha1.AccessRequestStatus{
			CommonStatus: common(v1alpha1.ConditionReady), RunID: "r-1",
			Approvals: []v1alpha1.ApprovalStatus{{Name: "Manager", State: v1alpha1.ApprovalApproved}},
			Granted:   ptr.To(metav1.NewTime(time.Unix(1e9, 0))), Expires: ptr.To(metav1.NewTime(time.Unix(2e9, 0))),
		},
		map[string]any{"Application": "slack", "Person": "jo@acme.example"},
	},
	v1alpha1.KindAPIKey: {
		v1alpha1.APIKeyStatus{CommonStatus: common(v1alpha1.ConditionReady), KeyID: "k1", PreviousKeyID: "k0", SecretName: "s"},
		map[string]any{"Type": "REST", "Expires": nil},
	},
}

func common(conditions ...string) v1alpha1.CommonStatus {
	out := v1alpha1.CommonStatus{ObservedGeneration: 1, LastHandledReconcileAt: "2026-01-01T00:00:00Z"}
	for _, condition := range conditions {
		out.Conditions = append(out.Conditions, metav1.Condition{
			Type: condition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReconciled, Message: "m",
			ObservedGeneration: 1, LastTransitionTime: metav1.NewTime(time.Unix(1e9, 0)),
		})
	}
	return out
}

// TestStatusAndColumns writes a filled status of each kind as a controller
// does, with strict validation, and reads what kubectl get shows of it.
func TestStatusAndColumns(t *testing.T) {
	client := newClient(t)
	env := testenv.Cluster(t)
	namespace := env.Namespace(t)
	clientset, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	for kind, crd := range crds(t) {
		t.Run(kind, func(t *testing.T) {
			c, ok := statuses[kind]
			if !ok {
				t.Fatal("no status to try")
			}
			name := "case"
			if kind == v1alpha1.KindOrganization {
				name = v1alpha1.OrganizationName
			}
			obj := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind,
				"metadata": map[string]any{"name": name, "namespace": namespace}, "spec": decode(t, bases[kind]),
			}}
			objects := resources(t, client, obj)
			if _, err := objects.Create(t.Context(), obj, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			patch, err := json.Marshal(map[string]any{"status": c.status})
			if err != nil {
				t.Fatal(err)
			}
			patched, err := objects.Patch(t.Context(), name, types.MergePatchType, patch,
				metav1.PatchOptions{FieldValidation: metav1.FieldValidationStrict}, "status")
			if err != nil {
				t.Fatal(err)
			}
			// The decoder of unstructured objects keeps integers, as the client does.
			want := &unstructured.Unstructured{}
			if err := want.UnmarshalJSON(append([]byte(`{"apiVersion":"v1","kind":"x",`), patch[1:]...)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.Object["status"], patched.Object["status"]); diff != "" {
				t.Errorf("the API server changed the status (-written +kept):\n%s", diff)
			}

			raw, err := clientset.RESTClient().Get().AbsPath("/apis", v1alpha1.GroupVersion.String(), "namespaces", namespace,
				crd.Spec.Names.Plural, name).SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(t.Context()).Raw()
			if err != nil {
				t.Fatal(err)
			}
			var table metav1.Table
			if err := json.Unmarshal(raw, &table); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for i, column := range table.ColumnDefinitions {
				if column.Priority == 0 && !slices.Contains([]string{"Name", "Ready", "Succeeded", "Reason", "Age"}, column.Name) {
					got[column.Name] = fmt.Sprint(table.Rows[0].Cells[i])
				}
				if column.Name == "Reason" && table.Rows[0].Cells[i] != v1alpha1.ReasonReconciled {
					t.Errorf("Reason = %v; want %s", table.Rows[0].Cells[i], v1alpha1.ReasonReconciled)
				}
			}
			wanted := map[string]string{}
			for column, value := range c.want {
				wanted[column] = fmt.Sprint(value)
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("columns (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSelectableFields lists by each field that users may filter on.
func TestSelectableFields(t *testing.T) {
	client := newClient(t)
	namespace := testenv.Cluster(t).Namespace(t)
	for kind, crd := range crds(t) {
		for _, field := range crd.Spec.Versions[0].SelectableFields {
			_, err := client.Resource(v1alpha1.GroupVersion.WithResource(crd.Spec.Names.Plural)).Namespace(namespace).
				List(t.Context(), metav1.ListOptions{FieldSelector: field.JSONPath[1:] + "=x"})
			if err != nil {
				t.Errorf("%s: select by %s: %v", kind, field.JSONPath, err)
			}
		}
	}
	if fields := crds(t)[v1alpha1.KindIntegration].Spec.Versions[0].SelectableFields; len(fields) == 0 {
		t.Error("Integrations cannot be selected by any field")
	}
}
