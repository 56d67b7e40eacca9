// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package queryclient is the CLI's way to the gateway's query API. The CLI
// never opens the database and never reads Secrets (decision 14).
package queryclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// maxResponse bounds what is read of one response; the API pages well below.
const maxResponse = 64 << 20

// Options says how to reach a gateway.
type Options struct {
	Server string // --server; empty: as the cluster says, else by port-forward
	CAFile string // --server-ca
}

// Client calls a gateway as the user of a kubeconfig.
type Client struct {
	base      *url.URL
	forwarded bool
	http      *http.Client
	close     func()
}

// New finds the gateway and sets up the caller's credentials. Close it.
func New(ctx context.Context, cfg *rest.Config, o Options) (*Client, error) {
	loc, closeForward, err := locate(ctx, cfg, o)
	if err != nil {
		return nil, &UnreachableError{err}
	}
	base, err := url.Parse(loc.Server)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("gateway address %q: want https://HOST:PORT", loc.Server)
	}
	// The user's own credential (client certificate, token or exec plugin),
	// but the gateway's authority instead of the API server's.
	gw := rest.CopyConfig(cfg)
	gw.Host = loc.Server
	gw.CAFile, gw.CAData, gw.Insecure, gw.ServerName = "", loc.CA, false, loc.serverName
	gw.Timeout = 0 // an import may take long; requests carry contexts
	client, err := rest.HTTPClientFor(gw)
	if err != nil {
		return nil, fmt.Errorf("set up the credentials of the kubeconfig: %w", err)
	}
	return &Client{base: base, forwarded: loc.serverName != "", http: client, close: closeForward}, nil
}

// URL returns the address of a page of the gateway for somebody else; false if
// the gateway is reached by a port-forward of this machine only.
func (c *Client) URL(path string) (string, bool) { return c.base.JoinPath(path).String(), !c.forwarded }

// Close ends the port-forward, if there is one.
func (c *Client) Close() { c.close() }

func locate(ctx context.Context, cfg *rest.Config, o Options) (Location, func(), error) {
	nothing := func() {}
	if o.Server != "" {
		loc := Location{Server: o.Server}
		if o.CAFile != "" {
			ca, err := os.ReadFile(o.CAFile)
			if err != nil {
				return loc, nil, fmt.Errorf("read --server-ca: %w", err)
			}
			loc.CA = ca
		}
		return loc, nothing, nil
	}
	loc, err := published(ctx, cfg)
	if !errors.Is(err, errNoLocation) {
		return loc, nothing, err
	}
	return forward(ctx, cfg)
}

// Error is a refusal of the gateway.
type Error struct {
	Status metav1.Status
	// RetryAfter is when to try again; 0 if the gateway did not say.
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	if e.Status.Message != "" {
		return e.Status.Message
	}
	return fmt.Sprintf("the gateway answered %d", e.Status.Code)
}

// UnreachableError says that the gateway cannot be found or does not answer.
type UnreachableError struct{ Err error }

func (e *UnreachableError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Get decodes the answer to GET path?query into out.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	return c.do(ctx, http.MethodGet, path, query, nil, out)
}

// Post sends in as JSON and decodes the answer into out, if it is not nil.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, nil, bytes.NewReader(body), out, "Content-Type", "application/json")
}

// Send sends a body as it is, and says what it is.
func (c *Client) Send(ctx context.Context, path, contentType string, body io.Reader, out any) error {
	return c.do(ctx, http.MethodPost, path, nil, io.NopCloser(body), out, "Content-Type", contentType)
}

// Upload sends a file as it is.
func (c *Client) Upload(ctx context.Context, path string, query url.Values, file io.Reader, out any) error {
	return c.do(ctx, http.MethodPost, path, query, file, out, "Content-Type", "application/octet-stream")
}

// Push sends records, one JSON object a line. With a key the gateway answers a
// repetition as it answered the first.
func (c *Client) Push(ctx context.Context, path string, query url.Values, key string, records io.Reader, out any) error {
	// The transport must not close what may have to be sent again.
	return c.do(ctx, http.MethodPost, path, query, io.NopCloser(records), out, "Content-Type", "application/x-ndjson", "Idempotency-Key", key)
}

func (c *Client) do(ctx context.Context, method, path string, query url.Values, body io.Reader, out any, header ...string) error {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return &UnreachableError{fmt.Errorf("the gateway at %s does not answer: %w", c.base, err)}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return fmt.Errorf("read the gateway's answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		e := &Error{}
		if json.Unmarshal(data, &e.Status) != nil || e.Status.Message == "" {
			e.Status.Message = fmt.Sprintf("%s %s: the gateway answered %s", method, u.Path, resp.Status)
		}
		e.Status.Code = int32(resp.StatusCode) //nolint:gosec // an HTTP status fits
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
			e.RetryAfter = time.Duration(seconds) * time.Second
		}
		return e
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("the gateway's answer to %s %s is not what this version of the CLI expects: %w", method, u.Path, err)
	}
	return nil
}
