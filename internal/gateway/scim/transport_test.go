// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// requestLog are the requests that the tenant's log has, oldest first.
func (k *kit) requestLog() []store.SCIMRequest {
	k.Helper()
	k.requests.Flush(k.Context())
	out, _, err := k.store.SCIMLog(k.Context(), k.tenant, store.SCIMLogQuery{Page: store.Page{Limit: 500}})
	k.must(err)
	slices.Reverse(out)
	return out
}

// audited are the objects of the tenant's audit of an action.
func (k *kit) audited(action string) (objects []string) {
	k.Helper()
	rows, err := k.store.Audit(k.Context(), k.tenant, store.AuditQuery{Action: action, Limit: 1000})
	k.must(err)
	for _, r := range rows {
		objects = append(objects, r.ObjectName)
	}
	return objects
}

// A filter that was dropped would select everybody.
func TestQueryThatCannotBeRead(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.add("only")
		for _, query := range []string{`filter=userName%20eq%20"a;b@acme.example"`, `filter=userName%20eq%20"100%zz"`, `count=1;filter=x`} {
			k.do("GET", "/Users?"+query, nil).fails(400, "invalidFilter")
			k.do("GET", "/?"+query, nil).fails(400, "invalidFilter")
		}
		k.do("GET", "/Users?filter=userName%20eq%20%22a%3Bb@acme.example%22&aadOptscim062020", nil).want(200)
		r := k.do("POST", "/Bulk", object{"schemas": []string{bulkURN}, "Operations": []object{
			{"method": "POST", "bulkId": "a", "path": "/Users?attributes=userName;id", "data": user("b@acme.example")},
		}}).want(200)
		if got := at(r.list("Operations")[0], "response", "scimType"); got != "invalidFilter" {
			t.Errorf("in a bulk request: %s", r.raw)
		}
		k.token = "wrong"
		k.do("GET", "/Users?%zz", nil).fails(401, "")
	})
}

// What somebody takes for an id may be an address, and the log has no personal
// data.
func TestIDsOfOthersAreNotLogged(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.do("PATCH", "/Users/canary.person@acme.example", patch(op("replace", "active", false))).fails(404, "")
		k.do("GET", "/Groups/Layoffs%20Q3", nil).fails(404, "")
		k.do("POST", "/Bulk", object{"schemas": []string{bulkURN}, "Operations": []object{{"method": "DELETE", "path": "/Users/canary.person@acme.example"}}}).want(200)
		const own = "0190b5c8-0000-7000-8000-000000000000"
		k.do("DELETE", "/Users/"+own, nil).fails(404, "")
		var ids []string
		for _, l := range k.requestLog() {
			ids = append(ids, l.ResourceID)
		}
		if slices.Sort(ids); !slices.Equal(ids, []string{"", own, "{id}", "{id}", "{id}"}) {
			t.Errorf("the log names %q", ids)
		}
		if got := k.audited(access.ActionRefuse); len(got) != 3 || slices.ContainsFunc(got, func(id string) bool { return id != own && id != "{id}" }) {
			t.Errorf("the audit names %q", got)
		}
	})
}

// as is the kit for another caller.
func (k *kit) as(token string) *kit {
	other := *k
	other.token = token
	return &other
}

// later sends n requests at the same time, whose answers come over the channel.
func (k *kit) later(n int, method, path string, body any) <-chan reply {
	out := make(chan reply, n)
	for range n {
		go func() { out <- k.do(method, path, body) }()
	}
	return out
}

// Whatever holds up the writes of one tenant leaves connections for others.
func TestWritesOfOneTenantLeaveConnections(t *testing.T) {
	dsn := storetest.Postgres(t)
	clock := clocktesting.NewFakeClock(t0)
	k := newKit(t, storetest.Open(t, dsn, storetest.WithClock(clock)), clock)
	k.api.Patience = 10 * time.Millisecond
	id := k.add("ann")
	db, err := sql.Open("pgx", dsn)
	k.must(err)
	t.Cleanup(func() { _ = db.Close() })
	tx, err := db.BeginTx(t.Context(), nil)
	k.must(err)
	_, err = tx.ExecContext(t.Context(), "SELECT id FROM tenant WHERE id=$1 FOR UPDATE", k.tenant)
	k.must(err)
	const sent = 20
	answers := k.later(sent, "PATCH", "/Users/"+id, patch(op("replace", "title", "x")))
	counts := map[int]int{}
	note := func(r reply) {
		if counts[r.status]++; r.header.Get("Retry-After") == "" {
			t.Errorf("answered %d %s without Retry-After", r.status, r.raw)
		}
	}
	for range sent - 4 {
		note(<-answers) // those that found no turn; 4 wait in the database
	}
	k.as("globex").do("GET", "/Users", nil).want(200)
	k.as("globex").do("POST", "/Users", user("bo@globex.example")).want(201)
	for range 4 {
		note(<-answers)
	}
	if counts[429] != sent-4 || counts[503] != 4 {
		t.Errorf("answers by status: %v", counts)
	}
	k.must(tx.Rollback())
	k.edit(id, op("replace", "title", "x")).want(200)
}

