// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// newUploads lists the files that were imported and not looked at yet.
func (a *attempt) newUploads(ctx context.Context) ([]string, error) {
	files, err := a.w.o.Store.Uploads(ctx, a.claim.Tenant, a.claim.Name)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, f := range files {
		if f.State == store.UploadNew {
			ids = append(ids, f.ID)
		}
	}
	return ids, nil
}

// settleUploads records what became of the files that were there when the sync
// began, for whoever imported them and waits. later says that another one has
// arrived meanwhile, which this sync has not read.
func (a *attempt) settleUploads(ctx context.Context) (later bool, err error) {
	now, err := a.newUploads(ctx)
	if err != nil {
		return false, err
	}
	state := uploadState(a.status.Problem, a.refused)
	for _, id := range now {
		if !slices.Contains(a.uploads, id) {
			later = true
			continue
		}
		if state == store.UploadNew {
			continue
		}
		if err := a.w.o.Store.SetUploadState(ctx, a.claim.Tenant, id, state); err != nil {
			return later, err
		}
	}
	return later, nil
}

// uploadState is what a sync that ended with the problem makes of a file. One
// that mends by itself leaves the file for the next sync.
func uploadState(p *handover.Problem, refused bool) string {
	switch {
	case refused:
		return store.UploadRefused
	case p == nil, p.Reason == ReasonGuardHeld:
		return store.UploadAccepted
	case p.Transient:
		return store.UploadNew
	}
	return store.UploadRefused
}
