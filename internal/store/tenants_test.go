// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Invariant 12, the hard way: a second tenant has every row of the first, with
// the same names and the same ids, in every table. Neither sees the other, and
// whatever the second does, not one value of the first changes.
func TestTwinTenantsAreApart(t *testing.T) {
	eachWorld(t, func(w *world) {
		ring := keyring(w.T, key(w.T, "k1"))
		empty := w.otherTenant("empty")
		nothing := empty.reads(ring, ids{}, "t")
		known := w.populate(ring)
		seen := w.reads(ring, known, "t")
		if diff := cmp.Diff(nothing, empty.reads(ring, known, "t")); diff != "" {
			w.Fatalf("an empty tenant sees something of another:\n%s", diff)
		}
		twin := w.twin("twin")
		if diff := cmp.Diff(seen, w.reads(ring, known, "t")); diff != "" {
			w.Fatalf("a tenant sees the rows of its twin:\n%s", diff)
		}
		got := twin.reads(nil, known, "t")
		for name := range got {
			if name == "sealed" { // bound to its tenant: a copy does not open
				got[name] = seen[name]
			}
		}
		if got["file"] == seen["file"] {
			w.Fatal("the twin reads the other's file")
		}
		got["file"] = seen["file"]
		if diff := cmp.Diff(seen, got); diff != "" {
			w.Fatalf("the twin sees other rows than its own:\n%s", diff)
		}
		before := w.dump()
		twin.ruin(known)
		after := w.dump()
		for table := range before {
			if diff := cmp.Diff(before[table], after[table]); diff != "" {
				w.Errorf("what another tenant did changed table %s:\n%s", table, diff)
			}
		}
	})
}

const members = "email\nada@acme.example\n"

type ids struct{ run, prompt, upload, person, hold, user, key string }

