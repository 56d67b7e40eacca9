// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/runmetrics"
	"github.com/seatkeeper/seatkeeper/internal/schedule"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// keyringFile is the key file of a trial on one machine, beside its database.
const keyringFile = "keyring"

// loadKeyring reads the keys that seal stored secrets. On SQLite a missing file
// is made, since there is nobody else to agree with.
func loadKeyring(o Options) (*store.Keyring, string, error) {
	path, create := o.Keyring, false
	if path == "" {
		dir, ok := strings.CutPrefix(o.Store, "sqlite:")
		if !ok {
			return nil, "", errors.New("--keyring is not set: with PostgreSQL every replica needs the same key file, mounted from a Secret")
		}
		path, create = filepath.Join(dir, keyringFile), true
	}
	k, err := store.LoadKeyring(path, create)
	return k, path, err
}

// promptKey derives the key of answer tokens from the oldest key of the file,
// so that putting a new key first does not void questions that are out.
func promptKey(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	oldest := ""
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			oldest = line
		}
	}
	return hkdf.Key(sha256.New, []byte(oldest), nil, "seatkeeper prompt tokens v1", sha256.Size)
}

// newEngine wires the run executor.
func newEngine(o Options, st *store.Store, act workflow.Actions, facts workflow.Facts, people workflow.People, leaving workflow.Leavers, requests workflow.Requests, sealer workflow.Sealer, key []byte, links linkMaker) (*workflow.Engine, error) {
	return workflow.New(workflow.Options{
		Store: st, Actions: act, Facts: facts, People: people, Leavers: leaving, Seats: govern.Unused{Store: st, Clock: o.Clock}, Channels: []workflow.Channel{workflow.Slack{}, workflow.Email{}}, Language: expr.Workflow{},
		Requests: requests, Sealer: sealer, PromptKey: key, AnswerLink: links, OnDefect: runmetrics.Defect, Alone: o.sqlite(), ZoneRules: schedule.Rules(), Clock: o.Clock, Log: o.Log.With("component", "workflow"),
	})
}

// engineRunnable runs the engine on every replica: shards are shared by lease.
func engineRunnable(e *workflow.Engine) everywhere {
	return func(ctx context.Context) error { return e.Run(ctx) }
}

// newStarter wires what starts runs of Workflows.
func (w *wiring) newStarter() *trigger.Starter {
	return trigger.NewStarter(trigger.Starter{
		Store: w.store, Seats: govern.Unused{Store: w.store, Clock: w.options.Clock}, Language: expr.Workflow{}, Clock: w.options.Clock, Log: w.options.Log.With("component", "trigger"),
		OnFailed: runmetrics.StartFailed(w.store), OnDefect: runmetrics.Defect,
	})
}
