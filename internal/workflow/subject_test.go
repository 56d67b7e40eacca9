// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

func fullContract() model.ContractFacts {
	notice := int64(60)
	usd := &model.Money{Minor: 119950, Currency: "USD"}
	return model.ContractFacts{Name: "zoom-2026", NoticeDays: &notice, Value: usd, Annual: usd, Renewal: "Auto",
		Lines: []model.ContractFactsLine{{Plan: "Pro", Quantity: 3, Unit: usd, Period: model.PeriodYear}}}
}

// TestSubjectVarsAreTyped compares what a run knows of its subject with what
// expressions are told.
func TestSubjectVarsAreTyped(t *testing.T) {
	known, usd := true, &model.Money{Minor: 119950, Currency: "USD"}
	app := model.AppFacts{Name: "zoom", InIDP: &known, Spend: usd, Contracts: []model.ContractFacts{fullContract()}, Accounts: []model.AppAccount{{ExternalID: "z1"}}}
	used := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	all := appVars(app, true)
	member := func(in map[string]any, name string) map[string]any { return in[name].([]any)[0].(map[string]any) }
	for name, vars := range map[string]map[string]any{
		"Application": all, "ApplicationSummary": appVars(app, false), "ApplicationAccount": member(all, "accounts"),
		"Contract": member(all, "contracts"), "ContractLine": member(member(all, "contracts"), "lines"),
		"License": licenseVars(model.SeatFacts{Annual: usd, Evidence: model.Evidence{LastUsed: &used}}),
	} {
		if diff := cmp.Diff(expr.WorkflowTypes()[name], slices.Sorted(maps.Keys(vars))); diff != "" {
			t.Errorf("%s: -declared +given:\n%s", name, diff)
		}
	}
}

// TestSubjectDecidesVariables: what the trigger does not give is refused before
// anything runs.
func TestSubjectDecidesVariables(t *testing.T) {
	reads := map[string]string{
		SubjectPerson:      "person.email",
		SubjectApplication: "application.accounts[0].email",
		SubjectContract:    "contract.lines[0].plan",
		SubjectLicense:     "license.daysUnused",
	}
	gives := map[string][]string{
		"": nil, SubjectPerson: {SubjectPerson}, SubjectApplication: {SubjectApplication},
		SubjectContract: {SubjectContract, SubjectApplication}, SubjectLicense: {SubjectLicense, SubjectPerson},
	}
	for subject, given := range gives {
		for of, source := range reads {
			_, err := expr.Workflow{}.Value(subject, source)
			if want := slices.Contains(given, of); (err == nil) != want {
				t.Errorf("%s in a run about %q: %v", source, subject, err)
			}
		}
	}
	if _, err := (expr.Workflow{}).Value(SubjectLicense, "application.accounts"); err == nil || !strings.Contains(err.Error(), "undefined field 'accounts'") {
		t.Errorf("a seat's run has no list of every account, got %v", err)
	}
}

// TestUnknownAmountIsNoZero: what nobody knows is not less than anything.
func TestUnknownAmountIsNoZero(t *testing.T) {
	for name, tc := range map[string]struct {
		app   model.AppFacts
		when  string
		want  bool
		fails bool
	}{
		"known":          {model.AppFacts{Spend: &model.Money{Minor: 1000050, Currency: "USD"}}, "application.spend > 10000 && application.currency == 'USD'", true, false},
		"of no cents":    {model.AppFacts{Spend: &model.Money{Minor: 12000, Currency: "JPY"}}, "application.spend > 10000.5", true, false},
		"unknown":        {model.AppFacts{}, "application.spend < 10000", false, true},
		"asked for":      {model.AppFacts{}, "has(application.spend)", false, false},
		"identity":       {model.AppFacts{}, "!application.inIdP", false, true},
		"asked for that": {model.AppFacts{}, "has(application.inIdP) && !application.inIdP", false, false},
	} {
		f, err := expr.Workflow{}.Condition(SubjectApplication, tc.when)
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := f(Scope(map[string]any{"application": appVars(tc.app, true)}, time.Time{}))
		if (err != nil) != tc.fails || got != tc.want {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
}
