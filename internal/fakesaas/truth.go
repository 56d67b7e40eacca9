// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"slices"
	"strings"
	"time"
)

// DefaultWindow is how long a paid seat may lie unused.
const DefaultWindow = 90 * 24 * time.Hour

// TruthOptions says under which rules to count. The zero value counts as the
// product does by default: 90 days, people on leave held, nobody protected.
type TruthOptions struct {
	Now    time.Time     `json:"now"`
	Window time.Duration `json:"window"`
	// Zone counts the window in calendar days of this IANA zone. Empty: in
	// elapsed time.
	Zone string `json:"zone,omitempty"`
	// NeverUsedAfter is the age from which a seat without any login counts as
	// never used. Zero: Window.
	NeverUsedAfter time.Duration `json:"neverUsedAfter,omitempty"`
	// PriceMinorPerMonth is the price of a paid seat by vendor. Nil:
	// DefaultPrices.
	PriceMinorPerMonth map[string]int64 `json:"priceMinorPerMonth,omitempty"`
	// Protected are e-mail addresses of people or accounts, or account ids.
	Protected []string `json:"protected,omitempty"`
	// EvaluateOnLeave counts people on leave like others.
	EvaluateOnLeave bool `json:"evaluateOnLeave,omitempty"`
	// WithoutSlackAdmin is the view without Slack's admin token: neither paid
	// seats nor logins are known.
	WithoutSlackAdmin bool `json:"withoutSlackAdmin,omitempty"`
	// IncludeSeats adds the verdict on every paid seat.
	IncludeSeats bool `json:"includeSeats,omitempty"`
}

// DefaultPrices are list prices in minor units per seat and month.
func DefaultPrices() map[string]int64 { return map[string]int64{Slack: 1500, Zoom: 1999} }

// Use is what is known about the use of a seat.
type Use string

// Every paid seat has exactly one Use.
const (
	UseActive  Use = "active"  // used inside the window
	UseIdle    Use = "idle"    // last use reported, outside the window
	UseNever   Use = "never"   // old enough, and never used
	UseUnknown Use = "unknown" // no signal, or observed for less than the window
)

// Disposition is what a policy may do with an unused seat.
type Disposition string

// Every unused seat (UseIdle or UseNever) has exactly one Disposition.
const (
	Candidate Disposition = "candidate"
	Exempt    Disposition = "exempt" // protected
	Held      Disposition = "held"   // the holder is on leave
)

// SeatVerdict is the truth about one paid seat.
type SeatVerdict struct {
	Vendor      string      `json:"vendor"`
	AccountID   string      `json:"accountId"`
	Email       string      `json:"email"` // as the account writes it
	EmployeeID  string      `json:"employeeId,omitempty"`
	LastUse     *time.Time  `json:"lastUse,omitempty"`
	Use         Use         `json:"use"`
	Disposition Disposition `json:"disposition,omitempty"`
}

// SeatCount counts the paid seats of one vendor, or of all.
type SeatCount struct {
	Paid int `json:"paid"`
	// Paid = Active + Idle + Never + Unknown.
	Active  int `json:"active"`
	Idle    int `json:"idle"`
	Never   int `json:"never"`
	Unknown int `json:"unknown"`
	// Idle + Never = Unused = Candidates + Exempt + Held.
	Unused     int `json:"unused"`
	Candidates int `json:"candidates"`
	Exempt     int `json:"exempt"`
	Held       int `json:"held"`
	// PastHolders hold a paid seat after having left, whatever its use.
	PastHolders int `json:"pastHolders"`
	// Orphans are paid seats that belong to nobody in the HRIS.
	Orphans int `json:"orphans"`

	YearlyMinor          int64 `json:"yearlyMinor"`          // of Paid
	YearlyUnusedMinor    int64 `json:"yearlyUnusedMinor"`    // of Idle + Never
	YearlyIdleMinor      int64 `json:"yearlyIdleMinor"`      // of Idle alone
	YearlyCandidateMinor int64 `json:"yearlyCandidateMinor"` // of Candidates
}

