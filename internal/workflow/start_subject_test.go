// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"errors"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// about makes a request one about something else than a person.
func about(application, contract string) func(*StartRequest) {
	return func(r *StartRequest) { r.Person, r.Application, r.Contract = "", application, contract }
}

// Runs about an app or a contract are started by hand as those about a person are.
func TestStartAboutAnAppOrAContract(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.declareApp(model.AppFacts{Name: "zoom", DisplayName: "Zoom", State: "Sanctioned"})
		k.agree(model.ContractFacts{Name: "zoom-2026", DisplayName: "Zoom 2026", App: "zoom", End: "2026-12-31"})
		k.put(Definition{Language: LanguageCEL, Subject: SubjectApplication, Steps: []Step{ticket("app", "${application.name} ${application.state} ${string(application.contracts.size())}")}})
		r := k.by("one", about("zoom", ""))
		if r.Subject != "Zoom" || r.PersonID != "" {
			t.Errorf("the run is about %q, %q", r.Subject, r.PersonID)
		}
		if again := k.by("one", about("zoom", "")); again.ID != r.ID {
			t.Errorf("the key started %s, and then %s", r.ID, again.ID)
		}
		k.put(Definition{Language: LanguageCEL, Subject: SubjectContract, Steps: []Step{ticket("contract", "${contract.name} ${contract.end} of ${application.name}")}})
		if r := k.by("two", about("", "zoom-2026")); r.Subject != "Zoom 2026" {
			t.Errorf("the run is about %q", r.Subject)
		}
		k.want("tickets", k.texts(), []string{"zoom Sanctioned 1", "zoom-2026 2026-12-31 of zoom"})
	})
}

// What nobody can start says what to name instead.
func TestStartAboutTheWrongThing(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.declareApp(model.AppFacts{Name: "zoom"})
		k.declareApp(model.AppFacts{Name: "miro"})
		k.agree(model.ContractFacts{Name: "zoom-2026", App: "zoom"})
		start := func(subject, key, person, application, contract string) error {
			k.put(Definition{Language: LanguageCEL, Subject: subject, Steps: []Step{waits("pause", Hours(1))}})
			_, _, err := Start(t.Context(), k.store, k.tenant, StartRequest{Workflow: "wf", Key: key, Person: person, Application: application, Contract: contract, By: store.Decider{Actor: "test", Kind: model.ActorUser}})
			return err
		}
		if err := start(SubjectApplication, "taken", "", "zoom", ""); err != nil {
			t.Fatal(err)
		}
		for name, tc := range map[string]struct {
			subject, key, person, application, contract string
			reason                                      StartReason
			says                                        string
		}{
			"no app":           {SubjectApplication, "a", "", "", "", StartWrongSubject, "runs for an app: name its Application"},
			"no contract":      {SubjectContract, "a", "", "", "", StartWrongSubject, "runs for a contract: name it"},
			"another subject":  {SubjectContract, "a", "", "zoom", "", StartWrongSubject, "does not run for an app: the subject of its trigger is Contract"},
			"too much":         {SubjectApplication, "a", "ada@acme.example", "zoom", "", StartWrongSubject, "does not run for a person"},
			"none":             {"", "a", "", "zoom", "", StartWrongSubject, "the subject of its trigger is None"},
			"a seat":           {SubjectLicense, "a", "ada@acme.example", "", "", StartWrongSubject, "which its trigger alone finds"},
			"an unknown app":   {SubjectApplication, "a", "", "figma", "", StartNoSubject, `there is no app "figma"`},
			"unknown contract": {SubjectContract, "a", "", "", "zoom-2027", StartNoSubject, `there is no contract "zoom-2027"`},
			"a key of another": {SubjectApplication, "taken", "", "miro", "", StartKeyTaken, "about something else"},
		} {
			err := start(tc.subject, tc.key, tc.person, tc.application, tc.contract)
			var not *StartError
			if !errors.As(err, &not) || not.Reason != tc.reason || !strings.Contains(not.Message, tc.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A step runs another Workflow for the same app or contract, or for the app of the
// contract, and for no other.
func TestChildAboutTheSame(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.engine.o.Language = expr.Workflow{}
		app := k.declareApp(model.AppFacts{Name: "zoom", DisplayName: "Zoom", State: "Sanctioned"})
		c := k.agree(model.ContractFacts{Name: "zoom-2026", App: "zoom", End: "2026-12-31"})
		k.put(Definition{Language: LanguageCEL, Subject: SubjectApplication, Steps: []Step{ticket("app", "${application.name} ${application.state}")}}, func(s *store.WorkflowState) { s.Name = "tell" })
		k.put(Definition{Language: LanguageCEL, Subject: SubjectPerson, Steps: []Step{ticket("person", "x")}}, func(s *store.WorkflowState) { s.Name = "person" })
		k.put(Definition{Language: LanguageCEL, Subject: SubjectContract, Steps: []Step{ticket("contract", "${contract.end}")}}, func(s *store.WorkflowState) { s.Name = "contract" })
		call := func(name string) Step {
			return Step{Name: name, Workflow: &CallStep{Name: name}, OnError: OnErrorContinue}
		}
		k.runAbout(SubjectContract, Beginning{App: &app, Contract: &c, About: &About{Contract: "zoom-2026", App: "zoom"}}, call("tell"), call("person"), call("contract"))
		k.settle()
		k.stand("wf", "succeeded")
		k.want("tickets", k.texts(), []string{"zoom Sanctioned", "2026-12-31"})
		d, err := k.store.Run(t.Context(), k.tenant, k.of("wf")[0].ID)
		k.noErr(err)
		if v, err := parseVars(d.Vars); err != nil || v.text("steps.person.reason") != "SubjectMismatch" {
			t.Errorf("%v, %v", v.lookup("steps"), err)
		}
		k.stand("tell", "succeeded")
	})
	for from, tos := range map[string][]string{"": {""}, SubjectPerson: {"", SubjectPerson}, SubjectLicense: {"", SubjectPerson, SubjectLicense}, SubjectApplication: {"", SubjectApplication}, SubjectContract: {"", SubjectApplication, SubjectContract}} {
		for _, to := range []string{"", SubjectPerson, SubjectApplication, SubjectContract, SubjectLicense} {
			want := false
			for _, one := range tos {
				want = want || one == to
			}
			if HandsOn(from, to) != want {
				t.Errorf("%q to %q: %t", from, to, !want)
			}
		}
	}
}
