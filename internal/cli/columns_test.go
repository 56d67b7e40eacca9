// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/gateway/query"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// TestColumnsNameFieldsOfTheAPI keeps the tables from showing "-" for a field
// that was renamed.
func TestColumnsNameFieldsOfTheAPI(t *testing.T) {
	served := map[string]any{
		"integrations": query.Integration{}, "apps": query.App{}, "people": store.PersonView{}, "accounts": query.Account{}, "seats": query.Seat{},
		"transactions": query.Transaction{}, "vendors": query.Vendor{}, "contracts": query.Contract{},
		"runs": store.Run{}, "savings": query.Saving{}, "audit": model.AuditRecord{}, "guards": query.HeldGuard{}, "workflows": query.Workflow{}, "starts": query.Start{},
		"events": store.ReceivedEvent{},
		"keys":   query.Key{}, "scim-requests": query.SCIMRequest{}, "members": store.MemberView{},
		"approvals": query.Asked{}, "reviews": query.Asked{}, "tasks": query.Asked{},
	}
	for _, r := range slices.Concat(resources, []resource{keysResource, eventsResource}, scimResources, promptResources) {
		v, ok := served[r.Name]
		if !ok {
			t.Errorf("%s: no type of the API is known", r.Name)
			continue
		}
		fields := map[string]bool{}
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields[name] = true
		}
		all := slices.Clone(r.Columns)
		for _, columns := range r.Views {
			all = append(all, columns...)
		}
		for _, c := range all {
			if !fields[c.Path] || c.Or != "" && !fields[c.Or] {
				t.Errorf("%s: column %s shows %q or %q, which the API does not serve", r.Name, c.Header, c.Path, c.Or)
			}
		}
	}
}

// TestTablesFitATerminal holds for every item: each cell that may be cut counts
// as long as it may have to stay.
func TestTablesFitATerminal(t *testing.T) {
	const idLen, nameLen = 36, 20 // a UUID; a name that is still common
	for _, r := range slices.Concat(resources, []resource{keysResource, eventsResource}, scimResources, promptResources) {
		tables := [][]column{r.Columns}
		for _, columns := range r.Views {
			tables = append(tables, columns)
		}
		for _, columns := range tables {
			shown := visible(columns)
			width := columnGap * (len(shown) - 1)
			for _, c := range shown {
				least := max(minCell, len(c.Header))
				switch {
				case c.Whole && strings.HasSuffix(c.Path, "id"):
					least = idLen
				case c.Whole:
					least = max(least, nameLen)
				}
				width += least
			}
			if width > tableWidth {
				t.Errorf("%s: the table cannot be narrower than %d columns: %v", r.Name, width, shown)
			}
		}
	}
}
