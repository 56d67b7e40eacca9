// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/fakeidp"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// company is a directory of n people, of whom every tenth manages the next
// nine, in groups by department.
func company(n int) fakeidp.Directory {
	d := fakeidp.Directory{Users: map[string]fakeidp.User{}, Groups: map[string]fakeidp.Group{}}
	departments := []string{"Sales", "Legal", "IT"}
	for _, name := range departments {
		d.Groups["g-"+name] = fakeidp.Group{Key: "g-" + name, Name: name}
	}
	for i := range n {
		key, dept := fmt.Sprintf("u%03d", i), departments[i%len(departments)]
		u := fakeidp.User{Key: key, UserName: fmt.Sprintf("Person.%d@acme.example", i), Given: "Pat", Family: fmt.Sprintf("Nº %d", i),
			Display: fmt.Sprintf("Pat Nº %d", i), Title: "Clerk", Department: dept, EmployeeID: fmt.Sprintf("E%d", i), Assigned: true}
		if i%10 != 0 {
			u.ManagerKey = fmt.Sprintf("u%03d", i-i%10)
		}
		d.Users[key] = u
		g := d.Groups["g-"+dept]
		g.Members = append(g.Members, key)
		d.Groups["g-"+dept] = g
	}
	return d
}

// edit changes somebody in a directory.
func edit(d fakeidp.Directory, key string, change func(*fakeidp.User)) {
	u := d.Users[key]
	change(&u)
	d.Users[key] = u
}

// incremental is what happens to the company between two cycles.
func incremental(d fakeidp.Directory) {
	edit(d, "u001", func(u *fakeidp.User) { u.Display, u.Family = "Pat O'Neil \"The\" Clerk", "O'Neil" })
	edit(d, "u002", func(u *fakeidp.User) { u.Department, u.Title = "Sales", "" })
	edit(d, "u003", func(u *fakeidp.User) { u.Blocked = true })
	edit(d, "u004", func(u *fakeidp.User) { u.Assigned = false })
	d.Users["u900"] = fakeidp.User{Key: "u900", UserName: "new@acme.example", Given: "New", Family: "Comer", Display: "New Comer", Assigned: true}
	sales, legal := d.Groups["g-Sales"], d.Groups["g-Legal"]
	sales.Members = append(sales.Members[2:], "u900", "u002")
	legal.Name = "Legal & Compliance"
	d.Groups["g-Sales"], d.Groups["g-Legal"] = sales, legal
	d.Groups["g-New"] = fakeidp.Group{Key: "g-New", Name: "New", Members: []string{"u900", "u001", "u003"}}
	it := d.Groups["g-IT"]
	it.Deleted = true
	d.Groups["g-IT"] = it
}

// back takes back what can be, and deletes others for good.
func back(d fakeidp.Directory) {
	edit(d, "u003", func(u *fakeidp.User) { u.Blocked = false })
	edit(d, "u004", func(u *fakeidp.User) { u.Assigned = true })
	edit(d, "u005", func(u *fakeidp.User) { u.Deleted = true })
	edit(d, "u900", func(u *fakeidp.User) { u.Deleted = true })
}

func (k *kit) provider() *fakeidp.Server {
	return &fakeidp.Server{Base: k.server.URL + k.base, Token: k.token, HTTP: k.server.Client()}
}

func (k *kit) same(s *fakeidp.Server, d fakeidp.Directory, neverDeletes bool, after string) {
	k.Helper()
	diff, err := fakeidp.Differences(k.Context(), s, d, neverDeletes)
	k.must(err)
	for _, line := range diff {
		k.Errorf("after %s: %s", after, line)
	}
}

// TestEntraCycles runs whole cycles of Entra ID in both of its dialects: initial,
// incremental, blocked and out of scope, back again, deleted, and one in which
// nothing has changed.
func TestEntraCycles(t *testing.T) {
	for _, flag := range []bool{false, true} {
		t.Run(fmt.Sprintf("aadOptscim062020=%v", flag), func(t *testing.T) {
			eachKit(t, func(k *kit) {
				k.base = "/v1.0/scim/v2"
				e := &fakeidp.Entra{Server: k.provider(), Directory: company(35), Flag: flag}
				if flag {
					e.Server.Query = "aadOptscim062020"
				}
				k.must(e.TestConnection(t.Context()))
				cycle := func(name string) {
					t.Helper()
					if err := e.Cycle(t.Context()); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if len(e.Failures) > 0 || e.Quarantined {
						t.Fatalf("%s: failures %v", name, e.Failures)
					}
					k.same(e.Server, e.Directory, false, name)
				}
				cycle("initial")
				incremental(e.Directory)
				cycle("incremental")
				back(e.Directory)
				cycle("back")
				clear(e.Server.Requests)
				cycle("nothing new")
				for what, n := range e.Server.Requests {
					if what != "GET Users" && what != "GET Groups" { // those of the comparison
						t.Errorf("nothing new: %d × %s", n, what)
					}
				}
				k.managed(e)
			})
		})
	}
}

