// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Rules is a LicensePolicy with what its Organization, Application and
// Integrations add, free of Kubernetes types. It is stored as JSON beside the
// policy, so that a run can decide again without the API server.
type Rules struct {
	Policy string `json:"policy"`

	InactiveAfterDays  int         `json:"inactiveAfterDays"`
	NeverUsedAfterDays int         `json:"neverUsedAfterDays"`
	Signals            []string    `json:"signals"`
	Exempt             []Exemption `json:"exempt,omitempty"`
	HoldOnLeave        bool        `json:"holdOnLeave"`
	Protected          Protected   `json:"protected"`
	// Zone is the IANA zone that days are counted in.
	Zone string `json:"zone"`

	// Sources are the Integrations whose seats the policy covers, by name.
	Sources map[string]Source `json:"sources"`
	// Plans are the vendor's plan keys that the policy covers, by integration;
	// nil covers every paid plan.
	Plans map[string][]string `json:"plans,omitempty"`

	// Applications are what expressions see of each app, by name.
	Applications map[string]expr.Application `json:"applications,omitempty"`
	Org          expr.Org                    `json:"org"`
}

// Source is what matters about an Integration.
type Source struct {
	// App is the name of the Application whose seats it reports.
	App string `json:"app"`
	// KnownAs is by what other sources, which may see it used, know the app.
	KnownAs model.AppIdentity `json:"knownAs,omitzero"`
	// StaleAfter is how old its newest complete listing may be.
	StaleAfter time.Duration `json:"staleAfter"`
	// FirstSyncedAt is when its first listing completed. A seat seen only later
	// was given then; for one seen at once nobody knows.
	FirstSyncedAt time.Time `json:"firstSyncedAt,omitzero"`
}

// Exemption leaves seats alone; who matches any part is exempt.
type Exemption struct {
	People []string   `json:"people,omitempty"`
	Groups []string   `json:"groups,omitempty"`
	When   string     `json:"when,omitempty"`
	Until  model.Date `json:"until,omitempty"` // the last day that it counts
	Reason string     `json:"reason,omitempty"`
}

// Protected is what the Organization never lets anybody touch.
type Protected struct {
	People []string `json:"people,omitempty"`
	// Accounts are the vendor's ids by integration.
	Accounts map[string][]string `json:"accounts,omitempty"`
	When     string              `json:"when,omitempty"`
}

// ExpressionError names the field whose expression is wrong.
type ExpressionError struct {
	Field string
	Err   error
}

func (e *ExpressionError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the cause, an *expr.Error.
func (e *ExpressionError) Unwrap() error { return e.Err }

// Compiled rules decide about seats. They are safe for concurrent use.
type Compiled struct {
	Rules
	zone            *time.Location
	protectedWhen   *expr.Program
	protectedPeople map[string]bool
	exempt          []compiledExemption
}

type compiledExemption struct {
	Exemption
	people map[string]bool
	groups map[string]bool
	when   *expr.Program
}

// Compile checks the rules. Every bad expression is an *ExpressionError, all of
// them joined.
func Compile(r Rules) (*Compiled, error) {
	env, err := expr.Policy()
	if err != nil {
		return nil, fmt.Errorf("policy environment: %w", err)
	}
	if r.InactiveAfterDays <= 0 {
		return nil, errors.New("inactiveAfter must be a day or more")
	}
	if r.NeverUsedAfterDays <= 0 {
		r.NeverUsedAfterDays = r.InactiveAfterDays
	}
	c := &Compiled{Rules: r, protectedPeople: mails(r.Protected.People)}
	if c.zone, err = time.LoadLocation(r.Zone); err != nil {
		return nil, fmt.Errorf("time zone %q: %w", r.Zone, err)
	}
	var errs []error
	compile := func(field, source string) *expr.Program {
		if source == "" {
			return nil
		}
		p, err := env.Compile(source, expr.Bool)
		if err != nil {
			errs = append(errs, &ExpressionError{Field: field, Err: err})
		}
		return p
	}
	c.protectedWhen = compile("Organization spec.protected.when", r.Protected.When)
	for i, e := range r.Exempt {
		groups := map[string]bool{}
		for _, g := range e.Groups {
			groups[g] = true
		}
		c.exempt = append(c.exempt, compiledExemption{
			Exemption: e, people: mails(e.People), groups: groups, when: compile(fmt.Sprintf("spec.exempt[%d].when", i), e.When),
		})
	}
	return c, errors.Join(errs...)
}

func mails(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, m := range list {
		set[strings.ToLower(m)] = true
	}
	return set
}

// NeedsGroups says whether deciding looks at group membership at all.
func (c *Compiled) NeedsGroups() bool {
	return slices.ContainsFunc(c.exempt, func(e compiledExemption) bool { return len(e.groups) > 0 })
}

// Groups returns the names of the groups that the rules mention.
func (c *Compiled) Groups() []string {
	var out []string
	for _, e := range c.exempt {
		out = append(out, e.Groups...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Covers says whether the policy is about the seat at all.
func (c *Compiled) Covers(s model.Seat) bool {
	if _, ok := c.Sources[s.Integration]; !ok {
		return false
	}
	if c.Plans == nil {
		return s.Paid
	}
	return slices.Contains(c.Plans[s.Integration], s.PlanKey)
}

// matches evaluates a condition over a seat, or over an account of its person
// in the identity provider. A condition that fails at run time has not matched
// and has not not matched.
func (c *Compiled) matches(ctx context.Context, p *expr.Program, in Input, there *model.DirectoryAccount) (bool, error) {
	if p == nil {
		return false, nil
	}
	s := in.Seat
	subject := expr.Subject{
		Person: &model.Person{
			Email: s.Email, DisplayName: s.PersonName, Department: s.Department, TimeZone: s.TimeZone,
			Lifecycle: s.Lifecycle, ManagerEmail: s.ManagerEmail, EmploymentType: s.EmploymentType,
		},
		Integration: s.Integration,
		Account: &model.Account{
			ExternalID: s.AccountExternalID, Username: s.Username, DisplayName: s.DisplayName, Status: s.AccountStatus, Kind: s.AccountKind,
			IsAdmin: s.IsAdmin, CreatedAt: s.AccountCreatedAt, ActivityReported: s.ActivityReported, LastActivityAt: s.LastActivityAt,
		},
		License: &model.Assignment{
			AccountExternalID: s.AccountExternalID, PlanKey: s.PlanKey, PlanName: s.PlanName, Paid: s.Paid, State: s.State, AssignedAt: s.AssignedAt,
		},
		Application: c.Applications[c.Sources[s.Integration].App], Org: c.Org, Now: in.Now,
	}
	if there != nil {
		subject.Integration = in.Directory.Integration
		subject.Account = &model.Account{
			ExternalID: there.ExternalID, Username: there.Username, DisplayName: there.DisplayName, Status: there.Status, Kind: there.Kind, IsAdmin: there.IsAdmin,
		}
	}
	return p.EvalBool(ctx, subject.Vars())
}
