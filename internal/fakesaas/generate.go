// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// personCases are the awkward situations that belong to a person, in the order
// in which people get them: a company of N has the first N.
var personCases = []Case{
	CaseCEO, CaseOnLeaveIdle, CaseExactlyWindow, CasePastLicensed, CaseNeverUsed, CaseNoSignal,
	CaseRecentAccount, CaseUpperCase, CaseAlias, CaseFutureHire, CaseContractor, CaseJustInside,
	CaseManagerLeft, CaseNoSlack, CaseSlackSuspended, CaseSharedName, CaseSharedName,
}

var contractorDomains = []string{"brightforge.example", "nordwind-consulting.example", "studio-kestrel.example"}

// generator holds what the parts of a company's generation share. Each part
// draws from its own stream, so that a change in one leaves the others alone.
type generator struct {
	cfg   Config
	c     *Company
	cases map[*Person]Case
	taken map[string]int // local parts and names in use
}

// Generate makes the company that cfg describes. A Config with no people
// gives one person, no Domain acme.example.
func Generate(cfg Config) *Company {
	if cfg.People < 1 {
		cfg.People = 1
	}
	if cfg.Domain == "" {
		cfg.Domain = "acme.example"
	}
	cfg.Now = cfg.Now.UTC().Truncate(time.Second)
	g := &generator{
		cfg:   cfg,
		c:     &Company{Config: cfg, Cases: map[Case]string{}},
		cases: map[*Person]Case{},
		taken: map[string]int{},
	}
	g.people(g.stream(1))
	g.okta(g.stream(2))
	g.oktaAccess(g.stream(3))
	g.slack(g.stream(4))
	g.zoom(g.stream(5))
	return g.c
}

func (g *generator) stream(part uint64) *rand.Rand {
	return rand.New(rand.NewPCG(g.cfg.Seed, part))
}

// ago is the moment so many days before Now.
func (g *generator) ago(days float64) time.Time {
	return g.cfg.Now.Add(-time.Duration(days * 24 * float64(time.Hour))).Truncate(time.Second)
}

func (g *generator) agoPtr(days float64) *time.Time {
	t := g.ago(days)
	return &t
}

func (g *generator) date(days float64) string { return g.ago(days).Format(time.DateOnly) }

// offEdge moves an age out of the neighbourhood of the thresholds that people
// use (30 and 90 days). Only the named cases sit on an edge: a random account
// must not change sides because a test took a second, or because a zone's
// calendar day is an hour longer.
func offEdge(days float64) float64 {
	for _, edge := range []float64{30, 90} {
		if math.Abs(days-edge) < 2.5 {
			return edge + 3.5
		}
	}
	return days
}

func between(r *rand.Rand, lo, hi float64) float64 { return lo + r.Float64()*(hi-lo) }

func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

func id(r *rand.Rand, prefix, alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return prefix + string(b)
}

