// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Kinds of identifier of a person, most telling first.
const (
	identEmployee = "employee"
	identEmail    = "email"
	identAlias    = "alias"
	// What an identity provider writes down about a user beside the userName
	// recognises nobody: it agrees or disagrees with what does.
	identClaimedEmployee = "scim-employee"
	identClaimedAlias    = "scim-alias"
)

type identifier struct{ kind, value string }

// mail reports that the identifier is an address.
func (i identifier) mail() bool { return i.kind != identEmployee && i.kind != identClaimedEmployee }

// sourceRow is a person as one source describes them.
type sourceRow struct {
	source     int64
	stream     string
	externalID string

	fields   map[string]string // by column of person
	aliases  []string
	custom   string
	personID string
	// linkedEmployeeID is the employee id that the row had when it was linked.
	linkedEmployeeID string
	removed, hidden  bool
	dirty            int
	// directoryID is what an identity provider calls a user: the externalId.
	directoryID string
}

// user is what tells users with the same userName apart.
func (r *sourceRow) user() scimIdentity { return scimIdentity{r.directoryID, r.employeeID()} }

func (r *sourceRow) employeeID() string { return r.fields["employee_id"] }
func (r *sourceRow) email() string      { return r.fields["email"] }

// reused reports that the source now describes another human being under the
// same id, as one keyed by e-mail does when an address is given to a new hire.
func (r *sourceRow) reused() bool {
	return r.personID != "" && r.employeeID() != "" && r.linkedEmployeeID != "" && r.employeeID() != r.linkedEmployeeID
}

// candidate is a person whom a row might describe.
type candidate struct {
	id          string
	employeeIDs []string
	// externalIDs are the ids under which sources list the person now.
	externalIDs map[int64][]string
	live        bool // a source lists the person now
	working     bool // and does not say that they have left
	// formerUsers are the users of an identity provider who were this person,
	// and are deleted.
	formerUsers []scimIdentity
}

// match decides whom a row describes: by employee id, then e-mail, then alias.
// It returns "" and no reason for somebody new, and "" and a reason, with the
// candidates, where a person must decide.
func match(r *sourceRow, find func(identifier) []*candidate) (id, reason string, among []string) {
	if r.source == scimSource {
		return matchSCIM(r, find)
	}
	if e := r.employeeID(); e != "" {
		if id, among = only(find(identifier{identEmployee, e})); id != "" {
			return id, "", nil
		}
		if len(among) > 1 {
			return "", "several people have this employee id", among
		}
	}
	mails := append([]string{r.email()}, r.aliases...)
	for _, step := range []struct {
		kind   string
		values []string
	}{{identEmail, mails[:1]}, {identEmail, mails[1:]}, {identAlias, mails}} {
		var found []*candidate
		for _, v := range step.values {
			for _, c := range find(identifier{step.kind, v}) {
				if !conflicts(r, c) && !slices.Contains(found, c) {
					found = append(found, c)
				}
			}
		}
		if id, among = only(found); id != "" {
			return id, "", nil
		}
		if len(among) > 1 {
			return "", "several people have this address", among
		}
	}
	return "", "", nil
}

