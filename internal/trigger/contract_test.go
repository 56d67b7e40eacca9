// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// renewal answers contracts so many days before a date of theirs.
func renewal(before int, of string, edit ...func(*Spec)) Spec {
	s := Spec{Contract: &Contract{Before: before, Of: of}, Subject: workflow.SubjectContract}
	for _, e := range edit {
		e(&s)
	}
	return s
}

func zoomContract(end, deadline model.Date) model.ContractFacts {
	return model.ContractFacts{Name: "zoom-2026", DisplayName: "Zoom 2026", App: "zoom", Start: "2026-01-01", End: end, Deadline: deadline, Renewal: "Auto",
		Annual: &model.Money{Minor: 1199500, Currency: "EUR"}, Owner: "boss@acme.example"}
}

// TestBeforeContractDate: 60 days before 5 January is 6 November, and 09:00 in
// Berlin is 08:00 UTC then.
func TestBeforeContractDate(t *testing.T) {
	for name, tc := range map[string]struct {
		spec     Spec
		contract model.ContractFacts
		before   string // when nothing has started yet
		then     string // when something has
	}{
		"the end":             {renewal(60, OfEnd), zoomContract("2027-01-05", ""), "2026-11-06 07:59:00", "2026-11-06 08:00:10"},
		"the deadline":        {renewal(30, OfDeadline), zoomContract("2027-02-01", "2026-12-10"), "2026-11-10 07:59:00", "2026-11-10 08:00:10"},
		"on the last day":     {renewal(0, OfEnd), zoomContract("2026-11-05", ""), "2026-11-05 16:59:00", "2026-11-05 17:00:10"},
		"at another time":     {renewal(60, OfEnd, at(workflow.Moment{Date: "contract.end", Time: "07:30"})), zoomContract("2027-01-05", ""), "2026-11-06 06:29:00", "2026-11-06 06:30:10"},
		"across clock change": {renewal(60, OfEnd), zoomContract("2027-05-30", ""), "2027-03-31 06:59:00", "2027-03-31 07:00:10"},
		"missed hours":        {renewal(60, OfEnd), zoomContract("2027-01-05", ""), "2026-11-04 07:00:00", "2026-11-08 15:00:00"},
		"cancelled":           {renewal(0, OfEnd), model.ContractFacts{Name: "zoom-2026", DisplayName: "Zoom 2026", State: model.ContractCancelled, End: "2026-11-05"}, "2026-11-05 16:59:00", "2026-11-05 17:00:10"},
	} {
		t.Run(name, func(t *testing.T) {
			eachOffice(t, func(o *office) {
				o.workflow("renew", tc.spec)
				o.agree(tc.contract)
				o.at(tc.before)
				o.started("renew")
				o.at(tc.then)
				o.started("renew", "Zoom 2026")
				o.agree(zoomContract("2027-09-09", "2027-09-09")) // a date that comes back is no new one
				o.look()
				o.agree(tc.contract)
				o.pass(2 * scanEvery)
				o.started("renew", "Zoom 2026")
			})
		})
	}
}

// TestContractDateMoves: what waits is shown, moves with its date, and ends with it.
func TestContractDateMoves(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.workflow("renew", renewal(60, OfEnd))
		o.agree(zoomContract("2027-01-03", "")) // 4 November
		o.at("2026-11-03 12:00:00")
		o.notStarted("renew", "Zoom 2026 waiting WaitingForMoment")
		o.agree(zoomContract("2027-01-09", "")) // 10 November
		o.look()
		o.notStarted("renew")
		o.at("2026-11-09 12:00:00")
		o.notStarted("renew", "Zoom 2026 waiting WaitingForMoment")
		draft := zoomContract("2027-01-09", "")
		draft.State = model.ContractDraft
		o.agree(draft)
		o.look()
		o.notStarted("renew")
		o.at("2026-11-10 12:00:00")
		o.started("renew")
		o.agree(zoomContract("2027-01-10", ""))
		o.at("2026-11-10 13:00:00")
		o.notStarted("renew", "Zoom 2026 waiting WaitingForMoment")
		o.must(o.store.RemoveDeclaredContract(o.Context(), o.tenant, "zoom-2026"))
		o.at("2026-11-12 12:00:00")
		o.started("renew")
		o.notStarted("renew")
	})
}

// TestContractKnownLate: a date whose moment had passed when it came to be known.
func TestContractKnownLate(t *testing.T) {
	mode := func(c CatchUp) func(*Spec) { return func(s *Spec) { s.CatchUp = &c } }
	for name, tc := range map[string]struct {
		end  model.Date
		edit func(*Spec)
		runs bool
		left string
	}{
		"some days ago":          {"2026-12-29", mode(CatchUp{Mode: CatchUpRunIfWithin, Within: workflow.Days(7)}), true, ""},
		"by default":             {"2026-12-29", func(*Spec) {}, true, ""},
		"too long ago":           {"2026-12-20", func(*Spec) {}, false, "Zoom 2026 skipped MomentPassed"},
		"whenever":               {"2026-12-20", mode(CatchUp{Mode: CatchUpRun}), true, ""},
		"not at all":             {"2026-12-29", mode(CatchUp{Mode: CatchUpSkip}), false, "Zoom 2026 skipped MomentPassed"},
		"so long ago that is no": {"2026-08-20", mode(CatchUp{Mode: CatchUpRun}), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			eachOffice(t, func(o *office) {
				o.workflow("renew", renewal(60, OfEnd, tc.edit))
				o.pass(scanEvery)
				o.agree(zoomContract(tc.end, ""))
				o.look()
				if tc.runs {
					o.started("renew", "Zoom 2026")
				} else {
					o.started("renew")
				}
				if tc.left == "" {
					o.notStarted("renew")
				} else {
					o.notStarted("renew", tc.left)
				}
			})
		})
	}
	eachOffice(t, func(o *office) {
		o.agree(zoomContract("2026-12-31", "")) // since yesterday
		o.pass(scanEvery)
		o.workflow("renew", renewal(60, OfEnd, mode(CatchUp{Mode: CatchUpRun})))
		o.pass(scanEvery)
		o.started("renew") // a new Workflow does not look back
	})
}

