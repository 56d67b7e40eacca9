// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Config says which company to generate. The same Config gives the same
// company, byte for byte.
type Config struct {
	Seed   uint64    `json:"seed"`
	People int       `json:"people"` // rows of the HRIS export, contractors and leavers included
	Now    time.Time `json:"now"`    // every date of the company is relative to it
	Domain string    `json:"domain"` // default acme.example
}

// sameCompany ignores Now: a company goes on ageing between two starts.
func (c Config) sameCompany(o Config) bool {
	return c.Seed == o.Seed && c.People == o.People && c.Domain == o.Domain
}

// label is the company's short name in vendor host names.
func (c Config) label() string {
	label, _, _ := strings.Cut(c.Domain, ".")
	return label
}

// OktaHost is the company's Okta domain.
func (c Config) OktaHost() string { return c.label() + ".okta.com" }

// HRISHost is the host of the company's HRIS export.
func (c Config) HRISHost() string { return "hris." + c.Domain }

// Lifecycle values of a person, in the words of the canonical records.
const (
	LifecycleFuture   = "future"
	LifecycleCurrent  = "current"
	LifecycleOnLeave  = "onLeave"
	LifecyclePast     = "past"
	LifecycleExternal = "external"
)

// Case names a deliberately awkward situation. Company.Cases gives the
// e-mail address (as the HRIS writes it, or as the account does when nobody
// owns it) of the one who is in it. Small companies have only the first few.
type Case string

// The awkward situations of a generated company.
const (
	CaseCEO            Case = "ceo-idle"          // protected by custom, licensed and idle
	CaseOnLeaveIdle    Case = "on-leave-idle"     // idle because on leave: held, not idle
	CaseExactlyWindow  Case = "idle-exactly-90d"  // last use exactly 90 days before Now
	CaseNoSignal       Case = "no-signal"         // neither last use nor creation reported: unknown
	CaseNeverUsed      Case = "never-used"        // old seat, no login ever
	CaseRecentAccount  Case = "recent-account"    // seat younger than the window, no login yet: unknown
	CaseUpperCase      Case = "email-case"        // Zoom and Slack write the address in other case
	CaseAlias          Case = "alias"             // Zoom knows only the person's alias
	CasePastLicensed   Case = "past-licensed"     // left, and still holds a paid seat
	CaseFutureHire     Case = "future-hire"       // has not started, already invited
	CaseServiceIdle    Case = "service-idle"      // nobody's account, licensed and idle
	CaseContractor     Case = "contractor-idle"   // external domain, licensed and idle
	CaseJustInside     Case = "used-88d"          // last use 88 days before Now: not idle
	CaseManagerLeft    Case = "manager-left"      // idle, and the manager is a leaver
	CaseNoSlack        Case = "no-slack"          // idle in Zoom and not in Slack: unreachable there
	CaseSlackSuspended Case = "slack-deactivated" // idle in Zoom, deactivated in Slack
	CaseSharedName     Case = "shared-name"       // two people with the same name
)

// Person is a row of the HRIS.
type Person struct {
	EmployeeID     string   `json:"employeeId"`
	GivenName      string   `json:"givenName"`
	FamilyName     string   `json:"familyName"`
	Email          string   `json:"email"`
	Aliases        []string `json:"aliases,omitempty"`
	Title          string   `json:"title"`
	Department     string   `json:"department"`
	ManagerID      string   `json:"managerId,omitempty"` // employee id
	StartDate      string   `json:"startDate"`           // calendar date
	EndDate        string   `json:"endDate,omitempty"`
	Location       string   `json:"location"`
	TimeZone       string   `json:"timeZone"`
	EmploymentType string   `json:"employmentType"` // Employee or Contractor
	Lifecycle      string   `json:"lifecycle"`
}

// Name is how the person is called.
func (p *Person) Name() string { return p.GivenName + " " + p.FamilyName }

// OktaUser is a user of the Okta org. EmployeeID is empty when nobody in the
// HRIS owns it.
type OktaUser struct {
	ID          string     `json:"id"`
	EmployeeID  string     `json:"employeeId,omitempty"`
	Login       string     `json:"login"`
	Email       string     `json:"email"`
	SecondEmail string     `json:"secondEmail,omitempty"`
	FirstName   string     `json:"firstName"`
	LastName    string     `json:"lastName"`
	Title       string     `json:"title,omitempty"`
	Department  string     `json:"department,omitempty"`
	ManagerID   string     `json:"managerId,omitempty"`
	Status      string     `json:"status"`
	Created     time.Time  `json:"created"`
	LastUpdated time.Time  `json:"lastUpdated"`
	LastLogin   *time.Time `json:"lastLogin,omitempty"`
	Sessions    bool       `json:"sessions"`
}

// OktaAssignment is a user's access to an app behind Okta.
type OktaAssignment struct {
	UserID  string     `json:"userId"`
	Group   bool       `json:"group"`
	Created time.Time  `json:"created"`
	LastSSO *time.Time `json:"lastSso,omitempty"`
}

// OktaApp is an app behind Okta.
type OktaApp struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Label       string            `json:"label"`
	Active      bool              `json:"active"`
	SignOnMode  string            `json:"signOnMode"`
	URL         string            `json:"url"`
	Created     time.Time         `json:"created"`
	Assignments []*OktaAssignment `json:"assignments"`
}

// OktaGroup is a group of the Okta org.
type OktaGroup struct {
	ID                    string    `json:"id"`
	Type                  string    `json:"type"`
	Name                  string    `json:"name"`
	Description           string    `json:"description"`
	Created               time.Time `json:"created"`
	LastMembershipUpdated time.Time `json:"lastMembershipUpdated"`
	Members               []string  `json:"members"`
}

