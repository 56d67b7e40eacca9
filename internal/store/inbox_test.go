// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// An event is kept until it is handled; afterwards only that it came, so that a
// copy of it is refused.
func TestInbox(t *testing.T) {
	eachWorld(t, func(w *world) {
		other, ctx := w.otherTenant("beta"), w.Context()
		receive := func(w *world) (string, error) {
			return w.s.ReceiveEvent(ctx, store.Event{Tenant: w.tenant, Endpoint: "slack/slack", DedupeKey: "k", Body: []byte("response_url=secret&user=ada"), Headers: map[string]string{"h": "secret"}})
		}
		id, err := receive(w)
		w.must(err)
		if again, err := receive(w); !errors.Is(err, store.ErrDuplicate) || again != id {
			w.Fatalf("a copy: %q, %v", again, err)
		}
		if _, err := receive(other); err != nil {
			w.Fatalf("the same event of another tenant: %v", err)
		}
		w.must(w.s.FinishEvent(ctx, other.tenant, id, ""))
		pending, err := w.s.PendingEvents(ctx, 0, 10)
		w.must(err)
		if len(pending) != 2 || !bytes.Contains(pending[0].Body, []byte("ada")) || pending[0].Headers["h"] != "secret" {
			w.Fatalf("pending: %+v", pending)
		}
		w.must(w.s.FinishEvent(ctx, w.tenant, id, ""))
		w.must(w.s.FinishEvent(ctx, w.tenant, id, "too late to be dead"))
		if pending, err = w.s.PendingEvents(ctx, 0, 10); err != nil || len(pending) != 1 || pending[0].Tenant != other.tenant {
			w.Fatalf("pending: %+v, %v", pending, err)
		}
		var state, headers string
		var body []byte
		w.must(w.s.InboxDB().QueryRowContext(ctx, `SELECT state, headers, body FROM inbox WHERE tenant = $1 AND id = $2`, w.tenant, id).Scan(&state, &headers, &body))
		if rest := fmt.Sprint(state, headers, string(body)); rest != "handled{}" {
			w.Errorf("what is kept of a handled event: %q", rest)
		}
		if _, err := receive(w); !errors.Is(err, store.ErrDuplicate) {
			w.Errorf("a copy of a handled event: %v", err)
		}
	})
}
