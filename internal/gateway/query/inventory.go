// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// Integration is one connected account.
type Integration struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"` // spec.displayName
	Connector   string `json:"connector"`
	Source      string `json:"source"` // of the connector: Built-in, or Custom for a Connector of the namespace
	APIID       int64  `json:"apiID"`  // its number in the REST API, where it is idAppAccount
	State       string `json:"state"`  // Synced, Pending, Suspended, or the reason of its problem
	Message     string `json:"message,omitempty"`
	AccountID   string `json:"accountID,omitempty"`
	AccountName string `json:"accountName,omitempty"`
	// Records is how many rows it gives, of every data type.
	Records   int64               `json:"records"`
	LastSync  *time.Time          `json:"lastSync,omitempty"`
	NextSync  *time.Time          `json:"nextSync,omitempty"`
	Failures  int                 `json:"failures,omitempty"` // in a row
	DataTypes []handover.DataType `json:"dataTypes,omitempty"`
	Held      []handover.HeldSet  `json:"held,omitempty"`

	// Of a connector that is not connected: the app in use that it would read,
	// its users, and the Integrations that discovered it.
	App     string   `json:"app,omitempty"`
	Users   int64    `json:"users,omitempty"`
	Sources []string `json:"sources,omitempty"`
}

func integrationView(st store.IntegrationState) (Integration, error) {
	v := Integration{
		Name: st.Name, Connector: st.Connector, Source: sourceOf(st.Connector), APIID: st.Source, AccountID: st.RemoteID, AccountName: st.RemoteName,
		LastSync: st.LastSyncedAt, NextSync: st.DueAt, Failures: st.Failures,
	}
	var status handover.Status
	if len(st.Status) > 0 {
		if err := json.Unmarshal(st.Status, &status); err != nil {
			return v, fmt.Errorf("status of integration %s: %w", st.Name, err)
		}
	}
	var spec struct {
		DisplayName string            `json:"displayName"`
		Problem     *handover.Problem `json:"problem"`
	}
	if len(st.Spec) > 0 {
		if err := json.Unmarshal(st.Spec, &spec); err != nil {
			return v, fmt.Errorf("spec of integration %s: %w", st.Name, err)
		}
	}
	v.DisplayName = spec.DisplayName
	v.DataTypes, v.Held = status.DataTypes, status.Held
	for _, d := range status.DataTypes {
		v.Records += d.Records
	}
	switch {
	case spec.Problem != nil:
		v.State, v.Message = spec.Problem.Reason, spec.Problem.Message
	case st.Suspended:
		v.State = "Suspended"
	case status.Problem != nil:
		v.State, v.Message = status.Problem.Reason, status.Problem.Message
	case len(status.Held) > 0:
		v.State, v.Message = "Held", status.Held[0].Reason
	case st.LastSyncedAt == nil:
		v.State = "Pending"
	default:
		v.State = "Synced"
	}
	return v, nil
}

// integrations lists what is connected first, by name (acceptance row 91).
func (a *API) integrations(c *call) (any, error) {
	states, err := a.Store.ListIntegrations(c, c.tenant)
	if err != nil {
		return nil, err
	}
	views := make([]Integration, len(states))
	for i, st := range states {
		if views[i], err = integrationView(st); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(views, func(a, b Integration) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	})
	if view := c.query.Get("view"); view != "" {
		return a.view(c, view, views)
	}
	return page("IntegrationList", views, ""), nil
}

func rank(i Integration) int {
	if i.LastSync != nil {
		return 0
	}
	return 1
}

func (a *API) integration(c *call) (any, error) {
	st, err := a.Store.IntegrationState(c, c.tenant, c.path("name"))
	if err != nil {
		return nil, err
	}
	return integrationView(st)
}

func (a *API) people(c *call) (any, error) {
	q := store.PeopleQuery{Page: c.page(), Search: c.query.Get("search"), Department: c.query.Get("department")}
	lifecycles, err := oneOf(c, "lifecycle", model.LifecycleFuture, model.LifecycleCurrent, model.LifecycleOnLeave, model.LifecyclePast, model.LifecycleExternal)
	if err != nil {
		return nil, err
	}
	q.Lifecycle = plain(lifecycles)
	people, next, err := a.Store.ListPeople(c, c.tenant, q)
	if err != nil {
		return nil, cursorError(err)
	}
	return page("PersonList", people, next), nil
}

func (a *API) person(c *call) (any, error) {
	return a.Store.Person(c, c.tenant, c.path("name"))
}

// Account is one login at one app.
type Account struct {
	Integration        string              `json:"integration"`
	AppExternalID      string              `json:"appExternalID,omitempty"`
	ExternalID         string              `json:"externalID"`
	Username           string              `json:"username"`
	DisplayName        string              `json:"displayName,omitempty"`
	Status             model.AccountStatus `json:"status"`
	Kind               model.AccountKind   `json:"kind"`
	Admin              bool                `json:"admin"`
	PersonID           string              `json:"personID,omitempty"`
	PersonEmail        string              `json:"personEmail,omitempty"`
	LastActivity       string              `json:"lastActivity"` // RFC 3339, "never", or "unknown" if the source does not report it
	LastActivitySource string              `json:"lastActivitySource,omitempty"`
	CreatedAt          *time.Time          `json:"createdAt,omitempty"`
	ObservedSince      time.Time           `json:"observedSince"`
}

func accountView(v store.AccountView) Account {
	out := Account{
		Integration: v.Integration, AppExternalID: v.AppExternalID, ExternalID: v.ExternalID, Username: cmp.Or(v.Username, v.PersonKey, v.ExternalID),
		DisplayName: v.DisplayName, Status: v.Status, Kind: cmp.Or(v.Kind, model.AccountHuman), Admin: v.IsAdmin, PersonID: v.PersonID, PersonEmail: v.PersonEmail,
		LastActivity: "unknown", LastActivitySource: v.LastActivitySource, CreatedAt: v.CreatedAt, ObservedSince: v.ObservedSince,
	}
	switch {
	case v.LastActivityAt != nil:
		out.LastActivity = v.LastActivityAt.UTC().Format(time.RFC3339)
	case v.ActivityReported:
		out.LastActivity = "never"
	}
	return out
}

func (a *API) accounts(c *call) (any, error) {
	q := store.AccountQuery{Page: c.page(), App: c.query.Get("app"), Search: c.query.Get("search"), PersonID: c.query.Get("person")}
	if v := c.query.Get("integration"); v != "" {
		q.Integrations = []string{v}
	}
	statuses, err := oneOf(c, "status", model.AccountActive, model.AccountInvited, model.AccountSuspended, model.AccountArchived,
		model.AccountDeactivated, model.AccountDeleted, model.AccountUnknown)
	if err != nil {
		return nil, err
	}
	q.Statuses = plain(statuses)
	found, next, err := a.Store.ListAccounts(c, c.tenant, q)
	if err != nil {
		return nil, cursorError(err)
	}
	views := make([]Account, len(found))
	for i, f := range found {
		views[i] = accountView(f)
	}
	return page("AccountList", views, next), nil
}

// page reads the paging parameters.
func (c *call) page() store.Page {
	return store.Page{Cursor: c.query.Get("continue"), Limit: c.limit}
}

func cursorError(err error) error {
	if errors.Is(err, store.ErrCursor) {
		return badRequest("continue: %v; start again without it", err)
	}
	return err
}