// slowStore answers queries with "co", and writes, when it is told to.
type slowStore struct {
	*store.Store
	asked, answer chan struct{}
}

func newSlowStore(k *kit) *slowStore {
	s := &slowStore{Store: k.store, asked: make(chan struct{}), answer: make(chan struct{})}
	k.api.Store, k.api.Patience = s, time.Millisecond
	return s
}

func (s *slowStore) WriteSCIMUser(ctx context.Context, t model.TenantID, by store.SCIMCaller, key store.SCIMUserKey, rule store.SCIMUserRule) (store.SCIMWritten, error) {
	select {
	case s.asked <- struct{}{}:
		<-s.answer
	case <-s.answer:
	}
	return s.Store.WriteSCIMUser(ctx, t, by, key, rule)
}

func (s *slowStore) ListSCIM(ctx context.Context, t model.TenantID, rt *scim.ResourceType, q store.SCIMQuery) ([]store.SCIMResource, int64, error) {
	if q.Filter != nil && strings.Contains(q.Filter.String(), " co ") {
		s.asked <- struct{}{}
		<-s.answer
	}
	return s.Store.ListSCIM(ctx, t, rt, q)
}

// Two queries of a tenant may look at every resource at the same time; look-ups
// and other tenants do not wait for them.
func TestHeavyQueriesTakeTurns(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.add("ann")
		slow := newSlowStore(k)
		const heavy = "/Users?filter=emails%20co%20%22zz%22"
		answers := k.later(2, "GET", heavy, nil)
		<-slow.asked
		<-slow.asked
		for _, query := range []string{heavy, "/Users?sortBy=title", "/Users?filter=userName%20eq%20%22a%22%20or%20title%20pr", "/Users?filter=displayName%20eq%20%22a%22"} {
			if r := k.do("GET", query, nil).fails(429, ""); r.header.Get("Retry-After") == "" {
				t.Error("without Retry-After")
			}
		}
		for _, query := range []string{"", "?filter=userName%20eq%20%22a%22", "?filter=emails%5Btype%20eq%20%22work%22%20and%20value%20eq%20%22a%22%5D", "?filter=externalId%20eq%20%22a%22%20and%20title%20pr"} {
			k.do("GET", "/Users"+query, nil).want(200)
		}
		k.do("GET", "/Groups?filter=displayName%20eq%20%22a%22", nil).want(200)
		k.as("globex").do("GET", "/Users?sortBy=title", nil).want(200)
		close(slow.answer)
		(<-answers).want(200)
		(<-answers).want(200)
		k.do("GET", "/Users?sortBy=title", nil).want(200)
	})
}

// Two requests of a tenant may have large bodies at the same time, and what is
// too large for that does not keep small ones waiting.
func TestLargeBodiesTakeTurns(t *testing.T) {
	eachKit(t, func(k *kit) {
		slow := newSlowStore(k)
		large := func(name string) object {
			return user(name+"@acme.example", object{"ignored": strings.Repeat("x", 300<<10)})
		}
		one, two := k.later(1, "POST", "/Users", large("ann")), k.later(1, "POST", "/Users", large("bo"))
		<-slow.asked
		<-slow.asked
		if r := k.do("POST", "/Users", large("cy")).fails(429, ""); r.header.Get("Retry-After") == "" {
			t.Error("without Retry-After")
		}
		small, other := k.later(1, "POST", "/Users", user("dee@acme.example")), k.as("globex").later(1, "POST", "/Users", large("eve"))
		<-slow.asked
		<-slow.asked
		close(slow.answer)
		for _, answers := range []<-chan reply{one, two, small, other} {
			(<-answers).want(201)
		}
		k.do("POST", "/Users", large("cy")).want(201)
	})
}

