// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// enterprise prefixes what belongs to the enterprise extension.
const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:"

// scimSingles are the columns of scim_user that hold one attribute each. What
// is not here, in scimElements or in the columns of every resource cannot be
// filtered or sorted by.
var scimSingles = []struct{ path, column string }{
	{"userName", "user_name"}, {"externalId", "external_id"}, {"displayName", "display_name"}, {"nickName", "nick_name"},
	{"profileUrl", "profile_url"}, {"title", "title"}, {"userType", "user_type"}, {"preferredLanguage", "preferred_language"},
	{"locale", "locale"}, {"timezone", "time_zone"},
	{"name.formatted", "formatted_name"}, {"name.familyName", "family_name"}, {"name.givenName", "given_name"}, {"name.middleName", "middle_name"},
	{"name.honorificPrefix", "honorific_prefix"}, {"name.honorificSuffix", "honorific_suffix"},
	{enterprise + "employeeNumber", "employee_number"}, {enterprise + "costCenter", "cost_center"}, {enterprise + "organization", "organization"},
	{enterprise + "division", "division"}, {enterprise + "department", "department"},
	{enterprise + "manager.value", "manager_id"}, {enterprise + "manager.$ref", "manager_ref"}, {enterprise + "manager.displayName", "manager_name"},
}

// scimElements are the multi-valued attributes whose elements are rows of
// scim_element, and scimElementColumns the columns of their sub-attributes.
var (
	scimElements = []string{"emails", "phoneNumbers", "ims", "photos", "addresses", "entitlements", "roles", "x509Certificates"}

	scimElementColumns = []struct{ sub, column string }{
		{"value", "value"}, {"display", "display"}, {"type", "type"}, {"$ref", "ref"}, {"formatted", "formatted"}, {"streetAddress", "street_address"},
		{"locality", "locality"}, {"region", "region"}, {"postalCode", "postal_code"}, {"country", "country"}, {"primary", "primary_one"},
	}
)

var userTypeLeaf = mustResolve("userType").Leaf()

func mustResolve(path string) scim.Ref {
	ref, ok := scim.User.Resolve(path)
	if !ok {
		panic("store: the SCIM schema lacks " + path)
	}
	return ref
}

// maxIndexed bounds values that are looked up by, in bytes: an index of
// PostgreSQL takes up to 2,704 in a row.
const maxIndexed = 1024

// checkIndexed refuses a value that is too long to be looked up by.
func checkIndexed(o scim.Object, paths ...string) error {
	for _, path := range paths {
		if len(scimString(o, path)) > maxIndexed {
			return &scim.Error{Status: http.StatusBadRequest, Type: scim.InvalidValue, Detail: fmt.Sprintf("%s is longer than %d bytes.", path, maxIndexed)}
		}
	}
	return nil
}

// scimText is a value as it is compared: as it is, or folded.
func scimText(a *scim.Attribute, v string) string {
	if a.CaseExact {
		return scimClean(v)
	}
	return scim.Fold(scimClean(v))
}

// scimValue returns what is at a path of a resource with single values, or nil.
func scimValue(o scim.Object, ref scim.Ref) any {
	if ref.Extension != nil {
		o, _ = o[ref.Extension.ID].(scim.Object)
	}
	v, ok := o[ref.Attr.Name]
	if !ok || ref.Sub == nil {
		return v
	}
	inner, _ := v.(scim.Object)
	return inner[ref.Sub.Name]
}

// scimString is scimValue of a string, empty if there is none.
func scimString(o scim.Object, path string) string {
	v, _ := scimValue(o, mustResolve(path)).(string)
	return v
}

// singleValues returns the values of scimSingles in their order.
func singleValues(o scim.Object) []any {
	out := make([]any, len(scimSingles))
	for i, c := range scimSingles {
		ref := mustResolve(c.path)
		if v, ok := scimValue(o, ref).(string); ok {
			out[i] = scimText(ref.Leaf(), v)
		}
	}
	return out
}

// elementRows returns the rows of scim_element of a user, without tenant.
func elementRows(id string, o scim.Object) (rows [][]any) {
	for _, name := range scimElements {
		attr := mustResolve(name).Attr
		list, _ := o[name].([]any)
		for n, e := range list {
			element, _ := e.(scim.Object)
			row := []any{id, name, n}
			for _, c := range scimElementColumns {
				var v any
				switch got := element[c.sub].(type) {
				case string:
					v = scimText(attr.Sub(c.sub), got)
				case bool:
					v = got
				}
				row = append(row, v)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func elementColumns() string {
	cols := []string{"tenant", "user_id", "attribute", "n"}
	for _, c := range scimElementColumns {
		cols = append(cols, c.column)
	}
	return strings.Join(cols, ", ")
}

func singleColumns() []string {
	cols := make([]string, len(scimSingles))
	for i, c := range scimSingles {
		cols[i] = c.column
	}
	return cols
}

// scimPerson is what the directory learns of a user. Who it is follows from
// userName, which does not change; further addresses count only within the
// organisation's own domains, so that nobody gets hold of another's accounts by
// writing down their private address. lifecycle is what the guard has let pass.
func scimPerson(f TenantFacts, r SCIMResource, lifecycle model.Lifecycle) model.Person {
	o := r.Attributes
	p := model.Person{
		ExternalID: r.ID, DisplayName: scimString(o, "displayName"), GivenName: scimString(o, "name.givenName"), FamilyName: scimString(o, "name.familyName"),
		Title: scimString(o, "title"), TimeZone: scimString(o, "timezone"), Department: scimString(o, enterprise+"department"),
		Division: scimString(o, enterprise+"division"), CostCenter: scimString(o, enterprise+"costCenter"),
		EmployeeID: scimString(o, enterprise+"employeeNumber"), ManagerExternalID: scimString(o, enterprise+"manager.value"), Lifecycle: lifecycle,
	}
	if len(p.EmployeeID) > maxIndexed {
		p.EmployeeID = "" // nobody is recognised by that
	}
	if p.DisplayName == "" {
		p.DisplayName = scimString(o, "name.formatted")
	}
	if p.DisplayName == "" {
		p.DisplayName = strings.TrimSpace(p.GivenName + " " + p.FamilyName)
	}
	if name := scimString(o, "userName"); plainAddress(name) {
		p.Email = strings.ToLower(name)
	}
	list, _ := o["emails"].([]any)
	for _, e := range list {
		element, _ := e.(scim.Object)
		value, _ := element["value"].(string)
		if value = strings.ToLower(value); value != p.Email && plainAddress(value) && ownDomain(f.Domains, value) {
			p.Aliases = append(p.Aliases, value)
		}
	}
	for _, e := range listOf(o, "addresses") {
		if p.Location == "" && e["type"] == "work" {
			locality, _ := e["locality"].(string)
			country, _ := e["country"].(string)
			p.Location = strings.Trim(locality+", "+country, ", ")
		}
	}
	for _, e := range listOf(o, "photos") {
		if value, _ := e["value"].(string); p.PhotoURL == "" {
			p.PhotoURL = value
		}
	}
	return p
}

func listOf(o scim.Object, name string) (out []scim.Object) {
	list, _ := o[name].([]any)
	for _, e := range list {
		if element, ok := e.(scim.Object); ok {
			out = append(out, element)
		}
	}
	return out
}

// plainAddress reports a bare addr-spec of a length that mail can have.
func plainAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && len(s) <= 320 && a.Address == s && a.Name == ""
}

func ownDomain(domains []string, address string) bool {
	_, domain, _ := strings.Cut(address, "@")
	return slices.ContainsFunc(domains, func(d string) bool { return strings.EqualFold(d, domain) })
}
