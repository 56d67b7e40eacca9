// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

const (
	maxJSONBody   = 64 << 10
	uploadTimeout = 5 * time.Minute
	answerTimeout = 30 * time.Second // for the answer to an upload that took its time
)

func httpMaxBytes(r *http.Request) io.Reader { return http.MaxBytesReader(nil, r.Body, maxJSONBody) }

func (c *call) actor() model.Actor { return model.Actor{Name: c.user, Kind: model.ActorUser} }

func (a *API) runs(c *call) (any, error) {
	states, err := oneOf(c, "state", store.RunReady, store.RunWaiting, store.RunInFlight, store.RunAttention, store.RunSucceeded, store.RunFailed, store.RunStopped)
	if err != nil {
		return nil, err
	}
	f := store.RunFilter{
		Name: c.query.Get("name"), Reason: c.query.Get("reason"), Integration: c.query.Get("integration"), Before: c.query.Get("continue"), Limit: c.limit, States: states,
	}
	if of := c.query.Get("workflow"); of != "" {
		if f.Name != "" {
			return nil, badRequest("workflow=%q, name=%q: want one of them", of, f.Name)
		}
		f.Kind, f.Name = workflow.KindWorkflow, of
	}
	if f.Since, err = a.since(c.query.Get("since")); err != nil {
		return nil, err
	}
	if f.PersonID, err = a.personID(c, c.query.Get("person")); err != nil {
		return nil, err
	}
	runs, err := a.Store.ListRuns(c, c.tenant, f)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		runs[i].TriggerKey = workflow.ShownKey(runs[i].TriggerKey)
	}
	return page("RunList", runs, c.next(len(runs), func(i int) string { return runs[i].ID })), nil
}

// since reads how long ago, a day or a time; none is zero.
func (a *API) since(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if span, err := workflow.ParseSpan(s); err == nil {
		return a.now().AddDate(0, 0, -span.Days).Add(-span.Elapsed), nil
	}
	return time.Time{}, badRequest("since=%q: want how long ago (24h, 7d), a date (2026-11-20) or a time in RFC 3339", s)
}

// personID is the id of a person who is named by address or id.
func (a *API) personID(c *call, s string) (string, error) {
	if !strings.Contains(s, "@") {
		return s, nil
	}
	p, err := a.Store.PersonByEmail(c, c.tenant, s)
	if errors.Is(err, store.ErrNotFound) {
		return "", notFound("no person in the directory has the address %q", s)
	}
	return p.ID, err
}

func (a *API) run(c *call) (any, error) {
	r, err := a.Store.Run(c, c.tenant, c.path("name"))
	if err != nil {
		return nil, err
	}
	return a.runView(c, r)
}

func (a *API) stopRun(c *call) (any, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	return shown(a.Store.StopRun(c, c.tenant, c.path("name"), store.Decider{Actor: c.user, Kind: model.ActorUser, Reason: in.Reason}))
}

// shown is a run as people know it: its key is the one that its caller gave.
func shown(r store.Run, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	r.TriggerKey = workflow.ShownKey(r.TriggerKey)
	return r, nil
}

