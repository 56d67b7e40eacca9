// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // HMAC-SHA1 is what some vendors sign with, and no collision breaks it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// Ways in which a delivery proves to be the vendor's.
const (
	verifySHA256   = "hmac_sha256"
	verifySHA512   = "hmac_sha512"
	verifySHA1     = "hmac_sha1"
	verifyToken    = "token"
	verifyStandard = "standard_webhooks"
	verifyBasic    = "basic"
	verifyNone     = "none"
)

var verifyKinds = []string{verifySHA256, verifySHA512, verifySHA1, verifyToken, verifyStandard, verifyBasic, verifyNone}

// defaultMaxSkew is how far a delivery's timestamp may be from now.
const defaultMaxSkew = 5 * time.Minute

type verifySpec struct {
	kind            string
	header          string
	prefix          string
	encoding        string // hex, base64
	secret          *expr.Template
	timestampHeader string
	payload         *expr.Program  // nil: the body
	signed          *expr.Template // the same as text with holes; nil: see payload
	maxSkew         time.Duration
}

// verified checks that the delivery is the vendor's and recent, and returns the
// secret for the answer to a challenge.
func (w *Webhook) verified(ctx context.Context, in WebhookRequest, vars map[string]any, secrets map[string]string, now time.Time) (string, error) {
	v := &w.verify
	if v.kind == verifyNone {
		return "", nil
	}
	for _, s := range w.secrets {
		if secrets[s.name] == "" && !s.optional {
			return "", &Error{Class: ClassConfig, Message: "webhook " + w.name + ": the Secret lacks the key " + s.name,
				Fix: "add it; the connector's README says where the vendor shows it"}
		}
	}
	secret, err := v.secret.Text(ctx, map[string]any{"secret": secrets}, nil)
	if err != nil || secret == "" {
		return "", w.wrong(ClassConfig, "the Secret lacks what deliveries are verified with")
	}
	if v.kind == verifyStandard {
		return secret, w.standard(in, secret, now)
	}
	if v.timestampHeader != "" {
		if err := w.recent(in.Header.Get(v.timestampHeader), now); err != nil {
			return "", err
		}
	}
	switch v.kind {
	case verifyToken:
		if !anyHeader(in.Header.Values(v.header), func(value string) bool {
			token, ok := strings.CutPrefix(value, v.prefix)
			return ok && equalSecret(token, secret)
		}) {
			return "", w.wrong(ClassAuth, "the token is missing or wrong")
		}
	case verifyBasic:
		user, password, ok := (&http.Request{Header: in.Header}).BasicAuth()
		if !ok || !equalSecret(user+":"+password, secret) {
			return "", w.wrong(ClassAuth, "the user or password is missing or wrong")
		}
	default:
		payload := string(in.Body)
		if v.payload != nil {
			if payload, err = v.payload.EvalString(ctx, vars); err != nil {
				return "", w.wrong(ClassAuth, "what is signed is not there") // a header, at most
			}
		}
		if v.signed != nil {
			if payload, err = v.signed.Text(ctx, vars, nil); err != nil {
				return "", w.wrong(ClassAuth, "what is signed is not there")
			}
		}
		mac := v.mac(secret, payload)
		if !anyHeader(in.Header.Values(v.header), func(value string) bool { return v.matches(value, mac) }) {
			return "", w.wrong(ClassAuth, "the signature is missing or wrong")
		}
	}
	return secret, nil
}

// standard verifies a delivery by standardwebhooks.com: the secret is base64
// behind whsec_, and signs id.timestamp.body; the header lists signatures.
func (w *Webhook) standard(in WebhookRequest, secret string, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return w.wrong(ClassConfig, "the Secret's signing key is no base64")
	}
	stamp := in.Header.Get("Webhook-Timestamp")
	if err := w.recent(stamp, now); err != nil {
		return err
	}
	id := in.Header.Get("Webhook-Id")
	if id == "" {
		return w.wrong(ClassAuth, "the delivery has no id")
	}
	mac := standardMAC(key, id, stamp, in.Body)
	for _, word := range strings.Fields(in.Header.Get("Webhook-Signature")) {
		version, text, _ := strings.Cut(word, ",")
		if got, err := base64.StdEncoding.DecodeString(text); err == nil && version == "v1" && hmac.Equal(got, mac) {
			return nil
		}
	}
	return w.wrong(ClassAuth, "the signature is missing or wrong")
}

// standardMAC is what Standard Webhooks sign: id, timestamp and body.
func standardMAC(key []byte, id, stamp string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(id + "." + stamp + "."))
	h.Write(body)
	return h.Sum(nil)
}

// recent checks a timestamp in seconds or milliseconds, or in RFC 3339: what
// was recorded once cannot be played again later.
func (w *Webhook) recent(stamp string, now time.Time) error {
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		n, err := strconv.ParseInt(stamp, 10, 64)
		switch {
		case err != nil || n <= 0:
			return w.wrong(ClassAuth, "the delivery has no timestamp")
		case n >= 100_000_000_000:
			at = time.UnixMilli(n)
		default:
			at = time.Unix(n, 0)
		}
	}
	if d := now.Sub(at); d > w.verify.maxSkew || d < -w.verify.maxSkew {
		return w.wrong(ClassAuth, "the delivery's timestamp is more than "+w.verify.maxSkew.String()+" from now; if it was sent just now, check the clocks")
	}
	return nil
}

// hmacs reports whether the proof is a signature over what is sent.
func (v *verifySpec) hmacs() bool {
	return v.kind == verifySHA256 || v.kind == verifySHA512 || v.kind == verifySHA1
}

func (v *verifySpec) mac(secret, payload string) []byte {
	algorithm := sha256.New
	switch v.kind {
	case verifySHA512:
		algorithm = sha512.New
	case verifySHA1:
		algorithm = sha1.New
	}
	h := hmac.New(algorithm, []byte(secret))
	h.Write([]byte(payload))
	return h.Sum(nil)
}

// sign is the signature of an answer, in the encoding of the vendor's own.
func (v *verifySpec) sign(secret, payload string) string {
	if v.encoding == "base64" {
		return base64.StdEncoding.EncodeToString(v.mac(secret, payload))
	}
	return hex.EncodeToString(v.mac(secret, payload))
}

// matches compares what a header says with the signature, in constant time.
func (v *verifySpec) matches(header string, mac []byte) bool {
	text, ok := strings.CutPrefix(strings.TrimSpace(header), v.prefix)
	if !ok {
		return false
	}
	var got []byte
	var err error
	if v.encoding == "base64" {
		got, err = base64.StdEncoding.DecodeString(text)
	} else {
		got, err = hex.DecodeString(text)
	}
	return err == nil && hmac.Equal(got, mac)
}

// equalSecret compares in a time that tells nothing, not even the length.
func equalSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return hmac.Equal(x[:], y[:])
}

func anyHeader(values []string, match func(string) bool) bool {
	for _, v := range values {
		if match(v) {
			return true
		}
	}
	return false
}
