// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const zoomTokenLife = time.Hour

func (s *Server) zoomVendor() *vendor {
	get, post, put, patch, del := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	return &vendor{
		fail: zoomFail,
		authorize: func(c *call) bool {
			header := c.r.Header.Get("Authorization")
			token, bearer := strings.CutPrefix(header, "Bearer ")
			c.s.mu.Lock()
			expires, known := c.s.zoomTokens[token]
			c.s.mu.Unlock()
			switch {
			case header == "":
				c.violate("no authorization")
				zoomFail(c, problem{status: http.StatusUnauthorized, kind: kindNoAuth})
				return false
			case !bearer || !known:
				zoomFail(c, problem{status: http.StatusUnauthorized, kind: kindBadAuth})
				return false
			case !c.now.Before(expires):
				zoomFail(c, problem{status: http.StatusUnauthorized, kind: kindExpired})
				return false
			}
			return true
		},
		decorate: func(c *call, used, limit int, _ time.Time) {
			c.header.Set("X-RateLimit-Category", "Medium")
			c.header.Set("X-RateLimit-Limit", strconv.Itoa(limit))
			c.header.Set("X-RateLimit-Remaining", strconv.Itoa(limit-used))
		},
		routes: []route{
			{method: post, pattern: "/oauth/token", body: anyBody, fields: []string{"grant_type", "account_id"}, open: true, handle: zoomToken},
			{method: get, pattern: "/v2/users", query: []string{"status", "page_size", "page_number", "next_page_token", "role_id"}, handle: zoomListUsers},
			{method: get, pattern: "/v2/users/{id}", query: []string{"login_type"}, handle: withZoomUser(func(c *call, z *ZoomUser) { c.reply(http.StatusOK, c.zoomUserJSON(z, true)) })},
			{method: patch, pattern: "/v2/users/{id}", query: []string{"login_type"}, body: jsonBody, fields: []string{"type", "first_name", "last_name", "dept", "timezone"}, handle: withZoomUser(zoomUpdate)},
			{method: del, pattern: "/v2/users/{id}", query: []string{"action", "transfer_email", "transfer_meeting", "transfer_webinar", "transfer_recording"}, handle: withZoomUser(zoomDelete)},
			{method: put, pattern: "/v2/users/{id}/status", body: jsonBody, fields: []string{"action"}, handle: withZoomUser(zoomStatus)},
			{method: del, pattern: "/v2/users/{id}/token", handle: withZoomUser(zoomSignOut)},
			{method: get, pattern: "/v2/accounts/{account}/plans", handle: zoomPlans},
		},
	}
}

// zoomFail words a problem as Zoom does.
func zoomFail(c *call, p problem) {
	code, message := 300, p.what
	switch p.kind {
	case kindNotFound:
		code, message = 404, "No such path: "+p.what
	case kindMethod:
		code, message = 405, "Request method '"+c.r.Method+"' not supported"
	case kindInvalid:
		message = "Validation Failed. " + p.what
	case kindNoAuth, kindBadAuth:
		code, message = 124, "Invalid access token."
	case kindExpired:
		code, message = 124, "Access token is expired."
	case kindScope:
		p.status, code = http.StatusBadRequest, 4711
		message = "Invalid access token, does not contain scopes:[" + cmp.Or(p.what, "user:read:list_users:admin") + "]."
	case kindRateLimit:
		code, message = 429, "You have reached the maximum per-second rate limit for this API. Try again later."
	case kindServer:
		code, message = p.status, cmp.Or(p.what, "Internal error.")
	}
	c.reply(p.status, map[string]any{"code": code, "message": message})
}

// zoomToken is the server-to-server grant account_credentials.
func zoomToken(c *call) {
	refused := func(status int, reason, code string) {
		c.reply(status, map[string]any{"reason": reason, "error": code})
	}
	client, secret, basic := c.r.BasicAuth()
	switch {
	case !basic:
		refused(http.StatusBadRequest, "Invalid client_id or client_secret", "invalid_client")
	case client != SimZoomClientID || secret != SimZoomClientSecret:
		refused(http.StatusBadRequest, "Invalid client_id or client_secret", "invalid_client")
	case c.arg("grant_type") != "account_credentials":
		refused(http.StatusBadRequest, "unsupported grant type", "unsupported_grant_type")
	case c.arg("account_id") != c.s.state.Company.ZoomAccountID:
		refused(http.StatusBadRequest, "Bad Request", "invalid_request")
	default:
		c.s.tokenCount++
		token := fmt.Sprintf("sim-zoom-access-%d", c.s.tokenCount)
		c.s.zoomTokens[token] = c.now.Add(zoomTokenLife)
		c.reply(http.StatusOK, map[string]any{
			"access_token": token, "token_type": "bearer", "expires_in": int(zoomTokenLife.Seconds()),
			"scope": "user:read:admin user:write:admin account:read:admin", "api_url": "https://api.zoom.us",
		})
	}
}

func withZoomUser(handle func(*call, *ZoomUser)) func(*call) {
	return func(c *call) {
		id := c.path["id"]
		if id == "me" { // the owner of the server-to-server app
			id = c.s.state.Company.Cases[CaseCEO]
		}
		for _, z := range c.s.state.Company.ZoomUsers {
			if (z.ID != "" && z.ID == id) || strings.EqualFold(z.Email, id) {
				handle(c, z)
				return
			}
		}
		c.reply(http.StatusNotFound, map[string]any{"code": 1001, "message": "User does not exist: " + id + "."})
	}
}

