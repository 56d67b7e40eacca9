// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// GenericKey is the name of the secret that deliveries of a user's own sender are
// signed with.
const GenericKey = "key"

// GenericWebhook says what is known of a user's own sender. The zero value takes
// whatever comes to the address, which then is the only proof.
type GenericWebhook struct {
	Signature *GenericSignature `json:"signature,omitempty"`
	// Dedupe is a template that yields what a repeated delivery is known by.
	Dedupe string `json:"dedupe,omitempty"`
	// DedupeWindow is for how long the same bytes are the same delivery where it
	// has no id; 0 is the default of the endpoint.
	DedupeWindow time.Duration `json:"dedupeWindow,omitempty"`
}

// GenericSignature says how deliveries are signed; then each must be.
type GenericSignature struct {
	// Standard: by the rules of standardwebhooks.com; nothing else is set then.
	Standard  bool   `json:"standard,omitempty"`
	Algorithm string `json:"algorithm,omitempty"` // sha256 (default), sha512, sha1
	Header    string `json:"header,omitempty"`
	Prefix    string `json:"prefix,omitempty"`
	Encoding  string `json:"encoding,omitempty"` // hex (default), base64
	// TimestampHeader holds when the delivery was sent; it must be in Signed.
	TimestampHeader string `json:"timestampHeader,omitempty"`
	// Signed is a template over rawBody, headers and method; empty is the body.
	Signed string `json:"signed,omitempty"`
	// MaxSkew is how far the timestamp may be from now; 0 is 5 minutes.
	MaxSkew time.Duration `json:"maxSkew,omitempty"`
}

// genericSpec is what a generic webhook has beyond one of a manifest.
type genericSpec struct{ dedupe *expr.Template }

// NewWebhook makes the webhook of a user's own sender. It reads JSON, forms and
// bare text, answers the set-up requests of Okta, Slack, HiBob and GitHub, and
// emits nothing: the body itself is the event.
func NewWebhook(g GenericWebhook) (*Webhook, error) {
	w := &Webhook{name: "webhook", title: "Webhook", parse: "any", generic: &genericSpec{}, verify: verifySpec{kind: verifyNone}}
	env, err := expr.Connector("body", "rawBody", "query", "method")
	if err != nil {
		return nil, err
	}
	env = env.WithCost(expr.CostPage)
	if g.Dedupe != "" {
		if w.generic.dedupe, err = env.Template(g.Dedupe); err != nil {
			return nil, fmt.Errorf("dedupe: %w", err)
		}
	}
	s := g.Signature
	if s == nil {
		return w, nil
	}
	w.secrets = []secretField{{name: GenericKey}}
	secretEnv, err := expr.ConnectorSecrets()
	if err != nil {
		return nil, err
	}
	v := verifySpec{kind: verifyStandard, maxSkew: s.MaxSkew}
	if v.maxSkew <= 0 {
		v.maxSkew = defaultMaxSkew
	}
	if v.secret, err = secretEnv.Template("${secret." + GenericKey + "}"); err != nil {
		return nil, err
	}
	if !s.Standard {
		if err := v.hmacOf(s, env); err != nil {
			return nil, err
		}
	}
	w.verify = v
	return w, nil
}

func (v *verifySpec) hmacOf(s *GenericSignature, env *expr.Env) (err error) {
	kinds := map[string]string{"": verifySHA256, "sha256": verifySHA256, "sha512": verifySHA512, "sha1": verifySHA1}
	if v.kind = kinds[strings.ToLower(s.Algorithm)]; v.kind == "" {
		return fmt.Errorf("algorithm %q: want SHA256, SHA512 or SHA1", s.Algorithm)
	}
	switch strings.ToLower(s.Encoding) {
	case "", "hex":
		v.encoding = "hex"
	case "base64":
		v.encoding = "base64"
	default:
		return fmt.Errorf("encoding %q: want Hex or Base64", s.Encoding)
	}
	if s.Header == "" || !headerName(s.Header) {
		return fmt.Errorf("header %q: want the name of the header with the signature", s.Header)
	}
	v.header, v.prefix, v.timestampHeader = s.Header, s.Prefix, s.TimestampHeader
	if s.Signed != "" {
		if v.signed, err = env.Template(s.Signed); err != nil {
			return fmt.Errorf("signed: %w", err)
		}
		if !strings.Contains(s.Signed, "rawBody") {
			return errors.New("signed: want a text with ${rawBody}: what is not signed is not proven")
		}
	}
	if v.timestampHeader != "" && !strings.Contains(s.Signed, strings.ToLower(v.timestampHeader)) {
		return fmt.Errorf("signed: want a text with ${headers['%s']}: a timestamp that is not signed proves nothing", strings.ToLower(v.timestampHeader))
	}
	return nil
}

// plain reports that no expression looks at a delivery.
func (g *genericSpec) plain(v verifySpec) bool {
	return g != nil && g.dedupe == nil && v.signed == nil
}

// deliveryID is what a repeated delivery is known by: what the user says, or one
// of the headers that senders give it.
func (g *genericSpec) deliveryID(ctx context.Context, in WebhookRequest, vars map[string]any) string {
	if g.dedupe != nil {
		if id, err := g.dedupe.Text(ctx, vars, nil); err == nil && id != "" {
			return "dedupe\n" + id
		}
	}
	for _, header := range []string{"Webhook-Id", "X-Github-Delivery"} {
		if id := in.Header.Get(header); id != "" {
			return header + "\n" + id
		}
	}
	return ""
}

// hibobPing is what HiBob sends to see whether somebody answers, bare or in an
// object.
const hibobPing = "Ping test"

// ping answers what is no event and asks nothing of who answers, signed or not.
func (g *genericSpec) ping(in WebhookRequest) *WebhookAnswer {
	if g == nil {
		return nil
	}
	if c := in.Header.Get("X-Okta-Verification-Challenge"); in.Method == http.MethodGet && c != "" {
		body, err := encodeJSON(map[string]any{"verification": cleaned(c)})
		if err != nil {
			return nil
		}
		return &WebhookAnswer{ContentType: "application/json", Body: body}
	}
	text := bytes.Trim(bytes.TrimSpace(in.Body), `"`)
	if len(in.Body) < 64 && (string(text) == hibobPing || isPingObject(in.Body)) {
		return &WebhookAnswer{ContentType: "text/plain; charset=utf-8", Body: []byte("ok\n")}
	}
	return nil
}

func isPingObject(body []byte) bool {
	v, err := decodeStrict(body)
	m, _ := v.(map[string]any)
	return err == nil && len(m) == 1 && m["text"] == hibobPing
}

// challenge answers what is no event, and what only who is verified is answered.
func (g *genericSpec) challenge(in WebhookRequest, body any) *WebhookAnswer {
	if in.Header.Get("X-Github-Event") == "ping" {
		return &WebhookAnswer{ContentType: "text/plain; charset=utf-8", Body: []byte("ok\n")}
	}
	m, _ := body.(map[string]any)
	if c, ok := m["challenge"].(string); ok && m["type"] == "url_verification" {
		return &WebhookAnswer{ContentType: "text/plain; charset=utf-8", Body: []byte(c)}
	}
	return nil
}