// populate puts something into every table of the tenant.
func (w *world) populate(ring *store.Keyring) (k ids) {
	w.Helper()
	ctx, day := w.Context(), 24*time.Hour
	w.withTruth("zoom", "acme.example")
	c := w.claim("zoom", "zoom")
	y, err := w.s.BeginSync(ctx, c)
	w.must(err)
	records := []model.Record{person("1", "ada@acme.example", withCustom(map[string]any{"shirt": "S"})), {Plan: &model.Plan{Key: "pro", Name: "Pro", Paid: true}},
		{Group: &model.Group{ExternalID: "g", Name: "sales"}}, {Membership: &model.Membership{GroupExternalID: "g", AccountExternalID: "u00000"}},
		{App: &model.DiscoveredApp{ExternalID: "app", Name: "zoom", Source: "idp"}}, {Assignment: &model.Assignment{AccountExternalID: "u00000", PlanKey: "pro", Paid: true, State: model.AssignmentActive}}}
	records = append(records, spend("t1"), agreement("c1"))
	records = append(records, account("u00000", func(a *model.Account) { a.PersonKey, a.IsAdmin = "ada@acme.example", true }))
	records = append(records, accounts(30)[1:]...)
	w.must(y.Stage(ctx, "users", "", records))
	types := []model.DataType{model.DataPeople, model.DataAccounts, model.DataAssignments, model.DataPlans, model.DataGroups, model.DataMemberships, model.DataApps,
		model.DataTransactions, model.DataContracts}
	_, err = y.FinishStream(ctx, "users", store.StreamOutcome{Complete: true, Types: types, Guard: model.DefaultShrinkGuard})
	w.must(err)
	w.must(y.Stage(ctx, "events", "", []model.Record{use(model.UsageEvent{AccountExternalID: "u00000", At: t0.Add(-9 * day), Kind: "meeting"})}))
	_, err = y.FinishStream(ctx, "events", usageOf(store.Window{From: t0.Add(-30 * day), Until: t0}).outcome)
	w.must(err)
	res, err := y.FinishStream(ctx, "users", store.StreamOutcome{Complete: true, Types: types, Guard: model.DefaultShrinkGuard})
	w.must(err)
	if res.Held == nil {
		w.Fatal("an empty listing was not held")
	}
	k.hold = res.Held.ID
	w.must(y.Stage(ctx, "unfinished", "", accounts(1))) // leaves a stage behind
	w.must(w.s.FinishIntegration(ctx, c, store.IntegrationResult{Synced: true, RemoteID: "r", RemoteName: "r"}))
	w.deprovision(w.provision(scimUser("gone@acme.example", external("g"))).ID)
	k.user = w.provision(scimUser("bo@acme.example", func(o scim.Object) { o["emails"] = []any{scim.Object{"value": "b@acme.example"}} })).ID
	_, err = w.s.WriteSCIMGroup(ctx, w.tenant, idp, "", func(*store.SCIMTx, *store.SCIMResource) (*store.SCIMGroupChange, error) {
		return &store.SCIMGroupChange{Attributes: scim.Object{"displayName": "ops"}, Members: &scim.MemberDelta{Add: []scim.Member{{Value: k.user, Type: "User"}}}}, nil
	})
	w.must(err)
	w.setActive(k.user, false)
	w.must(w.s.AppendSCIMLog(ctx, w.tenant, []store.SCIMRequest{{At: t0, KeyID: "k", Method: "POST", Route: "/Users", Status: 201, ResourceID: k.user}}))
	w.must(w.s.WriteSQL(ctx, func(tx *sql.Tx) error { // a review: two people claim one row
		_, err := tx.ExecContext(ctx, `INSERT INTO person_review (tenant, source, external_id, reason, candidates, created_at) VALUES ($1,$2,'1','ambiguous','[]',1)`, w.tenant, c.Source)
		return err
	}))
	w.must(w.s.WriteSQL(ctx, func(tx *sql.Tx) error { // a run took from one account, and waits with another
		for _, row := range []string{
			`INSERT INTO removal (tenant, workflow, target, root_id, taken_at) VALUES ($1,'leaver','a','r1',1)`,
			`INSERT INTO removal_ask (tenant, run_id, root_id, workflow, target, wants, held) VALUES ($1,'r1','r1','leaver','b',2,TRUE)`,
			`INSERT INTO removal_pass (tenant, root_id, approved, unused) VALUES ($1,'r1',3,1)`,
		} {
			if _, err := tx.ExecContext(ctx, row, w.tenant); err != nil {
				return err
			}
		}
		return nil
	}))

	_, err = w.s.PutWorkflow(ctx, w.tenant, store.WorkflowState{Name: "leaver", State: store.WorkflowReady}, json.RawMessage(`{}`))
	w.must(err)
	_, err = w.s.ApplyStarts(ctx, w.tenant, store.StartBatch{Starts: []store.WorkflowStart{{Workflow: "leaver", Key: "out/p1/1", Kind: "person.left", Label: "jo@acme.example",
		State: store.StartWaiting, HappenedAt: t0, DueAt: t0, LookAt: t0}}})
	w.must(err)
	u, err := w.s.PutUpload(ctx, w.tenant, "zoom", "members.csv", strings.NewReader(members))
	w.must(err)
	k.upload = u.ID
	w.must(w.s.PutPushAnswer(ctx, w.tenant, store.PushAnswer{Integration: "zoom", Key: "once", Digest: "d", Answer: json.RawMessage(`{"a":1}`)}))
	_, err = w.s.PutAPIFile(ctx, w.tenant, store.APIFile{Type: "customIntegrationData", Name: "f", Bytes: []byte("{}"), CreatedBy: "ada"})
	w.must(err)
	_, _ = w.delegate(ring)
	w.must(w.s.PutAPIKey(ctx, w.tenant, apiKey("entra"), ada))
	token, _ := w.issue("entra", store.IssueAPIKey{By: ada})
	k.key = token.KeyID
	// What is due is claimed by any replica, whoever's it is: nothing is here.
	w.must(w.s.FinishIntegration(ctx, w.claim("zoom", "zoom"), store.IntegrationResult{}))
	w.must(w.s.PutSigningSecrets(ctx, ring, w.tenant, "zoom", map[string]string{"signingSecret": "signs"}))
	w.must(w.s.PutEndpoints(ctx, ring, w.tenant, "Integration", "zoom", "uid-zoom", []store.EndpointSpec{{Webhook: "events", Token: w.endpointToken()}}))
	w.must(w.s.Lane(w.tenant, "zoom").Block(ctx, "k", t0.Add(time.Hour)))

	w.must(w.s.PutDeclaredApp(ctx, w.tenant, store.DeclaredApp{Name: "zoom", Title: "Zoom", Users: 1, Sources: []string{"zoom"}}))
	w.must(w.s.PutDeclaredContract(ctx, w.tenant, model.ContractFacts{Name: "zoom-2026", App: "zoom", State: "Active", End: "2026-12-31"}))
	w.must(w.s.PutOwnConnector(ctx, w.tenant, store.OwnConnector{Name: "crm", Title: "CRM", Category: "app"}))
	w.must(w.s.UpsertPolicy(ctx, w.tenant, store.PolicyState{Policy: "zoom-90d", App: "zoom", Mode: "Ask", Rules: json.RawMessage(`{}`)}))
	_, err = w.s.ReplaceFindings(ctx, w.tenant, "zoom-90d", sequence([]model.Finding{finding(0, model.SeatInactive)}, nil))
	w.must(err)
	w.must(w.s.SetSeatPrices(ctx, w.tenant, "zoom-90d", map[model.SeatKey]model.Price{{Integration: "zoom", PlanKey: "pro"}: proPrice}))
	_, err = w.s.PutHold(ctx, w.tenant, store.Hold{HoldSubject: store.PolicyHold("zoom-90d"), Count: 1, Total: 1}, []store.HoldItem{{Item: "i", Label: "l"}})
	w.must(err)
	w.must(w.s.KeepSeat(ctx, w.tenant, model.Keep{Policy: "zoom-90d", Integration: "zoom", AccountID: "u00000", PlanKey: "pro", Until: t0.Add(90 * day)}, "run"))
	w.must(w.s.BookReclaim(ctx, w.tenant, reclaim(0)))

	_, err = w.s.CreateRuns(ctx, w.tenant, newRuns("r", 1))
	w.must(err)
	runs, err := w.s.ListRuns(ctx, w.tenant, store.RunFilter{})
	w.must(err)
	k.run, k.prompt = runs[0].ID, "p1"
	held := hold(w.T, w.s, store.HoldRequest{Owner: "a"})
	w.must(w.s.AdvanceRuns(ctx, held.Leases, []store.RunKey{runs[0].Key()}, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
		l.Run.State, l.Run.DueAt = store.RunWaiting, now.Add(time.Hour)
		return &store.RunChange{Run: l.Run,
			Attempts: []store.Attempt{{StepPath: "s", Generation: 0, N: 1, State: store.AttemptOK, Integration: "zoom", Action: "license.remove", Class: "read", IdemKey: "k", DeadlineAt: now, StartedAt: now}},
			Prompts: []store.Prompt{{ID: "p1", RunID: l.Run.ID, TokenHash: store.HashPromptToken("t"), State: store.PromptOpen, Options: []string{"Keep"},
				Assignees: []store.Assignee{{PersonID: "1", Email: "a@acme.example"}}, ExpiresAt: now.Add(time.Hour), CreatedAt: now}},
			Audits: []model.AuditRecord{{Actor: "ada", Action: "license.remove", ObjectKind: "Integration", ObjectName: "zoom", Subject: map[string]string{"email": "a@acme.example"}}},
		}, nil
	}))
	people := w.people()
	k.person = people["ada@acme.example"].ID
	for table, rows := range w.dump() {
		if len(rows) == 0 {
			w.Fatalf("the test puts nothing into table %s: make it", table)
		}
	}
	return k
}