// One page has a bounded number of members; a group with more is a page alone.
func TestPagesOfLargeGroups(t *testing.T) {
	dsn := storetest.Postgres(t)
	clock := clocktesting.NewFakeClock(t0)
	k := newKit(t, storetest.Open(t, dsn, storetest.WithClock(clock)), clock)
	db, err := sql.Open("pgx", dsn)
	k.must(err)
	t.Cleanup(func() { _ = db.Close() })
	for _, statement := range []string{
		`INSERT INTO scim_group (tenant, id, document, version, created_at, modified_at, display_name)
			SELECT $1::bigint, 'g'||g, '{"displayName":"G'||g||'"}', 1, 0, 0, 'g'||g FROM generate_series(1,9) g`,
		`INSERT INTO scim_member (tenant, group_id, member_id, member_type, n)
			SELECT $1::bigint, 'g'||g, 'u'||i, 'User', i FROM generate_series(1,9) g, generate_series(1, CASE g WHEN 5 THEN 30000 ELSE 8000 END) i`,
	} {
		_, err = db.ExecContext(t.Context(), statement, k.tenant)
		k.must(err)
	}
	var pages, names []string
	for start := 1; start <= 9; {
		r := k.do("GET", "/Groups?startIndex="+itoa(start), nil).want(200)
		if r.text("totalResults") != "9" || r.text("itemsPerPage") != itoa(len(r.list("Resources"))) {
			t.Fatalf("%s of %s groups", r.text("itemsPerPage"), r.text("totalResults"))
		}
		start += len(r.list("Resources"))
		pages, names = append(pages, itoa(len(r.list("Resources")))), append(names, r.names())
		for _, g := range r.list("Resources") {
			members, _ := at(g, "members").([]any)
			want, last := 8000, "u8000"
			if at(g, "id") == "g5" {
				want, last = 30000, "u9999" // by id
			}
			if len(members) != want || at(members[want-1], "value") != last || at(members[0], "$ref") != k.server.URL+"/scim/v2/Users/u1" || at(members[0], "type") != "User" {
				t.Fatalf("%v has %d members, the last is %v", at(g, "id"), len(members), members[len(members)-1])
			}
		}
	}
	if strings.Join(names, " ") != "G1 G2 G3 G4 G5 G6 G7 G8 G9" || strings.Join(pages, " ") != "2 2 1 2 2" {
		t.Errorf("pages of %v: %v", pages, names)
	}
	k.do("GET", "/Groups/g5?attributes=members.value", nil).want(200)
	if r := k.do("GET", "/Groups?excludedAttributes=members", nil).want(200); r.text("itemsPerPage") != "9" {
		t.Errorf("%s groups without members", r.text("itemsPerPage"))
	}
	if r := k.do("GET", "/", nil).want(200); r.text("itemsPerPage") != "2" || r.text("totalResults") != "9" {
		t.Errorf("of all types: %s", r.text("itemsPerPage"))
	}
}

// Requests whose key is refused are in the log of its tenant, and count as
// failed; a flood of them does not fill it.
func TestRefusedKeysAreLogged(t *testing.T) {
	eachKit(t, func(k *kit) {
		keys := access.NewKeys(k.store, k.clock, slog.New(slog.DiscardHandler))
		k.api.Keys = keys
		by := model.Actor{Name: "ada", Kind: model.ActorUser}
		expires := t0.Add(time.Hour)
		issue := func(name, kind string) string {
			k.must(k.store.PutAPIKey(t.Context(), k.tenant, store.APIKeySpec{Name: name, UID: name, Type: kind, Overlap: time.Hour, ExpiresAt: &expires}, by))
			_, token, err := k.store.IssueAPIKey(t.Context(), k.tenant, name, store.IssueAPIKey{By: by})
			k.must(err)
			return token
		}
		rest, entra := issue("rest", access.KeyREST), issue("entra", access.KeySCIM)
		k.as(rest).do("GET", "/Users", nil).fails(403, "")
		k.clock.Step(2 * time.Hour)
		for range 30 {
			k.as(entra).do("POST", "/Users", user("ann@acme.example")).fails(401, "")
		}
		k.as("wrong").do("GET", "/Users", nil).fails(401, "")
		counts := map[string]int{}
		for _, l := range k.requestLog() {
			counts[fmt.Sprint(l.KeyName, l.Method, l.Route, l.Status)]++
		}
		if len(counts) != 2 || counts["restGET/Users403"] != 1 || counts["entraPOST/Users401"] != 20 {
			t.Errorf("the log has %v", counts)
		}
		health, err := k.store.SCIMHealth(t.Context(), k.tenant, t0)
		if k.must(err); health.Requests != 21 || health.Failures != 21 {
			t.Errorf("health is %+v", health)
		}
		// Their audit has each once, whatever came after it.
		if got := k.audited(access.ActionRefuse); !slices.Equal(got, []string{"entra", "rest"}) {
			t.Errorf("audited: %v", got)
		}
	})
}

