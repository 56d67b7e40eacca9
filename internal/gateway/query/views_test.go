// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/coverage"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// found is a store that has what the views look at, and panics at the rest.
type found struct {
	Store
	states []store.IntegrationState
	apps   []store.AppView
	own    []store.OwnConnector
}

func (f found) TenantByNamespace(context.Context, string) (model.TenantID, error) { return 1, nil }

func (f found) ListIntegrations(context.Context, model.TenantID) ([]store.IntegrationState, error) {
	return f.states, nil
}

func (f found) OwnConnectors(context.Context, model.TenantID) ([]store.OwnConnector, error) {
	return f.own, nil
}

// ListApps gives one app a page.
func (f found) ListApps(_ context.Context, _ model.TenantID, q store.AppQuery) ([]store.AppView, string, error) {
	at := 0
	if q.Cursor != "" {
		if _, err := fmt.Sscan(q.Cursor, &at); err != nil {
			return nil, "", err
		}
	}
	if at >= len(f.apps) {
		return nil, "", nil
	}
	return f.apps[at : at+1], fmt.Sprint(at + 1), nil
}

type everybody struct{}

func (everybody) Check(*http.Request, access.Request) (string, access.Decision, string, error) {
	return "ann", access.Allowed, "", nil
}

func integrationState(name, connector string, synced bool, status string) store.IntegrationState {
	st := store.IntegrationState{}
	st.Name, st.Connector, st.Status = name, connector, json.RawMessage(status)
	if synced {
		at := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
		st.LastSyncedAt = &at
	}
	return st
}

func app(source, name, hint, url, state string, users int64) store.AppView {
	return store.AppView{Integration: source, Accounts: users, DiscoveredApp: model.DiscoveredApp{Name: name, CatalogHint: hint, URL: url, State: state, Source: "idp"}}
}

