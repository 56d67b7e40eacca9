// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// lame is a store that cannot do with some what it can do with others.
type lame struct {
	Store
	person, made string // by id, by address
	known        string // the app of which it is not known whether it was
	ends         func() // with every failure
}

var errLame = errors.New("the disk has a hole")

func (l *lame) fail() error {
	if l.ends != nil {
		l.ends()
	}
	return errLame
}

func (l *lame) Person(ctx context.Context, tenant model.TenantID, id string) (store.PersonView, error) {
	if id == l.person {
		return store.PersonView{}, l.fail()
	}
	return l.Store.Person(ctx, tenant, id)
}

func (l *lame) AddWebhookPerson(ctx context.Context, tenant model.TenantID, p store.WebhookPerson) (string, error) {
	if p.Person.Email == l.made {
		return "", l.fail()
	}
	return l.Store.AddWebhookPerson(ctx, tenant, p)
}

func (l *lame) KnownBefore(ctx context.Context, tenant model.TenantID, integration, id string) (bool, error) {
	if id == l.known {
		return false, l.fail()
	}
	return l.Store.KnownBefore(ctx, tenant, integration, id)
}

// lame lets the starter of the office fail, and counts by Workflow how often it did.
func (o *office) lame() (*lame, map[string]int) {
	l, failed := &lame{Store: o.store}, map[string]int{}
	o.starter.Store, o.starter.OnFailed = l, func(tenant model.TenantID, workflow string) {
		if tenant != o.tenant {
			o.Errorf("tenant %d", tenant)
		}
		failed[workflow]++
	}
	return l, failed
}

func (o *office) person(id string) string {
	o.Helper()
	p, err := o.store.PersonByEmail(o.Context(), o.tenant, id+"@acme.example")
	o.must(err)
	return p.ID
}

// TestOneFailsAlone: what cannot be stored or read of one fact holds up no other, and
// is tried again.
func TestOneFailsAlone(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(40)
		o.sync()
		o.workflow("offboard", joiners(on(Left)))
		o.workflow("hire", Spec{Webhook: &Webhook{Match: []Match{{MatchEmail, "${body.email}"}}, Create: true}, Subject: workflow.SubjectPerson})
		l, failed := o.lame()
		l.person, l.made = o.person("e000"), "lin@acme.example"
		leavers(o, 0, 2, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		o.sync()
		o.hook("hire", `{"email": "lin@acme.example"}`)
		o.hook("hire", `{"email": "mo@acme.example"}`)
		o.look()
		o.started("offboard", "e001@acme.example")
		o.started("hire", "mo@acme.example")
		o.notStarted("offboard", " waiting StartFailed")
		o.notStarted("hire", "lin@acme.example waiting StartFailed")
		if want := map[string]int{"offboard": 1, "hire": 1}; !maps.Equal(failed, want) {
			t.Errorf("counted %v, want %v", failed, want)
		}
		o.pass(lookAgain / 2)
		if failed["hire"] != 1 {
			t.Error("it is tried again before a minute has passed")
		}
		o.pass(lookAgain / 2)
		if want := map[string]int{"offboard": 2, "hire": 2}; !maps.Equal(failed, want) {
			t.Errorf("a minute later counted %v, want %v", failed, want)
		}
		l.person, l.made = "", ""
		o.pass(lookAgain)
		o.started("offboard", "e000@acme.example", "e001@acme.example")
		o.started("hire", "lin@acme.example", "mo@acme.example")
		o.notStarted("offboard")
		o.notStarted("hire")
	})
}

// TestPanicsAlone: where the program itself fails, it is as when the store does; what
// it fails at outside of one fact holds up its tenant alone.
func TestPanicsAlone(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(40)
		o.sync()
		o.workflow("offboard", joiners(on(Left)))
		o.workflow("hire", Spec{Webhook: &Webhook{Match: []Match{{MatchEmail, "${body.email}"}}, Create: true}, Subject: workflow.SubjectPerson})
		l, failed := o.lame()
		l.ends, l.made = func() { panic("lin@acme.example") }, "lin@acme.example"
		defects := 0
		o.starter.OnDefect = func() { defects++ }
		o.hook("hire", `{"email": "lin@acme.example"}`)
		o.hook("hire", `{"email": "mo@acme.example"}`)
		o.look()
		o.started("hire", "mo@acme.example")
		o.notStarted("hire", "lin@acme.example waiting StartFailed")
		if failed["hire"] != 1 {
			t.Errorf("counted %v", failed)
		}
		l.made, l.person = "", o.person("e000")
		leavers(o, 0, 1, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		o.sync()
		o.look() // the person cannot be read, and so not even be named
		o.look()
		o.started("offboard")
		if defects != 2 {
			t.Errorf("%d defects are counted", defects)
		}
		l.person = ""
		o.pass(lookAgain)
		o.started("offboard", "e000@acme.example")
		o.started("hire", "lin@acme.example", "mo@acme.example")
	})
}

