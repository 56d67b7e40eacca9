// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// ReasonGuardHeld is why a run waits that would take access from more accounts
// than the guard of its Workflow lets pass.
const ReasonGuardHeld = "GuardHeld"

// defaultRemovalPer is the window of a guard that a Workflow does not declare.
const defaultRemovalPer = 24 * time.Hour

// RemovalHold names what the guard of a Workflow holds of the accounts that its
// runs would take access from.
func RemovalHold(workflow string) HoldSubject {
	return HoldSubject{Kind: HoldRemovals, SubjectKind: kindWorkflow, SubjectName: workflow}
}

// RemovalAsk is about the account that a run is about to take access from.
type RemovalAsk struct {
	Target string // a digest of what names the account
	// Wants is how many more the run may come to ask for, this one among them: what
	// a person is asked to release.
	Wants int64
}

// RemovalGuard is how it stands with the guard of the Workflow that a run belongs
// to, for the account that it asked about. Runs below others belong to the
// Workflow of the first of them.
type RemovalGuard struct {
	Workflow string
	Guard    model.Guard
	Per      time.Duration
	// People is the set that the guard is a share of. Where few are taken, it need
	// not be counted to the end.
	People int64
	Taken  int64 // accounts in the window
	Known  bool  // this account is one of them
	// Left is what a person let the first run take beyond the guard.
	Left int64
}

// Allowed is how many accounts may be taken in a window. Where nobody is known
// there is no set, and MinItems is all there is.
func (g RemovalGuard) Allowed() int64 {
	if g.People == 0 {
		return int64(g.Guard.MinItems)
	}
	return g.Guard.Allowed(g.People)
}

// RemovalAnswer is what was decided about the account that a run asked about.
type RemovalAnswer struct {
	Held     bool // it waits for a person, or until the window has moved on
	Released bool // it passes by what a person released
}

// removalAsk is a row of removal_ask.
type removalAsk struct {
	runID, root, workflow, target string
	wants                         int64
	held                          bool
}

// removals are the guards that the runs of one transaction stand at. Those who
// write counts hold the row of their Workflow from before they read them.
type removals struct {
	asks    map[RunKey]removalAsk
	windows map[removalWindow]*removalCount
}

type removalWindow struct {
	tenant   model.TenantID
	workflow string
}

type removalCount struct {
	RemovalGuard
	known map[string]bool  // of the targets that are asked about
	left  map[string]int64 // by root
	dirty bool             // what is held has changed
}

// loadRemovals reads the guards at which runs stand.
func (s *Store) loadRemovals(ctx context.Context, tx *sql.Tx, loaded []LoadedRun) (*removals, error) {
	g := &removals{asks: map[RunKey]removalAsk{}, windows: map[removalWindow]*removalCount{}}
	var windows []removalWindow
	asked := map[removalWindow]int64{}
	for _, l := range loaded {
		if l.Run.Reason != ReasonGuardHeld || !l.Run.ofWorkflow() {
			continue
		}
		a := removalAsk{runID: l.Run.ID}
		err := tx.QueryRowContext(ctx, `SELECT root_id, workflow, target, wants, held FROM removal_ask WHERE tenant=$1 AND run_id=$2`, l.Run.Tenant, l.Run.ID).
			Scan(&a.root, &a.workflow, &a.target, &a.wants, &a.held)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read what run %s asks of its guard: %w", l.Run.ID, err)
		}
		g.asks[l.Run.Key()] = a
		w := removalWindow{l.Run.Tenant, a.workflow}
		if asked[w]++; asked[w] == 1 {
			windows = append(windows, w)
		}
	}
	slices.SortFunc(windows, func(a, b removalWindow) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.workflow, b.workflow))
	})
	for _, w := range windows {
		count, err := s.removalCount(ctx, tx, w, asked[w])
		if err != nil {
			return nil, err
		}
		g.windows[w] = count
	}
	for key, a := range g.asks {
		if err := s.countAsk(ctx, tx, key.Tenant, a, g.windows[removalWindow{key.Tenant, a.workflow}]); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// removalCount locks a Workflow's row and counts what its runs have taken, for so
// many that ask.
func (s *Store) removalCount(ctx context.Context, tx *sql.Tx, w removalWindow, asked int64) (*removalCount, error) {
	out := &removalCount{
		RemovalGuard: RemovalGuard{Workflow: w.workflow, Guard: model.DefaultActionGuard, Per: defaultRemovalPer},
		known:        map[string]bool{}, left: map[string]int64{},
	}
	var spec string
	err := tx.QueryRowContext(ctx, `SELECT trigger_spec FROM workflow WHERE tenant=$1 AND name=$2`+s.dialect.forUpdate, w.tenant, w.workflow).Scan(&spec)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("lock the guard of Workflow %q: %w", w.workflow, err)
	}
	var declared struct {
		Guard *struct {
			MinItems   int           `json:"minItems"`
			MaxPercent int           `json:"maxPercent"`
			Per        time.Duration `json:"per"`
		} `json:"guard"`
	}
	if spec != "" {
		if err := json.Unmarshal([]byte(spec), &declared); err != nil {
			return nil, fmt.Errorf("read the guard of Workflow %q: %w", w.workflow, err)
		}
	}
	if d := declared.Guard; d != nil {
		out.Guard, out.Per = model.Guard{MinItems: d.MinItems, MaxPercent: d.MaxPercent}, d.Per
	}
	since := s.now() - out.Per.Milliseconds()
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM removal WHERE tenant=$1 AND workflow=$2 AND taken_at > $3`, w.tenant, w.workflow, since).Scan(&out.Taken); err != nil {
		return nil, fmt.Errorf("count what Workflow %q has taken: %w", w.workflow, err)
	}
	// Of twice MinItems people half is no less than MinItems: as long as no more
	// are taken, the rest need not be counted.
	limit := int64(math.MaxInt32)
	if out.Taken+asked <= int64(out.Guard.MinItems) {
		limit = 2 * int64(out.Guard.MinItems)
	}
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM person WHERE tenant=$1 AND NOT hidden AND lifecycle <> $2 LIMIT $3) AS p`,
		w.tenant, model.LifecyclePast, limit).Scan(&out.People); err != nil {
		return nil, fmt.Errorf("count people: %w", err)
	}
	return out, nil
}

