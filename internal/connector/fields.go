// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Bounds of one field of a record.
const (
	maxFieldBytes = 4096
	maxListItems  = 1000
)

// field is one field of a canonical record: the type that its expression must
// have and how its value is stored.
type field struct {
	want     *expr.Type
	required bool
	set      func(*model.Record, any) error
}

// recordType is a canonical record that an emit may produce.
type recordType struct {
	dataType model.DataType
	fresh    func() model.Record
	fields   map[string]field
	// custom returns where custom fields go; nil if the record has none.
	custom func(*model.Record) *map[string]any
	// check looks at the finished record.
	check func(*model.Record) error
	// drop tells that the finished record says there is nothing to keep.
	drop func(*model.Record) bool
}

func str(at func(*model.Record) *string) field {
	return field{want: expr.Dyn, set: func(r *model.Record, v any) error {
		s, err := toString(v)
		if err == nil {
			*at(r) = s
		}
		return err
	}}
}

// lowered is str for e-mail addresses and other keys that compare without case.
func lowered(at func(*model.Record) *string) field {
	f := str(at)
	set := f.set
	f.set = func(r *model.Record, v any) error {
		if err := set(r, v); err != nil {
			return err
		}
		p := at(r)
		*p = strings.ToLower(strings.TrimSpace(*p))
		return nil
	}
	return f
}

func needed(f field) field {
	f.required = true
	return f
}

// oneOf is a closed vocabulary of type E.
func oneOf[E ~string](at func(*model.Record) *E, allowed ...E) field {
	return field{want: expr.String, set: func(r *model.Record, v any) error {
		s, err := toString(v)
		if err != nil {
			return err
		}
		if s != "" && !slices.Contains(allowed, E(s)) {
			return fmt.Errorf("got a value outside the vocabulary, want one of %v", allowed)
		}
		*at(r) = E(s)
		return nil
	}}
}

func boolean(at func(*model.Record) *bool) field {
	return field{want: expr.Bool, set: func(r *model.Record, v any) error {
		b, ok := v.(bool)
		if v != nil && !ok {
			return fmt.Errorf("got %s, want a bool", expr.TypeName(v))
		}
		*at(r) = b
		return nil
	}}
}

// maybe is boolean for what a vendor may leave open.
func maybe(at func(*model.Record) **bool) field {
	return field{want: expr.Bool, set: func(r *model.Record, v any) error {
		*at(r) = nil
		if b, ok := v.(bool); ok {
			*at(r) = &b
		} else if v != nil {
			return fmt.Errorf("got %s, want a bool or null", expr.TypeName(v))
		}
		return nil
	}}
}

func moment(at func(*model.Record) **time.Time) field {
	return field{want: expr.Timestamp, set: func(r *model.Record, v any) error {
		if v == nil {
			*at(r) = nil
			return nil
		}
		t, ok := v.(time.Time)
		if !ok {
			return fmt.Errorf("got %s, want a timestamp; use ts()", expr.TypeName(v))
		}
		t = t.UTC()
		*at(r) = &t
		return nil
	}}
}

func date(at func(*model.Record) *model.Date) field {
	return field{want: expr.Dyn, set: func(r *model.Record, v any) error {
		switch t := v.(type) {
		case nil:
			*at(r) = ""
		case time.Time:
			*at(r) = model.DateOf(t, time.UTC)
		case string:
			if t == "" {
				*at(r) = ""
				return nil
			}
			d, err := model.ParseDate(t)
			if err != nil {
				return fmt.Errorf("got text that is no date, want YYYY-MM-DD")
			}
			*at(r) = d
		default:
			return fmt.Errorf("got %s, want a date", expr.TypeName(v))
		}
		return nil
	}}
}

func integer(at func(*model.Record) **int64) field {
	return field{want: expr.Int, set: func(r *model.Record, v any) error {
		if v == nil {
			*at(r) = nil
			return nil
		}
		n, ok := v.(int64)
		if !ok {
			return fmt.Errorf("got %s, want an integer", expr.TypeName(v))
		}
		*at(r) = &n
		return nil
	}}
}