// reads is all that the tenant can be shown, by name.
func (w *world) reads(ring *store.Keyring, k ids, token string) map[string]string {
	w.Helper()
	ctx, s, out := w.Context(), w.s, map[string]string{}
	put := func(name string, v any, err error) {
		w.Helper()
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			w.Fatalf("%s: %v", name, err)
		}
		if err != nil {
			out[name] = "not found"
			return
		}
		raw, err := json.Marshal(v)
		w.must(err)
		out[name] = string(raw)
	}
	zoom := []string{"zoom"}
	keys, err := s.APIKeys(ctx, w.tenant)
	for i := range keys {
		for j := range keys[i].Tokens {
			keys[i].Tokens[j].Tenant = 0
		}
	}
	put("keys", keys, err)
	held, err := s.APIKeyToken(ctx, w.tenant, k.key)
	held.Tenant, held.Namespace = 0, ""
	put("key", held, err)
	integrations, err := s.ListIntegrations(ctx, w.tenant)
	for i := range integrations {
		integrations[i].Tenant = 0
	}
	put("integrations", integrations, err)
	st, err := s.StreamStates(ctx, w.tenant, "zoom")
	put("streams", st, err)
	accounts, _, err := s.ListAccounts(ctx, w.tenant, store.AccountQuery{IncludeRemoved: true})
	put("accounts", accounts, err)
	apps, _, err := s.ListApps(ctx, w.tenant, store.AppQuery{IncludeRemoved: true})
	put("apps", apps, err)
	spent, _, err := s.ListTransactions(ctx, w.tenant, store.SpendQuery{IncludeRemoved: true})
	put("transactions", spent, err)
	agreed, _, err := s.ListContracts(ctx, w.tenant, store.SpendQuery{IncludeRemoved: true})
	put("contracts", agreed, err)
	people, _, err := s.ListPeople(ctx, w.tenant, store.PeopleQuery{})
	put("people", people, err)
	one, err := s.Person(ctx, w.tenant, k.person)
	put("person", one, err)
	one, err = s.PersonByEmail(ctx, w.tenant, "ada@acme.example")
	put("person by e-mail", one, err)
	reviews, err := s.ListReviews(ctx, w.tenant)
	put("reviews", reviews, err)
	lifecycles, err := s.PeopleCounts(ctx, w.tenant)
	put("people counts", lifecycles, err)
	groups, err := s.GroupPeople(ctx, w.tenant, []string{"sales"})
	put("groups", groups, err)
	for mail, p := range w.people() {
		names, err := s.PersonGroups(ctx, w.tenant, p.ID)
		put("groups of "+mail, names, err)
	}
	put("seats", w.seats(store.SeatFilter{KnownAs: map[string]model.AppIdentity{"zoom": {Names: []string{"zoom", "slack"}}}}), nil)
	verdicts, _, err := s.SeatVerdicts(ctx, w.tenant, store.VerdictQuery{})
	put("verdicts", verdicts, err)
	declared, err := s.DeclaredApps(ctx, w.tenant)
	put("declared apps", declared, err)
	app, err := s.App(ctx, w.tenant, "zoom")
	put("an app", app, err)
	contracts, err := s.Contracts(ctx, w.tenant)
	put("contracts of both kinds", contracts, err)
	fields, err := s.PersonFields(ctx, w.tenant)
	put("custom fields", fields, err)
	own, err := s.OwnConnectors(ctx, w.tenant)
	put("connectors", own, err)
	starts, err := s.ListStarts(ctx, w.tenant, store.StartQuery{Workflow: "leaver"})
	put("starts", starts, err)
	workflows, err := s.ListWorkflows(ctx, w.tenant)
	put("workflows", workflows, err)
	seatTotals, err := s.SeatTotals(ctx, w.tenant)
	put("seat totals", seatTotals, err)
	for _, rt := range scim.ResourceTypes() {
		resources, total, err := s.ListSCIM(ctx, w.tenant, rt, store.SCIMQuery{Limit: 10})
		put("SCIM "+rt.Name, []any{resources, total}, err)
	}
	provisioned, err := s.SCIMUser(ctx, w.tenant, k.user)
	put("SCIM user", provisioned, err)
	memberships, err := s.SCIMGroupsOf(ctx, w.tenant, []string{k.user})
	put("SCIM groups of a user", memberships, err)
	log, _, err := s.SCIMLog(ctx, w.tenant, store.SCIMLogQuery{})
	put("SCIM log", log, err)
	health, err := s.SCIMHealth(ctx, w.tenant, t0)
	put("SCIM health", health, err)
	totals, err := s.Totals(ctx, w.tenant)
	put("totals", totals, err)
	counts, err := s.Counts(ctx, w.tenant, "zoom")
	put("counts", counts, err)
	rollup, err := s.AppRollup(ctx, w.tenant, zoom)
	put("rollup", rollup, err)
	admins, err := s.Admins(ctx, w.tenant, zoom)
	put("admins", admins, err)
	facts, err := s.TenantFacts(ctx, w.tenant)
	put("facts", facts, err)
	policies, err := s.ListPolicies(ctx, w.tenant)
	put("policies", policies, err)
	policy, err := s.Policy(ctx, w.tenant, "zoom-90d")
	put("policy", policy, err)
	policyRuns, err := s.PolicyRuns(ctx, w.tenant, "zoom-90d", t0.Add(-time.Hour))
	put("policy runs", policyRuns, err)
	findings, err := s.Findings(ctx, w.tenant, store.FindingQuery{})
	put("findings", findings, err)
	findingCounts, err := s.CountFindings(ctx, w.tenant, zoom)
	put("finding counts", findingCounts, err)
	prices, err := s.SeatPrices(ctx, w.tenant, "zoom-90d")
	put("prices", len(prices), err)
	keeps, err := s.Keeps(ctx, w.tenant, "zoom-90d")
	put("keeps", keeps, err)
	keep, err := s.SeatKeep(ctx, w.tenant, "zoom-90d", model.SeatKey{Integration: "zoom", AccountID: "u00000", PlanKey: "pro"})
	put("keep", keep, err)
	ledger, err := s.Ledger(ctx, w.tenant, store.LedgerQuery{})
	put("ledger", ledger, err)
	ledgerTotals, err := s.LedgerTotals(ctx, w.tenant, store.LedgerQuery{})
	put("ledger totals", ledgerTotals, err)
	first, err := s.FirstReclaim(ctx, w.tenant, "zoom-90d")
	put("first reclaim", first, err)
	runs, err := s.ListRuns(ctx, w.tenant, store.RunFilter{})
	put("runs", runs, err)
	run, err := s.Run(ctx, w.tenant, k.run)
	put("run", run, err)
	runCounts, err := s.CountRuns(ctx, w.tenant, "Workflow", "w")
	put("run counts", runCounts, err)
	active, err := s.ActiveRunSubjects(ctx, w.tenant, "Workflow", "w")
	put("active subjects", active, err)
	did, _, _, err := s.ActionExecutions(ctx, w.tenant, store.ExecutionQuery{})
	put("executions", did, err)
	byNumber, err := s.WorkflowByNumber(ctx, w.tenant, 1)
	put("workflow", byNumber, err)
	def, err := s.Definition(ctx, w.tenant, "Workflow", "w", 1)
	put("definition", def, err)
	prompts, err := s.ListPrompts(ctx, w.tenant, store.PromptFilter{})
	put("prompts", prompts, err)
	holds, err := s.ListHolds(ctx, w.tenant)
	put("holds", holds, err)
	items, err := s.HoldItems(ctx, w.tenant, k.hold, "", 100)
	put("hold items", items, err)
	audit, err := s.Audit(ctx, w.tenant, store.AuditQuery{})
	put("audit", audit, err)
	uploads, err := s.Uploads(ctx, w.tenant, "zoom")
	put("uploads", uploads, err)
	upload, err := s.Upload(ctx, w.tenant, k.upload)
	put("upload", upload, err)
	_, file, err := s.OpenUpload(ctx, w.tenant, "zoom")
	if err == nil {
		var b bytes.Buffer
		_, err = b.ReadFrom(file)
		put("file", b.String(), err)
	} else {
		put("file", nil, err)
	}
	pushed, err := s.PushAnswer(ctx, w.tenant, "zoom", "once")
	put("push answer", pushed, err)
	apiFile, err := s.APIFile(ctx, w.tenant, 1)
	put("api file", apiFile, err)
	numbered, err := s.IntegrationByNumber(ctx, w.tenant, 1)
	numbered.Tenant = 0
	put("integration by number", numbered, err)
	events, err := s.NewEvents(ctx, w.tenant, 1000)
	put("events", events, err)
	if ring != nil {
		secret, err := s.SigningSecrets(ctx, ring, w.tenant, "zoom")
		put("sealed", secret, err)
	} else {
		put("sealed", nil, nil)
	}
	if len(runs) == 0 { // who has no such question cannot answer it
		a, err := s.AnswerPrompt(ctx, w.tenant, store.AnswerRequest{Token: token, Actor: store.Identity{Email: "a@acme.example"}, Choice: "Keep"})
		put("answer", a, err)
	}
	return out
}

