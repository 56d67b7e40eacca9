// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Slack's 2021 description lists no scopes; these are what the methods need.
var (
	defaultBotScopes = []string{
		"users:read", "users:read.email", "usergroups:read", "team:read", "chat:write", "im:write", "im:history", "channels:history",
	}
	adminScopes = []string{"admin", "users:read", "users:read.email", "usergroups:read", "team:read", "admin.users:write", "scim"}
)

const slackAppID = "A0SEATKEEPR"

func (s *Server) slackVendor() *vendor {
	v := &vendor{fail: slackFail, authorize: slackAuthorize}
	// Slack takes GET and POST for every method of the Web API.
	add := func(name, scope string, handle func(*call), fields ...string) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			v.routes = append(v.routes, route{
				method: method, pattern: "/api/" + name, body: anyBody, fields: fields, scope: scope, handle: handle,
			})
		}
	}
	add("auth.test", "", slackAuthTest)
	add("team.info", "team:read", slackTeamInfo, "team")
	add("users.list", "users:read", slackUsersList, "limit", "cursor", "include_locale", "team_id")
	add("users.info", "users:read", slackUsersInfo, "user", "include_locale")
	add("users.lookupByEmail", "users:read.email", slackLookup, "email")
	add("usergroups.list", "usergroups:read", slackUserGroups, "include_users", "include_count", "include_disabled", "team_id")
	add("team.billableInfo", "admin", slackBillable, "user", "cursor", "limit", "team_id")
	add("team.accessLogs", "admin", slackAccessLogs, "count", "page", "before", "team_id")
	add("admin.users.session.reset", "admin.users:write", slackSessionReset, "user_id", "mobile_only", "web_only")
	add("conversations.open", "im:write", slackConversationsOpen, "users", "channel", "return_im", "prevent_creation")
	add("conversations.history", "im:history", slackHistory,
		"channel", "limit", "cursor", "oldest", "latest", "inclusive", "include_all_metadata")
	add("chat.postMessage", "chat:write", slackPost, "channel", "text", "blocks", "attachments", "metadata", "thread_ts", "as_user",
		"icon_emoji", "icon_url", "link_names", "mrkdwn", "parse", "reply_broadcast", "unfurl_links", "unfurl_media", "username")
	add("chat.postEphemeral", "chat:write", slackPostEphemeral, "channel", "user", "text", "blocks", "attachments", "thread_ts")
	add("chat.update", "chat:write", slackUpdate, "channel", "ts", "text", "blocks", "attachments", "metadata", "as_user", "link_names", "parse")

	v.routes = append(v.routes,
		route{method: http.MethodGet, pattern: "/scim/v2/Users/{id}", scope: "scim", handle: withSlackMember(slackSCIMGet)},
		route{method: http.MethodDelete, pattern: "/scim/v2/Users/{id}", scope: "scim", handle: withSlackMember(slackSCIMDelete)},
		route{
			method: http.MethodPost, pattern: "/actions/{team}/{ts}/{nonce}", open: true, body: jsonBody,
			fields: []string{"text", "blocks", "replace_original", "delete_original", "response_type", "metadata"}, handle: slackRespond,
		})
	return v
}

// slackFail words a problem as Slack does: mostly 200 with ok:false.
func slackFail(c *call, p problem) {
	status, body := http.StatusOK, map[string]any{"ok": false}
	switch p.kind {
	case kindNotFound, kindMethod:
		body["error"] = "unknown_method"
		status = p.status
	case kindInvalid:
		body["error"] = "invalid_arguments"
		body["response_metadata"] = map[string]any{"messages": []string{"[ERROR] " + p.what}}
		if p.what == "cursor" {
			body["error"] = "invalid_cursor"
		}
	case kindNoAuth:
		body["error"] = "not_authed"
	case kindBadAuth:
		body["error"] = "invalid_auth"
	case kindExpired:
		body["error"] = "token_expired"
	case kindScope:
		body["error"], body["needed"] = "missing_scope", p.what
		body["provided"] = strings.Join(c.slackScopes(c.token), ",")
	case kindRateLimit:
		status, body["error"] = p.status, "ratelimited"
	case kindServer:
		status, body["error"] = p.status, cmp.Or(p.what, "internal_error")
	}
	c.reply(status, body)
}

func (c *call) slackError(code string) {
	c.reply(http.StatusOK, map[string]any{"ok": false, "error": code})
}

func (c *call) slackScopes(token string) []string {
	switch {
	case token == SimSlackAdminToken:
		return adminScopes
	case len(c.s.opts.SlackBotScopes) > 0:
		return c.s.opts.SlackBotScopes
	}
	return defaultBotScopes
}

