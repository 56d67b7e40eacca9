// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
)

// A misspelt filter must not look like "nothing found".
func TestMisspeltFiltersAreRefused(t *testing.T) {
	a := &API{Store: found{}}
	for filter, list := range map[string]func(*call) (any, error){
		"lifecycle=currrent": a.people, "status=active,deactivatd": a.accounts, "class=inactive": a.seats, "use=Unused": a.seats, "state=done": a.runs,
	} {
		query, err := url.ParseQuery(filter)
		if err != nil {
			t.Fatal(err)
		}
		_, err = list(&call{Context: t.Context(), query: query})
		var refused *access.Refusal
		if !errors.As(err, &refused) || refused.Code != http.StatusBadRequest || !strings.Contains(refused.Error(), "want ") || strings.Contains(refused.Error(), "[") {
			t.Errorf("%s: got %v, want a refusal that lists what there is", filter, err)
		}
	}
	if got, err := oneOf(&call{query: url.Values{"v": {"b,a"}}}, "v", "a", "b"); err != nil || strings.Join(got, " ") != "b a" {
		t.Errorf("several values: %v, %v", got, err)
	}
}