// AppCount is an app behind Okta with how many users are assigned to it.
type AppCount struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Label       string `json:"label"`
	Active      bool   `json:"active"`
	Assignments int    `json:"assignments"`
}

// TruthReport is what a flawless observer would count.
type TruthReport struct {
	Now         time.Time      `json:"now"`
	People      int            `json:"people"`      // rows of the HRIS
	ByLifecycle map[string]int `json:"byLifecycle"` // of those
	// Unowned counts accounts by vendor that belong to nobody in the HRIS
	// (Slackbot left out).
	Unowned map[string]int `json:"unowned"`
	// Apps are what Okta lists; ActiveApps those that are switched on there.
	Apps           int        `json:"apps"`
	ActiveApps     int        `json:"activeApps"`
	DiscoveredApps []AppCount `json:"discoveredApps"`
	// Accounts by vendor, whatever their state (Slackbot left out).
	Accounts map[string]int `json:"accounts"`
	// AccountStates counts them by vendor and state, in canonical words.
	AccountStates map[string]map[string]int `json:"accountStates"`
	Groups        map[string]int            `json:"groups"`
	Seats         map[string]*SeatCount     `json:"seats"`
	Total         SeatCount                 `json:"total"`
	ZoomPurchased int                       `json:"zoomPurchased"`
	Cases         map[Case]string           `json:"cases"`
	Verdicts      []SeatVerdict             `json:"verdicts,omitempty"`
}

func (o TruthOptions) withDefaults(c *Company) TruthOptions {
	if o.Now.IsZero() {
		o.Now = c.Config.Now
	}
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	if o.NeverUsedAfter == 0 {
		o.NeverUsedAfter = o.Window
	}
	if o.PriceMinorPerMonth == nil {
		o.PriceMinorPerMonth = DefaultPrices()
	}
	return o
}

// cutoff is the last moment of use that counts as outside the window.
func (o TruthOptions) cutoff(window time.Duration) time.Time {
	if zone, err := time.LoadLocation(o.Zone); o.Zone != "" && err == nil {
		return o.Now.In(zone).AddDate(0, 0, -int(window/(24*time.Hour)))
	}
	return o.Now.Add(-window)
}

// Truth counts the company as it is now, from the records that the simulators
// answer from and with no code of the product.
func (c *Company) Truth(o TruthOptions) *TruthReport {
	o = o.withDefaults(c)
	t := &TruthReport{
		Now: o.Now, People: len(c.People), ByLifecycle: map[string]int{}, Unowned: map[string]int{},
		Accounts: map[string]int{}, AccountStates: map[string]map[string]int{}, Groups: map[string]int{},
		Seats: map[string]*SeatCount{Slack: {}, Zoom: {}}, ZoomPurchased: c.ZoomSeats, Cases: c.Cases,
	}
	for _, p := range c.People {
		t.ByLifecycle[p.Lifecycle]++
	}
	c.countApps(t)
	c.countAccounts(t)
	t.Groups[Okta], t.Groups[Slack] = len(c.OktaGroups), len(c.SlackGroups)
	for _, v := range c.verdicts(o) {
		price := 12 * o.PriceMinorPerMonth[v.Vendor]
		holder := c.Person(v.EmployeeID)
		for _, count := range []*SeatCount{t.Seats[v.Vendor], &t.Total} {
			count.add(v, holder, price)
		}
		if o.IncludeSeats {
			t.Verdicts = append(t.Verdicts, v)
		}
	}
	return t
}

func (s *SeatCount) add(v SeatVerdict, holder *Person, yearly int64) {
	s.Paid++
	s.YearlyMinor += yearly
	switch v.Use {
	case UseActive:
		s.Active++
	case UseIdle:
		s.Idle++
		s.YearlyIdleMinor += yearly
	case UseNever:
		s.Never++
	case UseUnknown:
		s.Unknown++
	}
	if v.Disposition != "" {
		s.Unused++
		s.YearlyUnusedMinor += yearly
	}
	switch v.Disposition {
	case Candidate:
		s.Candidates++
		s.YearlyCandidateMinor += yearly
	case Exempt:
		s.Exempt++
	case Held:
		s.Held++
	}
	switch {
	case holder == nil:
		s.Orphans++
	case holder.Lifecycle == LifecyclePast:
		s.PastHolders++
	}
}

