// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// Prove adds to a delivery what proves it to be the vendor's, as the vendor
// would have sent it at that moment. It is for tools that play a vendor.
func (w *Webhook) Prove(ctx context.Context, in *WebhookRequest, secrets map[string]string, at time.Time) error {
	v := &w.verify
	if v.kind == verifyNone {
		return nil
	}
	secret, err := v.secret.Text(ctx, map[string]any{"secret": secrets}, nil)
	if err != nil || secret == "" {
		return w.wrong(ClassConfig, "the secrets lack what deliveries are verified with")
	}
	if v.timestampHeader != "" {
		in.Header.Set(v.timestampHeader, fmt.Sprint(at.Unix()))
	}
	switch v.kind {
	case verifyToken:
		in.Header.Set(v.header, v.prefix+secret)
	case verifyBasic:
		in.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(secret)))
	case verifyStandard:
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			return w.wrong(ClassConfig, "the signing key is no base64")
		}
		if in.Header.Get("Webhook-Id") == "" {
			in.Header.Set("Webhook-Id", "msg-1")
		}
		stamp := fmt.Sprint(at.Unix())
		in.Header.Set("Webhook-Timestamp", stamp)
		mac := standardMAC(key, in.Header.Get("Webhook-Id"), stamp, in.Body)
		in.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac))
	default:
		payload := string(in.Body)
		if v.payload != nil {
			if payload, err = v.payload.EvalString(ctx, w.vars(*in, at)); err != nil {
				return w.failed("verify.payload", err)
			}
		}
		if v.signed != nil {
			if payload, err = v.signed.Text(ctx, w.vars(*in, at), nil); err != nil {
				return w.failed("signed", err)
			}
		}
		in.Header.Set(v.header, v.prefix+v.sign(secret, payload))
	}
	return nil
}

// Recent reports whether deliveries prove when they were made, so that an old
// one is refused.
func (w *Webhook) Recent() bool {
	return w.verify.timestampHeader != "" || w.verify.kind == verifyStandard
}

// Proven reports whether deliveries prove to be the vendor's at all.
func (w *Webhook) Proven() bool { return w.verify.kind != verifyNone }