// managed expects the references to managers, and the people of the inventory.
func (k *kit) managed(e *fakeidp.Entra) {
	k.Helper()
	people, _, err := k.store.ListPeople(k.Context(), k.tenant, store.PeopleQuery{Page: store.Page{Limit: 1000}})
	k.must(err)
	byMail := map[string]string{}
	for _, p := range people {
		byMail[p.ID] = p.Email
	}
	for _, p := range people {
		if p.Email == "person.7@acme.example" && byMail[p.ManagerID] != "person.0@acme.example" {
			k.Errorf("the manager of %s is %q", p.Email, byMail[p.ManagerID])
		}
	}
	if len(people) < 30 {
		k.Errorf("%d people in the inventory", len(people))
	}
}

// TestOktaCycles runs the life of a directory as Okta pushes it, from the
// catalogue's apps and from those of the wizard.
func TestOktaCycles(t *testing.T) {
	for _, wizard := range []bool{false, true} {
		t.Run(fmt.Sprintf("wizard=%v", wizard), func(t *testing.T) {
			eachKit(t, func(k *kit) {
				o := &fakeidp.Okta{Server: k.provider(), Directory: company(35), Wizard: wizard}
				k.must(o.TestConnection(t.Context()))
				push := func(name string) {
					t.Helper()
					if err := o.Push(t.Context()); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					k.same(o.Server, o.Directory, true, name)
				}
				push("initial")
				incremental(o.Directory)
				push("incremental")
				back(o.Directory)
				push("back")
				if n := o.Server.Requests["DELETE Users"]; n != 0 {
					t.Errorf("Okta deletes nobody, and this one did %d times", n)
				}
			})
		})
	}
}

// TestTheyTakeOverWhoIsThere lets a provider that has forgotten everything match
// what it finds.
func TestTheyTakeOverWhoIsThere(t *testing.T) {
	eachKit(t, func(k *kit) {
		first := &fakeidp.Entra{Server: k.provider(), Directory: company(12)}
		k.must(first.Cycle(t.Context()))
		again := &fakeidp.Entra{Server: k.provider(), Directory: company(12)}
		k.must(again.Cycle(t.Context()))
		if len(again.Failures) > 0 {
			t.Errorf("failures: %v", again.Failures)
		}
		if n := again.Server.Requests["POST Users"] + again.Server.Requests["POST Groups"]; n > 0 {
			t.Errorf("%d were created again", n)
		}
		k.same(again.Server, again.Directory, false, "the second provider")
	})
}

// TestWhatQuarantines is what ends provisioning at once: a credential that does
// not work, and a 404 to a question. A bad record is a failure of its own.
func TestWhatQuarantines(t *testing.T) {
	eachKit(t, func(k *kit) {
		bad := company(3)
		edit(bad, "u001", func(u *fakeidp.User) { u.UserName = "nobody" })
		edit(bad, "u002", func(u *fakeidp.User) { u.UserType = "Emperor" })
		e := &fakeidp.Entra{Server: k.provider(), Directory: bad}
		k.must(e.Cycle(t.Context()))
		if len(e.Failures) != 2 || e.Quarantined {
			t.Errorf("failures %v, quarantined %v; want the two bad records alone", e.Failures, e.Quarantined)
		}
		edit(e.Directory, "u001", func(u *fakeidp.User) { u.UserName = "person.1@acme.example" })
		edit(e.Directory, "u002", func(u *fakeidp.User) { u.UserType = "Admin" })
		e.Failures = nil
		k.must(e.Cycle(t.Context()))
		if len(e.Failures) > 0 {
			t.Errorf("mended, and still: %v", e.Failures)
		}
		e.Server.Token = "revoked"
		edit(e.Directory, "u000", func(u *fakeidp.User) { u.Title = "Head" })
		if err := e.Cycle(t.Context()); err == nil || !e.Quarantined {
			t.Errorf("a key that does not work: %v, quarantined %v", err, e.Quarantined)
		}
		e.Server.Token, e.Quarantined, e.Failures = k.token, false, nil
		k.must(e.Cycle(t.Context()))
		k.same(e.Server, e.Directory, false, "the new key")
	})
}