func zoomListUsers(c *call) {
	status := cmp.Or(c.arg("status"), ZoomActive)
	if status != ZoomActive && status != ZoomInactive && status != ZoomPending {
		zoomFail(c, problem{status: http.StatusBadRequest, kind: kindInvalid, what: "status"})
		return
	}
	users := filtered(shrink(c, c.s.state.Company.ZoomUsers), func(z *ZoomUser) bool { return z.Status == status })
	size := c.intArg("page_size", 30, 300)
	page, next, ok := paginate(c, users, size)
	if !ok {
		return
	}
	items := make([]any, 0, len(page))
	for _, z := range page {
		items = append(items, c.zoomUserJSON(z, false))
	}
	c.reply(http.StatusOK, map[string]any{
		"page_count": (len(users) + size - 1) / size, "page_number": c.pageNumber(), "page_size": size,
		"total_records": len(users), "next_page_token": next, "users": items,
	})
}

func (c *call) zoomAccount() string {
	if _, other := c.faults[FaultAccountChanged]; other {
		return "another-account"
	}
	return c.s.state.Company.ZoomAccountID
}

func (c *call) zoomUserJSON(z *ZoomUser, single bool) map[string]any {
	user := map[string]any{"email": z.Email, "type": z.Type, "status": z.Status}
	for name, value := range map[string]string{"id": z.ID, "dept": z.Department, "timezone": z.TimeZone} {
		if value != "" {
			user[name] = value
		}
	}
	if z.Status == ZoomPending {
		return user // Zoom knows neither id nor name of who has not accepted
	}
	user["first_name"], user["last_name"], user["verified"], user["role_id"] = z.FirstName, z.LastName, 1, "2"
	if z.CreatedAt != nil {
		user["created_at"] = z.CreatedAt.Format(time.RFC3339)
	}
	if z.LastLogin != nil {
		user["last_login_time"] = z.LastLogin.Format(time.RFC3339)
	}
	if single {
		user["account_id"] = c.zoomAccount()
	}
	return user
}

func (c *call) zoomEffect(action string, z *ZoomUser, outcome Outcome, detail map[string]any) {
	c.effect(action, cmp.Or(z.ID, z.Email), z.Email, outcome, detail)
}

func (c *call) zoomLicensed() int {
	n := 0
	for _, z := range c.s.state.Company.ZoomUsers {
		if z.Status == ZoomActive && z.Type == ZoomLicensed {
			n++
		}
	}
	return n
}

// zoomUpdate changes the licence: type 1 gives the paid seat back, type 2
// takes one, if any is left.
func zoomUpdate(c *call, z *ZoomUser) {
	if number, asked := c.fields["type"].(json.Number); asked {
		wanted, err := number.Int64()
		if err != nil || (wanted != ZoomBasic && wanted != ZoomLicensed) {
			zoomFail(c, problem{status: http.StatusBadRequest, kind: kindInvalid, what: "type"})
			return
		}
		action := "license.remove"
		if wanted == ZoomLicensed {
			action = "license.assign"
		}
		detail := map[string]any{"from": z.Type, "to": wanted}
		if wanted == ZoomLicensed && z.Type != ZoomLicensed && c.zoomLicensed() >= c.s.state.Company.ZoomSeats {
			c.zoomEffect(action, z, Rejected, detail)
			c.reply(http.StatusBadRequest, map[string]any{"code": 2034, "message": "The next limitation of paid users has been reached, please go to billing page to change it."})
			return
		}
		c.zoomEffect(action, z, changedIf(z.Type != int(wanted)), detail)
		z.Type = int(wanted)
	}
	changed, touched := false, false
	for name, field := range map[string]*string{"first_name": &z.FirstName, "last_name": &z.LastName, "dept": &z.Department, "timezone": &z.TimeZone} {
		if value, given := c.fields[name].(string); given {
			changed, touched = changed || *field != value, true
			*field = value
		}
	}
	if touched {
		c.zoomEffect("user.update", z, changedIf(changed), nil)
	}
	c.reply(http.StatusNoContent, nil)
}

func zoomStatus(c *call, z *ZoomUser) {
	wanted, known := map[string]string{"activate": ZoomActive, "deactivate": ZoomInactive}[c.arg("action")]
	if !known {
		zoomFail(c, problem{status: http.StatusBadRequest, kind: kindInvalid, what: "action"})
		return
	}
	c.zoomEffect("user."+c.arg("action"), z, changedIf(z.Status != wanted), nil)
	z.Status, z.Sessions = wanted, z.Sessions && wanted == ZoomActive
	c.reply(http.StatusNoContent, nil)
}

func zoomDelete(c *call, z *ZoomUser) {
	company := c.s.state.Company
	company.ZoomUsers = filtered(company.ZoomUsers, func(o *ZoomUser) bool { return o != z })
	c.zoomEffect("user.delete", z, Changed, map[string]any{"action": cmp.Or(c.arg("action"), "disassociate"), "transferTo": c.arg("transfer_email")})
	c.reply(http.StatusNoContent, nil)
}

func zoomSignOut(c *call, z *ZoomUser) {
	c.zoomEffect("user.signOut", z, changedIf(z.Sessions), nil)
	z.Sessions = false
	c.reply(http.StatusNoContent, nil)
}

func zoomPlans(c *call) {
	if account := c.path["account"]; account != "me" && account != c.s.state.Company.ZoomAccountID {
		c.reply(http.StatusNotFound, map[string]any{"code": 2001, "message": "Account does not exist: " + account + "."})
		return
	}
	c.reply(http.StatusOK, map[string]any{"plan_base": map[string]any{"type": "monthly", "hosts": c.s.state.Company.ZoomSeats}})
}