// countAsk adds to a count what is known of the account that a run asks about.
func (s *Store) countAsk(ctx context.Context, tx *sql.Tx, tenant model.TenantID, a removalAsk, c *removalCount) error {
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM removal WHERE tenant=$1 AND workflow=$2 AND target=$3 AND taken_at > $4`,
		tenant, a.workflow, a.target, s.now()-c.Per.Milliseconds()).Scan(&n); err != nil {
		return fmt.Errorf("find what Workflow %q has taken: %w", a.workflow, err)
	}
	c.known[a.target] = n > 0
	var left int64
	err := tx.QueryRowContext(ctx, `SELECT unused FROM removal_pass WHERE tenant=$1 AND root_id=$2`, tenant, a.root).Scan(&left)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read what run %s may take: %w", a.root, err)
	}
	c.left[a.root] = left
	return nil
}

// of is the guard at which a run stands, as the decisions before it in this
// transaction leave it; nil: it stands at none.
func (g *removals) of(r Run) *RemovalGuard {
	a, ok := g.asks[r.Key()]
	if !ok {
		return nil
	}
	c := g.windows[removalWindow{r.Tenant, a.workflow}]
	out := c.RemovalGuard
	out.Known, out.Left = c.known[a.target], c.left[a.root]
	return &out
}

// note counts what was decided about a run, and writes it.
func (g *removals) note(ctx context.Context, s *Store, tx *sql.Tx, c *RunChange) error {
	if c == nil {
		return nil
	}
	key := c.Run.Key()
	if c.RemovalAsk != nil {
		return s.askRemoval(ctx, tx, c.Run, *c.RemovalAsk)
	}
	a, ok := g.asks[key]
	if !ok {
		return nil
	}
	count := g.windows[removalWindow{key.Tenant, a.workflow}]
	answer := c.Removal
	if answer != nil && answer.Held {
		if !a.held {
			count.dirty = true
			if _, err := tx.ExecContext(ctx, `UPDATE removal_ask SET held=TRUE WHERE tenant=$1 AND run_id=$2`, key.Tenant, key.ID); err != nil {
				return fmt.Errorf("hold run %s: %w", key.ID, err)
			}
		}
		return nil
	}
	count.dirty = count.dirty || a.held
	if _, err := tx.ExecContext(ctx, `DELETE FROM removal_ask WHERE tenant=$1 AND run_id=$2`, key.Tenant, key.ID); err != nil {
		return fmt.Errorf("let run %s pass: %w", key.ID, err)
	}
	if answer == nil { // it went elsewhere
		return nil
	}
	if answer.Released {
		count.left[a.root]--
		if _, err := tx.ExecContext(ctx, `UPDATE removal_pass SET unused = unused - 1 WHERE tenant=$1 AND root_id=$2`, key.Tenant, a.root); err != nil {
			return fmt.Errorf("use what was released of run %s: %w", a.root, err)
		}
	}
	if !count.known[a.target] {
		count.Taken++
		count.known[a.target] = true
	}
	now := s.now()
	if _, err := tx.ExecContext(ctx, `INSERT INTO removal (tenant, workflow, target, root_id, taken_at) VALUES ($1,$2,$3,$4,$5)
		ON CONFLICT (tenant, workflow, target) DO UPDATE SET root_id=excluded.root_id, taken_at=excluded.taken_at`, key.Tenant, a.workflow, a.target, a.root, now); err != nil {
		return fmt.Errorf("count what run %s takes: %w", key.ID, err)
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM removal WHERE tenant=$1 AND workflow=$2 AND taken_at <= $3`, key.Tenant, a.workflow, now-count.Per.Milliseconds()); err != nil {
		return fmt.Errorf("forget what Workflow %q has taken long ago: %w", a.workflow, err)
	}
	return nil
}

