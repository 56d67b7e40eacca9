// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// partialRetest is how often data types that a test disabled are tried again.
const partialRetest = 7

// needsTest says whether the connect test must run before this sync.
func needsTest(spec handover.Spec, last *handover.Test, today model.Date) bool {
	switch {
	case last == nil, last.Input != spec.TestInput():
		return true
	case last.Outcome == handover.Failed, last.Outcome == handover.Inconclusive:
		return true
	case last.Outcome == handover.Partial:
		return last.Day == "" || last.Day.DaysUntil(today) >= partialRetest || last.Day.DaysUntil(today) < 0
	}
	return false
}

// judgeTest turns a test report into what is stored of it, and the problem that
// blocks the sync, if one does: outcome C always, B without acceptPartial.
func judgeTest(spec handover.Spec, r connector.TestReport, today model.Date) (*handover.Test, *handover.Problem) {
	t := &handover.Test{Input: spec.TestInput(), Outcome: handover.Outcome(r.Outcome), Day: today}
	var failed []string
	for _, s := range r.Streams {
		if s.State != connector.TestFailed {
			continue
		}
		text := sentence(s.Message, s.Fix)
		failed = append(failed, fmt.Sprintf("%s (%s): %s", typeNames(s.DataTypes), s.Class, text))
		t.Disabled = append(t.Disabled, handover.DisabledStream{Stream: s.Stream, Reason: reasonOf(s.Class), Message: text})
	}
	slices.Sort(failed)
	slices.SortFunc(t.Disabled, func(a, b handover.DisabledStream) int { return cmp.Compare(a.Stream, b.Stream) })
	t.Message = truncate(strings.Join(failed, "; "))
	switch t.Outcome {
	case handover.AllPassed:
		t.Disabled, t.Message = nil, ""
		return t, nil
	case handover.Partial:
		if spec.AcceptPartial {
			return t, nil
		}
		return t, &handover.Problem{Reason: ReasonPartial, Message: partialMessage(t.Message)}
	case handover.Inconclusive:
		msg := cmp.Or(errorText(r.Err), t.Message, "the vendor did not answer")
		t.Disabled, t.Message = nil, truncate(msg)
		return t, &handover.Problem{Reason: ReasonVendorError, Transient: true, Message: truncate("the connect test could not be finished and is tried again: " + msg)}
	}
	t.Outcome = handover.Failed
	msg := cmp.Or(errorText(r.Err), t.Message, "the connect test failed")
	t.Disabled, t.Message = nil, truncate(msg)
	return t, &handover.Problem{Reason: ReasonFailed, Message: t.Message}
}

func partialMessage(failed string) string {
	return truncate("some data types failed the connect test: " + failed + "; mend that, or set spec.acceptPartial: true to go on without them")
}

// alreadyConnected is the problem of a credential that opens the remote account
// of another Integration: what both listed would be counted twice.
func alreadyConnected(owner string, found connector.RemoteAccount) *handover.Problem {
	return &handover.Problem{Reason: ReasonAccountAlreadyConnected, Message: truncate(fmt.Sprintf(
		"Integration %q is connected to the same remote account %s; nothing was synced; delete one of the two", owner, label(found.ID, found.Name)))}
}

// mergeDataTypes rolls the state of streams up to data types: a type is only as
// good as the worst of the streams that deliver it, and Disabled only where no
// stream delivers it.
func mergeDataTypes(all []model.DataType, streams []connector.StreamInfo, state map[string]handover.Stream, counts map[model.DataType]int64) []handover.DataType {
	out := make([]handover.DataType, 0, len(all))
	for _, t := range all {
		d := handover.DataType{Name: t, State: handover.Disabled, Records: counts[t], Reason: ReasonNotEnabled,
			Message: "left out by spec.dataTypes, by spec.config or for want of a credential"}
		first := true
		for _, s := range streams {
			if !slices.Contains(s.DataTypes, t) {
				continue
			}
			st, ok := state[s.Name]
			if !ok {
				st = handover.Stream{State: handover.Pending, Reason: ReasonSyncing}
			}
			if first || badness(st.State) > badness(d.State) {
				d.State, d.Reason, d.Message = st.State, st.Reason, st.Message
			}
			d.Quarantined += st.Quarantined
			first = false
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b handover.DataType) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// typesOf lists every data type that a stream delivers or that was shown before.
func typesOf(streams []connector.StreamInfo, before []handover.DataType) []model.DataType {
	var all []model.DataType
	for _, s := range streams {
		all = append(all, s.DataTypes...)
	}
	for _, d := range before {
		all = append(all, d.Name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// badness orders states so that the one to report is the greatest. A disabled
// stream does not spoil a type that another stream delivers.
func badness(s handover.State) int {
	return slices.Index([]handover.State{handover.Disabled, handover.Fresh, handover.Pending, handover.Stale, handover.Held}, s)
}

// blocking returns the problem that failed or held streams amount to; nil if
// every stream was stored.
func blocking(streams map[string]handover.Stream) *handover.Problem {
	var held, stale []string
	for name, s := range streams {
		switch s.State {
		case handover.Held:
			held = append(held, name+": "+s.Message)
		case handover.Stale, handover.Pending:
			stale = append(stale, name+": "+s.Message)
		}
	}
	slices.Sort(held)
	slices.Sort(stale)
	switch {
	case len(held) > 0:
		return &handover.Problem{Reason: ReasonGuardHeld, Message: truncate(strings.Join(held, "; "))}
	case len(stale) > 0:
		return &handover.Problem{Reason: ReasonSyncFailed, Transient: true, Message: truncate(strings.Join(stale, "; "))}
	}
	return nil
}

// nextDue returns when to sync again: after success the interval, jittered by
// up to 10 % at an offset that the name fixes; after a failure the retry
// interval doubled per failure up to the interval, but never before the vendor
// said.
func nextDue(now time.Time, key string, spec handover.Spec, problem *handover.Problem, failures int, retryAfter time.Duration) time.Time {
	wait := jittered(spec.Interval, key)
	if problem != nil && problem.Reason != ReasonGuardHeld {
		wait = min(wait, jittered(backoff(spec.RetryInterval, spec.Interval, failures), key))
	}
	return now.Add(max(wait, retryAfter))
}

func backoff(base, limit time.Duration, failures int) time.Duration {
	d := base
	for i := 1; i < failures && d < limit; i++ {
		d *= 2
	}
	return min(d, max(limit, base))
}

// jittered moves d by -10 to +10 %, always the same way for one key, so that
// replicas agree and Integrations made together do not stay together.
func jittered(d time.Duration, key string) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // a hash.Hash never fails a write
	permille := int64(h.Sum32()%201) - 100
	return d + time.Duration(int64(d)/1000*permille)
}

func sentence(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	return strings.Join(parts, "; ")
}

func errorText(e *connector.Error) string {
	if e == nil {
		return ""
	}
	return e.Error()
}

func typeNames(types []model.DataType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// maxMessage bounds messages to what a status field holds.
const maxMessage = 1000

func truncate(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	cut := maxMessage
	for cut > 0 && s[cut]&0xC0 == 0x80 { // not inside a rune
		cut--
	}
	return s[:cut] + "…"
}