// Every operation of a bulk request that is refused is in the audit before the
// answer, however many there are, and one tenant's hide none of another's.
func TestRefusalsAreAuditedAtOnce(t *testing.T) {
	eachKit(t, func(k *kit) {
		for range 3 {
			ops := make([]object, 1000)
			for i := range ops {
				ops[i] = object{"method": "DELETE", "path": fmt.Sprintf("/Users/0190b5c8-0000-7000-8000-%012d", i)}
			}
			k.do("POST", "/Bulk", object{"schemas": []string{bulkURN}, "Operations": ops}).want(200)
		}
		// 400 by their object, and the others as one.
		if got := k.audited(access.ActionRefuse); len(got) != 401 || !slices.Contains(got, "0190b5c8-0000-7000-8000-000000000007") {
			t.Errorf("%d refused operations are in the audit", len(got))
		}
		globex := k.as("globex")
		globex.tenant = k.tenant + 1 // made after it
		globex.do("DELETE", "/Users/0190b5c8-0000-7000-8000-000000000000", nil).fails(404, "")
		if len(globex.audited(access.ActionRefuse)) != 1 || len(globex.requestLog()) != 1 {
			t.Errorf("globex has %d audits", len(globex.audited(access.ActionRefuse)))
		}
		// What came again is counted: 3,000 operations in all.
		ctx, stop := context.WithCancel(t.Context())
		stop()
		k.refusals.Run(ctx)
		records, err := k.store.Audit(t.Context(), k.tenant, store.AuditQuery{Action: access.ActionRefuse, Limit: 1000})
		k.must(err)
		sum := 0
		for _, r := range records {
			n, err := strconv.Atoi(r.Detail["count"])
			k.must(err)
			sum += n
		}
		if sum != 3000 || len(records) != 802 {
			t.Errorf("%d refused operations in %d records", sum, len(records))
		}
	})
}

// A group around one that is deleted is another version.
func TestDeletedNestedGroupChangesItsParents(t *testing.T) {
	eachKit(t, func(k *kit) {
		child := k.addGroup("child")
		parent := k.addGroup("parent", child)
		tag := k.do("GET", "/Groups/"+parent, nil).header.Get("ETag")
		k.do("DELETE", "/Groups/"+child, nil).want(204)
		if r := k.do("GET", "/Groups/"+parent, nil, "If-None-Match", tag).want(200); len(r.list("members")) != 0 {
			t.Errorf("the parent has %s", r.raw)
		}
	})
}

// What is refused says which members, and speaks of nothing that a caller does
// not know.
func TestDetailsHelp(t *testing.T) {
	eachKit(t, func(k *kit) {
		r := k.do("POST", "/Groups", group("g", "a", "b", "c", "d", "e", "f")).fails(400, "invalidValue")
		if d := r.text("detail"); !strings.Contains(d, `6 of the ids`) || !strings.Contains(d, `"a", "b", "c", "d", "e", …`) {
			t.Errorf("detail: %s", d)
		}
		k.must(k.store.Close())
		if r := k.do("GET", "/Users", nil).fails(503, ""); strings.Contains(r.text("detail"), "API server") || r.header.Get("Retry-After") == "" {
			t.Errorf("without a store: %s", r.raw)
		}
	})
}

// A bulk request costs what its operations would, and a tenant has one at a time.
func TestBulkTakesFromTheBudget(t *testing.T) {
	eachKit(t, func(k *kit) {
		bulk := func(name string) object {
			return object{"schemas": []string{bulkURN}, "Operations": []object{{"method": "POST", "bulkId": "a", "path": "/Users", "data": user(name + "@acme.example")}}}
		}
		slow := newSlowStore(k)
		first := k.later(1, "POST", "/Bulk", bulk("ann"))
		<-slow.asked
		if r := k.do("POST", "/Bulk", bulk("bo")).fails(429, ""); r.header.Get("Retry-After") == "" {
			t.Error("without Retry-After")
		}
		close(slow.answer)
		if r := (<-first).want(200); at(r.list("Operations")[0], "status") != "201" {
			t.Errorf("the first: %s", r.raw)
		}
		k.api.Keys.(fakeKeys)["broke"] = access.KeyIdentity{}
		if r := k.do("POST", "/Bulk", bulk("bo")).want(200); at(r.list("Operations")[0], "status") != "429" {
			t.Errorf("over budget: %s", r.raw)
		}
	})
}
