// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// facts are the tables that a sync diffs. Usage is apart: it only accumulates.
var facts = map[model.DataType]*fact{
	model.DataPeople:      &peopleFact,
	model.DataAccounts:    &accountFact,
	model.DataPlans:       &planFact,
	model.DataAssignments: &assignmentFact,
	model.DataGroups:      &groupFact,
	model.DataMemberships: &membershipFact,
	model.DataApps:        &appFact,

	model.DataTransactions: &transactionFact,
	model.DataContracts:    &contractFact,
}

func aux(cols []column) []column {
	for i := range cols {
		cols[i].aux = true
	}
	return cols
}

func daily(cols []column) []column {
	for i := range cols {
		cols[i].daily = true
	}
	return aux(cols)
}

// People make their events when they are merged, not here.
var peopleFact = fact{
	typ: model.DataPeople, table: "person_source",
	key: text("external_id"),
	cols: text("email", "aliases", "display_name", "given_name", "family_name", "title", "department", "division", "cost_center", "location", "time_zone",
		"employee_id", "employment_type", "manager_email", "manager_external_id", "start_date", "end_date", "lifecycle", "photo_url", "custom"),
	values: func(r model.Record) []any {
		p := r.Person
		aliases := make([]string, 0, len(p.Aliases))
		for _, a := range p.Aliases {
			if a = strings.ToLower(strings.TrimSpace(a)); a != "" {
				aliases = append(aliases, a)
			}
		}
		slices.Sort(aliases)
		return []any{p.ExternalID, strings.ToLower(p.Email), jsonText(slices.Compact(aliases)), p.DisplayName, p.GivenName, p.FamilyName, p.Title, p.Department,
			p.Division, p.CostCenter, p.Location, p.TimeZone, p.EmployeeID, p.EmploymentType, strings.ToLower(p.ManagerEmail), p.ManagerExternalID,
			string(p.StartDate), string(p.EndDate), string(p.Lifecycle), p.PhotoURL, jsonText(p.Custom)}
	},
}

var accountFact = fact{
	typ: model.DataAccounts, table: "account",
	key: text("app_external_id", "external_id"),
	cols: slices.Concat(
		text("person_key", "person_external_id", "username", "display_name", "status", "raw_status", "kind", "role"),
		columns("BOOLEAN", "is_admin", "mfa"), text("granted_via"), columns("BIGINT", "created_at"),
		aux(columns("BOOLEAN", "activity_reported")), daily(columns("BIGINT", "last_activity_at")), aux(text("last_activity_source", "custom"))),
	values: func(r model.Record) []any {
		a := r.Account
		return []any{a.AppExternalID, a.ExternalID, strings.ToLower(a.PersonKey), a.PersonExternalID, a.Username, a.DisplayName,
			or(a.Status, model.AccountUnknown), a.RawStatus, or(a.Kind, model.AccountHuman), a.Role, a.IsAdmin, optBool(a.MFA), a.GrantedVia,
			optMillis(a.CreatedAt), a.ActivityReported, optMillis(a.LastActivityAt), a.LastActivitySource, jsonText(a.Custom)}
	},
	added: model.EventAccountAdded, changed: model.EventAccountChanged, removed: model.EventAccountRemoved, loaded: model.EventAccountsLoaded,
	subject: "d.app_external_id || '/' || d.external_id",
}

var planFact = fact{
	typ: model.DataPlans, table: "plan",
	key: text("plan_key"),
	cols: slices.Concat(text("name"), columns("BOOLEAN", "paid"), columns("BIGINT", "purchased"), aux(columns("BIGINT", "used")),
		columns("BIGINT", "unit_cost_minor"), text("currency", "period")),
	values: func(r model.Record) []any {
		p := r.Plan
		return []any{p.Key, p.Name, p.Paid, optInt(p.Purchased), optInt(p.Used), optInt(p.UnitCostMinor), p.Currency, string(p.Period)}
	},
}

const mailHolder = "mail:"

var assignmentFact = fact{
	typ: model.DataAssignments, table: "assignment", paired: true,
	key: text("holder", "plan_key"),
	cols: slices.Concat(text("account_external_id", "person_key", "plan_name"), columns("BOOLEAN", "paid"), text("state"),
		columns("BIGINT", "assigned_at"), text("granted_via", "external_id")),
	values: func(r model.Record) []any {
		a := r.Assignment
		holder, mail := a.AccountExternalID, strings.ToLower(a.PersonKey)
		if holder == "" {
			holder = mailHolder + mail
		}
		return []any{holder, a.PlanKey, a.AccountExternalID, mail, a.PlanName, a.Paid, or(a.State, model.AssignmentActive),
			optMillis(a.AssignedAt), a.GrantedVia, a.ExternalID}
	},
	added: model.EventSeatGained, removed: model.EventSeatLost, loaded: model.EventSeatsLoaded,
	subject: "d.holder || '/' || d.plan_key",
}

