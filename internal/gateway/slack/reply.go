// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// responseHost is where Slack's response_url points.
const responseHost = "hooks.slack.com"

// HTTPReplier posts to response URLs of Slack, and to no other host.
type HTTPReplier struct {
	// Endpoints are the operator's redirections, host to base URL
	// (decision 27); resources cannot set them.
	Endpoints map[string]string
	client    *http.Client
}

// NewHTTPReplier returns a replier that follows no redirect.
func NewHTTPReplier(endpoints map[string]string) *HTTPReplier {
	return &HTTPReplier{Endpoints: endpoints, client: &http.Client{
		Timeout: 5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("redirect refused")
		},
	}}
}

// Reply implements Replier.
func (p *HTTPReplier) Reply(ctx context.Context, responseURL, text string) error {
	target, err := p.target(responseURL)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"response_type": "ephemeral", "replace_original": false, "text": text})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return errors.New("response_url cannot be requested")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the URL itself is a credential
		}
		return fmt.Errorf("post to %s: %w", responseHost, err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("post to %s: status %d", responseHost, resp.StatusCode)
	}
	return nil
}

// target accepts https URLs of Slack's response host and applies the
// operator's redirection.
func (p *HTTPReplier) target(responseURL string) (string, error) {
	u, err := url.Parse(responseURL)
	if err != nil || u.Scheme != "https" || u.Host != responseHost {
		return "", fmt.Errorf("response_url does not point to %s", responseHost)
	}
	base, ok := p.Endpoints[responseHost]
	if !ok {
		return responseURL, nil
	}
	b, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("endpoint override of %s: %w", responseHost, err)
	}
	u.Scheme, u.Host = b.Scheme, b.Host
	return u.String(), nil
}
