// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"strings"
)

// hrisColumns are the columns of the export. Status is the HRIS's own word,
// lifecycle the canonical one.
var hrisColumns = []string{
	"employee_id", "first_name", "last_name", "display_name", "email", "aliases", "title", "department", "manager_id", "manager_email",
	"start_date", "end_date", "location", "time_zone", "employment_type", "status", "lifecycle",
}

var hrisStatus = map[string]string{
	LifecycleFuture: "Pre-hire", LifecycleCurrent: "Active", LifecycleOnLeave: "On leave", LifecyclePast: "Terminated", LifecycleExternal: "Active",
}

func (s *Server) hrisVendor() *vendor {
	return &vendor{
		fail: func(c *call, p problem) {
			message := map[problemKind]string{
				kindNoAuth: "token missing", kindBadAuth: "token invalid", kindExpired: "token expired", kindScope: "token may not export people",
				kindNotFound: "not found", kindMethod: "method not allowed", kindRateLimit: "too many exports",
			}[p.kind]
			c.reply(p.status, map[string]any{"error": strings.TrimSpace(message + " " + p.what)})
		},
		authorize: func(c *call) bool {
			switch header := c.r.Header.Get("Authorization"); header {
			case "Bearer " + SimHRISToken:
				return true
			case "":
				c.violate("no authorization")
				c.v.fail(c, problem{status: http.StatusUnauthorized, kind: kindNoAuth})
			default:
				c.v.fail(c, problem{status: http.StatusUnauthorized, kind: kindBadAuth})
			}
			return false
		},
		routes: []route{{method: http.MethodGet, pattern: "/export/people.csv", handle: hrisExport}},
	}
}

func hrisExport(c *call) {
	var buf bytes.Buffer
	if c.s.opts.HRISWithBOM {
		buf.WriteString("\ufeff")
	}
	if err := writePeople(&buf, c.s.state.Company, shrink(c, c.s.state.Company.People), c.s.opts.HRISDelimiter); err != nil {
		c.v.fail(c, problem{status: http.StatusInternalServerError, kind: kindServer, what: err.Error()})
		return
	}
	c.header.Set("Content-Type", "text/csv; charset=utf-8")
	c.header.Set("Content-Disposition", `attachment; filename="people.csv"`)
	c.status, c.out = http.StatusOK, buf.Bytes()
}

func writePeople(buf *bytes.Buffer, company *Company, people []*Person, delimiter rune) error {
	w := csv.NewWriter(buf)
	w.Comma = delimiter
	if err := w.Write(hrisColumns); err != nil {
		return err
	}
	for _, p := range people {
		manager := ""
		if m := company.Person(p.ManagerID); m != nil {
			manager = m.Email
		}
		if err := w.Write([]string{
			p.EmployeeID, p.GivenName, p.FamilyName, p.Name(), p.Email, strings.Join(p.Aliases, "|"), p.Title, p.Department, p.ManagerID, manager,
			p.StartDate, p.EndDate, p.Location, p.TimeZone, p.EmploymentType, hrisStatus[p.Lifecycle], p.Lifecycle,
		}); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
