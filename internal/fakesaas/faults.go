// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultKind names a way to misbehave.
type FaultKind string

// The faults. Those of the first group answer in place of the vendor; the
// second bends its answer; the third loses it.
const (
	FaultRateLimit    FaultKind = "rateLimit"    // 429; RetryAfter, Hint
	FaultError        FaultKind = "error"        // Status (default 503), Error
	FaultExpiredToken FaultKind = "expiredToken" // as the vendor says it
	FaultMissingScope FaultKind = "missingScope" // Error names the scope
	FaultNotOK        FaultKind = "notOK"        // Slack: 200 with ok:false and Error

	FaultLatency        FaultKind = "latency"        // LatencyMS before the answer
	FaultRepeatCursor   FaultKind = "repeatCursor"   // the next page is this page
	FaultShortPage      FaultKind = "shortPage"      // PageSize (default 1) records a page
	FaultShrink         FaultKind = "shrink"         // Percent of the users are missing; 100: none left
	FaultAccountChanged FaultKind = "accountChanged" // the token belongs to another account
	FaultEmptyBody      FaultKind = "emptyBody"      // 200 with nothing
	FaultTruncate       FaultKind = "truncate"       // the body ends half-way

	FaultDropConnection FaultKind = "dropConnection" // nothing is done, nothing answered
	FaultLostResponse   FaultKind = "lostResponse"   // done, and not answered
)

// Hints of a FaultRateLimit: how the vendor says when to come back.
const (
	HintSeconds = "seconds" // Retry-After: 30
	HintDate    = "date"    // Retry-After: Sat, 21 Nov 2026 10:00:00 GMT
	HintReset   = "reset"   // X-Rate-Limit-Reset: epoch seconds
	HintNone    = "none"
)

// Fault makes matching requests misbehave.
type Fault struct {
	ID     int       `json:"id"`
	Kind   FaultKind `json:"kind"`
	Vendor string    `json:"vendor,omitempty"` // empty: all
	Method string    `json:"method,omitempty"` // empty: all
	// Path is a pattern as in path.Match; one that ends in /** matches
	// everything below. Empty: all.
	Path  string `json:"path,omitempty"`
	Page  int    `json:"page,omitempty"`  // only this page of a list, from 1
	Skip  int    `json:"skip,omitempty"`  // let so many matching requests pass first
	Times int    `json:"times,omitempty"` // then misbehave so often; 0: always

	Status     int    `json:"status,omitempty"`
	Error      string `json:"error,omitempty"`
	LatencyMS  int    `json:"latencyMs,omitempty"`
	RetryAfter int    `json:"retryAfter,omitempty"` // seconds
	Hint       string `json:"hint,omitempty"`
	PageSize   int    `json:"pageSize,omitempty"`
	Percent    int    `json:"percent,omitempty"`

	Hits int `json:"hits"` // how often it applied
}

// AddFault adds a fault and returns its id.
func (s *Server) AddFault(f Fault) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faultID++
	f.ID, f.Hits = s.faultID, 0
	s.faults = append(s.faults, &f)
	return f.ID
}

// RemoveFault ends a fault.
func (s *Server) RemoveFault(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool { return f.ID == id })
}

// ClearFaults ends all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Faults lists the faults with how often each applied.
func (s *Server) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Fault, 0, len(s.faults))
	for _, f := range s.faults {
		all = append(all, *f)
	}
	return all
}

// ExpireTokens makes every access token that Zoom has given out invalid.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.zoomTokens)
}

func (f *Fault) check() error {
	kinds := []FaultKind{
		FaultRateLimit, FaultError, FaultExpiredToken, FaultMissingScope, FaultNotOK, FaultLatency, FaultRepeatCursor,
		FaultShortPage, FaultShrink, FaultAccountChanged, FaultEmptyBody, FaultTruncate, FaultDropConnection, FaultLostResponse,
	}
	if !slices.Contains(kinds, f.Kind) {
		return fmt.Errorf("fault kind %q is unknown, one of %v", f.Kind, kinds)
	}
	if f.Vendor != "" && !slices.Contains(Vendors(), f.Vendor) {
		return fmt.Errorf("fault vendor %q is unknown, one of %v", f.Vendor, Vendors())
	}
	if _, err := path.Match(f.Path, "/"); err != nil {
		return fmt.Errorf("fault path %q: %w", f.Path, err)
	}
	return nil
}

func (f *Fault) matches(vendor string, r *http.Request, page int) bool {
	if (f.Vendor != "" && f.Vendor != vendor) || (f.Method != "" && !strings.EqualFold(f.Method, r.Method)) || (f.Page != 0 && f.Page != page) {
		return false
	}
	if f.Path == "" {
		return true
	}
	if below, deep := strings.CutSuffix(f.Path, "/**"); deep {
		return strings.HasPrefix(r.URL.Path, below+"/")
	}
	matched, err := path.Match(f.Path, r.URL.Path)
	return err == nil && matched
}

// takeFaults picks the faults for a request and uses them up; by kind, as no
// request suffers one kind twice.
func (s *Server) takeFaults(vendor string, r *http.Request, page int) map[FaultKind]Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := map[FaultKind]Fault{}
	for _, f := range s.faults {
		if _, already := taken[f.Kind]; already || !f.matches(vendor, r, page) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 && f.Hits >= f.Times {
			continue
		}
		f.Hits++
		taken[f.Kind] = *f
	}
	return taken
}

// refuse answers in place of the vendor, if a fault says so.
func (c *call) refuse() bool {
	if f, hit := c.faults[FaultRateLimit]; hit {
		c.rateLimited(f)
		return true
	}
	if f, hit := c.faults[FaultError]; hit {
		if f.Status == 0 {
			f.Status = http.StatusServiceUnavailable
		}
		c.v.fail(c, problem{status: f.Status, kind: kindServer, what: f.Error})
		return true
	}
	if _, hit := c.faults[FaultExpiredToken]; hit {
		c.v.fail(c, problem{status: http.StatusUnauthorized, kind: kindExpired})
		return true
	}
	if f, hit := c.faults[FaultMissingScope]; hit {
		c.v.fail(c, problem{status: http.StatusForbidden, kind: kindScope, what: f.Error})
		return true
	}
	if f, hit := c.faults[FaultNotOK]; hit {
		c.reply(http.StatusOK, map[string]any{"ok": false, "error": f.Error})
		return true
	}
	return false
}

func (c *call) rateLimited(f Fault) {
	if f.RetryAfter == 0 {
		f.RetryAfter = 30
	}
	if f.Hint == "" {
		f.Hint = HintSeconds
		if c.v.name == Okta {
			f.Hint = HintReset
		}
	}
	until := c.now.Add(time.Duration(f.RetryAfter) * time.Second)
	switch f.Hint {
	case HintSeconds:
		c.header.Set("Retry-After", strconv.Itoa(f.RetryAfter))
	case HintDate:
		c.header.Set("Retry-After", until.UTC().Format(http.TimeFormat))
	case HintReset:
		c.header.Set("X-Rate-Limit-Limit", "600")
		c.header.Set("X-Rate-Limit-Remaining", "0")
		c.header.Set("X-Rate-Limit-Reset", strconv.FormatInt(until.Unix(), 10))
	}
	c.v.fail(c, problem{status: http.StatusTooManyRequests, kind: kindRateLimit})
}
