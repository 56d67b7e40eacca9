// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// The variables of a policy, by name and type. Names follow decision 25:
// adding one is compatible, renaming never.
const (
	VarPerson      = "person"
	VarAccount     = "account"
	VarLicense     = "license"
	VarApplication = "application"
	VarOrg         = "org"
	VarNow         = "now"
)

// policyTypes are declared field by field, so that a misspelt field is found
// when the policy is admitted and not when a seat is taken.
var policyTypes = map[string]map[string]*cel.Type{
	"Person": {
		"id": cel.IntType, "externalId": cel.StringType, "email": cel.StringType, "aliases": cel.ListType(cel.StringType),
		"displayName": cel.StringType, "givenName": cel.StringType, "familyName": cel.StringType,
		"title": cel.StringType, "department": cel.StringType, "division": cel.StringType,
		"costCenter": cel.StringType, "location": cel.StringType, "timeZone": cel.StringType,
		"employeeId": cel.StringType, "employmentType": cel.StringType,
		"managerEmail": cel.StringType, "managerExternalId": cel.StringType,
		"startDate": cel.StringType, "endDate": cel.StringType, "lifecycle": cel.StringType,
		"custom": Map,
	},
	"Account": {
		"integration": cel.StringType, "appExternalId": cel.StringType, "externalId": cel.StringType,
		"personKey": cel.StringType, "username": cel.StringType, "displayName": cel.StringType,
		"status": cel.StringType, "rawStatus": cel.StringType, "kind": cel.StringType, "role": cel.StringType,
		"isAdmin": cel.BoolType, "mfa": cel.NullableType(cel.BoolType), "grantedVia": cel.StringType,
		"createdAt": cel.TimestampType, "activityReported": cel.BoolType, "lastActivityAt": cel.TimestampType,
		"custom": Map,
	},
	"License": {
		"planKey": cel.StringType, "planName": cel.StringType, "paid": cel.BoolType, "state": cel.StringType,
		"assignedAt": cel.TimestampType, "grantedVia": cel.StringType,
	},
	"Application": {
		"name": cel.StringType, "displayName": cel.StringType, "category": cel.StringType, "state": cel.StringType,
		"tags": cel.ListType(cel.StringType), "fields": cel.MapType(cel.StringType, cel.StringType),
	},
	"Org": {
		"displayName": cel.StringType, "domains": cel.ListType(cel.StringType), "timeZone": cel.StringType,
	},
}

// mapProvider declares types by field. The values are maps: without accessors
// the interpreter selects their fields by key.
type mapProvider struct {
	*types.Registry
	types map[string]map[string]*cel.Type
}

func (p mapProvider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.types[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Registry.FindStructType(name)
}

func (p mapProvider) FindStructFieldNames(name string) ([]string, bool) {
	fields, ok := p.types[name]
	if !ok {
		return p.Registry.FindStructFieldNames(name)
	}
	names := make([]string, 0, len(fields))
	for f := range fields {
		names = append(names, f)
	}
	return names, true
}

func (p mapProvider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	fields, ok := p.types[name]
	if !ok {
		return p.Registry.FindStructFieldType(name, field)
	}
	t, ok := fields[field]
	if !ok {
		return nil, false
	}
	return &types.FieldType{Type: t}, true
}

var policyEnv = sync.OnceValues(func() (*Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	provider := mapProvider{registry, policyTypes}
	env, err := base(
		cel.CustomTypeProvider(provider), cel.CustomTypeAdapter(registry),
		cel.Variable(VarPerson, cel.ObjectType("Person")),
		cel.Variable(VarAccount, cel.ObjectType("Account")),
		cel.Variable(VarLicense, cel.ObjectType("License")),
		cel.Variable(VarApplication, cel.ObjectType("Application")),
		cel.Variable(VarOrg, cel.ObjectType("Org")),
		cel.Variable(VarNow, cel.TimestampType),
	)
	if err != nil {
		return nil, err
	}
	return &Env{cel: env, cost: CostRecord}, nil
})

// Policy returns the environment of LicensePolicy exemptions and of
// Organization protection: person, account, license, application, org, now.
func Policy() (*Env, error) { return policyEnv() }

// Subject is what a policy expression looks at. A nil part reads as empty.
type Subject struct {
	Person      *model.Person
	PersonID    int64
	Integration string
	Account     *model.Account
	License     *model.Assignment
	Application Application
	Org         Org
	Now         time.Time
}

// Application is the part of an Application that expressions see.
type Application struct {
	Name, DisplayName, Category, State string
	Tags                               []string
	Fields                             map[string]string
}

// Org is the part of an Organization that expressions see.
type Org struct {
	DisplayName string
	Domains     []string
	TimeZone    string
}

// Vars returns the variables of the policy environment.
func (s Subject) Vars() map[string]any {
	return map[string]any{
		VarPerson:  personVars(s.PersonID, s.Person),
		VarAccount: accountVars(s.Integration, s.Account),
		VarLicense: licenseVars(s.License),
		VarApplication: map[string]any{
			"name": s.Application.Name, "displayName": s.Application.DisplayName, "category": s.Application.Category,
			"state": s.Application.State, "tags": s.Application.Tags, "fields": s.Application.Fields,
		},
		VarOrg: map[string]any{"displayName": s.Org.DisplayName, "domains": s.Org.Domains, "timeZone": s.Org.TimeZone},
		VarNow: s.Now,
	}
}

func personVars(id int64, p *model.Person) map[string]any {
	if p == nil {
		p = &model.Person{}
	}
	return map[string]any{
		"id": id, "externalId": p.ExternalID, "email": p.Email, "aliases": p.Aliases,
		"displayName": p.DisplayName, "givenName": p.GivenName, "familyName": p.FamilyName,
		"title": p.Title, "department": p.Department, "division": p.Division,
		"costCenter": p.CostCenter, "location": p.Location, "timeZone": p.TimeZone,
		"employeeId": p.EmployeeID, "employmentType": p.EmploymentType,
		"managerEmail": p.ManagerEmail, "managerExternalId": p.ManagerExternalID,
		"startDate": string(p.StartDate), "endDate": string(p.EndDate), "lifecycle": string(p.Lifecycle),
		"custom": orEmpty(p.Custom),
	}
}

func accountVars(integration string, a *model.Account) map[string]any {
	if a == nil {
		a = &model.Account{}
	}
	var mfa any
	if a.MFA != nil {
		mfa = *a.MFA
	}
	kind := a.Kind
	if kind == "" {
		kind = model.AccountHuman
	}
	return map[string]any{
		"integration": integration, "appExternalId": a.AppExternalID, "externalId": a.ExternalID,
		"personKey": a.PersonKey, "username": a.Username, "displayName": a.DisplayName,
		"status": string(a.Status), "rawStatus": a.RawStatus, "kind": string(kind), "role": a.Role,
		"isAdmin": a.IsAdmin, "mfa": mfa, "grantedVia": a.GrantedVia,
		"createdAt": orNull(a.CreatedAt), "activityReported": a.ActivityReported, "lastActivityAt": orNull(a.LastActivityAt),
		"custom": orEmpty(a.Custom),
	}
}

func licenseVars(l *model.Assignment) map[string]any {
	if l == nil {
		l = &model.Assignment{}
	}
	return map[string]any{
		"planKey": l.PlanKey, "planName": l.PlanName, "paid": l.Paid, "state": string(l.State),
		"assignedAt": orNull(l.AssignedAt), "grantedVia": l.GrantedVia,
	}
}

func orNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return *t
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
