// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const oktaTime = "2006-01-02T15:04:05.000Z"

func (s *Server) oktaVendor() *vendor {
	list := []string{"limit", "after", "filter", "q", "search", "sortBy", "sortOrder"}
	get, post, put, del := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return &vendor{
		fail: oktaFail,
		authorize: func(c *call) bool {
			token, ssws := strings.CutPrefix(c.r.Header.Get("Authorization"), "SSWS ")
			switch {
			case c.r.Header.Get("Authorization") == "":
				c.violate("no authorization")
				oktaFail(c, problem{status: http.StatusUnauthorized, kind: kindNoAuth})
				return false
			case !ssws || token != SimOktaToken:
				oktaFail(c, problem{status: http.StatusUnauthorized, kind: kindBadAuth})
				return false
			}
			return true
		},
		decorate: func(c *call, used, limit int, reset time.Time) {
			c.header.Set("X-Rate-Limit-Limit", strconv.Itoa(limit))
			c.header.Set("X-Rate-Limit-Remaining", strconv.Itoa(limit-used))
			c.header.Set("X-Rate-Limit-Reset", strconv.FormatInt(reset.Unix(), 10))
			c.header.Set("X-Okta-Request-Id", "sim")
		},
		routes: []route{
			{method: get, pattern: "/api/v1/org", handle: oktaOrg},
			{method: get, pattern: "/api/v1/users", query: list, handle: oktaListUsers},
			{method: post, pattern: "/api/v1/users", query: []string{"activate"}, body: jsonBody, fields: []string{"profile", "groupIds"}, handle: oktaCreate},
			{method: get, pattern: "/api/v1/users/{id}", handle: withOktaUser(func(c *call, u *OktaUser) { c.reply(200, c.oktaUserJSON(u)) })},
			{method: del, pattern: "/api/v1/users/{id}", query: []string{"sendEmail"}, handle: withOktaUser(oktaDelete)},
			{method: post, pattern: "/api/v1/users/{id}/lifecycle/suspend", body: jsonBody, handle: withOktaUser(oktaSuspend)},
			{method: post, pattern: "/api/v1/users/{id}/lifecycle/unsuspend", body: jsonBody, handle: withOktaUser(oktaUnsuspend)},
			{method: post, pattern: "/api/v1/users/{id}/lifecycle/deactivate", query: []string{"sendEmail"}, body: jsonBody, handle: withOktaUser(oktaDeactivate)},
			{method: post, pattern: "/api/v1/users/{id}/lifecycle/activate", query: []string{"sendEmail"}, body: jsonBody, handle: withOktaUser(oktaActivate)},
			{method: del, pattern: "/api/v1/users/{id}/sessions", query: []string{"oauthTokens", "forgetDevices"}, handle: withOktaUser(oktaSignOut)},
			{method: get, pattern: "/api/v1/users/{id}/groups", handle: withOktaUser(oktaGroupsOf)},
			{method: get, pattern: "/api/v1/groups", query: list, handle: oktaListGroups},
			{method: get, pattern: "/api/v1/groups/{id}", handle: withOktaGroup(func(c *call, g *OktaGroup) { c.reply(200, oktaGroupJSON(g)) })},
			{method: get, pattern: "/api/v1/groups/{id}/users", query: []string{"limit", "after"}, handle: withOktaGroup(oktaGroupUsers)},
			{method: put, pattern: "/api/v1/groups/{id}/users/{user}", body: jsonBody, handle: withOktaGroup(oktaAddMember)},
			{method: del, pattern: "/api/v1/groups/{id}/users/{user}", handle: withOktaGroup(oktaRemoveMember)},
			{method: get, pattern: "/api/v1/apps", query: []string{"limit", "after", "filter", "q", "includeNonDeleted"}, handle: oktaListApps},
			{method: get, pattern: "/api/v1/apps/{id}", handle: withOktaApp(func(c *call, a *OktaApp) { c.reply(200, c.oktaAppJSON(a)) })},
			{method: get, pattern: "/api/v1/apps/{id}/users", query: []string{"limit", "after", "q"}, handle: withOktaApp(oktaAppUsers)},
			{method: post, pattern: "/api/v1/apps/{id}/users", body: jsonBody, fields: []string{"id", "scope"}, handle: withOktaApp(oktaAssign)},
			{method: get, pattern: "/api/v1/apps/{id}/users/{user}", handle: withOktaApp(oktaAppUser)},
			{method: del, pattern: "/api/v1/apps/{id}/users/{user}", query: []string{"sendEmail"}, handle: withOktaApp(oktaUnassign)},
			{method: get, pattern: "/api/v1/logs", query: []string{"since", "until", "after", "filter", "q", "limit", "sortOrder"}, handle: oktaLogs},
		},
	}
}

