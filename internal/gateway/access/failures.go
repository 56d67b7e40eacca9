// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strconv"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
)

var (
	// failureRate is how often one address may fail to prove who it is.
	failureRate = ratelimit.Rate{Count: 5, Per: time.Second, Burst: 50}
	// lookupRate is how often keys of an address that has failed too often are
	// still looked up. A replica that has just started knows of no key that it has
	// worked, and whoever shares the address has to get in.
	lookupRate = ratelimit.Rate{Count: 20, Per: time.Second, Burst: 20}
)

const (
	// addresses is how many buckets addresses share, so that nobody fills the
	// memory.
	addresses = 4096
	// maxProven bounds what is remembered of credentials that worked.
	maxProven = 10_000
)

// Failures is the budget that addresses have for credentials that do not hold.
// An address without budget is refused before the API server is asked, and before
// the store is asked more than a few times. The exception are credentials that
// have worked: others behind the same proxy may not lock them out. The nil
// Failures counts nothing.
type Failures struct {
	budget *ratelimit.Memory

	mu     sync.Mutex
	proven map[[sha256.Size]byte]bool // digests of bearer tokens
}

// NewFailures returns a full budget.
func NewFailures(c clock.PassiveClock) *Failures {
	return &Failures{budget: ratelimit.NewMemory(c), proven: map[[sha256.Size]byte]bool{}}
}

func addressKey(r *http.Request) string {
	return "address/" + strconv.FormatUint(uint64(AddressBucket(ClientAddress(r), addresses)), 10)
}

// Blocked returns the *Refusal of a request whose address is out of budget, and
// whose bearer token has not worked before; nil otherwise. A client certificate is
// checked without asking anybody, and is never blocked.
func (f *Failures) Blocked(r *http.Request) *Refusal {
	if f == nil || Bearer(r) == "" || f.isProven(r) {
		return nil
	}
	if wait := f.budget.Peek(addressKey(r), failureRate); wait > 0 {
		return tooMany(wait)
	}
	return nil
}

// BlockedLookup is Blocked for a key that has the form of one, checksum included:
// a few are looked up all the same, so that only what then fails is blocked.
func (f *Failures) BlockedLookup(r *http.Request) *Refusal {
	blocked := f.Blocked(r)
	if blocked == nil {
		return nil
	}
	if wait, err := f.budget.Take(context.WithoutCancel(r.Context()), "lookup/"+addressKey(r), lookupRate); err != nil || wait > 0 {
		return blocked
	}
	return nil
}

// Failed counts a credential that does not hold and returns what to answer: the
// refusal, or 429 once the budget is used up.
func (f *Failures) Failed(r *http.Request, refusal *Refusal) *Refusal {
	if f == nil {
		return refusal
	}
	f.mu.Lock()
	delete(f.proven, digestOf(r))
	f.mu.Unlock()
	if wait, err := f.budget.Take(context.WithoutCancel(r.Context()), addressKey(r), failureRate); err == nil && wait > 0 {
		return tooMany(wait)
	}
	return refusal
}

// Proved remembers that the credential of a request holds.
func (f *Failures) Proved(r *http.Request) {
	if f == nil || Bearer(r) == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.proven) >= maxProven {
		clear(f.proven)
	}
	f.proven[digestOf(r)] = true
}

func (f *Failures) isProven(r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.proven[digestOf(r)]
}

func digestOf(r *http.Request) [sha256.Size]byte { return sha256.Sum256([]byte(Bearer(r))) }

func tooMany(wait time.Duration) *Refusal {
	e := Refuse(http.StatusTooManyRequests, "too many requests: wait as Retry-After says")
	e.RetryAfter = wait
	return e
}
