// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// tenure is how many days ago the person started and, for leavers, left.
func (g *generator) tenure(p *Person) (started, left float64) {
	days := func(date string) float64 {
		t, err := time.Parse(time.DateOnly, date)
		if err != nil {
			return 0
		}
		return g.cfg.Now.Sub(t).Hours() / 24
	}
	return days(p.StartDate), days(p.EndDate)
}

// lastUse draws how many days ago an account was last used, not before it was
// made: most within days, some within the quarter, some long ago.
func lastUse(r *rand.Rand, age float64, recent, quarter int) float64 {
	var days float64
	switch roll := r.IntN(100); {
	case roll < recent:
		days = math.Min(r.ExpFloat64()*6, 27)
	case roll < recent+quarter:
		days = between(r, 33, 87)
	default:
		days = between(r, 93, 420)
	}
	if days >= age {
		days = offEdge(age * r.Float64() * 0.8)
	}
	return math.Max(math.Min(days, age-0.1), 0.02)
}

func (g *generator) okta(r *rand.Rand) {
	g.c.OktaOrgID = id(r, "00o", mixedAlnum, 17)
	for _, p := range g.c.People {
		if u := g.oktaUser(r, p); u != nil {
			g.c.OktaUsers = append(g.c.OktaUsers, u)
		}
	}
	if len(g.c.People) < 10 {
		return
	}
	for _, name := range []string{"backup", "ci", "recordings"} {
		address := "svc-" + name + "@" + g.cfg.Domain
		g.c.OktaUsers = append(g.c.OktaUsers, &OktaUser{
			ID: id(r, "00u", mixedAlnum, 17), Login: address, Email: address,
			FirstName: "Service", LastName: strings.ToUpper(name[:1]) + name[1:],
			Status: "ACTIVE", Created: g.ago(1400), LastUpdated: g.ago(600), LastLogin: g.agoPtr(between(r, 100, 500)),
		})
	}
}

// oktaUser gives nil for the few whom Okta does not know.
func (g *generator) oktaUser(r *rand.Rand, p *Person) *OktaUser {
	is := g.cases[p]
	started, left := g.tenure(p)
	if p.Lifecycle == LifecycleExternal && is == "" && chance(r, 35) {
		return nil
	}
	u := &OktaUser{
		ID: id(r, "00u", mixedAlnum, 17), EmployeeID: p.EmployeeID,
		Login: p.Email, Email: p.Email, FirstName: p.GivenName, LastName: p.FamilyName,
		Title: p.Title, Department: p.Department, ManagerID: p.ManagerID,
		Status: "ACTIVE", Created: g.ago(math.Max(started+5, 1)), Sessions: true,
	}
	if len(p.Aliases) > 0 {
		u.SecondEmail = p.Aliases[0]
	}
	last := lastUse(r, math.Max(started, 1), 88, 9)
	switch p.Lifecycle {
	case LifecycleFuture:
		u.Status, u.Sessions = "STAGED", false
		last = -1
	case LifecyclePast:
		last = left + between(r, 0, 3)
		if is == CasePastLicensed || !chance(r, 5) {
			u.Status, u.Sessions = "DEPROVISIONED", false
		}
	case LifecycleOnLeave:
		last = offEdge(between(r, 20, 200))
		if is == "" && chance(r, 30) {
			u.Status = "SUSPENDED"
		}
	default:
		switch roll := r.IntN(1000); {
		case is != "":
		case roll < 8:
			u.Status = "LOCKED_OUT"
		case roll < 25:
			u.Status = "PASSWORD_EXPIRED"
		case roll < 30:
			u.Status = "RECOVERY"
		case roll < 40:
			u.Status, last, u.Sessions = "PROVISIONED", -1, false
		}
	}
	if last >= 0 {
		u.LastLogin = g.agoPtr(math.Min(last, math.Max(started, 1)))
	}
	u.LastUpdated = g.ago(between(r, 0.1, math.Max(started, 2)))
	if p.Lifecycle == LifecyclePast {
		u.LastUpdated = g.ago(left)
	}
	return u
}

// oktaAccess makes groups, apps and who may use them.
func (g *generator) oktaAccess(r *rand.Rand) {
	department := map[string]*OktaGroup{}
	group := func(kind, name, description string) *OktaGroup {
		made := &OktaGroup{
			ID: id(r, "00g", mixedAlnum, 17), Type: kind, Name: name, Description: description,
			Created: g.ago(2000), LastMembershipUpdated: g.ago(between(r, 0.5, 90)), Members: []string{},
		}
		g.c.OktaGroups = append(g.c.OktaGroups, made)
		return made
	}
	everyone := group("BUILT_IN", "Everyone", "All users in your organization")
	executives := group("OKTA_GROUP", "execs", "Executives; exempt from reclaiming")
	contractors := group("OKTA_GROUP", "contractors", "External people")
	group("APP_GROUP", "acme-github-admins", "Imported from GitHub Enterprise")
	group("OKTA_GROUP", "empty-since-reorg", "")
	for _, d := range departments {
		department[d.name] = group("OKTA_GROUP", "dept-"+strings.ToLower(strings.ReplaceAll(d.name, " ", "-")), d.name)
	}

	for _, d := range catalog {
		g.c.OktaApps = append(g.c.OktaApps, &OktaApp{
			ID: id(r, "0oa", mixedAlnum, 17), Name: d.name, Label: d.label, Active: !d.inactive,
			SignOnMode: d.mode, URL: d.url, Created: g.ago(between(r, 100, 2000)), Assignments: []*OktaAssignment{},
		})
	}
	for _, u := range g.c.OktaUsers {
		if u.Status == "DEPROVISIONED" {
			continue // Okta takes deactivated users out of groups and apps
		}
		p := g.c.Person(u.EmployeeID)
		everyone.Members = append(everyone.Members, u.ID)
		if p == nil {
			continue
		}
		if strings.HasPrefix(p.Title, "Chief ") || strings.HasPrefix(p.Title, "VP ") {
			executives.Members = append(executives.Members, u.ID)
		}
		if p.Lifecycle == LifecycleExternal {
			contractors.Members = append(contractors.Members, u.ID)
		}
		if d := department[p.Department]; d != nil {
			d.Members = append(d.Members, u.ID)
		}
		if u.Status != "STAGED" {
			g.assign(r, u, p)
		}
	}
}

func (g *generator) assign(r *rand.Rand, u *OktaUser, p *Person) {
	for i, d := range catalog {
		wanted := len(d.departments) == 0 || p.Department == "Executive"
		for _, name := range d.departments {
			wanted = wanted || name == p.Department
		}
		if !wanted || !chance(r, d.share) {
			continue
		}
		age := g.cfg.Now.Sub(u.Created).Hours() / 24
		a := &OktaAssignment{UserID: u.ID, Group: chance(r, 80), Created: u.Created}
		if u.LastLogin != nil && d.mode != "BOOKMARK" && chance(r, 80) {
			used := g.ago(lastUse(r, age, 75, 15))
			if used.After(*u.LastLogin) {
				used = *u.LastLogin
			}
			a.LastSSO = &used
		}
		g.c.OktaApps[i].Assignments = append(g.c.OktaApps[i].Assignments, a)
	}
}
