// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// slackbotID is Slack's own bot, in every workspace and billed to nobody.
const slackbotID = "USLACKBOT"

// seatkeeperBotID posts what arrives with the bot token.
const seatkeeperBotID = "U0SEATKEEPR"

func (g *generator) slack(r *rand.Rand) {
	c := g.c
	c.SlackTeamID = id(r, "T0", upperAlnum, 8)
	c.SlackMembers = append(c.SlackMembers,
		&SlackMember{ID: slackbotID, Name: "slackbot", RealName: "Slackbot", Updated: g.ago(2000)},
		&SlackMember{ID: seatkeeperBotID, Name: "seatkeeper", RealName: "Seatkeeper", Bot: true, Updated: g.ago(30)},
		&SlackMember{ID: id(r, "U0", upperAlnum, 9), Name: "deploybot", RealName: "Deploy Bot", Bot: true, Updated: g.ago(700)},
	)
	for _, p := range c.People {
		if m := g.slackMember(r, p); m != nil {
			c.SlackMembers = append(c.SlackMembers, m)
		}
	}
	// Guests from customers, whom the HRIS has never heard of.
	for i := range g.cfg.People / 80 {
		m := &SlackMember{
			ID: id(r, "U0", upperAlnum, 9), Name: fmt.Sprintf("guest%d", i+1), RealName: fmt.Sprintf("Customer Guest %d", i+1),
			Email: fmt.Sprintf("guest%d@customer%d.example", i+1, i%5+1), Restricted: true, SingleChannel: true, Updated: g.ago(200),
			Sessions: true,
		}
		g.slackLogins(r, m, lastUse(r, 200, 60, 20))
		c.SlackMembers = append(c.SlackMembers, m)
	}
	g.slackGroups(r)
}

// slackMember gives nil for people who are not in the workspace.
func (g *generator) slackMember(r *rand.Rand, p *Person) *SlackMember {
	is := g.cases[p]
	started, left := g.tenure(p)
	m := &SlackMember{
		ID: id(r, "U0", upperAlnum, 9), EmployeeID: p.EmployeeID,
		Name: strings.SplitN(p.Email, "@", 2)[0], RealName: p.Name(), Email: p.Email, Title: p.Title, TimeZone: p.TimeZone,
		MFA: chance(r, 92), BillingActive: true, Sessions: true, Updated: g.ago(between(r, 1, 400)),
	}
	used := lastUse(r, math.Max(started, 1), 84, 9)
	logged := is == CaseCEO || is == CaseManagerLeft || chance(r, 95)
	switch p.Lifecycle {
	case LifecycleFuture:
		if is == "" && chance(r, 50) {
			return nil
		}
		m.Invited, m.BillingActive, m.Sessions, m.MFA, logged = true, false, false, false, false
	case LifecyclePast:
		used = offEdge(left + 0.5)
		if is == CasePastLicensed || !chance(r, 8) {
			m.Deleted, m.BillingActive, m.Sessions = true, false, false
		}
	case LifecycleExternal:
		if is == "" && chance(r, 30) {
			return nil
		}
		m.Restricted, m.SingleChannel = true, chance(r, 40)
		m.BillingActive = !m.SingleChannel
	case LifecycleOnLeave:
		used = offEdge(between(r, 20, 200))
	}
	used = math.Min(used, math.Max(started, 0.5))
	switch is {
	case CaseCEO:
		m.Admin, m.Owner, used = true, true, 0.3
	case CaseUpperCase:
		m.Email = titleCase(p.Email)
	case CaseNoSlack:
		return nil
	case CaseSlackSuspended:
		m.Deleted, m.BillingActive, m.Sessions = true, false, false
	case "":
		if p.Lifecycle == LifecycleCurrent && chance(r, 2) {
			return nil
		}
		m.Email = oddCase(r, p.Email)
		m.Admin = p.Department == "IT" && chance(r, 30)
	}
	if logged {
		g.slackLogins(r, m, used)
	}
	return m
}

func (g *generator) slackLogins(r *rand.Rand, m *SlackMember, used float64) {
	agents := []string{"Slack_SSB/4.41 (desktop)", "com.tinyspeck.chatlyio/25.11 (iOS)", "Mozilla/5.0 (X11; Linux x86_64)"}
	for i := range 1 + r.IntN(3) {
		last := used + float64(i)*between(r, 0.2, 9)
		first := last + between(r, 0, 60)
		m.Logins = append(m.Logins, SlackLogin{
			IP: fmt.Sprintf("203.0.113.%d", r.IntN(254)+1), UserAgent: agents[i], Country: "DE",
			First: g.ago(first), Last: g.ago(last), Count: 1 + r.IntN(200),
		})
	}
}

func (g *generator) slackGroups(r *rand.Rand) {
	for _, d := range departments {
		made := &SlackGroup{ID: id(r, "S0", upperAlnum, 9), Name: d.name, Handle: strings.ToLower(strings.ReplaceAll(d.name, " ", "-")), Users: []string{}}
		for _, m := range g.c.SlackMembers {
			if p := g.c.Person(m.EmployeeID); p != nil && !m.Deleted && !m.Invited && p.Department == d.name {
				made.Users = append(made.Users, m.ID)
			}
		}
		g.c.SlackGroups = append(g.c.SlackGroups, made)
	}
}

