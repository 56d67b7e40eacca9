// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// lane is a kind of work of which a tenant has only so much going on at a time,
// in each replica, so that connections and memory are left for others.
type lane struct {
	name  string
	width int64
	// all tenants share it.
	all bool
}

var (
	// writing is a transaction. Those of one tenant wait for each other anyway,
	// and each would have a connection of the pool meanwhile.
	writing = lane{name: "writing", width: 4}
	// heavy is a query that looks at every resource, and an answer with many
	// members.
	heavy = lane{name: "heavy", width: 2}
	// bulks is a bulk request.
	bulks = lane{name: "bulk", width: 1}
	// large is a request with a large body.
	large      = lane{name: "large", width: 2}
	largeOfAll = lane{name: "large", width: 6, all: true}
)

// patience is how long a request waits for its turn.
const patience = 3 * time.Second

// lanes are the turns of all tenants. The zero value is ready.
type lanes struct {
	mu    sync.Mutex
	turns map[laneKey]*semaphore.Weighted
}

type laneKey struct {
	tenant model.TenantID
	name   string
}

// enter waits for a turn, and returns what ends it; false if none came in time.
func (l *lanes) enter(ctx context.Context, tenant model.TenantID, in lane, wait time.Duration) (leave func(), ok bool) {
	l.mu.Lock()
	key := laneKey{tenant, in.name}
	turn := l.turns[key]
	if turn == nil {
		if l.turns == nil {
			l.turns = map[laneKey]*semaphore.Weighted{}
		}
		turn = semaphore.NewWeighted(in.width)
		l.turns[key] = turn
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if turn.Acquire(ctx, 1) != nil {
		return nil, false
	}
	return func() { turn.Release(1) }, true
}

// enter waits for a turn of the caller's tenant.
func (c *call) enter(in lane) (leave func(), err error) {
	tenant := c.caller.Tenant
	if in.all {
		tenant = 0 // is none
	}
	leave, ok := c.api.lanes.enter(c, tenant, in, cmp.Or(c.api.Patience, patience))
	if !ok {
		return nil, busy()
	}
	return leave, nil
}

// hold waits for a turn that ends with the answer. Whoever has one keeps it.
func (c *call) hold(in lane) error {
	if c.held.has(in) {
		return nil
	}
	leave, err := c.enter(in)
	if err != nil {
		return err
	}
	c.held.add(in, leave)
	return nil
}

// spend takes one operation from the budget of the key, and waits for it as long
// as the request may take.
func (c *call) spend() error {
	for {
		wait := c.api.Keys.Spend(c, c.caller)
		if wait <= 0 {
			return nil
		}
		if end, ok := c.Deadline(); ok && time.Until(end) < wait {
			e := busy()
			e.RetryAfter = wait
			return e
		}
		timer := time.NewTimer(wait)
		select {
		case <-c.Done():
			timer.Stop()
			return busy()
		case <-timer.C:
		}
	}
}

// held are the turns that a request has until it is answered.
type held struct {
	lanes []lane
	leave []func()
}

func (h *held) has(in lane) bool {
	for _, have := range h.lanes {
		if have == in {
			return true
		}
	}
	return false
}

func (h *held) add(in lane, leave func()) {
	h.lanes, h.leave = append(h.lanes, in), append(h.leave, leave)
}

func (h *held) end() {
	for _, leave := range h.leave {
		leave()
	}
}

// busy refuses a request whose turn did not come.
func busy() *access.Refusal {
	e := access.Refuse(http.StatusTooManyRequests, "too many requests at the same time: wait as Retry-After says")
	e.RetryAfter = 5 * time.Second
	return e
}

func (c *call) writeUser(key store.SCIMUserKey, rule store.SCIMUserRule) (store.SCIMWritten, error) {
	leave, err := c.enter(writing)
	if err != nil {
		return store.SCIMWritten{}, err
	}
	defer leave()
	return c.api.Store.WriteSCIMUser(c, c.caller.Tenant, c.by(), key, rule)
}

func (c *call) writeGroup(id string, rule store.SCIMGroupRule) (store.SCIMWritten, error) {
	leave, err := c.enter(writing)
	if err != nil {
		return store.SCIMWritten{}, err
	}
	defer leave()
	return c.api.Store.WriteSCIMGroup(c, c.caller.Tenant, c.by(), id, rule)
}

// looksUp reports a query that an index answers, by the identifiers that
// identity providers match by. Of any other, each resource is looked at.
func looksUp(rt *scim.ResourceType, q store.SCIMQuery) bool {
	return q.Sort == nil && (q.Filter == nil || indexed(rt, q.Filter))
}

// indexed reports a filter that selects few resources by an index.
func indexed(rt *scim.ResourceType, e scim.Expr) bool {
	switch e := e.(type) {
	case *scim.And:
		for _, term := range e.Terms {
			if indexed(rt, term) {
				return true
			}
		}
	case *scim.Or:
		for _, term := range e.Terms {
			if !indexed(rt, term) {
				return false
			}
		}
		return true
	case *scim.ValuePath:
		return indexed(rt, e.Filter)
	case *scim.Compare:
		if e.Op != scim.OpEq || e.Value.Kind != scim.LiteralString {
			return false
		}
		switch e.Attr.Leaf().Name {
		case "id", "userName", "externalId", "value":
			return true
		case "displayName":
			return rt == scim.Group
		}
	}
	return false
}
