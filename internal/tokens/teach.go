// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Store keeps what is known of the bodies that Workflows receive.
type Store interface {
	// WorkflowTokens returns what UpdateWorkflowTokens stored; nil if there is
	// nothing, of a Workflow that is not there too.
	WorkflowTokens(ctx context.Context, tenant model.TenantID, workflow string) (json.RawMessage, error)
	// UpdateWorkflowTokens stores what edit makes of what is stored, if the
	// Workflow is there and edit has something new.
	UpdateWorkflowTokens(ctx context.Context, tenant model.TenantID, workflow string, edit func(json.RawMessage) (json.RawMessage, bool, error)) error
}

// Body is what came at an instant.
type Body struct {
	Value any
	At    time.Time
}

// Of returns what is known of a Workflow's bodies.
func Of(ctx context.Context, s Store, tenant model.TenantID, workflow string) (Known, error) {
	raw, err := s.WorkflowTokens(ctx, tenant, workflow)
	if err != nil {
		return Known{}, err
	}
	return Parse(raw)
}

// Teach adds what bodies have to what is known of a Workflow, and writes only if
// that is news.
func Teach(ctx context.Context, s Store, tenant model.TenantID, workflow string, bodies ...Body) (Known, error) {
	known, err := Of(ctx, s, tenant, workflow)
	if err != nil {
		return known, err
	}
	if known, news := learnAll(known, bodies); !news {
		return known, nil
	}
	err = s.UpdateWorkflowTokens(ctx, tenant, workflow, func(raw json.RawMessage) (json.RawMessage, bool, error) {
		before, err := Parse(raw) // somebody else may have learned meanwhile
		if err != nil {
			return nil, false, err
		}
		after, news := learnAll(before, bodies)
		if known = after; !news {
			return nil, false, nil
		}
		raw, err = after.Marshal()
		return raw, true, err
	})
	if err != nil {
		return known, fmt.Errorf("learn what the webhook of Workflow %q received: %w", workflow, err)
	}
	return known, nil
}

func learnAll(k Known, bodies []Body) (_ Known, news bool) {
	for _, b := range bodies {
		var more bool
		k, more = k.Learn(b.Value, b.At)
		news = news || more
	}
	return k, news
}