// holdAll makes the holds those of what is held now.
func (g *removals) holdAll(ctx context.Context, s *Store, tx *sql.Tx) error {
	for w, c := range g.windows {
		if c.dirty {
			if err := s.holdRemovals(ctx, tx, w, Hold{Total: c.People, Allowed: c.Allowed()}); err != nil {
				return err
			}
		}
	}
	return nil
}

// askRemoval writes what a run asks about, for the look at it that follows.
func (s *Store) askRemoval(ctx context.Context, tx *sql.Tx, r Run, ask RemovalAsk) error {
	root, workflow, err := rootOf(ctx, tx, r)
	if err == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO removal_ask (tenant, run_id, root_id, workflow, target, wants, held) VALUES ($1,$2,$3,$4,$5,$6,FALSE)
			ON CONFLICT (tenant, run_id) DO UPDATE SET target=excluded.target, wants=excluded.wants`, r.Tenant, r.ID, root, workflow, ask.Target, ask.Wants)
	}
	if err != nil {
		return fmt.Errorf("ask the guard for run %s: %w", r.ID, err)
	}
	return nil
}

// rootOf is the run that nothing started for another, and its Workflow.
func rootOf(ctx context.Context, q querier, r Run) (id, workflow string, err error) {
	if r.ParentID == "" {
		return r.ID, r.Name, nil
	}
	err = q.QueryRowContext(ctx, `WITH RECURSIVE up (id, name, parent_id) AS (
			SELECT id, name, parent_id FROM run WHERE tenant=$1 AND id=$2
			UNION ALL SELECT r.id, r.name, r.parent_id FROM run r JOIN up ON r.id = up.parent_id WHERE r.tenant=$1 AND up.parent_id <> '')
		SELECT id, name FROM up WHERE parent_id = ''`, r.Tenant, r.ParentID).Scan(&id, &workflow)
	if errors.Is(err, sql.ErrNoRows) { // those above are gone; it stands for itself
		return r.ID, r.Name, nil
	}
	return id, workflow, err
}

// leaveGuard forgets what a run asked its guard that goes elsewhere or ends.
func (s *Store) leaveGuard(ctx context.Context, tx *sql.Tx, r Run) error {
	if r.Reason != ReasonGuardHeld || !r.ofWorkflow() {
		return nil
	}
	var w removalWindow
	var held bool
	err := tx.QueryRowContext(ctx, `DELETE FROM removal_ask WHERE tenant=$1 AND run_id=$2 RETURNING workflow, held`, r.Tenant, r.ID).Scan(&w.workflow, &held)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take run %s from its guard: %w", r.ID, err)
	}
	if !held {
		return nil
	}
	w.tenant = r.Tenant
	have, err := s.hold(ctx, tx, r.Tenant, RemovalHold(w.workflow))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return s.holdRemovals(ctx, tx, w, Hold{Total: have.Total, Allowed: have.Allowed})
}

// holdRemovals makes the hold of a Workflow that of the runs which wait at its
// guard: for each, and those below it, how many accounts a release lets pass.
func (s *Store) holdRemovals(ctx context.Context, tx *sql.Tx, w removalWindow, h Hold) error {
	type held struct {
		root, subject   string
		wants, approved int64
	}
	rows, err := collect(ctx, tx, func(r *sql.Rows) (v held, err error) { return v, r.Scan(&v.root, &v.subject, &v.wants, &v.approved) },
		`SELECT a.root_id, coalesce(max(r.subject), ''), max(a.wants), coalesce(max(p.approved), 0) FROM removal_ask a
			LEFT JOIN run r ON r.tenant = a.tenant AND r.id = a.root_id LEFT JOIN removal_pass p ON p.tenant = a.tenant AND p.root_id = a.root_id
			WHERE a.tenant=$1 AND a.workflow=$2 AND a.held GROUP BY a.root_id ORDER BY a.root_id`, w.tenant, w.workflow)
	if err != nil {
		return fmt.Errorf("list what the guard of Workflow %q holds: %w", w.workflow, err)
	}
	h.HoldSubject, h.Reason = RemovalHold(w.workflow), ReasonGuardHeld
	if len(rows) == 0 {
		return s.clearHold(ctx, tx, w.tenant, h.HoldSubject)
	}
	items := make([]HoldItem, len(rows))
	for i, v := range rows {
		label := fmt.Sprintf("up to %d more accounts", v.wants)
		if v.subject != "" {
			label = v.subject + ": " + label
		}
		// What was approved before is part of it, so that a release is for this once.
		items[i] = HoldItem{Item: fmt.Sprintf("%s/%d+%d", v.root, v.approved, v.wants), Label: label, Detail: "run " + v.root}
		h.Count += v.wants
	}
	_, err = s.putHold(ctx, tx, w.tenant, h, items)
	return err
}

// releaseRemovals lets the runs of a hold take as many accounts as it says, and
// wakes what waits.
func (s *Store) releaseRemovals(ctx context.Context, tx *sql.Tx, tenant model.TenantID, h Hold) error {
	items, err := collect(ctx, tx, func(r *sql.Rows) (item string, err error) { return item, r.Scan(&item) },
		`SELECT item FROM guard_hold_item WHERE tenant=$1 AND hold_id=$2 ORDER BY item`, tenant, h.ID)
	if err != nil {
		return fmt.Errorf("read the held set: %w", err)
	}
	for _, item := range items {
		root, amounts, _ := strings.Cut(item, "/")
		_, more, _ := strings.Cut(amounts, "+")
		wants, err := strconv.ParseInt(more, 10, 64)
		if err != nil {
			return fmt.Errorf("held item %q: %w", item, err)
		}
		if err := letTake(ctx, tx, tenant, root, wants); err != nil {
			return err
		}
	}
	now := s.now()
	if _, err := tx.ExecContext(ctx, `UPDATE run SET due_at=$1, state='ready', version=version+1 WHERE tenant=$2 AND state='waiting' AND reason=$3 AND ended_at IS NULL
		AND id IN (SELECT run_id FROM removal_ask WHERE tenant=$2 AND workflow=$4 AND held)`, now, tenant, ReasonGuardHeld, h.SubjectName); err != nil {
		return fmt.Errorf("wake what the guard held: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE removal_ask SET held=FALSE WHERE tenant=$1 AND workflow=$2 AND held`, tenant, h.SubjectName); err != nil {
		return fmt.Errorf("let go what the guard held: %w", err)
	}
	return nil
}

