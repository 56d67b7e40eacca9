// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhookurl

import (
	"encoding/json"
	"fmt"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/connector"
)

// OfWorkflow is the hook of a Workflow's trigger. The error names the field that
// is wrong.
func OfWorkflow(t *v1alpha1.WebhookTrigger) (Hook, error) {
	g := connector.GenericWebhook{Dedupe: string(t.Dedupe)}
	var err error
	if t.DedupeWindow != "" {
		if g.DedupeWindow, err = t.DedupeWindow.Parse(); err != nil {
			return Hook{}, fmt.Errorf("dedupeWindow: %w", err)
		}
	}
	if s := t.HMAC; s != nil {
		g.Signature = &connector.GenericSignature{
			Standard: s.Scheme == "StandardWebhooks", Algorithm: s.Algorithm, Header: s.Header, Prefix: s.Prefix, Encoding: s.Encoding,
			TimestampHeader: s.TimestampHeader, Signed: string(s.Signed),
		}
		if s.MaxSkew != "" {
			if g.Signature.MaxSkew, err = s.MaxSkew.Parse(); err != nil {
				return Hook{}, fmt.Errorf("hmac.maxSkew: %w", err)
			}
		}
	}
	if _, err := connector.NewWebhook(g); err != nil {
		return Hook{}, err
	}
	config, err := json.Marshal(g)
	if err != nil {
		return Hook{}, fmt.Errorf("encode the endpoint: %w", err)
	}
	return Hook{Config: config}, nil
}
