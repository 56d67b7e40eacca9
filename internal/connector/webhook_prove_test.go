// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// What Prove signs is taken, and by nobody else's secret.
func TestProvenDeliveriesAreTaken(t *testing.T) {
	for kind, verify := range map[string]string{
		"hmac sha256":       `{type: hmac_sha256, header: X-S, prefix: "v0=", secret: "${secret.k}", timestampHeader: X-T, payload: "'v0:' + headers['x-t'] + ':' + body"}`,
		"hmac sha1 base64":  `{type: hmac_sha1, header: X-S, encoding: base64, secret: "${secret.k}"}`,
		"token":             `{type: token, header: Authorization, prefix: "Bearer ", secret: "${secret.k}"}`,
		"basic":             `{type: basic, secret: "${secret.k}"}`,
		"standard webhooks": `{type: standard_webhooks, secret: "${secret.k}"}`,
		"none":              `{type: none}`,
	} {
		secrets := "\n      secrets: {k: {}}"
		if kind == "none" {
			secrets = ""
		}
		m, err := Load("f.yaml", []byte(chaosManifest+"  webhooks:\n    w:"+secrets+"\n      verify: "+verify+"\n      parse: json\n      id: resp.id\n      emit: [{event: x, account: resp.id}]\n"))
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		w := m.Webhook("w")
		in := WebhookRequest{Method: http.MethodPost, Header: http.Header{}, Body: []byte(`{"id":"1"}`)}
		right, wrong := map[string]string{"k": "whsec_c2VjcmV0"}, map[string]string{"k": "whsec_b3RoZXI="}
		if kind == "basic" {
			right["k"], wrong["k"] = "user:password", "user:guess"
		}
		if err := w.Prove(t.Context(), &in, right, testNow); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if res, err := w.Handle(t.Context(), in, right, testNow.Add(time.Minute)); err != nil || len(res.Events) != 1 {
			t.Errorf("%s: %+v, %v", kind, res, err)
		}
		if _, err := w.Handle(t.Context(), in, wrong, testNow); w.Proven() && ClassOf(err) != ClassAuth {
			t.Errorf("%s, with another secret: %v", kind, err)
		}
		if _, err := w.Handle(t.Context(), in, right, testNow.Add(time.Hour)); w.Recent() && ClassOf(err) != ClassAuth {
			t.Errorf("%s, late: %v", kind, err)
		}
		if w.Recent() != (kind == "hmac sha256" || strings.HasPrefix(kind, "standard")) {
			t.Errorf("%s: recent %v", kind, w.Recent())
		}
		if err := w.Prove(t.Context(), &in, nil, testNow); w.Proven() && ClassOf(err) != ClassConfig {
			t.Errorf("%s, without a secret: %v", kind, err)
		}
	}
}