// ruin does in the tenant everything that changes or deletes something.
func (w *world) ruin(k ids) {
	w.Helper()
	ctx, s := w.Context(), w.s
	by := model.Actor{Name: "eve", Kind: model.ActorUser}
	try := func(err error) { // some find nothing left to do, which is no matter
		w.Helper()
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			w.Fatal(err)
		}
	}
	w.step(time.Minute)
	a, err := s.AnswerPrompt(ctx, w.tenant, store.AnswerRequest{Token: "t", Actor: store.Identity{Email: "a@acme.example"}, Choice: "Keep"})
	try(err)
	if a.Status != store.AnswerAccepted {
		w.Fatalf("the twin's own answer: %+v", a)
	}
	_, err = s.PutWorkflow(ctx, w.tenant, store.WorkflowState{Name: "leaver", State: store.WorkflowInvalid, Suspended: true}, json.RawMessage(`{"steps":[]}`))
	try(err)
	_, err = s.ApplyStarts(ctx, w.tenant, store.StartBatch{Dropped: []store.WorkflowStart{{Workflow: "leaver", Key: "out/p1/1"}}})
	try(err)
	try(s.RecheckStarts(ctx, w.tenant, []string{"p1"}))
	try(s.PruneStarts(ctx, w.tenant, w.clock.Now().Add(time.Hour)))
	try(s.DeleteWorkflow(ctx, w.tenant, "leaver", true, store.Decider{Actor: "eve"}))
	_, err = s.WakeRuns(ctx, w.tenant, "Workflow", "w", nil)
	try(err)
	held := hold(w.T, s, store.HoldRequest{Owner: "a"})
	try(s.AdvanceRuns(ctx, held.Leases, []store.RunKey{{Tenant: w.tenant, ID: k.run}}, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
		l.Run.Reason, l.Run.State, l.Run.DueAt = "Ruined", store.RunWaiting, now
		return &store.RunChange{Run: l.Run, Bookings: []store.Booking{{Kind: store.BookKept, Policy: "zoom-90d", Integration: "zoom", AccountID: "u00000", PlanKey: "pro", KeepUntil: now}}}, nil
	}))
	_, err = s.StopRun(ctx, w.tenant, k.run, store.Decider{Actor: "eve"})
	try(err)
	holds, err := s.ListHolds(ctx, w.tenant)
	try(err)
	for _, h := range holds {
		_, err = s.ReleaseHold(ctx, w.tenant, h.HoldSubject, h.Digest, by, "")
		try(err)
		try(s.ClearHold(ctx, w.tenant, h.HoldSubject))
	}
	_, err = s.ReplaceFindings(ctx, w.tenant, "zoom-90d", sequence(nil, nil))
	try(err)
	try(s.SetSeatPrices(ctx, w.tenant, "zoom-90d", nil))
	try(s.SetPolicyActed(ctx, w.tenant, "zoom-90d", t0))
	try(s.SetPolicyResult(ctx, w.tenant, "zoom-90d", json.RawMessage(`{"x":1}`), 99))
	try(s.KeepSeat(ctx, w.tenant, model.Keep{Policy: "zoom-90d", Integration: "zoom", AccountID: "u00000", PlanKey: "pro", Until: t0}, "run"))
	try(s.BookReclaim(ctx, w.tenant, reclaim(0)))
	w.setActive(k.user, true)
	w.deprovision(k.user)
	try(s.PruneSCIMLog(ctx, w.tenant, t0.Add(time.Hour)))
	_, _, err = s.SettleSCIMLeavers(ctx, w.tenant)
	try(err)
	_, err = s.BookReuse(ctx, w.tenant, "zoom-90d", []store.Reuse{{Integration: "zoom", AccountID: "u2", PlanKey: "pro", At: t0.Add(48 * time.Hour)}})
	try(err)
	try(s.RemovePolicy(ctx, w.tenant, "zoom-90d"))
	try(s.SetUploadState(ctx, w.tenant, k.upload, store.UploadRefused))
	for range 3 {
		_, err = s.PutUpload(ctx, w.tenant, "zoom", "x.csv", strings.NewReader("x"))
		try(err)
	}
	try(s.PutPushAnswer(ctx, w.tenant, store.PushAnswer{Integration: "zoom", Key: "once", Digest: "ruined", Answer: json.RawMessage(`{}`)}))
	for range 51 {
		_, err = s.PutAPIFile(ctx, w.tenant, store.APIFile{Type: "ruined", Bytes: []byte("x")})
		try(err)
	}
	if mine, err := s.ClaimIntegration(ctx, w.tenant, "zoom", "push/eve", time.Minute); err != nil {
		w.Fatal(err)
	} else {
		try(s.FinishIntegration(ctx, mine, store.IntegrationResult{Status: json.RawMessage(`{"ruined":true}`), NextDue: mine.DueAt}))
	}
	try(s.PutDeclaredApp(ctx, w.tenant, store.DeclaredApp{Name: "zoom", Title: "ruined"}))
	try(s.RemoveDeclaredApp(ctx, w.tenant, "zoom"))
	try(s.PruneDeclaredApps(ctx, w.tenant, w.clock.Now().Add(99*time.Hour)))
	try(s.PutDeclaredContract(ctx, w.tenant, model.ContractFacts{Name: "zoom-2026", App: "ruined"}))
	try(s.RemoveDeclaredContract(ctx, w.tenant, "zoom-2026"))
	try(s.PruneDeclaredContracts(ctx, w.tenant, w.clock.Now().Add(99*time.Hour)))
	try(s.PutOwnConnector(ctx, w.tenant, store.OwnConnector{Name: "crm", Title: "ruined"}))
	try(s.RemoveOwnConnector(ctx, w.tenant, "crm"))
	try(s.PruneOwnConnectors(ctx, w.tenant, w.clock.Now().Add(99*time.Hour)))
	try(s.TouchAPIKey(ctx, w.tenant, k.key))
	try(s.MarkAPIKeyDelivered(ctx, w.tenant, k.key))
	try(s.MarkAPIKeyWithdrawn(ctx, w.tenant, k.key))
	w.issue("entra", store.IssueAPIKey{By: ada, Rotate: true, DeliverTo: "ruined"})
	try(s.PutAPIKey(ctx, w.tenant, store.APIKeySpec{Name: "entra", UID: "ruined", Type: "MCP"}, ada))
	try(s.RevokeAPIKey(ctx, w.tenant, "entra", ada, "ruined"))
	try(s.RemoveAPIKey(ctx, w.tenant, "entra", ada))
	try(s.PruneAPIKeys(ctx, w.tenant, w.clock.Now().Add(99*time.Hour)))
	try(s.PruneDelegations(ctx, w.tenant, w.clock.Now().Add(99*time.Hour)))
	try(s.DeleteSealed(ctx, w.tenant, "signing/zoom"))
	zoomEvents := store.Hook{OwnerKind: "Integration", OwnerName: "zoom", Webhook: "events"}
	_, err = s.ApplyHook(ctx, store.HookEvents{Tenant: w.tenant, Hook: zoomEvents, AskForSync: true, Events: []model.Event{{ID: "ruined", Kind: model.EventRealtime, CreatedAt: t0}}})
	try(err)
	try(s.TouchOwner(ctx, w.tenant, zoomEvents))
	try(s.PutEndpoints(ctx, keyring(w.T, key(w.T, "k9")), w.tenant, "Integration", "zoom", "uid-zoom", []store.EndpointSpec{{Webhook: "events", Token: w.endpointToken()}}))
	try(s.DeleteEndpoints(ctx, w.tenant, "Integration", "zoom"))
	try(s.Lane(w.tenant, "zoom").Block(ctx, "k", t0.Add(99*time.Hour)))
	try(s.SetTenantFacts(ctx, w.tenant, store.TenantFacts{DisplayName: "ruined"}))
	events, err := s.NewEvents(ctx, w.tenant, 1000)
	try(err)
	handled := make([]string, len(events))
	for i, e := range events {
		handled[i] = e.ID
	}
	try(s.MarkEventsHandled(ctx, w.tenant, handled))
	w.step(time.Minute)
	try(s.PruneEvents(ctx, w.tenant, w.clock.Now()))
	try(s.PruneUsage(ctx, w.tenant, w.clock.Now()))

	// A sync that changes, adds and removes, and another that reads a part.
	w.sync("zoom",
		listing{stream: "users", outcome: store.StreamOutcome{Complete: true, Types: []model.DataType{model.DataPeople, model.DataAccounts}, Guard: model.DefaultShrinkGuard},
			records: append([]model.Record{person("1", "ada@acme.example", lifecycle(model.LifecyclePast)), account("u00000", func(a *model.Account) { a.Role = "ruined" }), account("new")}, accounts(29)[1:]...)},
		usageOf(store.Window{From: t0, Until: t0.Add(time.Hour)}, use(model.UsageEvent{AccountExternalID: "u00000", At: t0, Kind: "meeting"})))
	w.sync("zoom", listing{stream: "users", partOf: map[string][]model.Record{"": {account("u00000")}},
		outcome: store.StreamOutcome{Complete: true, KeepAbsent: true, Types: []model.DataType{model.DataAccounts}, Guard: model.DefaultShrinkGuard}})
	c := w.claim("zoom", "zoom")
	_, err = s.ReplaceAccount(ctx, c, store.RemoteAccount{ID: "other"}, 0)
	try(err)
	w.step(time.Hour)
	try(s.HideIntegration(ctx, w.tenant, "zoom", 0))
	for range 2 {
		_, err = s.PurgeHidden(ctx)
		try(err)
		w.step(time.Hour)
	}
}