// lockGuard keeps others from counting what the runs of a Workflow take.
func (s *Store) lockGuard(ctx context.Context, tx *sql.Tx, tenant model.TenantID, workflow string) error {
	var name string
	err := tx.QueryRowContext(ctx, `SELECT name FROM workflow WHERE tenant=$1 AND name=$2`+s.dialect.forUpdate, tenant, workflow).Scan(&name)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("lock the guard of Workflow %q: %w", workflow, err)
	}
	return nil
}

// RemovalRelease is from how many accounts a person let a run, and those below it,
// take access beyond the guard, and how much of it is left.
type RemovalRelease struct {
	Approved int64 `json:"approved"`
	Unused   int64 `json:"unused"`
}

// Released returns what a person let a run take.
func (s *Store) Released(ctx context.Context, tenant model.TenantID, id string) (r RemovalRelease, err error) {
	err = s.reads.QueryRowContext(ctx, `SELECT approved, unused FROM removal_pass WHERE tenant=$1 AND root_id=$2`, tenant, id).Scan(&r.Approved, &r.Unused)
	if errors.Is(err, sql.ErrNoRows) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read what was released of run %s: %w", id, err)
	}
	return r, nil
}

// letTake lets a run take so many accounts beyond the guard.
func letTake(ctx context.Context, q querier, tenant model.TenantID, root string, n int64) error {
	_, err := q.ExecContext(ctx, `INSERT INTO removal_pass (tenant, root_id, approved, unused) VALUES ($1,$2,$3,$3)
		ON CONFLICT (tenant, root_id) DO UPDATE SET approved = removal_pass.approved + excluded.approved, unused = removal_pass.unused + excluded.unused`, tenant, root, n)
	if err != nil {
		return fmt.Errorf("release run %s: %w", root, err)
	}
	return nil
}
