// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"net/http"
	"sync"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// placeRetry is when to try again what found no place.
const placeRetry = 10 * time.Second

// places bounds how much is taken in at the same time in this process. One
// tenant gets at most half: none can keep the others waiting.
type places struct {
	mu      sync.Mutex
	running map[model.TenantID]int
	all     int
}

// take runs f in one of n places, or refuses if there is none for the tenant.
func (p *places) take(n int, t model.TenantID, f func() error) error {
	if !p.enter(n, t) {
		e := access.Refuse(http.StatusServiceUnavailable, "this gateway takes in as much as it can: try again")
		e.RetryAfter = placeRetry
		return e
	}
	defer p.leave(t)
	return f()
}

func (p *places) enter(n int, t model.TenantID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= n || p.running[t] >= max(1, n/2) {
		return false
	}
	if p.running == nil {
		p.running = map[model.TenantID]int{}
	}
	p.running[t]++
	p.all++
	return true
}

func (p *places) leave(t model.TenantID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.running[t]--; p.running[t] == 0 {
		delete(p.running, t)
	}
}