// TestUnassigningManyIsGuarded is decision 4 as an identity provider
// sees it: the requests succeed; who works here changes only where SCIM is said
// to decide that, and then the guard looks first.
func TestUnassigningManyIsGuarded(t *testing.T) {
	for _, decides := range []bool{false, true} {
		t.Run(fmt.Sprintf("scim decides=%v", decides), func(t *testing.T) {
			eachKit(t, func(k *kit) {
				k.facts(func(f *store.TenantFacts) { f.LifecycleSCIM = decides })
				e := &fakeidp.Entra{Server: k.provider(), Directory: company(100)}
				k.must(e.Cycle(t.Context()))
				before := k.left()
				for i := range 30 {
					edit(e.Directory, fmt.Sprintf("u%03d", i), func(u *fakeidp.User) { u.Assigned = false })
				}
				k.must(e.Cycle(t.Context()))
				if len(e.Failures) > 0 {
					t.Errorf("failures: %v", e.Failures)
				}
				k.same(e.Server, e.Directory, false, "unassigning 30 of 100")
				if got := k.left() - before; got != 0 {
					t.Errorf("%d people have left", got)
				}
			})
		})
	}
}

// TestFirstCycleJoinsNobody expects nothing to start when a company is connected,
// however long that takes, and who comes later to join.
func TestFirstCycleJoinsNobody(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.facts(func(f *store.TenantFacts) { f.LifecycleSCIM = true })
		var ids []string
		for i := range 20 {
			ids = append(ids, k.add(fmt.Sprintf("p%d", i)))
			k.clock.Step(store.FirstCycleQuiet - time.Second)
			k.edit(ids[i], op("replace", "title", "Clerk")).want(200)
		}
		if n := k.handleEvents(); len(n) != 0 {
			t.Errorf("the first cycle made events that may start runs: %v", n)
		}
		k.clock.Step(time.Second)
		k.add("joiner")
		k.edit(ids[0], op("replace", "title", "Head")).want(200)
		if n := k.handleEvents(); n[model.EventPersonJoined] != 1 || n[model.EventPersonAdded] != 1 || n[model.EventPersonChanged] != 1 {
			t.Errorf("after it: %v, want one who joined and one change", n)
		}
		k.add("another")
		if n := k.handleEvents(); n[model.EventPersonJoined] != 1 {
			t.Errorf("and later: %v", n)
		}
	})
}

// TestDeletedLeaversStillCount disables as many as may leave in a day, deletes
// them, and disables as many again: deleting does not make room.
func TestDeletedLeaversStillCount(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.facts(func(f *store.TenantFacts) { f.LifecycleSCIM = true })
		e := &fakeidp.Entra{Server: k.provider(), Directory: company(100)}
		k.must(e.Cycle(k.Context()))
		settle := func(from, to int, change func(*fakeidp.User)) (left int64, held *store.Hold) {
			k.Helper()
			for i := from; i < to; i++ {
				edit(e.Directory, fmt.Sprintf("u%03d", i), change)
			}
			k.must(e.Cycle(k.Context()))
			k.clock.Step(store.LeaversQuiet)
			left, held, err := k.store.SettleSCIMLeavers(k.Context(), k.tenant)
			k.must(err)
			return left, held
		}
		block, remove := func(u *fakeidp.User) { u.Blocked = true }, func(u *fakeidp.User) { u.Deleted = true }
		if left, held := settle(0, 20, block); left != 20 || held != nil {
			k.Fatalf("%d left, held %v; want 20", left, held)
		}
		settle(0, 20, remove)
		if left, held := settle(20, 40, block); left != 0 || held == nil || held.Count != 20 {
			k.Errorf("%d more left, held %+v; want the 20 held", left, held)
		}
	})
}

// left counts the events by which workflows of leavers start.
func (k *kit) left() (n int) {
	k.Helper()
	events, err := k.store.NewEvents(k.Context(), k.tenant, 1000)
	k.must(err)
	for _, e := range events {
		if e.Kind == model.EventPersonLeft {
			n++
		}
	}
	return n
}
