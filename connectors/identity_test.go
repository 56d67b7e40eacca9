// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// refusing plays a connector's fixtures, but for the answers given here, which
// come first.
func refusing(t *testing.T, name string, first ...fixture.Response) *fixture.Result {
	t.Helper()
	m, err := connectors.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fixture.Load(name + "/testdata/fixtures.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f.Actions = nil
	f.Responses = append(slices.Clone(first), f.Responses...)
	res, err := f.Run(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func answer(method, path string, status int, query map[string]string, body string) fixture.Response {
	r := fixture.Response{Method: method, Path: path, Status: status, Content: []byte(body), Query: map[string]*string{}}
	for k, v := range query {
		r.Query[k] = &v
	}
	return r
}

// What the identity providers refuse decides the outcome as their pages say:
// B where people can be read and something else cannot, C where they cannot.
func TestIdentityProvidersOutcomes(t *testing.T) {
	const noPremium = `{"error": {"code": "Authentication_RequestFromNonPremiumTenantOrB2CTenant", "message": "Neither tenant is B2C or tenant doesn't have premium license"}}`
	for name, tt := range map[string]struct {
		connector string
		first     []fixture.Response
		want      connector.TestOutcome
		failed    map[string]connector.ErrorClass // streams
		words     string
	}{
		"entra without P1": {"entra", []fixture.Response{
			answer(http.MethodGet, "/v1.0/auditLogs/signIns", 403, nil, noPremium),
			answer(http.MethodGet, "/v1.0/users", 403, map[string]string{"$select": "id,userPrincipalName,signInActivity"}, noPremium),
		}, connector.Partial, map[string]connector.ErrorClass{"signInActivity": connector.ClassPlan, "ssoEvents": connector.ClassPlan}, "premium license"},
		"entra without a permission": {"entra", []fixture.Response{
			answer(http.MethodGet, "/v1.0/servicePrincipals", 403, nil, `{"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges to complete the operation."}}`),
		}, connector.Partial, map[string]connector.ErrorClass{"apps": connector.ClassPermission, "assignments": connector.ClassPermission}, "Insufficient privileges"},
		"entra with a wrong secret": {"entra", []fixture.Response{
			answer(http.MethodPost, "/0e0e0e0e-0000-4000-8000-000000000001/oauth2/v2.0/token", 401, nil, `{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}`),
		}, connector.Failed, nil, "AADSTS7000215"},
		"google without an API": {"google-workspace", []fixture.Response{
			answer(http.MethodGet, "/apps/licensing/v1/product/Google-Apps/users", 403, nil, `{"error": {"code": 403, "message": "Enterprise License Manager API has not been used in project 1 before or it is disabled.", "status": "PERMISSION_DENIED", "errors": [{"reason": "accessNotConfigured"}]}}`),
		}, connector.Partial, map[string]connector.ErrorClass{"licenses": connector.ClassPermission}, "has not been used in project"},
		"google of another customer": {"google-workspace", []fixture.Response{
			answer(http.MethodGet, "/admin/directory/v1/users", 200, nil, `{"kind": "admin#directory#users"}`),
		}, connector.Failed, map[string]connector.ErrorClass{"users": connector.ClassAssertion}, "customer ID"},
		"google without delegation": {"google-workspace", []fixture.Response{
			answer(http.MethodPost, "/token", 401, nil, `{"error": "unauthorized_client", "error_description": "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested."}`),
		}, connector.Failed, nil, "Client is unauthorized"},
		"google sheets not shared": {"google-sheets", []fixture.Response{
			answer(http.MethodPost, "/token", 400, nil, `{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}`),
		}, connector.Failed, nil, "Invalid JWT Signature"},
		"okta without an admin role": {"okta", []fixture.Response{
			answer(http.MethodGet, "/api/v1/users", 200, nil, `[]`),
		}, connector.Failed, map[string]connector.ErrorClass{"users": connector.ClassAssertion}, "no admin role"},
		"okta without the System Log": {"okta", []fixture.Response{
			answer(http.MethodGet, "/api/v1/logs", 403, nil, `{"errorCode": "E0000006", "errorSummary": "You do not have permission to perform the requested action"}`),
		}, connector.Partial, map[string]connector.ErrorClass{"ssoEvents": connector.ClassPermission}, "do not have permission"},
	} {
		t.Run(name, func(t *testing.T) {
			rep := refusing(t, tt.connector, tt.first...).Test
			if rep.Outcome != tt.want {
				t.Errorf("outcome %s, want %s: %+v", rep.Outcome, tt.want, rep)
			}
			failed := map[string]connector.ErrorClass{}
			for _, st := range rep.Streams {
				if st.State == connector.TestFailed {
					failed[st.Stream] = st.Class
				}
			}
			for st, class := range tt.failed {
				if failed[st] != class {
					t.Errorf("stream %s: %q, want %q", st, failed[st], class)
				}
			}
			if tt.want == connector.Partial && len(failed) != len(tt.failed) {
				t.Errorf("failed streams: %v", failed)
			}
			if all, _ := json.Marshal(rep); !strings.Contains(string(all), tt.words) {
				t.Errorf("the vendor's words are missing: %s", all)
			}
		})
	}
}

// Okta's second read asks for what changed, and a third one after the whole
// read has grown old asks for everything again.
func TestOktaReadsWhatChanged(t *testing.T) {
	srv := simulate(t)
	state := map[string]connector.StreamState{}
	read := func(at time.Time) connector.ReadResult {
		s := open(t, srv, "okta", func(o *connector.Options) {
			o.Clock, o.State = leaping{clocktesting.NewFakeClock(at)}, state
		})
		res, err := s.Read(t.Context(), "users", func(context.Context, string, []model.Record) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		state = map[string]connector.StreamState{"users": res.State}
		return res
	}
	whole := read(now)
	if whole.Incremental || whole.Items < 100 || !whole.AbsenceProves() {
		t.Fatalf("the first read: %+v", whole)
	}
	changed := read(now.Add(time.Hour))
	if !changed.Incremental || changed.Items*2 > whole.Items || changed.AbsenceProves() {
		t.Errorf("the second read: incremental %t, %d of %d users, absence proves %t", changed.Incremental, changed.Items, whole.Items, changed.AbsenceProves())
	}
	if again := read(now.Add(7 * time.Hour)); again.Incremental || again.Items != whole.Items {
		t.Errorf("after six hours: %+v", again)
	}
}

const oktaDelivery = `{"eventType": "com.okta.event_hook", "eventTypeVersion": "1.0", "eventId": "hook-1", "eventTime": "2026-11-21T09:59:00.000Z",
"source": "https://acme.okta.com/api/v1/eventHooks/who1", "data": {"events": [
 {"uuid": "e1", "published": "2026-11-21T09:58:58.000Z", "eventType": "user.lifecycle.deactivate", "outcome": {"result": "SUCCESS"},
  "target": [{"id": "00uA", "type": "User", "alternateId": "Grace@acme.example"}]},
 {"uuid": "e2", "published": "2026-11-21T09:58:59.000Z", "eventType": "application.user_membership.remove", "outcome": {"result": "SUCCESS"},
  "target": [{"id": "0uaX", "type": "AppUser"}, {"id": "0oaZ", "type": "AppInstance"}, {"id": "00uA", "type": "User", "alternateId": "grace@acme.example"}]},
 {"uuid": "e3", "eventType": "application.user_membership.add", "outcome": {"result": "FAILURE"}, "target": null},
 {"uuid": "e4", "published": "2026-11-21T09:58:59.500Z", "eventType": "group.user_membership.add", "outcome": {"result": "SUCCESS"},
  "target": [{"id": "00uA", "type": "User", "alternateId": "grace@acme.example"}, {"id": "00gN", "type": "UserGroup"}]}]}}`

// What Okta delivers by event hook is verified, read, and known again; its
// question whether the address is ours is answered.
func TestOktaEventHook(t *testing.T) {
	m, err := connectors.Builtin("okta")
	if err != nil {
		t.Fatal(err)
	}
	hook, secrets := m.Webhook("eventHook"), map[string]string{"eventHookToken": "long-and-random"}
	deliver := func(method, token, challenge, body string) (connector.WebhookResult, error) {
		h := http.Header{"Authorization": {token}}
		if challenge != "" {
			h.Set("X-Okta-Verification-Challenge", challenge)
		}
		return hook.Handle(t.Context(), connector.WebhookRequest{Method: method, Header: h, Body: []byte(body)}, secrets, now)
	}
	asked, err := deliver(http.MethodGet, "long-and-random", "xyz", "")
	if err != nil || asked.Answer == nil || string(asked.Answer.Body) != `{"verification":"xyz"}` || len(asked.Events) > 0 {
		t.Errorf("challenge: %+v, %v", asked, err)
	}
	if _, err := deliver(http.MethodPost, "guessed", "", oktaDelivery); connector.ClassOf(err) != connector.ClassAuth {
		t.Errorf("a wrong token: %v", err)
	}
	if _, err := deliver(http.MethodPost, "guessed", "xyz", oktaDelivery); connector.ClassOf(err) != connector.ClassAuth {
		t.Errorf("a wrong token with a challenge in a POST: %v", err)
	}
	got, err := deliver(http.MethodPost, "long-and-random", "", oktaDelivery)
	if err != nil || got.ID != "hook-1" || got.Answer != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	var names []string
	for _, e := range got.Events {
		names = append(names, e.Name+" "+e.ID+" "+e.Account+" "+e.App+" "+e.Person)
	}
	want := []string{
		"account.changed e1 00uA  grace@acme.example", "app.unassigned e2 00uA 0oaZ grace@acme.example", "group.changed e4 00uA  grace@acme.example",
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	if e := got.Events[2]; e.Data["group"] != "00gN" || !e.At.Equal(time.Date(2026, 11, 21, 9, 58, 59, 500_000_000, time.UTC)) {
		t.Errorf("%+v", e)
	}
}