// titleCase writes an address as some admin consoles do: Ada.Lovelace@Acme.example.
func titleCase(address string) string {
	b := []byte(address)
	for i := range b {
		if i == 0 || b[i-1] == '.' || b[i-1] == '@' {
			if b[i] >= 'a' && b[i] <= 'z' {
				b[i] -= 'a' - 'A'
			}
		}
	}
	return string(b)
}

func oddCase(r *rand.Rand, address string) string {
	if chance(r, 4) {
		return titleCase(address)
	}
	return address
}

func (g *generator) zoom(r *rand.Rand) {
	c := g.c
	c.ZoomAccountID = SimZoomAccountID
	for _, p := range c.People {
		if z := g.zoomUser(r, p); z != nil {
			c.ZoomUsers = append(c.ZoomUsers, z)
		}
	}
	if len(c.People) >= 10 {
		service := &ZoomUser{
			ID: id(r, "", mixedAlnum, 22), Email: "svc-recordings@" + g.cfg.Domain, FirstName: "Service", LastName: "Recordings",
			Type: ZoomLicensed, Status: ZoomActive, CreatedAt: g.agoPtr(1300), LastLogin: g.agoPtr(410), Sessions: true,
		}
		c.ZoomUsers = append(c.ZoomUsers, service)
		c.Cases[CaseServiceIdle] = service.Email
	}
	licensed := 0
	for _, z := range c.ZoomUsers {
		if z.Status == ZoomActive && z.Type == ZoomLicensed {
			licensed++
		}
	}
	c.ZoomSeats = licensed + licensed/12 + 1
}

// zoomUser gives nil for people without a Zoom account.
func (g *generator) zoomUser(r *rand.Rand, p *Person) *ZoomUser {
	is := g.cases[p]
	started, left := g.tenure(p)
	share := map[string]int{
		LifecycleCurrent: 84, LifecycleOnLeave: 90, LifecyclePast: 45, LifecycleFuture: 40, LifecycleExternal: 30,
	}[p.Lifecycle]
	if !chance(r, share) && is == "" {
		return nil
	}
	age := math.Max(started-between(r, 0, 3), 0.5)
	z := &ZoomUser{
		ID: id(r, "", mixedAlnum, 22), EmployeeID: p.EmployeeID, Email: oddCase(r, p.Email), FirstName: p.GivenName, LastName: p.FamilyName,
		Department: p.Department, TimeZone: p.TimeZone, Type: ZoomBasic, Status: ZoomActive, Sessions: true,
	}
	if is != "" || chance(r, 62) {
		z.Type = ZoomLicensed
	}
	if len(p.Aliases) > 0 {
		z.Email = p.Aliases[0]
	}
	last := lastUse(r, age, 68, 14)
	switch p.Lifecycle {
	case LifecyclePast:
		last = offEdge(left + between(r, 0, 20))
		if is == "" && !chance(r, 30) {
			z.Status, z.Sessions = ZoomInactive, false
		}
	case LifecycleOnLeave:
		last = offEdge(between(r, 20, 200))
	case LifecycleFuture:
		z.ID, z.Status, z.Sessions, z.Type = "", ZoomPending, false, ZoomBasic
		age, last = 0, -1
	}
	if is == "" && last > 0 {
		age, last = g.zoomGaps(r, age, last)
	}
	age, last = zoomCase(z, p, is, age, last)
	if age > 0 {
		z.CreatedAt = g.agoPtr(offEdge(math.Max(age, last)))
	}
	if last >= 0 {
		z.LastLogin = g.agoPtr(last)
	}
	if z.CreatedAt != nil && z.LastLogin != nil && z.LastLogin.Before(*z.CreatedAt) {
		created := z.LastLogin.Add(-time.Hour)
		z.CreatedAt = &created
	}
	return z
}

// zoomGaps makes some accounts say less: never used, or nothing reported. Zero
// age means no creation date, a negative last use no login.
func (g *generator) zoomGaps(r *rand.Rand, age, last float64) (float64, float64) {
	switch roll := r.IntN(100); {
	case roll < 3:
		return age, -1 // never used, or too young to tell
	case roll < 5:
		return 0, -1 // nothing reported
	case roll < 7:
		return 0, last // old accounts lack a creation date
	case roll < 10 && age > 100:
		return between(r, 5, 26), -1 // given a seat lately
	}
	return age, last
}

// zoomCase bends an account into its case.
func zoomCase(z *ZoomUser, p *Person, is Case, age, last float64) (float64, float64) {
	switch is {
	case CaseCEO:
		return 1200, 140
	case CaseOnLeaveIdle:
		return 900, 130
	case CaseExactlyWindow:
		return 700, 90
	case CasePastLicensed:
		return 1500, math.Max(last, 110)
	case CaseNeverUsed:
		return 300, -1
	case CaseNoSignal:
		return 0, -1
	case CaseRecentAccount:
		return 45, -1
	case CaseUpperCase:
		z.Email = titleCase(p.Email)
		return 800, 200
	case CaseAlias:
		return 800, 160
	case CaseContractor:
		return 400, 150
	case CaseJustInside:
		return 600, 88
	case CaseManagerLeft:
		return 600, 120
	case CaseNoSlack:
		return 600, 170
	case CaseSlackSuspended:
		return 600, 180
	}
	return age, last
}
