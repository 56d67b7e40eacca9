// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package csvfile

import (
	"slices"
	"strings"
	"unicode"
)

// kind is how the cells of a column are read.
type kind int

const (
	kindText kind = iota
	kindEmail
	kindDate
	kindBool
	kindStatus
	kindRole // Slack's status: role, kind and state in one word
	kindPlans
	kindLifecycle
	kindList
	kindCustom
	kindDrop
)

func (k kind) describe() string {
	switch k {
	case kindText:
		return "text"
	case kindEmail:
		return "e-mail address"
	case kindBool:
		return "yes or no"
	case kindStatus:
		return "status"
	case kindRole:
		return "role and status"
	case kindPlans:
		return "licences"
	case kindLifecycle:
		return "lifecycle"
	case kindList:
		return "list"
	case kindCustom:
		return "custom field"
	}
	return "not read"
}

// targets are the fields that a column can fill.
var targets = map[string]kind{
	"account.externalId": kindText, "account.email": kindEmail, "account.username": kindText, "account.displayName": kindText,
	"account.givenName": kindText, "account.familyName": kindText, "account.status": kindStatus, "account.role": kindText,
	"account.isAdmin": kindBool, "account.mfa": kindBool, "account.createdAt": kindDate, "account.lastActivityAt": kindDate,

	"person.externalId": kindText, "person.email": kindEmail, "person.aliases": kindList, "person.displayName": kindText, "person.givenName": kindText,
	"person.familyName": kindText, "person.title": kindText, "person.department": kindText, "person.division": kindText,
	"person.costCenter": kindText, "person.location": kindText, "person.timeZone": kindText, "person.employeeId": kindText,
	"person.employmentType": kindText, "person.managerEmail": kindEmail, "person.managerExternalId": kindText,
	"person.startDate": kindDate, "person.endDate": kindDate, "person.lifecycle": kindLifecycle,

	"license.plan": kindPlans, "license.billed": kindBool, "license.assignedAt": kindDate,
}

// Targets lists the fields that Options.Columns may name.
func Targets() []string {
	out := []string{"custom", "-"}
	for t := range targets {
		out = append(out, t)
	}
	slices.Sort(out)
	return out
}

// format is an export that is known by its header.
type format struct {
	name string
	// marks are headers of which all must be there, each with its synonyms.
	marks [][]string
	// columns maps normalised headers to targets.
	columns map[string]string
	// plans maps lower-case plan names to the keys that the API connector uses.
	plans map[string]plan
}

type plan struct {
	key, name string
	paid      bool
}

// normal strips a header of case, marks such as [READ ONLY], space and
// punctuation, in which exports of one vendor differ over the years.
func normal(h string) string {
	if i := strings.IndexByte(h, '['); i > 0 {
		h = h[:i]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, h)
}

var formats = []format{
	{
		name:  "slack",
		marks: [][]string{{"username"}, {"billingactive"}, {"userid"}},
		columns: map[string]string{
			"username": "account.username", "email": "account.email", "status": "account.status", "billingactive": "license.billed",
			"has2fa": "account.mfa", "userid": "account.externalId", "fullname": "account.displayName", "displayname": "custom",
			"hassso": "custom", "expirationtimestamp": "custom",
			"lastactive": "account.lastActivityAt", "daysactive": "custom", "datecreated": "account.createdAt", "createdat": "account.createdAt",
		},
		plans: map[string]plan{"": {"slack.member", "Member", true}},
	},
	{
		name:  "google-workspace",
		marks: [][]string{{"firstname"}, {"lastname"}, {"emailaddress"}, {"lastsignin", "status", "orgunitpath"}},
		columns: map[string]string{
			"emailaddress": "account.email", "firstname": "account.givenName", "lastname": "account.familyName",
			"status": "account.status", "lastsignin": "account.lastActivityAt", "licenses": "license.plan", "newlicenses": "-",
			"2svenrolled": "account.mfa", "password": "-", "passwordhashfunction": "-", "newprimaryemail": "-", "newstatus": "-",
			"changepasswordatnextsignin": "-",
		},
	},
	{
		name: "zoom",
		marks: [][]string{{"email", "emailaddress"}, {"usertype", "licensetype", "licenses", "license", "type"},
			{"lastlogin", "lastloginutc", "lastsignin", "lastsigninutc", "lastlogintime", "lastactive", "userstatus", "status"}, {"firstname", "displayname", "usergroup"}},
		columns: map[string]string{
			"email": "account.email", "emailaddress": "account.email", "firstname": "account.givenName", "lastname": "account.familyName",
			"displayname": "account.displayName", "userstatus": "account.status", "status": "account.status", "role": "account.role",
			"userrole": "account.role", "usertype": "license.plan", "licensetype": "license.plan", "licenses": "license.plan",
			"license": "license.plan", "type": "license.plan",
			"lastlogin": "account.lastActivityAt", "lastloginutc": "account.lastActivityAt", "lastlogintime": "account.lastActivityAt",
			"lastsignin": "account.lastActivityAt", "lastsigninutc": "account.lastActivityAt", "lastactive": "account.lastActivityAt",
			"userid": "account.externalId", "zoomuserid": "account.externalId", "creationdate": "account.createdAt",
			"createdat": "account.createdAt", "createtime": "account.createdAt",
		},
		plans: map[string]plan{
			"basic": {"zoom.type.1", "Basic", false}, "free": {"zoom.type.1", "Basic", false},
			"licensed": {"zoom.type.2", "Licensed", true}, "pro": {"zoom.type.2", "Licensed", true},
			"corp": {"zoom.type.2", "Licensed", true}, "onprem": {"zoom.type.3", "On-prem", false},
			"1": {"zoom.type.1", "Basic", false}, "2": {"zoom.type.2", "Licensed", true}, "3": {"zoom.type.3", "On-prem", false},
		},
	},
	{
		name: "okta",
		marks: [][]string{{"login", "oktalogin", "username"}, {"status", "userstatus", "oktastatus"},
			{"firstname", "first"}, {"lastlogin", "lastsignin", "activated", "statuschanged", "passwordchanged", "oktauserid", "secondemail"}},
		columns: map[string]string{
			"id": "account.externalId", "userid": "account.externalId", "oktauserid": "account.externalId",
			"login": "account.username", "oktalogin": "account.username", "username": "account.username",
			"email": "account.email", "primaryemail": "account.email", "firstname": "account.givenName", "first": "account.givenName",
			"lastname": "account.familyName", "last": "account.familyName", "displayname": "account.displayName",
			"status": "account.status", "userstatus": "account.status", "oktastatus": "account.status",
			"created": "account.createdAt", "lastlogin": "account.lastActivityAt", "lastsignin": "account.lastActivityAt",
			"department": "person.department", "title": "person.title", "employeenumber": "person.employeeId",
			"costcenter": "person.costCenter", "division": "person.division", "manageremail": "person.managerEmail",
			"managerid": "person.managerExternalId",
		},
	},
}