func slackAuthorize(c *call) bool {
	header := c.r.Header.Get("Authorization")
	token, bearer := strings.CutPrefix(header, "Bearer ")
	c.token = token
	switch {
	case header == "":
		c.violate("no authorization")
		slackFail(c, problem{kind: kindNoAuth})
		return false
	case !bearer || (token != SimSlackBotToken && token != SimSlackAdminToken):
		slackFail(c, problem{kind: kindBadAuth})
		return false
	}
	scopes := c.slackScopes(token)
	c.header.Set("X-OAuth-Scopes", strings.Join(scopes, ","))
	if need := c.route.scope; need != "" && !slices.Contains(scopes, need) {
		c.header.Set("X-Accepted-OAuth-Scopes", need)
		slackFail(c, problem{kind: kindScope, what: need})
		return false
	}
	return true
}

func (c *call) slackTeam() string {
	if _, other := c.faults[FaultAccountChanged]; other {
		return "T0ANOTHER01"
	}
	return c.s.state.Company.SlackTeamID
}

func slackAuthTest(c *call) {
	label := c.s.state.Company.Config.label()
	user := map[string]any{"user": "seatkeeper", "user_id": seatkeeperBotID, "bot_id": "B0SEATKEEPR"}
	if c.token == SimSlackAdminToken {
		ceo := c.s.state.Company.SlackMemberOf(c.s.state.Company.Cases[CaseCEO])
		user = map[string]any{"user": ceo.Name, "user_id": ceo.ID}
	}
	user["ok"], user["url"], user["team"], user["team_id"] = true, "https://"+label+".slack.com/", "Acme", c.slackTeam()
	user["is_enterprise_install"] = false
	c.reply(http.StatusOK, user)
}

func slackTeamInfo(c *call) {
	cfg := c.s.state.Company.Config
	c.reply(http.StatusOK, map[string]any{"ok": true, "team": map[string]any{
		"id": c.slackTeam(), "name": "Acme", "domain": cfg.label(), "email_domain": cfg.Domain, "plan": "plus",
	}})
}

// slackUsersList gives every other page short, as Slack may: only the missing
// cursor ends the list.
func slackUsersList(c *call) {
	size := c.intArg("limit", 200, 1000)
	if c.pageNumber()%2 == 0 && size > 2 {
		size = size * 2 / 3
	}
	page, next, ok := paginate(c, shrink(c, c.s.state.Company.SlackMembers), size)
	if !ok {
		return
	}
	members := make([]any, 0, len(page))
	for _, m := range page {
		members = append(members, c.slackMemberJSON(m))
	}
	c.reply(http.StatusOK, map[string]any{
		"ok": true, "members": members, "cache_ts": c.now.Unix(), "response_metadata": map[string]any{"next_cursor": next},
	})
}

func (c *call) slackMemberJSON(m *SlackMember) map[string]any {
	profile := map[string]any{"real_name": m.RealName, "display_name": m.Name, "title": m.Title, "team": c.slackTeam()}
	if m.Email != "" && slices.Contains(c.slackScopes(c.token), "users:read.email") {
		profile["email"] = m.Email
	}
	user := map[string]any{
		"id": m.ID, "team_id": c.slackTeam(), "name": m.Name, "real_name": m.RealName, "deleted": m.Deleted,
		"profile": profile, "is_bot": m.Bot, "is_app_user": false, "updated": m.Updated.Unix(),
	}
	if !m.Deleted { // Slack leaves these out for deactivated members
		user["is_admin"], user["is_owner"], user["is_primary_owner"] = m.Admin || m.Owner, m.Owner, false
		user["is_restricted"], user["is_ultra_restricted"] = m.Restricted, m.SingleChannel
		user["has_2fa"] = m.MFA
		if m.TimeZone != "" {
			user["tz"] = m.TimeZone
		}
		if m.Invited {
			user["is_invited_user"] = true
		}
	}
	return user
}

func (c *call) slackMember(id string) *SlackMember {
	for _, m := range c.s.state.Company.SlackMembers {
		if m.ID == id {
			return m
		}
	}
	return nil
}

func slackUsersInfo(c *call) {
	m := c.slackMember(c.arg("user"))
	if m == nil {
		c.slackError("user_not_found")
		return
	}
	c.reply(http.StatusOK, map[string]any{"ok": true, "user": c.slackMemberJSON(m)})
}

