// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	gateway "github.com/seatkeeper/seatkeeper/internal/gateway/scim"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// partialStore notes how many members are read at once, and may do something
// between.
type partialStore struct {
	gateway.Store
	most    int
	between func()
}

func (s *partialStore) SCIMMembers(ctx context.Context, t model.TenantID, groups []string) (map[string][]store.SCIMMember, error) {
	out, err := s.Store.SCIMMembers(ctx, t, groups)
	for _, all := range out {
		s.most = max(s.most, len(all))
	}
	return out, err
}

func (s *partialStore) SCIMMembersAfter(ctx context.Context, t model.TenantID, group, after string, limit int) ([]store.SCIMMember, error) {
	out, err := s.Store.SCIMMembersAfter(ctx, t, group, after, limit)
	s.most = max(s.most, len(out))
	if s.between != nil {
		s.between()
	}
	return out, err
}

// Of a group with more members than there should be in memory a part is read at
// a time, and an answer that is not of one version is cut off.
func TestMembersOfAVeryLargeGroup(t *testing.T) {
	eachKit(t, func(k *kit) {
		const n = 45_000
		watch := &partialStore{Store: k.api.Store}
		k.api.Store = watch
		write := func(id string, change store.SCIMGroupChange) string {
			t.Helper()
			out, err := k.store.WriteSCIMGroup(t.Context(), k.tenant, store.SCIMCaller{}, id, func(*store.SCIMTx, *store.SCIMResource) (*store.SCIMGroupChange, error) { return &change, nil })
			k.must(err)
			return out.ID
		}
		all := make([]scim.Member, n)
		for i := range all {
			all[i] = scim.Member{Value: fmt.Sprintf("member-%06d", i), Type: "User"}
		}
		id := write("", store.SCIMGroupChange{Attributes: scim.Object{"displayName": "Everybody"}, Members: &scim.MemberDelta{Add: all}})
		k.addGroup("z-small")
		members := func(r reply, group any) {
			t.Helper()
			list, _ := at(group, "members").([]any)
			seen := map[any]bool{}
			for _, m := range list {
				seen[at(m, "value")] = true
			}
			if len(seen) != n || len(list) != n || at(group, "displayName") != "Everybody" || at(at(group, "meta"), "version") == nil {
				t.Errorf("%d members of %d: %.200s", len(seen), n, r.raw)
			}
			if m := list[0]; at(m, "$ref") != k.server.URL+k.base+"/Users/"+at(m, "value").(string) || at(m, "type") != "User" {
				t.Errorf("a member is %v", m)
			}
		}
		one := k.do("GET", "/Groups/"+id, nil).want(200)
		members(one, one.body)
		page := k.do("GET", "/Groups?sortBy=displayName", nil).want(200)
		if page.text("itemsPerPage") != "1" || page.text("totalResults") != "2" {
			t.Errorf("the page has %s of %s", page.text("itemsPerPage"), page.text("totalResults"))
		}
		members(page, page.list("Resources")[0])
		if r := k.do("GET", "/Groups/"+id+"?attributes=members.value", nil).want(200); len(r.list("members")) != n || at(r.list("members")[0], "type") != nil {
			t.Errorf("of the values: %.200s", r.raw)
		}
		if r := k.do("GET", "/Groups/"+id+"?excludedAttributes=members", nil).want(200); r.body["members"] != nil {
			t.Error("members that are excluded")
		}
		if watch.most == 0 || watch.most > 5000 {
			t.Errorf("%d members were in memory at once", watch.most)
		}
		// All of a PATCH's answer would be in memory.
		k.do("PATCH", "/Groups/"+id+"?attributes=members", patch(op("replace", "externalId", "x"))).want(204)

		changed := false
		watch.between = func() {
			if !changed {
				changed = true
				write(id, store.SCIMGroupChange{Attributes: scim.Object{"displayName": "Everybody"}, Members: &scim.MemberDelta{Remove: []string{"member-000001"}}})
			}
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, k.server.URL+k.base+"/Groups/"+id, nil)
		k.must(err)
		r.Header.Set("Authorization", "Bearer "+k.token)
		resp, err := http.DefaultClient.Do(r)
		k.must(err)
		defer func() { _ = resp.Body.Close() }()
		if raw, err := io.ReadAll(resp.Body); err == nil || json.Valid(raw) {
			t.Errorf("an answer of two versions is whole: %d bytes", len(raw))
		}
	})
}

// meteredKeys are keys whose budget is empty until a time.
type meteredKeys struct {
	fakeKeys
	now  func() time.Time
	free time.Time
}

func (m meteredKeys) Spend(context.Context, access.KeyIdentity) time.Duration {
	return m.free.Sub(m.now())
}

// An operation waits for the budget of its key by the clock of the gateway.
func TestBulkWaitsForTheBudget(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.api.Keys = meteredKeys{k.api.Keys.(fakeKeys), k.clock.Now, k.clock.Now().Add(20 * time.Second)}
		answers := k.later(1, "POST", "/Bulk", object{"schemas": []string{bulkURN}, "Operations": []object{{"method": "POST", "path": "/Users", "bulkId": "1", "data": user("ann@acme.example")}}})
		for !k.clock.HasWaiters() {
			runtime.Gosched()
		}
		k.clock.Step(20 * time.Second)
		if r := <-answers; r.status != 200 || at(r.list("Operations")[0], "status") != "201" {
			t.Errorf("%d %s", r.status, r.raw)
		}
	})
}
