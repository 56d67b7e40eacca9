// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"cmp"
	"net/http"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// turns are the kinds of work that take turns.
type turns struct {
	// writing is a transaction. Those of one tenant wait for each other anyway,
	// and each would have a connection of the pool meanwhile.
	writing *access.Turns
	// heavy is a query that looks at every resource, and an answer with many
	// members.
	heavy *access.Turns
	// bulk is a bulk request.
	bulk *access.Turns
	// large is a request with a large body, until it has come and from then on.
	largeComing, large *access.Turns
}

func newTurns() turns {
	return turns{writing: access.NewTurns(4, 0), heavy: access.NewTurns(2, 0), bulk: access.NewTurns(1, 0), largeComing: access.NewTurns(2, 0), large: access.NewTurns(6, 6)}
}

// patience is how long a request waits for its turn.
const patience = 3 * time.Second

// enter waits for a turn of the caller's tenant.
func (c *call) enter(in *access.Turns) (leave func(), err error) {
	leave, ok := in.Enter(c, c.caller.Tenant, cmp.Or(c.api.Patience, patience))
	if !ok {
		return nil, busy()
	}
	return leave, nil
}

// hold waits for a turn that ends with the answer. Whoever has one keeps it.
func (c *call) hold(in *access.Turns) error {
	if c.held[in] != nil {
		return nil
	}
	leave, err := c.enter(in)
	if err != nil {
		return err
	}
	c.held[in] = leave
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
		if c.until.Sub(c.api.Clock.Now()) < wait {
			e := busy()
			e.RetryAfter = wait
			return e
		}
		timer := c.api.Clock.NewTimer(wait)
		select {
		case <-c.Done():
			timer.Stop()
			return busy()
		case <-timer.C():
		}
	}
}

// held are the turns that a request has until it is answered, and what ends them.
type held map[*access.Turns]func()

func (h held) end() {
	for _, leave := range h {
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
	leave, err := c.enter(c.api.turns.writing)
	if err != nil {
		return store.SCIMWritten{}, err
	}
	defer leave()
	return c.api.Store.WriteSCIMUser(c, c.caller.Tenant, c.by(), key, rule)
}

func (c *call) writeGroup(id string, rule store.SCIMGroupRule) (store.SCIMWritten, error) {
	leave, err := c.enter(c.api.turns.writing)
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
