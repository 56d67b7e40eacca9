// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Signals that have a meaning here beside being names of kinds of use.
const (
	signalActivity = "activity"
	signalLogin    = "login"
)

// defaultStaleAfter is used where a source does not say.
const defaultStaleAfter = 24 * time.Hour

// usage is what is known of the use of a seat.
type usage struct {
	class    model.SeatClass // Active, Inactive or Unknown
	reason   string
	since    time.Time // of Inactive: when the idle time began
	evidence model.Evidence
}

// use is the verdict in the words of findings.
func (u usage) use() model.Use {
	switch u.class {
	case model.SeatActive:
		return model.UseActive
	case model.SeatInactive:
		return model.UseInactive
	}
	return model.UseUnknown
}

// judge is the tri-state: Active with proof of use inside the window, Inactive
// with proof that there was none, Unknown otherwise.
func (c *Compiled) judge(s model.Seat, now time.Time) usage {
	last, source := c.lastUse(s)
	if source == "" && s.ActivityReported && c.trusts(activityKind(s.LastActivitySource)) {
		// The vendor's silence is evidence, too, and has a name.
		source = s.LastActivitySource
	}
	u := usage{evidence: model.Evidence{Source: source}}
	if !last.IsZero() {
		u.evidence.LastUsed = &last
	}
	if !last.IsZero() && last.After(c.cutoff(now, c.InactiveAfterDays)) {
		u.class, u.reason = model.SeatActive, ReasonUsed
		return u
	}
	granted := c.grantedAt(s)
	begin, window, reason := last, c.InactiveAfterDays, ReasonUnused
	if last.IsZero() || (granted.known && last.Before(granted.at)) {
		// Never used since it was given: idle since then, whatever was before.
		begin, window, reason = granted.at, c.NeverUsedAfterDays, ReasonNeverUsed
	}
	cutoff := c.cutoff(now, window)
	since, why := c.provenIdle(s, now, cutoff, !last.IsZero())
	switch {
	case why != "":
		u.class, u.reason = model.SeatUnknown, why
		return u
	case begin.After(cutoff) || since.After(cutoff):
		u.class, u.reason = model.SeatUnknown, ReasonNotEnoughHistory
		return u
	}
	u.class, u.reason, u.since = model.SeatInactive, reason, begin
	u.evidence.ObservedSince = &since
	return u
}

// cutoff is the latest instant of a use that lies a whole window back: that
// many calendar days ago at the same time of day.
func (c *Compiled) cutoff(now time.Time, days int) time.Time {
	return now.In(c.zone).AddDate(0, 0, -days)
}

// lastUse is the newest use by a trusted signal.
func (c *Compiled) lastUse(s model.Seat) (last time.Time, source string) {
	if s.LastActivityAt != nil && c.trusts(activityKind(s.LastActivitySource)) {
		last, source = *s.LastActivityAt, s.LastActivitySource
	}
	for _, u := range s.Usage {
		if c.trusts(u.Kind) && u.LastAt.After(last) {
			last, source = u.LastAt, u.Source
			if source == "" {
				source = u.Integration + "." + u.Kind
			}
		}
	}
	return last, source
}

func (c *Compiled) trusts(kind string) bool { return slices.Contains(c.Signals, kind) }

var separators = strings.NewReplacer("_", "", "-", "")

// activityKind tells whether a vendor's "last …" field is about signing in or
// about doing something, by its name: zoom.last_login_time.
func activityKind(source string) string {
	name := separators.Replace(strings.ToLower(source[strings.LastIndexByte(source, '.')+1:]))
	if strings.Contains(name, "login") || strings.Contains(name, "signin") || strings.Contains(name, "logon") {
		return signalLogin
	}
	return signalActivity
}

type grant struct {
	at    time.Time
	known bool // by the vendor, or because we saw it come
}

// grantedAt is when the seat was given: as the vendor says; else when we first
// saw it, if that was after the first listing; else no earlier than the account
// was created; else only what we have seen ourselves counts.
func (c *Compiled) grantedAt(s model.Seat) grant {
	first := c.Sources[s.Integration].FirstSyncedAt
	switch {
	case s.AssignedAt != nil:
		return grant{*s.AssignedAt, true}
	case !first.IsZero() && s.ObservedSince.After(first):
		return grant{s.ObservedSince, true}
	case s.AccountCreatedAt != nil:
		return grant{*s.AccountCreatedAt, false}
	}
	return grant{s.ObservedSince, false}
}

// provenIdle looks for a source that would have shown a use after cutoff. It
// returns since when the absence of use is proven, or why it is not.
func (c *Compiled) provenIdle(s model.Seat, now, cutoff time.Time, everUsed bool) (since time.Time, why string) {
	if !s.AccountKnown {
		return time.Time{}, ReasonAccountUnknown
	}
	if c.stale(s.Integration, s.SeatsSyncedAt, now) || c.stale(s.Integration, s.AccountsSyncedAt, now) {
		return time.Time{}, ReasonSyncStale
	}
	// The account's own "last activity" is the vendor's memory and reaches back
	// to the account's creation, however short we have been watching.
	if s.ActivityReported && c.trusts(activityKind(s.LastActivitySource)) {
		switch {
		case !s.ActivitySyncedAt.IsZero() && c.stale(s.Integration, s.ActivitySyncedAt, now):
			return time.Time{}, ReasonSyncStale
		case s.LastActivityAt != nil:
			return *s.LastActivityAt, ""
		case s.AccountCreatedAt != nil:
			return *s.AccountCreatedAt, ""
		}
		return s.AccountObservedSince, ""
	}
	why = ReasonNoTrustedSignal
	for _, feed := range s.UsageCoverage {
		if !c.trustsFeed(s, feed) || (!everUsed && !feed.ActivityReported) {
			continue
		}
		switch {
		case c.stale(feed.Integration, earlier(feed.Until, feed.SyncedAt), now):
			why = ReasonSyncStale
		case feed.From.After(cutoff):
			if why == ReasonNoTrustedSignal {
				why = ReasonNotEnoughHistory
			}
		default:
			return feed.From, ""
		}
	}
	return time.Time{}, why
}

// trustsFeed says whether a feed of events could have shown a trusted use: the
// app's own feed shows activity and logins; another's shows what it has shown
// before of a trusted kind: activity and logins of this person, what else the
// policy lists of anybody. A sign-on elsewhere is no use of the app unless the
// policy lists it, and no sign-on is no proof against other kinds.
func (c *Compiled) trustsFeed(s model.Seat, feed model.UsageCoverage) bool {
	if feed.Integration == s.Integration {
		return c.trusts(signalActivity) || c.trusts(signalLogin)
	}
	for _, kind := range c.Signals {
		if kind != signalActivity && kind != signalLogin && slices.Contains(feed.Kinds, kind) {
			return true
		}
	}
	return slices.ContainsFunc(s.Usage, func(u model.SeatUsage) bool { return u.Integration == feed.Integration && c.trusts(u.Kind) })
}

func (c *Compiled) stale(integration string, synced, now time.Time) bool {
	limit := c.Sources[integration].StaleAfter
	if limit <= 0 {
		limit = defaultStaleAfter
	}
	return synced.IsZero() || now.Sub(synced) > limit
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