// matchSCIM decides whom a user describes. Whoever writes users could write
// down any employee number and any address, so the userName alone recognises
// somebody, and a number that speaks for somebody else leaves it to a person.
func matchSCIM(r *sourceRow, find func(identifier) []*candidate) (id, reason string, among []string) {
	var named, contradicted, numbered []*candidate
	for _, kind := range []string{identEmail, identAlias} {
		if len(named)+len(contradicted) > 0 {
			break
		}
		for _, c := range find(identifier{kind, r.email()}) {
			switch {
			case listedElsewhere(r, c):
			case otherEmployee(r, c), recycled(r, c):
				contradicted = append(contradicted, c)
			default:
				named = append(named, c)
			}
		}
	}
	for _, kind := range []string{identEmployee, identClaimedEmployee} {
		for _, c := range find(identifier{kind, r.employeeID()}) {
			if r.employeeID() != "" && !listedElsewhere(r, c) && !slices.Contains(numbered, c) {
				numbered = append(numbered, c)
			}
		}
	}
	all := slices.Concat(named, contradicted)
	for _, c := range numbered {
		if !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	id, among = only(named)
	switch {
	case len(named) > 1:
		return "", "several people have this address", among
	case len(all) > len(named)+len(contradicted):
		_, among = only(all)
		return "", "this employee id is of somebody with another address", among
	case len(named) == 0 && slices.ContainsFunc(contradicted, func(c *candidate) bool { return c.live }):
		_, among = only(contradicted)
		if slices.ContainsFunc(contradicted, func(c *candidate) bool { return otherEmployee(r, c) }) {
			return "", "the person with this address has another employee id", among
		}
		return "", "the person with this address has left, and was another user of the identity provider", among
	}
	return id, "", nil
}

// scimIdentity is what an identity provider says about who a user is, beside
// the userName, which may be given to somebody else.
type scimIdentity struct{ externalID, employeeID string }

// agrees reports that two users with the same userName, of whom one is deleted,
// are the same person: they have the same employee number or, unless both have
// one, the same externalId, or both none.
func (i scimIdentity) agrees(with scimIdentity) bool {
	if i.employeeID != "" && with.employeeID != "" {
		return i.employeeID == with.employeeID
	}
	return i.externalID == with.externalID
}

// contradicts reports that a user who is still there is provisioned as somebody
// else. What is left out contradicts nothing.
func (i scimIdentity) contradicts(other scimIdentity) bool {
	if i.employeeID != "" && other.employeeID != "" {
		return i.employeeID != other.employeeID
	}
	return i.externalID != "" && other.externalID != "" && i.externalID != other.externalID
}

// recycled reports that the person was another user with the same userName, who
// is deleted, and nobody else says that they work here.
func recycled(r *sourceRow, c *candidate) bool {
	return len(c.formerUsers) > 0 && !c.working && !slices.ContainsFunc(c.formerUsers, func(u scimIdentity) bool { return u.agrees(r.user()) })
}

func only(found []*candidate) (string, []string) {
	ids := make([]string, len(found))
	for i, c := range found {
		ids[i] = c.id
	}
	slices.Sort(ids)
	if len(ids) == 1 {
		return ids[0], ids
	}
	return "", ids
}

// conflicts reports that stable ids contradict what the address suggests: an
// address that was given to somebody else does not inherit.
func conflicts(r *sourceRow, c *candidate) bool {
	return otherEmployee(r, c) || listedElsewhere(r, c)
}

func otherEmployee(r *sourceRow, c *candidate) bool {
	return r.employeeID() != "" && len(c.employeeIDs) > 0 && !slices.Contains(c.employeeIDs, r.employeeID())
}

// listedElsewhere reports that the source lists the person under another id.
func listedElsewhere(r *sourceRow, c *candidate) bool {
	return slices.ContainsFunc(c.externalIDs[r.source], func(id string) bool { return id != r.externalID })
}

// mergeRules is how a tenant merges people.
type mergeRules struct {
	lifecycleSource int64
	ranks           []ranking
	domains         []string
}

type ranking struct {
	fields  []string
	sources []int64
}

func newMergeRules(f TenantFacts, sources map[string]int64) mergeRules {
	r := mergeRules{domains: f.Domains}
	switch {
	case f.LifecycleSCIM:
		r.lifecycleSource = scimSource
	case f.LifecycleIntegration != "":
		r.lifecycleSource = sources[f.LifecycleIntegration]
	}
	for _, sr := range f.SourceRank {
		rank := ranking{fields: sr.Fields}
		for _, name := range sr.Sources {
			if id, ok := sources[name]; ok {
				rank.sources = append(rank.sources, id)
			}
		}
		r.ranks = append(r.ranks, rank)
	}
	return r
}

// order returns the rows, the most trusted for the field first: by declared
// rank, then the source of truth, then the source connected first.
func (m mergeRules) order(field string, rows []*sourceRow) []*sourceRow {
	var ranked []int64
	for _, r := range m.ranks {
		if slices.Contains(r.fields, field) || slices.Contains(r.fields, "*") {
			ranked = r.sources
			break
		}
	}
	weight := func(r *sourceRow) int {
		if i := slices.Index(ranked, r.source); i >= 0 {
			return i
		}
		if r.source == m.lifecycleSource {
			return len(ranked)
		}
		return len(ranked) + 1
	}
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(a, b *sourceRow) int {
		if d := weight(a) - weight(b); d != 0 {
			return d
		}
		if a.source != b.source {
			return int(a.source - b.source)
		}
		return strings.Compare(a.stream+"\x00"+a.externalID, b.stream+"\x00"+b.externalID)
	})
	return out
}

// fieldNames maps columns of a person to the names that people use for them in
// Organization.spec.sourceRank and in events.
var fieldNames = map[string]string{
	"employee_id": "employeeID", "email": "email", "display_name": "displayName", "given_name": "givenName", "family_name": "familyName",
	"title": "title", "department": "department", "division": "division", "cost_center": "costCenter", "location": "location",
	"time_zone": "timeZone", "employment_type": "employmentType", "manager_email": "manager", "manager_external_id": "manager",
	"start_date": "startDate", "end_date": "endDate", "photo_url": "photoURL",
}

// mergedPerson is the one view of a human being.
type mergedPerson struct {
	fields        map[string]string
	custom        string
	lifecycle     model.Lifecycle
	period        int64 // of employment, from 1
	managerSource int64
	hidden        bool
}