// TestFailsForAWeek: what cannot be started for so long is given up, and says so.
func TestFailsForAWeek(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.workflow("hire", Spec{Webhook: &Webhook{Match: []Match{{MatchEmail, "${body.email}"}}, Create: true}, Subject: workflow.SubjectPerson})
		l, _ := o.lame()
		l.made = "lin@acme.example"
		o.hook("hire", `{"email": "lin@acme.example"}`)
		o.look()
		o.pass(tooLate)
		o.notStarted("hire", "lin@acme.example waiting StartFailed")
		o.pass(lookAgain)
		o.notStarted("hire", "lin@acme.example skipped TooLate")
	})
}

// TestReleasedStaysReleased: what a person released and could not be started needs no
// second release, and what is held is not let pass by a failure.
func TestReleasedStaysReleased(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(40)
		o.sync()
		g := Guard{MinItems: 1, MaxPercent: 1, Per: 24 * time.Hour}
		o.workflow("offboard", joiners(func(s *Spec) { on(Left)(s); s.Guard = &g }))
		leavers(o, 0, 3, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		o.sync()
		o.look()
		o.notStarted("offboard", "e001@acme.example held GuardHeld", "e002@acme.example held GuardHeld")
		l, _ := o.lame()
		l.person = o.person("e001")
		o.pass(heldAgain)
		o.notStarted("offboard", "e001@acme.example held StartFailed", "e002@acme.example held GuardHeld")
		if hold := o.release("offboard"); hold.Count != 2 {
			t.Errorf("the hold has %d", hold.Count)
		}
		o.look()
		o.notStarted("offboard", "e001@acme.example released StartFailed")
		l.person = ""
		o.pass(lookAgain)
		o.started("offboard", "e000@acme.example", "e001@acme.example", "e002@acme.example")
	})
}

// TestFailedDiscovery: whether another source knew an app is looked up as soon as it
// can be.
func TestFailedDiscovery(t *testing.T) {
	eachOffice(t, func(o *office) {
		app := func(id, name string) model.Record {
			return model.Record{App: &model.DiscoveredApp{ExternalID: id, Name: name}}
		}
		o.list("okta", app("0oa1", "Figma"))
		o.list("google", app("g1", "Miro"))
		o.workflow("triage", Spec{Application: &Application{Events: []string{Discovered}}, Subject: workflow.SubjectApplication})
		l, _ := o.lame()
		l.known = "g2"
		o.pass(time.Minute)
		o.list("google", app("g1", "Miro"), app("g2", "Figma"), app("g3", "Loom"))
		o.look()
		o.started("triage", "Loom")
		o.notStarted("triage", "g2 waiting StartFailed")
		l.known = ""
		o.pass(lookAgain)
		o.started("triage", "Loom")
		o.notStarted("triage")
	})
}

// blind cannot say which seats are unused.
type blind struct {
	Seats
	panics bool
}

func (b *blind) For(context.Context, model.TenantID, int, *model.SeatKey) ([]model.Finding, error) {
	if b.panics {
		panic("seats")
	}
	return nil, errLame
}

// TestScanFailsAlone: where what a Workflow is to answer cannot be looked for, others
// start all the same, and it is looked for again in a minute.
func TestScanFailsAlone(t *testing.T) {
	for name, panics := range map[string]bool{"error": false, "panic": true} {
		t.Run(name, func(t *testing.T) {
			eachOffice(t, func(o *office) {
				o.employ(40)
				o.sync()
				o.workflow("offboard", joiners(on(Left)))
				o.workflow("unused", unused(License{InactiveFor: 30}, ""))
				_, failed := o.lame()
				o.starter.Seats = &blind{panics: panics}
				o.clock.Step(scanEvery)
				leavers(o, 0, 1, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
				o.sync()
				o.look()
				o.started("offboard", "e000@acme.example")
				if want := map[string]int{"unused": 1}; !maps.Equal(failed, want) {
					t.Errorf("counted %v, want %v", failed, want)
				}
				o.pass(lookAgain)
				if want := map[string]int{"unused": 2}; !maps.Equal(failed, want) {
					t.Errorf("a minute later counted %v, want %v", failed, want)
				}
			})
		})
	}
}

// TestEndsWithItsContext: a starter that is shut down writes nothing down.
func TestEndsWithItsContext(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.workflow("hire", Spec{Webhook: &Webhook{Match: []Match{{MatchEmail, "${body.email}"}}, Create: true}, Subject: workflow.SubjectPerson})
		l, failed := o.lame()
		ctx, cancel := context.WithCancel(o.Context())
		l.made, l.ends = "lin@acme.example", cancel
		o.hook("hire", `{"email": "lin@acme.example"}`)
		if _, err := o.starter.Look(ctx); err == nil {
			t.Error("no error")
		}
		o.notStarted("hire")
		l.made = ""
		o.look()
		o.started("hire", "lin@acme.example")
		if len(failed) != 0 {
			t.Errorf("counted %v", failed)
		}
	})
}

// TestNoDatabaseHasZero: what a vendor says may have a zero byte, which no database
// takes.
func TestNoDatabaseHasZero(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(1)
		o.sync()
		o.workflow("told", Spec{Realtime: &Realtime{Integration: "hris", Event: "told"}})
		o.tell("one", model.RealtimeEvent{Name: "told", EventID: "a\x00b", Person: "x\x00y", Account: "x"})
		o.tell("two", model.RealtimeEvent{Name: "told", EventID: "c", Account: "z"})
		o.look()
		o.started("told", "xy", "z")
	})
}