// slackLookup does not find deactivated members, as Slack does not.
func slackLookup(c *call) {
	for _, m := range c.s.state.Company.SlackMembers {
		if m.Email != "" && !m.Deleted && strings.EqualFold(m.Email, c.arg("email")) {
			c.reply(http.StatusOK, map[string]any{"ok": true, "user": c.slackMemberJSON(m)})
			return
		}
	}
	c.slackError("users_not_found")
}

func slackUserGroups(c *call) {
	groups := []any{}
	for _, g := range c.s.state.Company.SlackGroups {
		group := map[string]any{"id": g.ID, "team_id": c.slackTeam(), "is_usergroup": true, "name": g.Name, "handle": g.Handle, "date_delete": 0}
		if include, _ := strconv.ParseBool(c.arg("include_users")); include {
			group["users"] = g.Users
		}
		groups = append(groups, group)
	}
	c.reply(http.StatusOK, map[string]any{"ok": true, "usergroups": groups})
}

// slackBillable gives everybody at once, unless a limit is asked for.
func slackBillable(c *call) {
	members := filtered(shrink(c, c.s.state.Company.SlackMembers), func(m *SlackMember) bool {
		return c.arg("user") == "" || c.arg("user") == m.ID
	})
	page, next, ok := paginate(c, members, c.intArg("limit", max(len(members), 1), max(len(members), 1000)))
	if !ok {
		return
	}
	info := map[string]any{}
	for _, m := range page {
		info[m.ID] = map[string]any{"billing_active": m.BillingActive}
	}
	c.reply(http.StatusOK, map[string]any{
		"ok": true, "billable_info": info, "response_metadata": map[string]any{"next_cursor": next},
	})
}

// slackAccessLogs is paged by number, newest first, at most 100 pages.
func slackAccessLogs(c *call) {
	type line struct {
		m *SlackMember
		l SlackLogin
	}
	before := c.now
	if n, err := strconv.ParseInt(c.arg("before"), 10, 64); err == nil {
		before = time.Unix(n, 0)
	}
	var lines []line
	for _, m := range c.s.state.Company.SlackMembers {
		for _, l := range m.Logins {
			if !l.Last.After(before) {
				lines = append(lines, line{m, l})
			}
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return b.l.Last.Compare(a.l.Last) })
	size := c.intArg("count", 100, 1000)
	if f, short := c.faults[FaultShortPage]; short {
		size = max(f.PageSize, 1)
	}
	number := c.intArg("page", 1, 1<<20)
	pages := max((len(lines)+size-1)/size, 1)
	if number > 100 {
		c.slackError("over_pagination_limit")
		return
	}
	if _, stuck := c.faults[FaultRepeatCursor]; stuck {
		number, pages = 1, max(pages, number+1)
	}
	logins := []any{}
	for _, l := range lines[min((number-1)*size, len(lines)):min(number*size, len(lines))] {
		logins = append(logins, map[string]any{
			"user_id": l.m.ID, "username": l.m.Name, "date_first": l.l.First.Unix(), "date_last": l.l.Last.Unix(), "count": l.l.Count,
			"ip": l.l.IP, "user_agent": l.l.UserAgent, "isp": "Example Net", "country": l.l.Country, "region": "BE",
		})
	}
	c.reply(http.StatusOK, map[string]any{"ok": true, "logins": logins, "paging": map[string]any{
		"count": size, "total": len(lines), "page": number, "pages": pages,
	}})
}

func slackSessionReset(c *call) {
	m := c.slackMember(c.arg("user_id"))
	if m == nil {
		c.slackError("user_not_found")
		return
	}
	c.effect("user.signOut", m.ID, m.Email, changedIf(m.Sessions), nil)
	m.Sessions = false
	c.reply(http.StatusOK, map[string]any{"ok": true})
}

func withSlackMember(handle func(*call, *SlackMember)) func(*call) {
	return func(c *call) {
		if m := c.slackMember(c.path["id"]); m != nil {
			handle(c, m)
			return
		}
		c.reply(http.StatusNotFound, map[string]any{"Errors": map[string]any{"description": "user_not_found", "code": 404}})
	}
}

func slackSCIMGet(c *call, m *SlackMember) {
	c.reply(http.StatusOK, map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "id": m.ID, "userName": m.Name, "active": !m.Deleted,
		"displayName": m.RealName, "emails": []any{map[string]any{"value": m.Email, "primary": true}},
	})
}

func slackSCIMDelete(c *call, m *SlackMember) {
	c.effect("user.deactivate", m.ID, m.Email, changedIf(!m.Deleted), nil)
	m.Deleted, m.BillingActive, m.Sessions, m.Updated = true, false, false, c.now.Truncate(time.Second)
	c.reply(http.StatusOK, map[string]any{})
}