// tenantTables lists the tables whose rows belong to a tenant.
func (w *world) tenantTables() (tables []string) {
	w.Helper()
	query := `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'tenant' ORDER BY 1`
	if w.s.Dialect() != "sqlite" {
		query = `SELECT table_name FROM information_schema.columns WHERE table_schema = current_schema() AND column_name = 'tenant' ORDER BY 1`
	}
	for _, r := range w.raw(query) {
		if r[0] != "inbox" { // on SQLite a file of its own; see TestInbox
			tables = append(tables, fmt.Sprint(r[0]))
		}
	}
	return tables
}

func (w *world) raw(query string, args ...any) (out [][]any) {
	w.Helper()
	rows, err := w.s.ReadDB().QueryContext(w.Context(), query, args...)
	w.must(err)
	defer func() { _ = rows.Close() }()
	cols, err := rows.Columns()
	w.must(err)
	for rows.Next() {
		values, refs := make([]any, len(cols)), make([]any, len(cols))
		for i := range values {
			refs[i] = &values[i]
		}
		w.must(rows.Scan(refs...))
		out = append(out, values)
	}
	w.must(rows.Err())
	return out
}

// dump is every value of the tenant, by table.
func (w *world) dump() map[string][]string {
	w.Helper()
	out := map[string][]string{}
	for _, table := range w.tenantTables() {
		rows := []string{}
		for _, r := range w.raw(`SELECT * FROM `+table+` WHERE tenant = $1`, w.tenant) {
			rows = append(rows, fmt.Sprintf("%v", r))
		}
		slices.Sort(rows)
		out[table] = rows
	}
	return out
}