func (c *Company) countApps(t *TruthReport) {
	for _, a := range c.OktaApps {
		t.Apps++
		if a.Active {
			t.ActiveApps++
		}
		t.DiscoveredApps = append(t.DiscoveredApps, AppCount{ID: a.ID, Name: a.Name, Label: a.Label, Active: a.Active, Assignments: len(a.Assignments)})
	}
}

func (c *Company) countAccounts(t *TruthReport) {
	count := func(vendor, state, employeeID string) {
		t.Accounts[vendor]++
		if t.AccountStates[vendor] == nil {
			t.AccountStates[vendor] = map[string]int{}
		}
		t.AccountStates[vendor][state]++
		if c.Person(employeeID) == nil {
			t.Unowned[vendor]++
		}
	}
	for _, u := range c.OktaUsers {
		state := "active"
		switch u.Status {
		case "STAGED", "PROVISIONED":
			state = "invited"
		case "SUSPENDED":
			state = "suspended"
		case "DEPROVISIONED":
			state = "deactivated"
		}
		count(Okta, state, u.EmployeeID)
	}
	for _, m := range c.SlackMembers {
		state := "active"
		switch {
		case m.ID == slackbotID:
			continue
		case m.Deleted:
			state = "deactivated"
		case m.Invited:
			state = "invited"
		}
		count(Slack, state, m.EmployeeID)
	}
	for _, z := range c.ZoomUsers {
		state := map[string]string{ZoomActive: "active", ZoomPending: "invited", ZoomInactive: "deactivated"}[z.Status]
		count(Zoom, state, z.EmployeeID)
	}
}

// verdicts judges every paid seat.
func (c *Company) verdicts(o TruthOptions) []SeatVerdict {
	var all []SeatVerdict
	judge := func(v SeatVerdict, created *time.Time, reported bool) {
		switch {
		case v.LastUse != nil && v.LastUse.After(o.cutoff(o.Window)):
			v.Use = UseActive
		case v.LastUse != nil:
			v.Use = UseIdle
		case reported && created != nil && !created.After(o.cutoff(o.NeverUsedAfter)):
			v.Use = UseNever
		default:
			v.Use = UseUnknown
		}
		if v.Use == UseIdle || v.Use == UseNever {
			v.Disposition = c.disposition(v, o)
		}
		all = append(all, v)
	}
	for _, m := range c.SlackMembers {
		if m.BillingActive && !o.WithoutSlackAdmin {
			// A member who is not in Slack's access log may be older than the
			// log: that is no signal, not "never".
			judge(SeatVerdict{Vendor: Slack, AccountID: m.ID, Email: m.Email, EmployeeID: m.EmployeeID, LastUse: m.LastUse()}, nil, false)
		}
	}
	for _, z := range c.ZoomUsers {
		if z.Status == ZoomActive && z.Type == ZoomLicensed {
			judge(SeatVerdict{Vendor: Zoom, AccountID: z.ID, Email: z.Email, EmployeeID: z.EmployeeID, LastUse: z.LastLogin}, z.CreatedAt, true)
		}
	}
	return all
}

func (c *Company) disposition(v SeatVerdict, o TruthOptions) Disposition {
	names := []string{v.AccountID, v.Email}
	holder := c.Person(v.EmployeeID)
	if holder != nil {
		names = append(append(names, holder.Email), holder.Aliases...)
	}
	for _, name := range names {
		if name != "" && slices.ContainsFunc(o.Protected, func(p string) bool { return strings.EqualFold(p, name) }) {
			return Exempt
		}
	}
	if holder != nil && holder.Lifecycle == LifecycleOnLeave && !o.EvaluateOnLeave {
		return Held
	}
	return Candidate
}