// TestReportedContract: what a source reports counts like what is declared, and
// once where it is both.
func TestReportedContract(t *testing.T) {
	eachOffice(t, func(o *office) {
		notice := int64(30)
		report := func(id, hint string, end model.Date) model.Record {
			return model.Record{Contract: &model.Contract{ExternalID: id, Name: "Order " + id, AppHint: hint, End: end, AutoRenew: true, NoticeDays: &notice}}
		}
		o.declare(model.AppFacts{Name: "zoom", DisplayName: "Zoom", KnownAs: model.AppIdentity{Names: []string{"zoom"}, Domains: []string{"zoom.us"}}})
		o.agree(zoomContract("2027-01-05", ""))
		o.workflow("renew", renewal(60, OfEnd))
		o.workflow("cancel", renewal(10, OfDeadline))
		o.list("netsuite", report("1", "zoom.us", "2027-01-05"), report("2", "Figma", "2027-01-05"), report("3", "Miro", ""), report("4", "Loom", "soon"))
		o.at("2026-11-06 09:00:00")
		o.started("renew", "Order 2", "Zoom 2026")
		o.at("2026-11-26 09:00:00") // ten days before 6 December
		o.started("cancel", "Order 2")
	})
}

// TestContractRunKnowsItsApp: with it, access can be taken account by account
// (acceptance row 200).
func TestContractRunKnowsItsApp(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(30)
		o.sync()
		o.list("zoom", seats(t0, "e001", "e002")...)
		o.declare(model.AppFacts{Name: "zoom", DisplayName: "Zoom", Owners: []string{"boss@acme.example"}, Users: 2, Sources: []string{"zoom"}})
		o.agree(zoomContract("2026-11-05", ""))
		when := "application.accounts.exists(a, a.email == 'e001@acme.example' && a.externalId == 'z-e001') && application.moreAccounts == 0 && " +
			"contract.annual == 11995 && contract.currency == 'EUR' && application.contracts.size() == 1 && contract.owner in application.owners"
		o.workflow("expired", renewal(0, OfEnd, func(s *Spec) { s.When = when }))
		o.at("2026-11-05 18:00:00")
		o.started("expired", "Zoom 2026")
		if app := o.vars("expired")["application"].(map[string]any); app["name"] != "zoom" || app["declared"] != true {
			o.Errorf("the app is %v", app)
		}
		o.about("expired", workflow.About{Contract: "zoom-2026", App: "zoom"})
	})
}

// TestManyAccountsAreHeld: one run that can reach more people than runs about people
// may start is for a person to let pass.
func TestManyAccountsAreHeld(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(60)
		o.sync()
		var ids []string
		for i := range 25 {
			ids = append(ids, o.people[i].Person.ExternalID)
		}
		o.list("zoom", seats(t0, ids...)...)
		o.list("miro", seats(t0, ids[:5]...)...)
		o.declare(model.AppFacts{Name: "zoom", Users: 25, Sources: []string{"zoom"}})
		o.declare(model.AppFacts{Name: "miro", Users: 5, Sources: []string{"miro"}})
		o.agree(zoomContract("2026-11-05", ""))
		o.agree(model.ContractFacts{Name: "miro-2026", App: "miro", End: "2026-11-05"})
		g := DefaultGuard
		o.workflow("expired", renewal(0, OfEnd, func(s *Spec) { s.Guard = &g }))
		o.at("2026-11-05 18:00:00")
		o.started("expired", "miro-2026")
		o.notStarted("expired", "Zoom 2026 held GuardHeld")
		o.release("expired")
		o.look()
		o.started("expired", "Zoom 2026", "miro-2026")
		// Who let the run start has let it take these accounts.
		runs, err := o.store.ListRuns(o.Context(), o.tenant, store.RunFilter{Name: "expired"})
		o.must(err)
		released := map[string]int64{}
		for _, r := range runs {
			n, err := o.store.Released(o.Context(), o.tenant, r.ID)
			o.must(err)
			released[r.Subject] = n.Unused
		}
		if released["Zoom 2026"] != 25 || released["miro-2026"] != 0 {
			o.Errorf("released: %v", released)
		}
	})
}

// TestContractMomentIsItsDate: spec.at changes the time of the day alone.
func TestContractMomentIsItsDate(t *testing.T) {
	for _, m := range []workflow.Moment{{Date: "contract.start"}, {Date: "contract.end", OffsetDays: -3}} {
		err := Check(renewal(60, OfEnd, at(m)), expr.Workflow{})
		if err == nil || !strings.Contains(err.Error(), "spec.at.date") {
			t.Errorf("%v: %v", m, err)
		}
	}
}
