// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// runDocument is a run as the gateway answers it.
type runDocument struct {
	store.RunDetail
	Steps []workflow.StepProgress `json:"steps"`
	// Sent are the requests of a run that sends none, by step.
	Sent map[string][]string `json:"-"`
	// Runs are those that its steps have started; MoreRuns are not among them.
	Runs     []runBelow `json:"runs"`
	MoreRuns int        `json:"moreRuns"`
	// Released is what a person let it take beyond the guard.
	Released store.RemovalRelease `json:"released"`
}

// runBelow is a run that a step of another has started.
type runBelow struct {
	Step  string `json:"step"`
	Place string `json:"place"`
	runDocument
}

// showRun prints one run as a tree: what each step came to, when, how long it
// took, what was tried in vain, and what the run waits for.
func showRun(out io.Writer, doc item) error {
	raw, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	var r runDocument
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("read the run: %w", err)
	}
	return writeRun(out, r)
}

func writeRun(out io.Writer, r runDocument) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("Run %s of %s %s, revision %d", r.ID, r.Kind, r.Name, r.Revision)
	if r.Subject != "" {
		line("About: %s", r.Subject)
	}
	line("Started: %s by %s", clockTime(r.CreatedAt), cmp.Or(r.TriggerKind, "?"))
	line("State: %s", runState(r))
	if n := r.Released; n.Approved > 0 {
		line("Released: access from up to %d accounts beyond the guard, %d of them left", n.Approved, n.Unused)
	}
	b.WriteByte('\n')
	tree := stepTree{{cells: []string{"STEP", "RESULT", "AT", "TOOK", "TRIES"}}}
	tree = r.rows(tree, 0)
	if len(tree) == 1 {
		tree[0].notes = []string{"(no step has begun)"}
	}
	tree.write(&b)
	_, err := io.WriteString(out, b.String())
	return err
}

// rows adds the steps of a run, each with the runs that it has started below it.
func (r runDocument) rows(tree stepTree, in int) stepTree {
	before := r.CreatedAt
	shown := map[string]bool{}
	for _, s := range r.Steps {
		depth := in + strings.Count(s.Name, ".")
		at, took := "-", "-"
		if t, err := time.Parse(time.RFC3339, s.At); err == nil {
			at, took, before = clockTime(t), span(t.Sub(before)), t
		}
		tries := "-"
		if s.Attempts > 0 {
			tries = fmt.Sprint(s.Attempts)
		}
		name := s.Name[strings.LastIndexByte(s.Name, '.')+1:]
		row := treeRow{cells: []string{nested(depth) + name, cmp.Or(s.Result, string(s.State)), at, took, tries}}
		for _, why := range details(r, s) {
			row.notes = append(row.notes, nested(depth+1)+oneLine(why))
		}
		tree, shown[s.Name] = r.below(append(tree, row), s.Name, depth+1), true
	}
	for _, b := range r.Runs { // of steps that are being done again, or of another revision
		if !shown[b.Step] {
			tree, shown[b.Step] = r.below(tree, b.Step, in), true
		}
	}
	if r.MoreRuns > 0 {
		tree = append(tree, treeRow{cells: []string{nested(in) + fmt.Sprintf("(%d more runs)", r.MoreRuns)}})
	}
	return tree
}

// below adds the runs that a step has started.
func (r runDocument) below(tree stepTree, step string, depth int) stepTree {
	for _, b := range r.Runs {
		if b.Step != step {
			continue
		}
		name := b.Place
		switch b.Kind {
		case workflow.KindOffboarding:
			name = b.Subject
		case workflow.KindWorkflow:
			name = b.Name
		}
		at, took := "-", "-"
		if b.EndedAt != nil {
			at, took = clockTime(*b.EndedAt), span(b.EndedAt.Sub(b.CreatedAt))
		}
		row := treeRow{cells: []string{nested(depth) + name, string(b.State), at, took, "-"}, notes: []string{nested(depth+1) + "run " + b.ID}}
		if why := strings.TrimSpace(b.Reason + " " + b.Message); why != "" {
			row.notes = append(row.notes, nested(depth+1)+oneLine(why))
		}
		tree = b.rows(append(tree, row), depth+1)
	}
	return tree
}

func nested(depth int) string { return strings.Repeat("  ", depth) }

// stepTree is a table whose rows have notes, which no column is as wide as.
type stepTree []treeRow

type treeRow struct {
	cells []string
	notes []string
}

func (t stepTree) write(b *strings.Builder) {
	var widths []int
	for _, row := range t {
		for i, cell := range row.cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range t {
		line := ""
		for i, cell := range row.cells {
			line += cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+columnGap)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		for _, note := range row.notes {
			b.WriteString(note + "\n")
		}
	}
}

// runIsOver says that a run is not going to change by itself.
func runIsOver(doc item) bool {
	state, _ := doc["state"].(string)
	return store.RunState(state).Ended()
}

// runState says how a run stands, and what it waits for.
func runState(r runDocument) string {
	s := string(r.State)
	switch {
	case r.State == store.RunWaiting:
		s += " until " + clockTime(r.DueAt)
	case r.EndedAt != nil:
		s += " " + clockTime(*r.EndedAt) + ", after " + span(r.EndedAt.Sub(r.CreatedAt))
	}
	if why := strings.TrimSpace(r.Reason + " " + r.Message); why != "" {
		s += ": " + oneLine(why)
	}
	return s
}

// details are the reasons of a step, and its attempts that came to nothing.
func details(r runDocument, s workflow.StepProgress) (out []string) {
	if why := strings.TrimSpace(s.Reason + " " + s.Message); why != "" {
		out = append(out, why)
	}
	out = append(out, r.Sent[s.Name]...)
	if s.Request != nil {
		if raw, err := json.Marshal(s.Request); err == nil {
			out = append(out, "would send "+string(raw))
		}
	}
	n := 0
	for _, a := range r.Attempts {
		if workflow.StepName(a.StepPath) != s.Name {
			continue
		}
		n++
		if a.State == store.AttemptOK {
			continue
		}
		text := fmt.Sprintf("try %d, %s: %s %s %s", n, clockTime(a.StartedAt), a.Integration, a.Action, a.State)
		if a.StatusCode != 0 {
			text += fmt.Sprintf(", HTTP %d", a.StatusCode)
		}
		if a.Error != "" {
			text += ": " + a.Error
		}
		out = append(out, text)
	}
	for _, p := range r.Prompts {
		if workflow.StepName(p.StepPath) != s.Name {
			continue
		}
		var who []string
		for _, a := range p.Assignees {
			who = append(who, cmp.Or(a.Email, a.Name))
		}
		text := fmt.Sprintf("asked %s: %s", cmp.Or(strings.Join(who, ", "), "nobody"), p.State)
		if p.State == store.PromptOpen {
			text += " until " + clockTime(p.ExpiresAt)
		}
		out = append(out, text)
	}
	return out
}

func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// span is a length of time in its two largest units.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 24*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	days := d / (24 * time.Hour)
	return fmt.Sprintf("%dd%dh", days, (d-days*24*time.Hour)/time.Hour)
}