func stringList(at func(*model.Record) *[]string, each func(string) string) field {
	return field{want: expr.List, set: func(r *model.Record, v any) error {
		if v == nil {
			*at(r) = nil
			return nil
		}
		l, ok := v.([]any)
		if !ok {
			return fmt.Errorf("got %s, want a list of strings", expr.TypeName(v))
		}
		if len(l) > maxListItems {
			return fmt.Errorf("the list has %d elements; at most %d are kept", len(l), maxListItems)
		}
		var out []string
		for _, e := range l {
			s, err := toString(e)
			if err != nil {
				return err
			}
			if s = each(s); s != "" {
				out = append(out, s)
			}
		}
		*at(r) = out
		return nil
	}}
}

func toString(v any) (string, error) {
	if s, ok := v.(string); ok {
		if len(s) > maxFieldBytes {
			return "", fmt.Errorf("the text has %d bytes; at most %d are kept", len(s), maxFieldBytes)
		}
		return s, nil
	}
	if _, isTime := v.(time.Time); isTime {
		return "", fmt.Errorf("got timestamp, want text")
	}
	return expr.Format(v)
}

func lowerTrim(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

var recordTypes = map[string]recordType{
	"Person": {
		dataType: model.DataPeople,
		fresh:    func() model.Record { return model.Record{Person: &model.Person{}} },
		custom:   func(r *model.Record) *map[string]any { return &r.Person.Custom },
		fields: map[string]field{
			"externalId":        needed(str(func(r *model.Record) *string { return &r.Person.ExternalID })),
			"email":             needed(lowered(func(r *model.Record) *string { return &r.Person.Email })),
			"aliases":           stringList(func(r *model.Record) *[]string { return &r.Person.Aliases }, lowerTrim),
			"displayName":       str(func(r *model.Record) *string { return &r.Person.DisplayName }),
			"givenName":         str(func(r *model.Record) *string { return &r.Person.GivenName }),
			"familyName":        str(func(r *model.Record) *string { return &r.Person.FamilyName }),
			"title":             str(func(r *model.Record) *string { return &r.Person.Title }),
			"department":        str(func(r *model.Record) *string { return &r.Person.Department }),
			"division":          str(func(r *model.Record) *string { return &r.Person.Division }),
			"costCenter":        str(func(r *model.Record) *string { return &r.Person.CostCenter }),
			"location":          str(func(r *model.Record) *string { return &r.Person.Location }),
			"timeZone":          str(func(r *model.Record) *string { return &r.Person.TimeZone }),
			"employeeId":        str(func(r *model.Record) *string { return &r.Person.EmployeeID }),
			"employmentType":    str(func(r *model.Record) *string { return &r.Person.EmploymentType }),
			"managerEmail":      lowered(func(r *model.Record) *string { return &r.Person.ManagerEmail }),
			"managerExternalId": str(func(r *model.Record) *string { return &r.Person.ManagerExternalID }),
			"startDate":         date(func(r *model.Record) *model.Date { return &r.Person.StartDate }),
			"endDate":           date(func(r *model.Record) *model.Date { return &r.Person.EndDate }),
			"lifecycle": oneOf(func(r *model.Record) *model.Lifecycle { return &r.Person.Lifecycle },
				model.LifecycleFuture, model.LifecycleCurrent, model.LifecycleOnLeave, model.LifecyclePast, model.LifecycleExternal),
			"photoURL": str(func(r *model.Record) *string { return &r.Person.PhotoURL }),
		},
		check: func(r *model.Record) error { return checkEmail(r.Person.Email) },
	},
	"Account": {
		dataType: model.DataAccounts,
		fresh:    func() model.Record { return model.Record{Account: &model.Account{}} },
		custom:   func(r *model.Record) *map[string]any { return &r.Account.Custom },
		fields: map[string]field{
			"appExternalId":    str(func(r *model.Record) *string { return &r.Account.AppExternalID }),
			"externalId":       needed(str(func(r *model.Record) *string { return &r.Account.ExternalID })),
			"personKey":        lowered(func(r *model.Record) *string { return &r.Account.PersonKey }),
			"personExternalId": str(func(r *model.Record) *string { return &r.Account.PersonExternalID }),
			"username":         str(func(r *model.Record) *string { return &r.Account.Username }),
			"displayName":      str(func(r *model.Record) *string { return &r.Account.DisplayName }),
			"status": needed(oneOf(func(r *model.Record) *model.AccountStatus { return &r.Account.Status },
				model.AccountActive, model.AccountInvited, model.AccountSuspended, model.AccountArchived,
				model.AccountDeactivated, model.AccountDeleted, model.AccountUnknown)),
			"rawStatus": str(func(r *model.Record) *string { return &r.Account.RawStatus }),
			"kind": oneOf(func(r *model.Record) *model.AccountKind { return &r.Account.Kind },
				model.AccountHuman, model.AccountGuest, model.AccountService, model.AccountShared),
			"role":               str(func(r *model.Record) *string { return &r.Account.Role }),
			"isAdmin":            boolean(func(r *model.Record) *bool { return &r.Account.IsAdmin }),
			"mfa":                maybe(func(r *model.Record) **bool { return &r.Account.MFA }),
			"grantedVia":         oneOf(func(r *model.Record) *string { return &r.Account.GrantedVia }, "direct", "group", "oauth", "scim"),
			"createdAt":          moment(func(r *model.Record) **time.Time { return &r.Account.CreatedAt }),
			"lastActivityAt":     moment(func(r *model.Record) **time.Time { return &r.Account.LastActivityAt }),
			"lastActivitySource": str(func(r *model.Record) *string { return &r.Account.LastActivitySource }),
		},
		check: func(r *model.Record) error {
			if r.Account.LastActivityAt == nil {
				r.Account.LastActivitySource = ""
			}
			return nil
		},
	},
	"Plan": {
		dataType: model.DataPlans,
		fresh:    func() model.Record { return model.Record{Plan: &model.Plan{}} },
		fields: map[string]field{
			"key":           needed(str(func(r *model.Record) *string { return &r.Plan.Key })),
			"name":          needed(str(func(r *model.Record) *string { return &r.Plan.Name })),
			"paid":          boolean(func(r *model.Record) *bool { return &r.Plan.Paid }),
			"purchased":     integer(func(r *model.Record) **int64 { return &r.Plan.Purchased }),
			"used":          integer(func(r *model.Record) **int64 { return &r.Plan.Used }),
			"unitCostMinor": integer(func(r *model.Record) **int64 { return &r.Plan.UnitCostMinor }),
			"currency":      str(func(r *model.Record) *string { return &r.Plan.Currency }),
			"period": oneOf(func(r *model.Record) *model.Period { return &r.Plan.Period },
				model.PeriodMonth, model.PeriodQuarter, model.PeriodYear),
			"active": maybe(func(r *model.Record) **bool { return &r.Plan.Active }),
		},
		// What is not sold any more and used by nobody is no plan. Where the use is
		// not known somebody may hold it.
		drop: func(r *model.Record) bool {
			return r.Plan.Active != nil && !*r.Plan.Active && r.Plan.Used != nil && *r.Plan.Used == 0
		},
	},
	"LicenseAssignment": {
		dataType: model.DataAssignments,
		fresh:    func() model.Record { return model.Record{Assignment: &model.Assignment{}} },
		fields: map[string]field{
			"accountExternalId": str(func(r *model.Record) *string { return &r.Assignment.AccountExternalID }),
			"personKey":         lowered(func(r *model.Record) *string { return &r.Assignment.PersonKey }),
			"planKey":           needed(str(func(r *model.Record) *string { return &r.Assignment.PlanKey })),
			"planName":          str(func(r *model.Record) *string { return &r.Assignment.PlanName }),
			"paid":              boolean(func(r *model.Record) *bool { return &r.Assignment.Paid }),
			"state": needed(oneOf(func(r *model.Record) *model.AssignmentState { return &r.Assignment.State },
				model.AssignmentActive, model.AssignmentPending, model.AssignmentSuspended)),
			"assignedAt": moment(func(r *model.Record) **time.Time { return &r.Assignment.AssignedAt }),
			"grantedVia": oneOf(func(r *model.Record) *string { return &r.Assignment.GrantedVia }, "direct", "group", "oauth", "scim"),
			"externalId": str(func(r *model.Record) *string { return &r.Assignment.ExternalID }),
		},
		check: func(r *model.Record) error {
			if r.Assignment.AccountExternalID == "" && r.Assignment.PersonKey == "" {
				return fmt.Errorf("neither accountExternalId nor personKey has a value")
			}
			return nil
		},
	},
	"Group": {
		dataType: model.DataGroups,
		fresh:    func() model.Record { return model.Record{Group: &model.Group{}} },
		fields: map[string]field{
			"externalId":  needed(str(func(r *model.Record) *string { return &r.Group.ExternalID })),
			"name":        needed(str(func(r *model.Record) *string { return &r.Group.Name })),
			"description": str(func(r *model.Record) *string { return &r.Group.Description }),
			"kind":        oneOf(func(r *model.Record) *string { return &r.Group.Kind }, "idp", "app", "role", "builtin"),
			"email":       lowered(func(r *model.Record) *string { return &r.Group.Email }),
			"updatedAt":   moment(func(r *model.Record) **time.Time { return &r.Group.UpdatedAt }),
		},
	},
	"Membership": {
		dataType: model.DataMemberships,
		fresh:    func() model.Record { return model.Record{Membership: &model.Membership{}} },
		fields: map[string]field{
			"groupExternalId":   needed(str(func(r *model.Record) *string { return &r.Membership.GroupExternalID })),
			"accountExternalId": needed(str(func(r *model.Record) *string { return &r.Membership.AccountExternalID })),
			"role":              str(func(r *model.Record) *string { return &r.Membership.Role }),
		},
	},
	"UsageEvent": {
		dataType: model.DataUsage,
		fresh:    func() model.Record { return model.Record{Usage: &model.UsageEvent{Count: 1}} },
		fields: map[string]field{
			"appExternalId":     str(func(r *model.Record) *string { return &r.Usage.AppExternalID }),
			"accountExternalId": str(func(r *model.Record) *string { return &r.Usage.AccountExternalID }),
			"personExternalId":  str(func(r *model.Record) *string { return &r.Usage.PersonExternalID }),
			"personKey":         lowered(func(r *model.Record) *string { return &r.Usage.PersonKey }),
			"at": {want: expr.Timestamp, required: true, set: func(r *model.Record, v any) error {
				t, ok := v.(time.Time)
				if !ok {
					return fmt.Errorf("got %s, want a timestamp; use ts()", expr.TypeName(v))
				}
				r.Usage.At = t.UTC()
				return nil
			}},
			"kind": needed(str(func(r *model.Record) *string { return &r.Usage.Kind })),
			"count": {want: expr.Int, set: func(r *model.Record, v any) error {
				n, ok := v.(int64)
				if v != nil && (!ok || n < 0) {
					return fmt.Errorf("got %s, want a count", expr.TypeName(v))
				}
				r.Usage.Count = max(1, n)
				return nil
			}},
			"source": needed(str(func(r *model.Record) *string { return &r.Usage.Source })),
		},
		check: func(r *model.Record) error {
			if r.Usage.AccountExternalID == "" && r.Usage.PersonExternalID == "" && r.Usage.PersonKey == "" {
				return fmt.Errorf("the event names nobody")
			}
			return nil
		},
	},
	"DiscoveredApp": {
		dataType: model.DataApps,
		fresh:    func() model.Record { return model.Record{App: &model.DiscoveredApp{}} },
		fields: map[string]field{
			"externalId":  needed(str(func(r *model.Record) *string { return &r.App.ExternalID })),
			"name":        needed(str(func(r *model.Record) *string { return &r.App.Name })),
			"catalogHint": str(func(r *model.Record) *string { return &r.App.CatalogHint }),
			"url":         str(func(r *model.Record) *string { return &r.App.URL }),
			"source": needed(oneOf(func(r *model.Record) *string { return &r.App.Source },
				"idp", "oauth", "expense", "browser", "mail", "custom")),
			"state":       oneOf(func(r *model.Record) *string { return &r.App.State }, "active", "inactive"),
			"ssoMode":     str(func(r *model.Record) *string { return &r.App.SSOMode }),
			"scopes":      stringList(func(r *model.Record) *[]string { return &r.App.Scopes }, strings.TrimSpace),
			"unverified":  boolean(func(r *model.Record) *bool { return &r.App.Unverified }),
			"firstSeenAt": moment(func(r *model.Record) **time.Time { return &r.App.FirstSeenAt }),
		},
	},
	"Transaction": transactionType,
	"Contract":    contractType,
}

func checkEmail(s string) error {
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s {
		return fmt.Errorf("email holds no e-mail address")
	}
	return nil
}