func ask(t *testing.T, s Store, view string) (int, List[Integration]) {
	t.Helper()
	mux := http.NewServeMux()
	(&API{Store: s, Guard: everybody{}, Log: slog.New(slog.DiscardHandler), Connectors: []coverage.Connectable{
		{Name: "okta", Title: "Okta", Domains: []string{"okta.com"}}, {Name: "slack", Title: "Slack", Domains: []string{"slack.com"}}, {Name: "zoom", Title: "Zoom", Domains: []string{"zoom.us"}},
		{Name: "google-workspace", Title: "Google Workspace", Domains: []string{"google.com"}}, {Name: "notion", Title: "Notion", Domains: []string{"notion.so"}},
	}}).Register(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/apis/v1/namespaces/acme/integrations?view="+view, nil))
	var l List[Integration]
	if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil {
		t.Fatal(err)
	}
	return w.Code, l
}

func TestWhatNeverConnectedNeedsAttention(t *testing.T) {
	blocked := integrationState("nt", "notion", false, "")
	blocked.Suspended, blocked.Spec = true, json.RawMessage(`{"suspended":true,"problem":{"reason":"SecretNotFound","message":"there is no Secret \"nt\""}}`)
	paused := integrationState("okta", "okta", true, `{}`)
	paused.Suspended, paused.Spec = true, json.RawMessage(`{"suspended":true}`)
	s := found{states: []store.IntegrationState{blocked, paused}}

	_, all := ask(t, s, "")
	if all.Items[0].State != "Suspended" || all.Items[1].State != "SecretNotFound" {
		t.Errorf("states: %q and %q, want Suspended and SecretNotFound", all.Items[0].State, all.Items[1].State)
	}
	_, l := ask(t, s, "attention")
	if len(l.Items) != 1 || l.Items[0].Name != "nt" || l.Items[0].Message != `there is no Secret "nt"` {
		t.Errorf("needs attention: %+v, want nt and why", l.Items)
	}
}

// TestADisplayNameIsShown and changes neither name nor order.
func TestADisplayNameIsShown(t *testing.T) {
	named := integrationState("zoom", "zoom", true, `{}`)
	named.Spec = json.RawMessage(`{"namespace":"acme","connector":"zoom","displayName":"A meeting place"}`)
	pending := integrationState("a", "csv", false, `{}`)
	pending.Spec = json.RawMessage(`{"displayName":"AAA"}`)
	s := found{states: []store.IntegrationState{pending, integrationState("okta", "okta", true, `{}`), named}}
	for _, view := range []string{"", "all"} {
		_, l := ask(t, s, view)
		var got []string
		for _, i := range l.Items[:3] {
			got = append(got, i.Name+" "+i.DisplayName)
		}
		if d := cmp.Diff([]string{"okta ", "zoom A meeting place", "a AAA"}, got); d != "" {
			t.Errorf("view %q (-want +got)\n%s", view, d)
		}
	}
}

func TestViewsOfTheIntegrations(t *testing.T) {
	s := found{
		states: []store.IntegrationState{
			integrationState("okta", "okta", true, `{"dataTypes":[{"name":"people","state":"Fresh","records":4},{"name":"usage","state":"Disabled","message":"needs a right"}]}`),
			integrationState("zoom-eu", "zoom", false, `{"problem":{"reason":"CredentialsInvalid","message":"the token was revoked"}}`),
			integrationState("zoom-us", "zoom", true, `{}`),
			integrationState("new", "csv", false, `{}`),
		},
		apps: []store.AppView{
			app("okta", "Zoom", "zoomus", "https://acme.okta.com/home/zoomus/1", "active", 40),
			app("okta", "Chat of Engineering", "saml", "https://acme.slack.com", "active", 7),
			app("okta", "Slack", "slack", "", "active", 31),
			app("okta", "Google Workspace", "google", "https://acme.okta.com/home/google/2", "active", 90),
			app("okta", "Notion", "notion", "", "inactive", 3),
			app("okta", "Intranet", "bookmark", "https://acme.okta.com/home/bookmark/3", "active", 90),
		},
	}
	short := func(l List[Integration]) []string {
		var out []string
		for _, i := range l.Items {
			out = append(out, fmt.Sprintf("%s %s %s %s %d %s", i.Name, i.Connector, i.State, i.App, i.Users, strings.Join(i.Sources, ",")))
		}
		return out
	}
	for view, want := range map[string][]string{
		"all": {
			"okta okta Synced  0 ", "zoom-us zoom Synced  0 ", "new csv Pending  0 ", "zoom-eu zoom CredentialsInvalid  0 ",
			" google-workspace Recommended Google Workspace 90 okta", " slack Recommended Slack 31 okta", " notion NotConnected  0 ",
		},
		"recommended": {" google-workspace Recommended Google Workspace 90 okta", " slack Recommended Slack 31 okta"},
		"attention":   {"okta okta Synced  0 ", "zoom-eu zoom CredentialsInvalid  0 "},
	} {
		code, l := ask(t, s, view)
		if d := cmp.Diff(want, short(l)); d != "" || code != http.StatusOK {
			t.Errorf("%s: %d (-want +got)\n%s", view, code, d)
		}
		// Okta and Zoom are read; Slack and Google Workspace are in use.
		if d := cmp.Diff(&model.Coverage{Connectable: 4, Connected: 2, Percent: 50, Apps: 5}, l.Metadata.Coverage); d != "" {
			t.Errorf("%s: coverage (-want +got)\n%s", view, d)
		}
		if view == "attention" && (l.Items[0].Message != "usage: Disabled (needs a right)" || l.Items[1].Message != "the token was revoked") {
			t.Errorf("messages: %q, %q", l.Items[0].Message, l.Items[1].Message)
		}
	}
	if code, l := ask(t, s, ""); code != http.StatusOK || len(l.Items) != 4 || l.Metadata.Coverage != nil {
		t.Errorf("without a view: %d, %+v", code, l)
	}
	if code, _ := ask(t, s, "some"); code != http.StatusBadRequest {
		t.Errorf("an unknown view: %d", code)
	}
	if code, l := ask(t, found{}, "recommended"); code != http.StatusOK || len(l.Items) != 0 || l.Metadata.Coverage.Percent != 0 {
		t.Errorf("nothing connected: %d, %+v", code, l)
	}
}

// TestConnectorsOfTheNamespace are recommended and counted like built-in ones.
func TestConnectorsOfTheNamespace(t *testing.T) {
	s := found{
		states: []store.IntegrationState{integrationState("okta", "okta", true, `{}`), integrationState("crm", "resource/crm", true, `{}`)},
		apps: []store.AppView{
			app("okta", "CRM", "", "https://acme.crm.example", "active", 12),
			app("okta", "Duty rota", "", "https://rota.example/x", "active", 30),
		},
		own: []store.OwnConnector{
			{Name: "crm", Title: "Customers", Category: "app", Domains: []string{"crm.example"}},
			{Name: "badges", Title: "Badges", Category: "file", Domains: []string{"rota.example"}},
			{Name: "rota", Title: "Rota", Category: "hris", Domains: []string{"rota.example"}},
		},
	}
	_, l := ask(t, s, "all")
	var got []string
	for _, i := range l.Items {
		got = append(got, i.Source+" "+i.Connector+" "+i.State)
	}
	if d := cmp.Diff([]string{
		"Built-in okta Synced", "Custom resource/crm Synced", "Built-in google-workspace NotConnected", "Built-in notion NotConnected",
		"Built-in slack NotConnected", "Built-in zoom NotConnected", "Custom resource/rota Recommended",
	}, got); d != "" {
		t.Errorf("all (-want +got)\n%s", d)
	}
	_, l = ask(t, s, "recommended")
	if len(l.Items) != 1 || l.Items[0].Connector != "resource/rota" || l.Items[0].Users != 30 ||
		l.Items[0].Message != "Duty rota is in use, as okta says: apply an Integration with connectorRef: {name: rota}" {
		t.Errorf("recommended: %+v", l.Items)
	}
	if d := cmp.Diff(&model.Coverage{Connectable: 3, Connected: 2, Percent: 66, Apps: 2}, l.Metadata.Coverage); d != "" {
		t.Errorf("coverage (-want +got)\n%s", d)
	}
}
