// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// A long listing that breaks off goes on where it stood, in another session.
func TestListingGoesOnWhereItBrokeOff(t *testing.T) {
	const pages = 60
	for name, stream := range map[string]string{
		"cursor":   "page: {type: cursor, stable: true, param: at, next: \"get(resp, 'next')\"}",
		"next URL": "page: {type: next_url, stable: true, next: \"get(resp, 'url')\"}",
	} {
		t.Run(name, func(t *testing.T) {
			limited, expired := -1, false
			var asked []int
			v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, r *http.Request) {
				at, _ := strconv.Atoi(r.URL.Query().Get("at"))
				asked = append(asked, at)
				switch {
				case at == limited:
					w.Header().Set("Retry-After", "3600")
					w.WriteHeader(http.StatusTooManyRequests)
				case expired && at > 0:
					w.WriteHeader(http.StatusBadRequest)
				case at >= pages:
					reply(w, map[string]any{"items": []any{}})
				default:
					out := map[string]any{"items": []any{map[string]any{"id": fmt.Sprint(at), "name": "x"}}}
					if at+1 < pages {
						out["next"], out["url"] = at+1, fmt.Sprint("/v1/groups?at=", at+1)
					}
					reply(w, out)
				}
			}})
			var kept Resume
			checkpoints, seen := 0, map[string]bool{}
			keep := func(_ context.Context, at Resume) error {
				raw, err := json.Marshal(at) // it is stored as text
				kept = Resume{}
				checkpoints++
				return joinErr(err, json.Unmarshal(raw, &kept))
			}
			sink := func(_ context.Context, _ string, recs []model.Record) error {
				for _, r := range recs {
					seen[r.Group.ExternalID] = true
				}
				return nil
			}
			manifest := "request: {get: /groups}\nrecords: resp.items\n" + stream
			limits := func(o *Options) { o.Manifest = load1(t, oneStream(manifest)) }
			limited = 40
			s, _ := session(t, v, limits)
			_, err := s.ReadFrom(t.Context(), "groups", nil, sink, keep)
			wantClass(t, err, ClassRateLimit)
			if len(seen) != 40 || kept.Pages != 40 || checkpoints != 2 {
				t.Fatalf("%d records, %d checkpoints, at %+v", len(seen), checkpoints, kept)
			}
			limited, asked = -1, nil
			s, _ = session(t, v, limits)
			res, err := s.ReadFrom(t.Context(), "groups", &kept, sink, keep)
			if err != nil || !res.AbsenceProves() || len(seen) != pages || res.Records != pages || asked[0] != 40 {
				t.Fatalf("%d records, asked %v, %+v, %v", len(seen), asked, res, err)
			}
			// Another credential may see another account, or less of this one.
			s, _ = session(t, v, limits, func(o *Options) { o.SecretVersion = "2" })
			asked = nil
			_, err = s.ReadFrom(t.Context(), "groups", &kept, sink, keep)
			if wantClass(t, err, ClassReset); len(asked) > 0 {
				t.Errorf("with another credential it asked %v", asked)
			}
			// A place that the vendor has forgotten is no failure of the listing.
			expired, kept.Started = true, testNow
			s, _ = session(t, v, limits)
			_, err = s.ReadFrom(t.Context(), "groups", &kept, sink, keep)
			wantClass(t, err, ClassReset)
			// Neither does one count that is old, or of another mapping.
			for _, r := range []Resume{{}, {Shape: kept.Shape, Started: testNow.Add(-7 * time.Hour)}, {Shape: "another", Started: testNow}} {
				asked = nil
				_, err = s.ReadFrom(t.Context(), "groups", &r, sink, keep)
				if wantClass(t, err, ClassReset); len(asked) > 0 {
					t.Errorf("asked %v", asked)
				}
			}
		})
	}
}

func joinErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// What could not be mapped is not kept, so that a listing with such records
// begins anew and absence proves what it should.
func TestNoCheckpointAfterQuarantine(t *testing.T) {
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, r *http.Request) {
		at, _ := strconv.Atoi(r.URL.Query().Get("at"))
		item := map[string]any{"id": fmt.Sprint(at), "name": "x"}
		if at == 3 {
			delete(item, "name")
		}
		out := map[string]any{"items": []any{item}}
		if at < 70 {
			out["next"] = at + 1
		}
		reply(w, out)
	}})
	s := groupSession(t, v, "request: {get: /groups}\npage: {type: cursor, stable: true, param: at, next: \"get(resp, 'next')\"}\nrecords: resp.items")
	res, err := s.ReadFrom(t.Context(), "groups", nil, func(context.Context, string, []model.Record) error { return nil },
		func(context.Context, Resume) error { t.Error("a checkpoint"); return nil })
	if err != nil || res.Quarantined != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A record deleted on a page already read shifts a numbered listing: going on
// there hours later would skip one that is still at the vendor.
func TestNumberedListingBeginsAnew(t *testing.T) {
	for name, stream := range map[string]string{
		"offset": "page: {type: offset, param: at, size: 2, total: resp.total}",
		"page":   "page: {type: page, param: at, start: 0}",
	} {
		t.Run(name, func(t *testing.T) {
			all := make([]string, 100)
			for i := range all {
				all[i] = fmt.Sprintf("g%02d", i)
			}
			limited := -1
			v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, r *http.Request) {
				at, _ := strconv.Atoi(r.URL.Query().Get("at"))
				if name == "page" {
					at *= 2
				}
				if at == limited {
					w.Header().Set("Retry-After", "3600")
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				items := []any{}
				for i := at; i < min(at+2, len(all)); i++ {
					items = append(items, map[string]any{"id": all[i], "name": "x"})
				}
				reply(w, map[string]any{"items": items, "total": len(all)})
			}})
			var kept Resume
			keep := func(_ context.Context, at Resume) error { kept = at; return nil }
			seen := map[string]bool{}
			sink := func(_ context.Context, _ string, recs []model.Record) error {
				for _, r := range recs {
					seen[r.Group.ExternalID] = true
				}
				return nil
			}
			limits := func(o *Options) {
				o.Manifest = load1(t, oneStream("request: {get: /groups}\nrecords: resp.items\ndeletes: {by: absence}\n"+stream))
			}
			limited = 60
			s, _ := session(t, v, limits)
			_, err := s.ReadFrom(t.Context(), "groups", nil, sink, keep)
			wantClass(t, err, ClassRateLimit)
			all, limited = all[1:], -1 // the vendor deletes g00 in the hour between
			s, _ = session(t, v, limits)
			from := &kept
			if kept.Pages == 0 {
				from = nil
			}
			res, err := s.ReadFrom(t.Context(), "groups", from, sink, keep)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range all {
				if res.AbsenceProves() && !seen[id] {
					t.Errorf("%s is at the vendor, was not listed, and absence proves it gone: it will be removed", id)
				}
			}
		})
	}
}