// SlackLogin is a line of the access log: Slack folds repeated logins from
// one address and client into one line with a count.
type SlackLogin struct {
	IP        string    `json:"ip"`
	UserAgent string    `json:"userAgent"`
	Country   string    `json:"country"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Count     int       `json:"count"`
}

// SlackMember is a member of the Slack workspace.
type SlackMember struct {
	ID            string       `json:"id"`
	EmployeeID    string       `json:"employeeId,omitempty"`
	Name          string       `json:"name"`
	RealName      string       `json:"realName"`
	Email         string       `json:"email,omitempty"`
	Title         string       `json:"title,omitempty"`
	TimeZone      string       `json:"tz,omitempty"`
	Deleted       bool         `json:"deleted,omitempty"`
	Bot           bool         `json:"bot,omitempty"`
	Restricted    bool         `json:"restricted,omitempty"`
	SingleChannel bool         `json:"singleChannel,omitempty"`
	Invited       bool         `json:"invited,omitempty"`
	Admin         bool         `json:"admin,omitempty"`
	Owner         bool         `json:"owner,omitempty"`
	MFA           bool         `json:"mfa,omitempty"`
	BillingActive bool         `json:"billingActive,omitempty"`
	Updated       time.Time    `json:"updated"`
	Sessions      bool         `json:"sessions,omitempty"`
	Logins        []SlackLogin `json:"logins,omitempty"`
}

// LastUse is the newest login that the access log has.
func (m *SlackMember) LastUse() *time.Time {
	var last *time.Time
	for i := range m.Logins {
		if last == nil || m.Logins[i].Last.After(*last) {
			last = &m.Logins[i].Last
		}
	}
	return last
}

// SlackGroup is a user group of the workspace.
type SlackGroup struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Handle string   `json:"handle"`
	Users  []string `json:"users"`
}

// Zoom user types and states, in Zoom's own values.
const (
	ZoomBasic    = 1
	ZoomLicensed = 2

	ZoomActive   = "active"
	ZoomInactive = "inactive"
	ZoomPending  = "pending"
)

// ZoomUser is a user of the Zoom account. A pending user has no ID yet.
type ZoomUser struct {
	ID         string     `json:"id,omitempty"`
	EmployeeID string     `json:"employeeId,omitempty"`
	Email      string     `json:"email"`
	FirstName  string     `json:"firstName"`
	LastName   string     `json:"lastName"`
	Department string     `json:"department,omitempty"`
	TimeZone   string     `json:"timeZone,omitempty"`
	Type       int        `json:"type"`
	Status     string     `json:"status"`
	CreatedAt  *time.Time `json:"createdAt,omitempty"` // nil: Zoom reports none
	LastLogin  *time.Time `json:"lastLogin,omitempty"` // nil: Zoom reports none
	Sessions   bool       `json:"sessions,omitempty"`
}

// Company is everything the simulated vendors know, and who owns what.
type Company struct {
	Config Config    `json:"config"`
	People []*Person `json:"people"`

	OktaOrgID  string       `json:"oktaOrgId"`
	OktaUsers  []*OktaUser  `json:"oktaUsers"`
	OktaApps   []*OktaApp   `json:"oktaApps"`
	OktaGroups []*OktaGroup `json:"oktaGroups"`

	SlackTeamID  string         `json:"slackTeamId"`
	SlackMembers []*SlackMember `json:"slackMembers"`
	SlackGroups  []*SlackGroup  `json:"slackGroups"`

	ZoomAccountID string      `json:"zoomAccountId"`
	ZoomSeats     int         `json:"zoomSeats"` // bought
	ZoomUsers     []*ZoomUser `json:"zoomUsers"`

	Cases map[Case]string `json:"cases"`

	index    map[string]*Person
	indexing sync.Once
}

// Person finds a person by employee id; nil if there is none. Nobody joins or
// leaves the HRIS of a company once it is made.
func (c *Company) Person(employeeID string) *Person {
	c.indexing.Do(func() {
		c.index = make(map[string]*Person, len(c.People))
		for _, p := range c.People {
			c.index[p.EmployeeID] = p
		}
	})
	return c.index[employeeID]
}

// PersonByEmail finds a person by address or alias, in any case.
func (c *Company) PersonByEmail(email string) *Person {
	for _, p := range c.People {
		if strings.EqualFold(p.Email, email) {
			return p
		}
		for _, a := range p.Aliases {
			if strings.EqualFold(a, email) {
				return p
			}
		}
	}
	return nil
}

// ZoomUserOf gives the Zoom account of a person or the one with this address.
func (c *Company) ZoomUserOf(email string) *ZoomUser {
	p := c.PersonByEmail(email)
	for _, z := range c.ZoomUsers {
		if strings.EqualFold(z.Email, email) || (p != nil && z.EmployeeID == p.EmployeeID) {
			return z
		}
	}
	return nil
}

// SlackMemberOf gives the Slack member of a person or the one with this address.
func (c *Company) SlackMemberOf(email string) *SlackMember {
	p := c.PersonByEmail(email)
	for _, m := range c.SlackMembers {
		if (m.Email != "" && strings.EqualFold(m.Email, email)) || (p != nil && m.EmployeeID == p.EmployeeID) {
			return m
		}
	}
	return nil
}

// OktaUserOf gives the Okta user of a person or the one with this address.
func (c *Company) OktaUserOf(email string) *OktaUser {
	p := c.PersonByEmail(email)
	for _, u := range c.OktaUsers {
		if strings.EqualFold(u.Email, email) || (p != nil && u.EmployeeID == p.EmployeeID) {
			return u
		}
	}
	return nil
}

// String names the company in messages.
func (c *Company) String() string {
	return fmt.Sprintf("%s (seed %d, %d people)", c.Config.Domain, c.Config.Seed, c.Config.People)
}