// oktaFail words a problem as Okta does.
func oktaFail(c *call, p problem) {
	code, summary := "E0000001", "Api validation failed: "+p.what
	switch p.kind {
	case kindNotFound:
		code, summary = "E0000007", "Not found: Resource not found: "+p.what
	case kindMethod:
		code, summary = "E0000022", "The endpoint does not support the provided HTTP method"
	case kindInvalid:
	case kindNoAuth:
		code, summary = "E0000005", "Invalid session"
	case kindBadAuth, kindExpired:
		code, summary = "E0000011", "Invalid token provided"
	case kindScope:
		code, summary = "E0000006", "You do not have permission to perform the requested action"
	case kindRateLimit:
		code, summary = "E0000047", "API call exceeded rate limit due to too many requests."
	case kindServer:
		code, summary = "E0000009", "Internal Server Error"
	}
	c.reply(p.status, map[string]any{"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": "sim", "errorCauses": []any{}})
}

func withOktaUser(handle func(*call, *OktaUser)) func(*call) {
	return func(c *call) {
		if u := c.oktaUser(c.path["id"]); u != nil {
			handle(c, u)
			return
		}
		c.oktaNotFound(c.path["id"], "User")
	}
}

func withOktaGroup(handle func(*call, *OktaGroup)) func(*call) {
	return func(c *call) {
		for _, g := range c.s.state.Company.OktaGroups {
			if g.ID == c.path["id"] {
				handle(c, g)
				return
			}
		}
		c.oktaNotFound(c.path["id"], "UserGroup")
	}
}

func withOktaApp(handle func(*call, *OktaApp)) func(*call) {
	return func(c *call) {
		for _, a := range c.s.state.Company.OktaApps {
			if a.ID == c.path["id"] {
				handle(c, a)
				return
			}
		}
		c.oktaNotFound(c.path["id"], "AppInstance")
	}
}

func (c *call) oktaNotFound(id, kind string) {
	oktaFail(c, problem{status: http.StatusNotFound, kind: kindNotFound, what: id + " (" + kind + ")"})
}

// oktaUser finds a user by id or login, as Okta's paths allow.
func (c *call) oktaUser(idOrLogin string) *OktaUser {
	users := c.s.state.Company.OktaUsers
	if i := slices.IndexFunc(users, func(u *OktaUser) bool { return u.ID == idOrLogin }); i >= 0 {
		return users[i]
	}
	if i := slices.IndexFunc(users, func(u *OktaUser) bool { return strings.EqualFold(u.Login, idOrLogin) }); i >= 0 {
		return users[i]
	}
	return nil
}

// oktaPage answers with one page and its Link headers.
func oktaPage[T any](c *call, all []T, size int, render func(T) any) {
	page, next, ok := paginate(c, all, size)
	if !ok {
		return
	}
	self := *c.r.URL
	c.header.Add("Link", "<"+c.oktaLink(self.Path, c.query)+`>; rel="self"`)
	if next != "" {
		query := url.Values{}
		for k, v := range c.query {
			query[k] = v
		}
		query.Set("after", next)
		c.header.Add("Link", "<"+c.oktaLink(self.Path, query)+`>; rel="next"`)
	}
	items := make([]any, 0, len(page))
	for _, item := range page {
		items = append(items, render(item))
	}
	c.reply(http.StatusOK, items)
}

