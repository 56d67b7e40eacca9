// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func oktaListApps(c *call) {
	apps := c.s.state.Company.OktaApps
	if text := c.arg("filter"); text != "" {
		matches, err := parseFilter(text)
		if err != nil {
			c.badFilter(err)
			return
		}
		apps = filtered(apps, func(a *OktaApp) bool {
			return matches(map[string]string{"id": a.ID, "status": oktaAppStatus(a), "name": a.Name})
		})
	}
	if q := strings.ToLower(c.arg("q")); q != "" {
		apps = filtered(apps, func(a *OktaApp) bool { return strings.HasPrefix(strings.ToLower(a.Label), q) })
	}
	oktaPage(c, apps, c.intArg("limit", 20, 200), c.oktaAppJSON)
}

func oktaAppStatus(a *OktaApp) string {
	if a.Active {
		return "ACTIVE"
	}
	return "INACTIVE"
}

func (c *call) oktaAppJSON(a *OktaApp) any {
	return map[string]any{
		"id": a.ID, "name": a.Name, "label": a.Label, "status": oktaAppStatus(a), "signOnMode": a.SignOnMode,
		"created": a.Created.Format(oktaTime), "lastUpdated": a.Created.Format(oktaTime), "features": []string{},
		"settings": map[string]any{"app": map[string]any{"url": a.URL}},
		"_links": map[string]any{
			"self":     map[string]any{"href": c.oktaLink("/api/v1/apps/"+a.ID, nil)},
			"appLinks": []any{map[string]any{"name": "login", "href": c.oktaLink("/home/"+a.Name+"/"+a.ID+"/1", nil), "type": "text/html"}},
		},
	}
}

func oktaAppUsers(c *call, a *OktaApp) {
	oktaPage(c, shrink(c, a.Assignments), c.intArg("limit", 50, 500), c.oktaAssignmentJSON)
}

func (c *call) oktaAssignmentJSON(a *OktaAssignment) any {
	u := c.oktaUser(a.UserID)
	scope, status := "USER", "ACTIVE"
	if a.Group {
		scope, status = "GROUP", "PROVISIONED"
	}
	return map[string]any{
		"id": u.ID, "externalId": nil, "scope": scope, "status": status, "syncState": "DISABLED",
		"created": a.Created.Format(oktaTime), "lastUpdated": a.Created.Format(oktaTime), "statusChanged": a.Created.Format(oktaTime),
		"credentials": map[string]any{"userName": u.Login}, "profile": map[string]any{},
	}
}

func oktaAppUser(c *call, a *OktaApp) {
	for _, as := range a.Assignments {
		if as.UserID == c.path["user"] {
			c.reply(http.StatusOK, c.oktaAssignmentJSON(as))
			return
		}
	}
	c.oktaNotFound(c.path["user"], "AppUser")
}

func oktaAssign(c *call, a *OktaApp) {
	u := c.oktaUser(c.arg("id"))
	if u == nil {
		c.oktaNotFound(c.arg("id"), "User")
		return
	}
	i := slices.IndexFunc(a.Assignments, func(as *OktaAssignment) bool { return as.UserID == u.ID })
	if i < 0 {
		i = len(a.Assignments)
		a.Assignments = append(a.Assignments, &OktaAssignment{UserID: u.ID, Created: c.now.Truncate(time.Millisecond)})
		c.effect("app.assign", u.ID, u.Email, Changed, map[string]any{"app": a.ID})
	} else {
		c.effect("app.assign", u.ID, u.Email, Unchanged, map[string]any{"app": a.ID})
	}
	c.reply(http.StatusOK, c.oktaAssignmentJSON(a.Assignments[i]))
}

func oktaUnassign(c *call, a *OktaApp) {
	kept := filtered(a.Assignments, func(as *OktaAssignment) bool { return as.UserID != c.path["user"] })
	if len(kept) == len(a.Assignments) {
		c.effect("app.unassign", c.path["user"], "", Unchanged, map[string]any{"app": a.ID})
		c.oktaNotFound(c.path["user"], "AppUser")
		return
	}
	a.Assignments = kept
	c.effect("app.unassign", c.path["user"], c.oktaUser(c.path["user"]).Email, Changed, map[string]any{"app": a.ID})
	c.reply(http.StatusNoContent, nil)
}

func (c *call) oktaEffect(action string, u *OktaUser, outcome Outcome) {
	c.effect(action, u.ID, u.Email, outcome, map[string]any{"status": u.Status})
	if outcome == Changed {
		u.LastUpdated = c.now.Truncate(time.Millisecond)
	}
}