// columns names the columns of a table.
func (w *world) columns(table string) []string {
	w.Helper()
	rows, err := w.s.ReadDB().QueryContext(w.Context(), `SELECT * FROM `+table+` WHERE FALSE`)
	w.must(err)
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	w.must(err)
	w.must(rows.Err())
	return names
}

// twin is a tenant with a copy of every row. That this is possible proves that
// every unique key has the tenant in it (decision 1).
func (w *world) twin(namespace string) *world {
	w.Helper()
	other := w.otherTenant(namespace)
	for _, table := range w.tenantTables() {
		var cols, values []string
		for _, c := range w.columns(table) {
			cols = append(cols, c)
			switch {
			case c == "tenant":
				c = "$1"
			case table == "upload_chunk" && c == "bytes":
				c = "$3" // a file of the same size that is not the same
			case table == "sync_stage" && c == "table_name":
				c = "table_name || '_twin'" // the name of a table is nobody's
			}
			values = append(values, c)
		}
		args := []any{other.tenant, w.tenant}
		if table == "upload_chunk" {
			args = append(args, bytes.ToUpper([]byte(members)))
		}
		w.must(w.s.WriteSQL(w.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(context.WithoutCancel(w.Context()), `INSERT INTO `+table+` (`+strings.Join(cols, ", ")+`) SELECT `+strings.Join(values, ", ")+` FROM `+table+` WHERE tenant = $2`, args...)
			return err
		}))
	}
	return other
}