var groupFact = fact{
	typ: model.DataGroups, table: "directory_group",
	key:  text("external_id"),
	cols: slices.Concat(text("name", "description", "kind", "email"), aux(columns("BIGINT", "updated_at"))),
	values: func(r model.Record) []any {
		g := r.Group
		return []any{g.ExternalID, g.Name, g.Description, g.Kind, g.Email, optMillis(g.UpdatedAt)}
	},
}

var membershipFact = fact{
	typ: model.DataMemberships, table: "membership", paired: true,
	key:  text("group_external_id", "account_external_id"),
	cols: text("role"),
	values: func(r model.Record) []any {
		m := r.Membership
		return []any{m.GroupExternalID, m.AccountExternalID, m.Role}
	},
}

var appFact = fact{
	typ: model.DataApps, table: "discovered_app",
	key: text("external_id"),
	cols: slices.Concat(text("name", "catalog_hint", "url", "origin", "state", "sso_mode", "scopes"), columns("BOOLEAN", "unverified"),
		aux(columns("BIGINT", "reported_first_seen_at"))),
	values: func(r model.Record) []any {
		a := r.App
		scopes := slices.Clone(a.Scopes)
		slices.Sort(scopes)
		return []any{a.ExternalID, a.Name, a.CatalogHint, a.URL, a.Source, a.State, a.SSOMode, jsonText(slices.Compact(scopes)), a.Unverified,
			optMillis(a.FirstSeenAt)}
	},
	added: model.EventAppDiscovered, subject: "d.external_id",
}

var transactionFact = fact{
	typ: model.DataTransactions, table: "spend_transaction",
	key: text("external_id"),
	cols: slices.Concat(text("booked_on"), columns("BIGINT", "amount_minor"), text("currency", "vendor_name", "vendor_external_id", "mcc", "description",
		"payer_email", "department", "gl_account", "kind", "status", "receipt_url")),
	values: func(r model.Record) []any {
		t := r.Transaction
		return []any{t.ExternalID, string(t.Date), t.Amount.Minor, t.Amount.Currency, t.VendorName, t.VendorExternalID, t.MCC, t.Description,
			strings.ToLower(t.PayerEmail), t.Department, t.GLAccount, string(t.Kind), t.Status, t.ReceiptURL}
	},
}

var contractFact = fact{
	typ: model.DataContracts, table: "reported_contract",
	key: text("external_id"),
	cols: slices.Concat(text("name", "app_hint", "start_date", "end_date"), columns("BOOLEAN", "auto_renew"), columns("BIGINT", "notice_days", "value_minor"),
		text("currency", "billing_period", "owner_email", "lines", "document_url", "status")),
	values: func(r model.Record) []any {
		c := r.Contract
		return []any{c.ExternalID, c.Name, c.AppHint, string(c.Start), string(c.End), c.AutoRenew, optInt(c.NoticeDays), optInt(c.ValueMinor),
			c.Currency, string(c.BillingPeriod), strings.ToLower(c.OwnerEmail), linesText(c.Lines), c.DocumentURL, c.Status}
	},
}

// linesText is in the order of the plans, so that a source which lists them
// anew changes nothing.
func linesText(lines []model.ContractLine) string {
	if len(lines) == 0 {
		return ""
	}
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b model.ContractLine) int { return strings.Compare(a.PlanKey, b.PlanKey) })
	b, err := json.Marshal(lines)
	if err != nil {
		return "" // strings and integers always marshal
	}
	return cleanText(string(b))
}

// usageFact is staged like the others and applied by applyUsage.
var usageFact = fact{
	typ: model.DataUsage, table: "usage_day",
	key:  text("day", "app_external_id", "subject", "kind"),
	cols: slices.Concat(columns("BIGINT", "count", "last_at"), text("origin")),
	values: func(r model.Record) []any {
		u := r.Usage
		subject := usageByAccount + u.AccountExternalID
		switch {
		case u.AccountExternalID != "":
		case u.PersonExternalID != "":
			subject = usageByPerson + u.PersonExternalID
		default:
			subject = usageByMail + strings.ToLower(u.PersonKey)
		}
		return []any{u.At.UTC().Format("2006-01-02"), u.AppExternalID, subject, u.Kind, max(u.Count, 1), u.At.UnixMilli(), u.Source}
	},
}

// Prefixes of a usage row's subject.
const (
	usageByAccount = "account:"
	usageByPerson  = "person:"
	usageByMail    = mailHolder
)