// generic headers, by whether the file lists accounts or people.
var (
	genericAccount = map[string]string{
		"id": "account.externalId", "userid": "account.externalId", "accountid": "account.externalId", "memberid": "account.externalId",
		"email": "account.email", "emailaddress": "account.email", "mail": "account.email", "useremail": "account.email",
		"username": "account.username", "login": "account.username", "name": "account.displayName", "fullname": "account.displayName",
		"displayname": "account.displayName", "firstname": "account.givenName", "givenname": "account.givenName",
		"lastname": "account.familyName", "surname": "account.familyName", "familyname": "account.familyName",
		"status": "account.status", "state": "account.status", "active": "account.status", "accountstatus": "account.status",
		"role": "account.role", "admin": "account.isAdmin", "isadmin": "account.isAdmin", "mfa": "account.mfa", "2fa": "account.mfa",
		"created": "account.createdAt", "createdat": "account.createdAt", "datecreated": "account.createdAt",
		"lastlogin": "account.lastActivityAt", "lastsignin": "account.lastActivityAt", "lastactive": "account.lastActivityAt",
		"lastactivity": "account.lastActivityAt", "lastseen": "account.lastActivityAt", "lastloginat": "account.lastActivityAt",
		"lastactivityat": "account.lastActivityAt", "license": "license.plan", "licenses": "license.plan", "licence": "license.plan",
		"plan": "license.plan", "seat": "license.plan", "licensetype": "license.plan",
	}
	genericPerson = map[string]string{
		"id": "person.externalId", "employeeid": "person.employeeId", "employeenumber": "person.employeeId", "personnelnumber": "person.employeeId",
		"workerid": "person.employeeId", "email": "person.email", "workemail": "person.email", "emailaddress": "person.email", "mail": "person.email",
		"name": "person.displayName", "fullname": "person.displayName", "displayname": "person.displayName", "preferredname": "custom", "aliases": "person.aliases",
		"firstname": "person.givenName", "givenname": "person.givenName", "lastname": "person.familyName", "surname": "person.familyName",
		"familyname": "person.familyName", "title": "person.title", "jobtitle": "person.title", "position": "person.title",
		"department": "person.department", "division": "person.division", "costcenter": "person.costCenter", "costcentre": "person.costCenter",
		"location": "person.location", "office": "person.location", "timezone": "person.timeZone", "employmenttype": "person.employmentType",
		"workertype": "person.employmentType", "manageremail": "person.managerEmail", "manageremployeeid": "person.managerExternalId",
		"managerid": "person.managerExternalId", "startdate": "person.startDate", "hiredate": "person.startDate", "dateofhire": "person.startDate",
		"enddate": "person.endDate", "terminationdate": "person.endDate", "lastday": "person.endDate", "lastworkingday": "person.endDate",
		"status": "person.lifecycle", "employmentstatus": "person.lifecycle", "lifecycle": "person.lifecycle",
	}
	// personMarks tell a list of employees from a list of accounts.
	personMarks = []string{"startdate", "hiredate", "dateofhire", "enddate", "terminationdate", "employmenttype", "workertype",
		"manageremail", "managerid", "manageremployeeid", "employmentstatus", "jobtitle", "personnelnumber", "workerid"}
)

// detect finds the format by the header; generic when none fits.
func detect(header []string) string {
	has := map[string]bool{}
	for _, h := range header {
		has[normal(h)] = true
	}
	for _, f := range formats {
		fits := true
		for _, synonyms := range f.marks {
			fits = fits && slices.ContainsFunc(synonyms, func(s string) bool { return has[s] })
		}
		if fits {
			return f.name
		}
	}
	return "generic"
}

func formatNamed(name string) format {
	for _, f := range formats {
		if f.name == name {
			return f
		}
	}
	return format{name: "generic"}
}

// Formats lists the formats that Options.Format may name.
func Formats() []string {
	out := make([]string, 0, len(formats)+1)
	for _, f := range formats {
		out = append(out, f.name)
	}
	return append(out, "generic")
}