func (c *call) oktaRefuse(action string, u *OktaUser, code, summary string) {
	c.oktaEffect(action, u, Rejected)
	c.reply(http.StatusBadRequest, map[string]any{"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": "sim", "errorCauses": []any{}})
}

// oktaCreate makes a user, who gets an activation mail with activate=true.
func oktaCreate(c *call) {
	profile, _ := c.fields["profile"].(map[string]any)
	text := func(name string) string { s, _ := profile[name].(string); return s }
	company, now := c.s.state.Company, c.now.Truncate(time.Millisecond)
	u := &OktaUser{
		ID: fmt.Sprintf("00uCreated%010d", len(company.OktaUsers)), Login: text("login"), Email: text("email"), FirstName: text("firstName"),
		LastName: text("lastName"), Title: text("title"), Department: text("department"), Status: "STAGED", Created: now, LastUpdated: now,
	}
	if c.arg("activate") != "false" {
		u.Status = "PROVISIONED"
	}
	if c.oktaUser(u.Login) != nil {
		c.oktaRefuse("user.create", u, "E0000001", "Api validation failed: login")
		return
	}
	company.OktaUsers = append(company.OktaUsers, u)
	groups, _ := c.fields["groupIds"].([]any)
	for _, g := range company.OktaGroups {
		if slices.Contains(groups, any(g.ID)) {
			g.Members = append(g.Members, u.ID)
		}
	}
	c.oktaEffect("user.create", u, Changed)
	c.reply(http.StatusOK, c.oktaUserJSON(u))
}

func oktaSuspend(c *call, u *OktaUser) {
	if u.Status != "ACTIVE" {
		c.oktaRefuse("user.suspend", u, "E0000001", "Api validation failed: Cannot suspend a user that is not active")
		return
	}
	u.Status, u.Sessions = "SUSPENDED", false
	c.oktaEffect("user.suspend", u, Changed)
	c.reply(http.StatusOK, map[string]any{})
}

func oktaUnsuspend(c *call, u *OktaUser) {
	if u.Status != "SUSPENDED" {
		c.oktaRefuse("user.unsuspend", u, "E0000001", "Api validation failed: Cannot unsuspend a user that is not suspended")
		return
	}
	u.Status = "ACTIVE"
	c.oktaEffect("user.unsuspend", u, Changed)
	c.reply(http.StatusOK, map[string]any{})
}

func oktaActivate(c *call, u *OktaUser) {
	if u.Status != "STAGED" && u.Status != "DEPROVISIONED" {
		c.oktaRefuse("user.activate", u, "E0000016", "Activation failed because the user is already active")
		return
	}
	u.Status = "PROVISIONED"
	c.oktaEffect("user.activate", u, Changed)
	c.reply(http.StatusOK, map[string]any{})
}

func oktaDeactivate(c *call, u *OktaUser) {
	c.oktaEffect("user.deactivate", u, changedIf(c.deprovision(u)))
	c.reply(http.StatusOK, map[string]any{})
}

// deprovision takes a user out of everything, and says whether it had to.
func (c *call) deprovision(u *OktaUser) bool {
	if u.Status == "DEPROVISIONED" {
		return false
	}
	u.Status, u.Sessions = "DEPROVISIONED", false
	company := c.s.state.Company
	for _, a := range company.OktaApps {
		a.Assignments = filtered(a.Assignments, func(as *OktaAssignment) bool { return as.UserID != u.ID })
	}
	for _, g := range company.OktaGroups {
		g.Members = filtered(g.Members, func(id string) bool { return id != u.ID })
	}
	return true
}

// oktaDelete deactivates a live user; only the second call deletes.
func oktaDelete(c *call, u *OktaUser) {
	if c.deprovision(u) {
		c.oktaEffect("user.deactivate", u, Changed)
	} else {
		company := c.s.state.Company
		company.OktaUsers = filtered(company.OktaUsers, func(o *OktaUser) bool { return o != u })
		c.oktaEffect("user.delete", u, Changed)
	}
	c.reply(http.StatusNoContent, nil)
}

func oktaSignOut(c *call, u *OktaUser) {
	c.oktaEffect("user.signOut", u, changedIf(u.Sessions))
	u.Sessions = false
	c.reply(http.StatusNoContent, nil)
}

func oktaAddMember(c *call, g *OktaGroup) { c.oktaMembership("group.addMember", g, true) }

func oktaRemoveMember(c *call, g *OktaGroup) { c.oktaMembership("group.removeMember", g, false) }