func (a *API) resolveRun(c *call) (any, error) {
	var in struct {
		How    store.Resolution `json:"how"`
		Reason string           `json:"reason"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if !slices.Contains([]store.Resolution{store.ResolveRetry, store.ResolveSkip, store.ResolveFail}, in.How) {
		return nil, badRequest("how=%q: want retry, skip or fail", in.How)
	}
	return shown(a.Store.ResolveAttention(c, c.tenant, c.path("name"), in.How, store.Decider{Actor: c.user, Kind: model.ActorUser, Reason: in.Reason}))
}

// HeldGuard is a set that waits for a person to release it.
type HeldGuard struct {
	Guard   string      `json:"guard"` // KIND/NAME, as release takes it
	Digest  string      `json:"digest"`
	Count   int64       `json:"count"`
	Total   int64       `json:"total"`
	Allowed int64       `json:"allowed"`
	Reason  string      `json:"reason"`
	Since   time.Time   `json:"since"`
	Items   []GuardItem `json:"items,omitempty"` // of one guard only
}

// GuardItem is one member of a held set.
type GuardItem struct {
	Item   string `json:"item"`
	Label  string `json:"label"`
	Detail string `json:"detail,omitempty"`
}

func guardView(h store.Hold) HeldGuard {
	return HeldGuard{Guard: h.Kind + "/" + h.SubjectName, Digest: h.Digest, Count: h.Count, Total: h.Total, Allowed: h.Allowed, Reason: h.Reason, Since: h.CreatedAt}
}

func (a *API) guards(c *call) (any, error) {
	holds, err := a.Store.ListHolds(c, c.tenant)
	if err != nil {
		return nil, err
	}
	views := make([]HeldGuard, len(holds))
	for i, h := range holds {
		views[i] = guardView(h)
	}
	return page("GuardList", views, ""), nil
}

// maxGuardItems bounds one document; the count says how many there are.
const maxGuardItems = 10_000

func (a *API) guard(c *call) (any, error) {
	kind, name, _ := strings.Cut(c.path("name"), "/")
	subject, err := holdSubject(kind, name)
	if err != nil {
		return nil, err
	}
	h, err := a.Store.Hold(c, c.tenant, subject)
	if err != nil {
		return nil, err
	}
	v := guardView(h)
	for after := ""; len(v.Items) < maxGuardItems; {
		items, err := a.Store.HoldItems(c, c.tenant, h.ID, after, 1000)
		if err != nil {
			return nil, err
		}
		for _, it := range items {
			v.Items = append(v.Items, GuardItem(it))
		}
		if len(items) < 1000 {
			break
		}
		after = items[len(items)-1].Item
	}
	return v, nil
}

func holdSubject(kind, name string) (store.HoldSubject, error) {
	switch {
	case name == "":
	case kind == store.HoldPolicy:
		return store.PolicyHold(name), nil
	case kind == store.HoldWorkflow:
		return store.WorkflowHold(name), nil
	case kind == store.HoldRemovals:
		return store.RemovalHold(name), nil
	case kind == store.HoldShrink && name == store.SCIMLeaversHold().SubjectName:
		return store.SCIMLeaversHold(), nil
	case kind == store.HoldShrink:
		return store.HoldSubject{Kind: kind, SubjectKind: "Integration", SubjectName: name}, nil
	}
	return store.HoldSubject{}, badRequest("guard %q: want policy/NAME, workflow/NAME, removals/NAME or shrink/INTEGRATION/STREAM, as `seatkeeper guards` shows it", kind+"/"+name)
}

func (a *API) release(c *call) (any, error) {
	var in struct {
		Digest string `json:"digest"`
		Reason string `json:"reason"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	subject, err := holdSubject(c.path("kind"), c.path("name"))
	if err != nil {
		return nil, err
	}
	h, err := a.Store.ReleaseHold(c, c.tenant, subject, in.Digest, c.actor(), in.Reason)
	var other *store.DigestError
	if errors.As(err, &other) {
		return nil, conflict("%v", other)
	}
	if err != nil {
		return nil, err
	}
	return guardView(h), nil
}

// Import says how far an uploaded file has come.
type Import struct {
	Upload  string `json:"upload"`
	State   string `json:"state"` // Pending, Imported, Held, Refused
	Message string `json:"message,omitempty"`
	Records int64  `json:"records"`
}

func (a *API) upload(c *call) (any, error) {
	name, file := c.query.Get("integration"), c.query.Get("filename")
	if name == "" || len(name) > 63 || len(file) > 255 {
		return nil, badRequest("integration=%q, filename of %d bytes: want the name of an Integration and at most 255 bytes", name, len(file))
	}
	// The server's own deadlines are for small requests; a recorder in a test
	// has none to extend.
	control := http.NewResponseController(c.response)
	_ = control.SetReadDeadline(time.Now().Add(uploadTimeout))
	_ = control.SetWriteDeadline(time.Now().Add(uploadTimeout + answerTimeout))
	u, err := a.Store.PutUpload(c, c.tenant, name, file, http.MaxBytesReader(nil, c.request.Body, store.MaxUpload+1))
	if errors.Is(err, store.ErrUploadTooLarge) {
		return nil, badRequest("%v", err)
	}
	if err != nil {
		return nil, err
	}
	err = a.Store.AppendAudit(c, c.tenant, model.AuditRecord{
		Actor: c.user, ActorKind: model.ActorUser, Action: "import.upload", ObjectKind: "Integration", ObjectName: name,
		RequestDigest: u.Digest, Result: "stored", Detail: map[string]string{"upload": u.ID, "bytes": fmt.Sprint(u.Size)},
	})
	if err != nil {
		return nil, err
	}
	return Import{Upload: u.ID, State: "Pending"}, nil
}

func (a *API) uploaded(c *call) (any, error) {
	u, err := a.Store.Upload(c, c.tenant, c.path("name"))
	if err != nil {
		return nil, err
	}
	out := Import{Upload: u.ID, State: "Pending"}
	st, err := a.Store.IntegrationState(c, c.tenant, u.Integration)
	if errors.Is(err, store.ErrNotFound) {
		out.Message = "no Integration named " + u.Integration + " is there yet"
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := integrationView(st)
	if err != nil {
		return nil, err
	}
	out.Message, out.Records = v.Message, v.Records
	switch {
	case u.State == store.UploadRefused:
		out.State = "Refused"
	case u.State == store.UploadAccepted && len(v.Held) > 0:
		out.State = "Held"
	case u.State == store.UploadAccepted:
		out.State = "Imported"
	}
	return out, nil
}