// oktaLink is a link in Okta's own host name, as the real one gives it, or on
// the listener for plain clients.
func (c *call) oktaLink(path string, query url.Values) string {
	base := "https://" + c.s.state.Company.Config.OktaHost()
	if c.s.opts.LocalLinks {
		base = "http://" + c.r.Host
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return base + path
}

func oktaOrg(c *call) {
	company := c.s.state.Company
	id := company.OktaOrgID
	if _, other := c.faults[FaultAccountChanged]; other {
		id = "00oAnotherOrg0000000"
	}
	c.reply(http.StatusOK, map[string]any{
		"id": id, "companyName": "Acme", "subdomain": company.Config.label(), "status": "ACTIVE",
		"website": "https://" + company.Config.Domain, "created": company.Config.Now.AddDate(-6, 0, 0).Format(oktaTime),
	})
}

func oktaListUsers(c *call) {
	users := c.s.state.Company.OktaUsers
	if text := cmp.Or(c.arg("filter"), c.arg("search")); text != "" {
		matches, err := parseFilter(text)
		if err != nil {
			c.badFilter(err)
			return
		}
		users = filtered(users, func(u *OktaUser) bool {
			return matches(map[string]string{
				"id": u.ID, "status": u.Status, "lastUpdated": u.LastUpdated.Format(oktaTime), "created": u.Created.Format(oktaTime),
				"profile.login": u.Login, "profile.email": u.Email, "profile.firstName": u.FirstName, "profile.lastName": u.LastName,
				"profile.employeeNumber": u.EmployeeID, "profile.department": u.Department,
			})
		})
	} else {
		// Without a filter Okta leaves deactivated users out.
		users = filtered(users, func(u *OktaUser) bool { return u.Status != "DEPROVISIONED" })
	}
	if q := strings.ToLower(c.arg("q")); q != "" {
		users = filtered(users, func(u *OktaUser) bool {
			return slices.ContainsFunc([]string{u.FirstName, u.LastName, u.Email}, func(v string) bool { return strings.HasPrefix(strings.ToLower(v), q) })
		})
	}
	oktaPage(c, shrink(c, users), c.intArg("limit", 200, 200), c.oktaUserJSON)
}

func filtered[T any](all []T, keep func(T) bool) []T {
	kept := make([]T, 0, len(all))
	for _, item := range all {
		if keep(item) {
			kept = append(kept, item)
		}
	}
	return kept
}

func (c *call) badFilter(err error) {
	c.s.violations = append(c.s.violations, Violation{At: c.now, Vendor: Okta, Method: c.r.Method, Path: c.r.URL.Path, What: err.Error()})
	oktaFail(c, problem{status: http.StatusBadRequest, kind: kindInvalid, what: err.Error()})
}

func oktaStamp(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UTC().Format(oktaTime)
}

func (c *call) oktaUserJSON(u *OktaUser) any {
	profile := map[string]any{
		"login": u.Login, "email": u.Email, "firstName": u.FirstName, "lastName": u.LastName,
		"displayName": u.FirstName + " " + u.LastName, "secondEmail": nil, "mobilePhone": nil,
	}
	for name, value := range map[string]string{
		"title": u.Title, "department": u.Department, "managerId": u.ManagerID, "employeeNumber": u.EmployeeID, "secondEmail": u.SecondEmail,
	} {
		if value != "" {
			profile[name] = value
		}
	}
	return map[string]any{
		"id": u.ID, "status": u.Status, "created": u.Created.Format(oktaTime), "activated": u.Created.Format(oktaTime),
		"statusChanged": u.LastUpdated.Format(oktaTime), "lastLogin": oktaStamp(u.LastLogin), "lastUpdated": u.LastUpdated.Format(oktaTime),
		"passwordChanged": nil, "type": map[string]any{"id": "otySim"}, "profile": profile,
		"credentials": map[string]any{"provider": map[string]any{"type": "OKTA", "name": "OKTA"}},
		"_links":      map[string]any{"self": map[string]any{"href": c.oktaLink("/api/v1/users/"+u.ID, nil)}},
	}
}

func oktaListGroups(c *call) {
	groups := c.s.state.Company.OktaGroups
	if text := cmp.Or(c.arg("filter"), c.arg("search")); text != "" {
		matches, err := parseFilter(text)
		if err != nil {
			c.badFilter(err)
			return
		}
		groups = filtered(groups, func(g *OktaGroup) bool {
			return matches(map[string]string{
				"id": g.ID, "type": g.Type, "profile.name": g.Name, "lastUpdated": g.Created.Format(oktaTime),
				"lastMembershipUpdated": g.LastMembershipUpdated.Format(oktaTime),
			})
		})
	}
	oktaPage(c, groups, c.intArg("limit", 10000, 10000), func(g *OktaGroup) any { return oktaGroupJSON(g) })
}

func oktaGroupJSON(g *OktaGroup) any {
	return map[string]any{
		"id": g.ID, "type": g.Type, "created": g.Created.Format(oktaTime), "lastUpdated": g.Created.Format(oktaTime),
		"lastMembershipUpdated": g.LastMembershipUpdated.Format(oktaTime), "objectClass": []string{"okta:user_group"},
		"profile": map[string]any{"name": g.Name, "description": g.Description},
	}
}

func oktaGroupUsers(c *call, g *OktaGroup) {
	member := make(map[string]bool, len(g.Members))
	for _, id := range g.Members {
		member[id] = true
	}
	users := filtered(c.s.state.Company.OktaUsers, func(u *OktaUser) bool { return member[u.ID] })
	oktaPage(c, users, c.intArg("limit", 1000, 1000), c.oktaUserJSON)
}

func oktaGroupsOf(c *call, u *OktaUser) {
	groups := filtered(c.s.state.Company.OktaGroups, func(g *OktaGroup) bool { return slices.Contains(g.Members, u.ID) })
	oktaPage(c, groups, 200, func(g *OktaGroup) any { return oktaGroupJSON(g) })
}
