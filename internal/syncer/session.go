// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// Key names an Integration.
type Key struct {
	Tenant    model.TenantID
	Namespace string
	Name      string
}

// String returns namespace/name.
func (k Key) String() string { return k.Namespace + "/" + k.Name }

// Sessions opens connectors with the credential of an Integration and the
// operator's settings. Syncs and actions share it, and so one budget and one
// access token per credential.
type Sessions struct {
	// Builtin returns a built-in connector.
	Builtin func(name string) (*connector.Manifest, error)
	Secrets SecretReader
	// Budget meters the requests of one Integration, on every replica together.
	Budget func(Key) connector.Budget
	// Upload returns how to open the file that was last uploaded for an
	// Integration, nil if there is none.
	Upload func(context.Context, Key) (func() (io.ReadCloser, error), error)

	// KeepSigning keeps, sealed, what deliveries and callbacks of a vendor are
	// verified with, for the gateway, which reads no Secrets; nil keeps nothing.
	KeepSigning func(ctx context.Context, key Key, secrets map[string]string) error

	// Vault keeps, sealed, the refresh tokens that a vendor replaces, for every
	// replica together; nil keeps them in this process.
	Vault func(Key) connector.Vault

	// Endpoints and AllowedNetworks are the operator's (decision 27).
	Endpoints       map[string]string
	AllowedNetworks []netip.Prefix
	// MaxWait bounds how long a request waits for a rate limit.
	MaxWait   time.Duration
	Clock     clock.Clock
	UserAgent string

	mu     sync.Mutex
	tokens map[Key]cachedTokens
}

// cachedTokens are the access tokens got with one version of a Secret.
type cachedTokens struct {
	version string
	cache   *connector.TokenCache
}

// OpenError is why a session could not be opened, as the user is told it.
type OpenError struct {
	Reason    string
	Transient bool
	Err       error
}

// Error implements error, on one line: the problems of a manifest come one a
// line, and a condition has one.
func (e *OpenError) Error() string { return strings.ReplaceAll(e.Err.Error(), "\n", "; ") }

// Unwrap returns the cause.
func (e *OpenError) Unwrap() error { return e.Err }

// Open reads the Secret again and opens a session for the Integration. It also
// returns the version of the Secret. The caller closes the session.
func (s *Sessions) Open(ctx context.Context, key Key, spec handover.Spec, state map[string]connector.StreamState) (*connector.Session, string, error) {
	manifest, err := s.Manifest(spec)
	if err != nil {
		return nil, "", err
	}
	var secret Secret
	if spec.SecretName != "" {
		if secret, err = s.Secrets.ReadSecret(ctx, key.Namespace, spec.SecretName); err != nil {
			return nil, "", secretError(err)
		}
	}
	if spec.SecretName != "" && s.KeepSigning != nil && key.Tenant != 0 {
		if err := s.KeepSigning(ctx, key, signing(manifest, secret)); err != nil {
			return nil, secret.Version, &OpenError{Reason: ReasonTransientError, Transient: true, Err: fmt.Errorf("keep the signing secrets: %w", err)}
		}
	}
	o := connector.Options{
		Manifest: manifest, Config: spec.Config, Secrets: secret.Data,
		Permission: connector.Permission(spec.Permission), Destructive: spec.DestructiveActions, DataTypes: spec.DataTypes,
		ReservePercent: spec.ReservePercent,
		Endpoints:      s.Endpoints, AllowedNetworks: s.AllowedNetworks,
		Budget: s.Budget(key), Tokens: s.tokensFor(key, secret.Version), SecretVersion: secret.Version, Clock: s.Clock,
		State: state, UserAgent: s.UserAgent, MaxWait: s.MaxWait,
	}
	if s.Vault != nil && key.Tenant != 0 {
		o.Vault = s.Vault(key)
	}
	if spec.SecretName != "" {
		o.Reload = func(ctx context.Context) (map[string]string, error) {
			again, err := s.Secrets.ReadSecret(ctx, key.Namespace, spec.SecretName)
			return again.Data, err
		}
	}
	if spec.ConnectorRef != "" {
		// Operators redirect built-in connectors only.
		o.Endpoints = nil
	}
	if manifest.Category() == categoryFile && s.Upload != nil && key.Tenant != 0 {
		if o.Upload, err = s.Upload(ctx, key); err != nil {
			return nil, secret.Version, &OpenError{Reason: ReasonTransientError, Transient: true, Err: err}
		}
	}
	session, err := connector.Open(o)
	if err != nil {
		return nil, secret.Version, &OpenError{Reason: ReasonInvalidConfig, Err: err}
	}
	return session, secret.Version, nil
}

// signing is the part of a Secret that the gateway needs.
func signing(m *connector.Manifest, secret Secret) map[string]string {
	names := []string{store.CallbackSecret}
	for _, w := range m.Webhooks() {
		names = append(names, m.Webhook(w).SecretNames()...)
	}
	out := map[string]string{}
	for _, name := range names {
		if v := secret.Data[name]; v != "" {
			out[name] = v
		}
	}
	return out
}

// categoryFile is the category of connectors that read uploaded files.
const categoryFile = "file"

// SyncWait is how long a sync waits for a rate limit before it parks the stream
// until the vendor answers again.
const SyncWait = 2 * time.Minute

// Manifest returns the connector that the spec names.
func (s *Sessions) Manifest(spec handover.Spec) (*connector.Manifest, error) {
	if spec.ConnectorRef != "" {
		m, err := connector.LoadSpec(spec.ConnectorRef, spec.Manifest)
		if err != nil {
			return nil, &OpenError{Reason: ReasonInvalidManifest, Err: err}
		}
		return m, nil
	}
	m, err := s.Builtin(spec.Connector)
	if err != nil {
		return nil, &OpenError{Reason: ReasonConnectorNotFound, Err: err}
	}
	return m, nil
}

// Forget drops the access tokens of an Integration that is gone.
func (s *Sessions) Forget(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, key)
}

// tokensFor returns the tokens that were got with this version of the Secret;
// a changed Secret supersedes them.
func (s *Sessions) tokensFor(key Key, version string) *connector.TokenCache {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil {
		s.tokens = map[Key]cachedTokens{}
	}
	c, ok := s.tokens[key]
	if !ok || c.version != version {
		c = cachedTokens{version: version, cache: connector.NewTokenCache()}
		s.tokens[key] = c
	}
	return c.cache
}

func secretError(err error) error {
	var missing *SecretNotFoundError
	var denied *SecretDeniedError
	switch {
	case errors.As(err, &missing):
		return &OpenError{Reason: ReasonSecretNotFound, Err: err}
	case errors.As(err, &denied):
		return &OpenError{Reason: ReasonSecretAccessDenied, Err: err}
	}
	return &OpenError{Reason: ReasonTransientError, Transient: true, Err: fmt.Errorf("read the Secret: %w", err)}
}

// ParseEndpoint reads "host=url", as the operator's flag gives it.
func ParseEndpoint(s string) (host, base string, err error) {
	for i := range len(s) {
		if s[i] == '=' {
			host, base = s[:i], s[i+1:]
			break
		}
	}
	u, err := url.Parse(base)
	switch {
	case host == "" || base == "":
		return "", "", fmt.Errorf("connector endpoint %q: want HOST=URL, such as zoom.us=http://127.0.0.1:9000", s)
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return "", "", fmt.Errorf("connector endpoint %q: %q is no http or https URL", s, base)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", "", fmt.Errorf("connector endpoint for %s: the URL may hold neither user, query nor fragment", host)
	}
	return host, base, nil
}