// merge makes one person of what sources say. Rows of disconnected sources do
// not count; removed ones only if no source lists the person any more. The
// lifecycle before is kept unless the source of truth states another one:
// absence is not departure.
func (m mergeRules) merge(rows []*sourceRow, before model.Lifecycle) mergedPerson {
	rows = visible(rows)
	p := mergedPerson{fields: map[string]string{}, lifecycle: before, hidden: len(rows) == 0}
	for column, name := range fieldNames {
		for _, r := range m.order(name, rows) {
			if v := r.fields[column]; v != "" {
				p.fields[column] = v
				if column == "manager_external_id" {
					p.managerSource = r.source
				}
				break
			}
		}
	}
	p.custom = m.mergeCustom(rows)
	stated := false
	for _, r := range m.order("lifecycle", rows) {
		if l := r.fields["lifecycle"]; l != "" && r.source == m.lifecycleSource && !r.removed {
			if !stated || lifecycleRank(model.Lifecycle(l)) < lifecycleRank(p.lifecycle) {
				p.lifecycle = model.Lifecycle(l)
			}
			stated = true
		}
	}
	if !stated && !p.hidden && (before == "" || before == model.LifecycleExternal) {
		p.lifecycle = ""
		if m.external(p.fields["email"]) {
			p.lifecycle = model.LifecycleExternal
		}
	}
	return p
}

// lifecycleRank orders what one source says in several rows of a person:
// whoever is here in any of them is here.
func lifecycleRank(l model.Lifecycle) int {
	return slices.Index([]model.Lifecycle{model.LifecycleCurrent, model.LifecycleOnLeave, model.LifecycleFuture, model.LifecycleExternal, model.LifecyclePast}, l)
}

func (m mergeRules) external(email string) bool {
	_, domain, ok := strings.Cut(email, "@")
	return ok && len(m.domains) > 0 && !slices.ContainsFunc(m.domains, func(d string) bool { return strings.EqualFold(d, domain) })
}

func (m mergeRules) mergeCustom(rows []*sourceRow) string {
	all := map[string]any{}
	ordered := m.order("custom", rows)
	for _, r := range slices.Backward(ordered) {
		var fields map[string]any
		if r.custom != "" && json.Unmarshal([]byte(r.custom), &fields) == nil {
			maps.Copy(all, fields)
		}
	}
	return jsonText(all)
}

// visible returns the rows that make up a person.
func visible(rows []*sourceRow) []*sourceRow {
	shown := slices.DeleteFunc(slices.Clone(rows), func(r *sourceRow) bool { return r.hidden })
	live := slices.DeleteFunc(slices.Clone(shown), func(r *sourceRow) bool { return r.removed })
	if len(live) > 0 {
		return live
	}
	return shown
}

// identifiers are what a person may be recognised by, in hidden sources too:
// reconnecting one finds the same people.
func identifiers(rows []*sourceRow) map[identifier]bool {
	out := map[identifier]bool{}
	live := slices.DeleteFunc(slices.Clone(rows), func(r *sourceRow) bool { return r.removed })
	if len(live) == 0 {
		live = rows
	}
	trusted, claimed := split(live)
	for _, r := range trusted {
		if e := r.employeeID(); e != "" {
			out[identifier{identEmployee, e}] = true
		}
	}
	for _, r := range live {
		if r.email() != "" {
			out[identifier{identEmail, r.email()}] = true
		}
	}
	for _, r := range trusted {
		for _, a := range r.aliases {
			if !out[identifier{identEmail, a}] {
				out[identifier{identAlias, a}] = true
			}
		}
	}
	for _, r := range claimed {
		if e := r.employeeID(); e != "" && !out[identifier{identEmployee, e}] {
			out[identifier{identClaimedEmployee, e}] = true
		}
		for _, a := range r.aliases {
			if !out[identifier{identEmail, a}] && !out[identifier{identAlias, a}] {
				out[identifier{identClaimedAlias, a}] = true
			}
		}
	}
	return out
}

// split tells the rows of Integrations from those of users over SCIM.
func split(rows []*sourceRow) (integrations, users []*sourceRow) {
	for _, r := range rows {
		if r.source == scimSource {
			users = append(users, r)
		} else {
			integrations = append(integrations, r)
		}
	}
	return integrations, users
}

// personEvents says what a merge means to the rest of the system.
func personEvents(before *mergedPerson, after mergedPerson, changed []string) []model.EventKind {
	if after.hidden || (before != nil && before.hidden) {
		return nil // a source was disconnected or restored: nobody came or went
	}
	var out []model.EventKind
	was := model.Lifecycle("")
	if before == nil {
		out = append(out, model.EventPersonAdded)
	} else {
		was = before.lifecycle
	}
	here := was == model.LifecycleCurrent || was == model.LifecycleOnLeave
	switch {
	case after.lifecycle == model.LifecycleCurrent && !here:
		out = append(out, model.EventPersonJoined)
	case before != nil && after.lifecycle == model.LifecyclePast && was != model.LifecyclePast:
		out = append(out, model.EventPersonLeft)
	}
	if before != nil && len(changed) > 0 {
		out = append(out, model.EventPersonChanged)
	}
	return out
}