func (c *call) oktaMembership(action string, g *OktaGroup, member bool) {
	u := c.oktaUser(c.path["user"])
	if u == nil {
		c.oktaNotFound(c.path["user"], "User")
		return
	}
	detail := map[string]any{"group": g.ID}
	if g.Type == "BUILT_IN" || g.Type == "APP_GROUP" {
		c.effect(action, u.ID, u.Email, Rejected, detail)
		oktaFail(c, problem{status: http.StatusForbidden, kind: kindScope})
		return
	}
	was := slices.Contains(g.Members, u.ID)
	if was != member {
		g.Members = filtered(g.Members, func(id string) bool { return id != u.ID })
		if member {
			g.Members = append(g.Members, u.ID)
		}
		g.LastMembershipUpdated = c.now.Truncate(time.Millisecond)
	}
	c.effect(action, u.ID, u.Email, changedIf(was != member), detail)
	c.reply(http.StatusNoContent, nil)
}

// ssoEvent is one sign-on to an app.
type ssoEvent struct {
	at   time.Time
	user *OktaUser
	app  *OktaApp
	n    int
}

// ssoEvents derives the system log from the last sign-on of each assignment:
// that one, and one three and six days before.
func (c *call) ssoEvents(since, until time.Time) []ssoEvent {
	byID := make(map[string]*OktaUser, len(c.s.state.Company.OktaUsers))
	for _, u := range c.s.state.Company.OktaUsers {
		byID[u.ID] = u
	}
	var events []ssoEvent
	for _, app := range c.s.state.Company.OktaApps {
		for _, a := range app.Assignments {
			for n := range 3 {
				if a.LastSSO == nil {
					break
				}
				at := a.LastSSO.AddDate(0, 0, -3*n)
				if !at.Before(since) && at.Before(until) && !at.Before(a.Created) {
					events = append(events, ssoEvent{at, byID[a.UserID], app, n})
				}
			}
		}
	}
	slices.SortFunc(events, func(a, b ssoEvent) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.user.ID, b.user.ID), cmp.Compare(a.app.ID, b.app.ID))
	})
	return events
}

// oktaLogs serves the system log. Without until Okta takes the call for
// polling: there is always a next link.
func oktaLogs(c *call) {
	since, until := c.now.AddDate(0, 0, -7), c.now
	for name, at := range map[string]*time.Time{"since": &since, "until": &until} {
		if text := c.arg(name); text != "" {
			t, err := time.Parse(time.RFC3339, text)
			if err != nil {
				c.badFilter(fmt.Errorf("%s is not a time: %w", name, err))
				return
			}
			*at = t
		}
	}
	matches := func(map[string]string) bool { return true }
	if text := c.arg("filter"); text != "" {
		parsed, err := parseFilter(text)
		if err != nil {
			c.badFilter(err)
			return
		}
		matches = parsed
	}
	events := filtered(c.ssoEvents(since, until), func(e ssoEvent) bool {
		return matches(map[string]string{
			"eventType": "user.authentication.sso", "outcome.result": "SUCCESS", "actor.id": e.user.ID,
			"actor.alternateId": e.user.Login, "target.id": e.app.ID, "published": e.at.Format(oktaTime),
		})
	})
	if strings.EqualFold(c.arg("sortOrder"), "DESCENDING") {
		slices.Reverse(events)
	}
	oktaPage(c, events, c.intArg("limit", 100, 1000), func(e ssoEvent) any {
		return map[string]any{
			"uuid": fmt.Sprintf("%s-%s-%d", e.user.ID, e.app.ID, e.at.Unix()), "published": e.at.Format(oktaTime),
			"eventType": "user.authentication.sso", "severity": "INFO", "outcome": map[string]any{"result": "SUCCESS"},
			"actor": map[string]any{"id": e.user.ID, "type": "User", "alternateId": e.user.Login, "displayName": e.user.FirstName + " " + e.user.LastName},
			"target": []any{
				map[string]any{"type": "AppInstance", "id": e.app.ID, "displayName": e.app.Label},
				map[string]any{"type": "AppUser", "id": "0ua" + strings.TrimPrefix(e.user.ID, "00u"), "alternateId": e.user.Login},
			},
		}
	})
	if c.arg("until") == "" && len(c.header.Values("Link")) == 1 {
		query := c.query
		query.Set("after", encodeCursor(len(events), c.pageNumber()+1))
		c.header.Add("Link", "<"+c.oktaLink(c.r.URL.Path, query)+`>; rel="next"`)
	}
}
