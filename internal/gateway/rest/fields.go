// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// userField is a custom field of users in GET /v1.0/users/fields.
type userField struct {
	ID    int64          `json:"id"`
	IDOrg model.TenantID `json:"idOrg"`
	// SourceIDApp is the number of the Integration that gives the field, as
	// idAppAccount names it elsewhere.
	SourceIDApp int64  `json:"sourceIdApp"`
	Name        string `json:"name"`
	Type        string `json:"type"`
	Key         string `json:"key"`
	IsDeleted   bool   `json:"isDeleted"`
}

type predefinedField struct {
	Name      string `json:"name"`
	SystemKey string `json:"systemKey"`
	Type      string `json:"type"`
}

type customField struct {
	IDField   int64  `json:"idField"`
	Name      string `json:"name"`
	SystemKey string `json:"systemKey"`
	Type      string `json:"type"`
}

const fieldDate = "date"

// predefinedFields are the fields of users that everybody has.
var predefinedFields = []predefinedField{
	{"User ID", "id", store.FieldNumber},
	{"First name", "firstName", store.FieldText},
	{"Last name", "lastName", store.FieldText},
	{"Email", "email", store.FieldText},
	{"Additional emails", "additionalEmails", store.FieldList},
	{"Lifecycle status", "lifecycleStatus", store.FieldText},
	{"Is external", "isExternal", store.FieldBoolean},
	{"Deleted in identity sources", "isDeletedInIdentitySources", store.FieldBoolean},
	{"Active apps", "activeAppsCount", store.FieldNumber},
	{"Creation time", "creationTime", fieldDate},
	{"Employee ID", "employeeId", store.FieldText},
	{"Title", "title", store.FieldText},
	{"Department", "department", store.FieldText},
	{"Division", "division", store.FieldText},
	{"Cost center", "costCenter", store.FieldText},
	{"Location", "location", store.FieldText},
	{"Time zone", "timeZone", store.FieldText},
	{"Employment type", "employmentType", store.FieldText},
	{"Manager email", "managerEmail", store.FieldText},
	{"Start date", "startDate", fieldDate},
	{"End date", "endDate", fieldDate},
	{"Photo URL", "photoUrl", store.FieldText},
}

// userFieldList is the answer of GET /v1.0/users/fields.
type userFieldList struct {
	Fields []userField `json:"fields"`
}

// userFieldMetadata is the answer of GET /v1.0/users/metadata.
type userFieldMetadata struct {
	PredefinedFields []predefinedField `json:"predefinedFields"`
	CustomFields     []customField     `json:"customFields"`
}

func userOperations() []operation {
	read := access.Request{Verb: "list", Resource: "people"}
	return []operation{
		{method: http.MethodGet, path: "/users/fields", id: "listUserFields", summary: "List the custom fields of users",
			scope: "people:read", want: read, answer: userFieldList{}, serve: (*API).userFields},
		{method: http.MethodGet, path: "/users/metadata", id: "describeUsers", summary: "Describe the fields of users",
			scope: "people:read", want: read, answer: userFieldMetadata{}, serve: (*API).userMetadata,
			params: []param{{name: "q", kind: kindString, doc: "Only fields whose name or key contains this."}}},
	}
}

func (a *API) userFields(c *call) (any, error) {
	all, err := a.Store.PersonFields(c, c.Tenant)
	if err != nil {
		return nil, err
	}
	out := make([]userField, 0, len(all))
	for _, f := range all {
		out = append(out, userField{ID: f.ID, IDOrg: c.Tenant, SourceIDApp: f.Source, Name: f.Name, Type: f.Type, Key: f.Name, IsDeleted: f.Deleted})
	}
	return userFieldList{out}, nil
}

// userMetadata describes what users have. Values to choose from are not part of
// it.
func (a *API) userMetadata(c *call) (any, error) {
	all, err := a.Store.PersonFields(c, c.Tenant)
	if err != nil {
		return nil, err
	}
	q := strings.ToLower(strings.TrimSpace(c.text("q")))
	found := func(texts ...string) bool {
		for _, t := range texts {
			if strings.Contains(strings.ToLower(t), q) {
				return true
			}
		}
		return false
	}
	predefined, custom := []predefinedField{}, []customField{}
	for _, f := range predefinedFields {
		if found(f.Name, f.SystemKey) {
			predefined = append(predefined, f)
		}
	}
	for _, f := range all {
		if !f.Deleted && found(f.Name) {
			custom = append(custom, customField{IDField: f.ID, Name: f.Name, SystemKey: f.Name, Type: f.Type})
		}
	}
	return userFieldMetadata{predefined, custom}, nil
}