const (
	upperAlnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	mixedAlnum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

func (g *generator) people(r *rand.Rand) {
	inDepartment := map[string][]*Person{}
	for i := range g.cfg.People {
		p := &Person{EmployeeID: fmt.Sprintf("E%05d", 1001+i), EmploymentType: "Employee"}
		var is Case
		if i < len(personCases) {
			is = personCases[i]
			g.cases[p] = is
		}
		g.place(r, p)
		g.name(r, p, is, i)
		g.life(r, p, is)
		g.address(r, p, is)
		g.rank(r, p, is, inDepartment)
		g.c.People = append(g.c.People, p)
		if is != "" {
			g.c.Cases[is] = p.Email
		}
	}
}

// place gives a person an office and a department.
func (g *generator) place(r *rand.Rand, p *Person) {
	at := r.IntN(100)
	for _, s := range sites {
		if at -= s.weight; at < 0 {
			p.Location, p.TimeZone = s.location, s.timeZone
			break
		}
	}
	at = r.IntN(100)
	for _, d := range departments {
		if at -= d.weight; at < 0 {
			p.Department = d.name
			break
		}
	}
}

func (g *generator) name(r *rand.Rand, p *Person, is Case, i int) {
	given, _ := splitName(givenNames[r.IntN(len(givenNames))])
	family, _ := splitName(familyNames[r.IntN(len(familyNames))])
	p.GivenName, p.FamilyName = given, family
	if is == CaseSharedName && i > 0 && g.cases[g.c.People[i-1]] == CaseSharedName {
		p.GivenName, p.FamilyName = g.c.People[i-1].GivenName, g.c.People[i-1].FamilyName
	}
}

// life decides where the person stands and since when.
func (g *generator) life(r *rand.Rand, p *Person, is Case) {
	p.Lifecycle = LifecycleCurrent
	switch roll := r.IntN(100); {
	case is == CaseOnLeaveIdle:
		p.Lifecycle = LifecycleOnLeave
	case is == CasePastLicensed:
		p.Lifecycle = LifecyclePast
	case is == CaseFutureHire:
		p.Lifecycle = LifecycleFuture
	case is == CaseContractor:
		p.Lifecycle = LifecycleExternal
	case is != "" || roll < 83:
	case roll < 85:
		p.Lifecycle = LifecycleFuture
	case roll < 88:
		p.Lifecycle = LifecycleOnLeave
	case roll < 95:
		p.Lifecycle = LifecyclePast
	default:
		p.Lifecycle = LifecycleExternal
	}
	since := between(r, 120, 3200)
	switch {
	case p.Lifecycle == LifecycleFuture:
		since = -between(r, 3, 60)
	case p.Lifecycle == LifecyclePast:
		end := between(r, 12, 700)
		p.EndDate = g.date(end)
		since += end
	case is == "" && chance(r, 9):
		since = offEdge(between(r, 4, 110))
	}
	if p.Lifecycle == LifecycleExternal {
		p.EmploymentType = "Contractor"
	}
	p.StartDate = g.date(since)
}

func (g *generator) address(r *rand.Rand, p *Person, is Case) {
	local := asciiName(p)
	domain := g.cfg.Domain
	if p.Lifecycle == LifecycleExternal {
		domain = contractorDomains[r.IntN(len(contractorDomains))]
	}
	g.taken[local]++
	if n := g.taken[local]; n > 1 {
		local = fmt.Sprintf("%s%d", local, n)
	}
	p.Email = local + "@" + domain
	if is == CaseAlias || (is == "" && p.Lifecycle == LifecycleCurrent && chance(r, 2)) {
		// Someone who married, and whose old accounts kept the old address.
		_, old := splitName(familyNames[r.IntN(len(familyNames))])
		_, given, _ := asciiParts(p)
		alias := given + "." + old
		if g.taken[alias]++; g.taken[alias] == 1 {
			p.Aliases = []string{alias + "@" + g.cfg.Domain}
		} else {
			p.Aliases = []string{fmt.Sprintf("%s%d@%s", alias, g.taken[alias], g.cfg.Domain)}
		}
	}
}

// rank gives a title and a manager: each department is a tree with six reports
// per head, and its root reports to the chief executive.
func (g *generator) rank(r *rand.Rand, p *Person, is Case, inDepartment map[string][]*Person) {
	if is == CaseCEO {
		p.Title, p.Department = "Chief Executive Officer", "Executive"
		return
	}
	var titles []string
	for _, d := range departments {
		if d.name == p.Department {
			titles = d.titles
		}
	}
	if p.Lifecycle == LifecycleExternal || p.Lifecycle == LifecycleFuture {
		p.Title = titles[len(titles)-1]
		p.ManagerID = g.c.People[0].EmployeeID
		if peers := inDepartment[p.Department]; len(peers) > 0 {
			p.ManagerID = peers[0].EmployeeID
		}
		return
	}
	peers := inDepartment[p.Department]
	switch k := len(peers); {
	case k == 0:
		p.Title, p.ManagerID = titles[0], g.c.People[0].EmployeeID
	case k <= 6:
		p.Title, p.ManagerID = titles[1], peers[0].EmployeeID
	default:
		p.Title, p.ManagerID = titles[2+r.IntN(len(titles)-2)], peers[(k-1)/6].EmployeeID
	}
	inDepartment[p.Department] = append(peers, p)
	if is == CaseManagerLeft {
		p.ManagerID = g.c.PersonByEmail(g.c.Cases[CasePastLicensed]).EmployeeID
	}
}

func asciiName(p *Person) string {
	full, _, _ := asciiParts(p)
	return full
}

// asciiParts looks the e-mail forms of a person's names up.
func asciiParts(p *Person) (full, given, family string) {
	find := func(list []string, name string) string {
		for _, listed := range list {
			if written, ascii := splitName(listed); written == name {
				return ascii
			}
		}
		return name
	}
	given, family = find(givenNames, p.GivenName), find(familyNames, p.FamilyName)
	return given + "." + family, given, family
}
