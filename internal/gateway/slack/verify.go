// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// maxSkew is how far a request's timestamp may be from now; Slack's own
// guidance against replays.
const maxSkew = 5 * time.Minute

// errSignature is the one answer to every request that does not prove itself;
// it does not say which check failed.
var errSignature = errors.New("the request is not signed by Slack for this workspace, or is too old")

// verify checks Slack's v0 signature over the raw body
// (https://docs.slack.dev/authentication/verifying-requests-from-slack).
func verify(secret, body []byte, h http.Header, now time.Time) error {
	stamp := h.Get("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errSignature
	}
	if skew := now.Sub(time.Unix(seconds, 0)); skew > maxSkew || skew < -maxSkew {
		return errSignature
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("v0:" + stamp + ":"))
	mac.Write(body)
	want := "v0=" + hex.EncodeToString(mac.Sum(nil))
	if len(secret) == 0 || !hmac.Equal([]byte(want), []byte(h.Get("X-Slack-Signature"))) {
		return errSignature
	}
	return nil
}

// dedupeKey identifies one signed request: Slack signs timestamp and body
// together, so a copy of it has the same signature.
func dedupeKey(h http.Header) string {
	sum := sha256.Sum256([]byte(h.Get("X-Slack-Signature")))
	return hex.EncodeToString(sum[:])
}
