// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"context"
	"crypto"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
)

// Session is one connector with the config and credential of one Integration.
// It is safe for concurrent use.
type Session struct {
	m           *Manifest
	o           Options
	config      map[string]any
	secretNames map[string]bool
	auth        *authMethod
	authErr     *Error                   // no way to sign in is complete
	keys        map[string]crypto.Signer // private keys by Secret key
	clock       clock.Clock
	budget      Budget
	reserve     int
	maxWait     time.Duration
	tokens      *TokenCache

	base      *url.URL
	hosts     map[string]*url.URL // http.hosts
	tokenURL  *url.URL
	declared  map[string]bool     // host[:port] in lower case
	overrides map[string]*url.URL // declared host → where it is
	guard     *guard
	client    *http.Client
	transport *http.Transport
	native    source
}

// source is a stream reader written in Go.
type source interface {
	test(ctx context.Context) TestReport
	read(ctx context.Context, stream string, sink Sink) (ReadResult, error)
}

// Open validates config and credentials against the manifest. The error is
// Problems for what the Integration's author can mend in its spec, and an
// *Error otherwise. Nothing is sent yet.
func Open(o Options) (*Session, error) {
	if o.Manifest == nil {
		return nil, &Error{Class: ClassConfig, Message: "no connector manifest"}
	}
	config, problems := o.Manifest.checkConfig(o.Config)
	for i, name := range o.Destructive {
		if a := o.Manifest.action(name); a == nil || !a.Destructive {
			problems = append(problems, Problem{Path: fmt.Sprintf("spec.destructiveActions[%d]", i), Got: name,
				Want: "a destructive action of " + o.Manifest.name})
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	s := &Session{
		m: o.Manifest, o: o, config: config, secretNames: map[string]bool{},
		clock: o.Clock, budget: o.Budget, tokens: o.Tokens,
		reserve: o.Manifest.http.limits.reservePercent,
		maxWait: cmp.Or(o.MaxWait, defaultMaxWait),
		hosts:   map[string]*url.URL{}, declared: map[string]bool{}, overrides: map[string]*url.URL{},
	}
	if s.clock == nil {
		s.clock = clock.RealClock{}
	}
	if s.budget == nil {
		s.budget = ratelimit.NewMemory(s.clock)
	}
	if s.tokens == nil {
		s.tokens = NewTokenCache()
	}
	if o.ReservePercent != nil {
		s.reserve = min(99, max(0, *o.ReservePercent))
	}
	for k, v := range o.Secrets {
		if v != "" {
			s.secretNames[k] = true
		}
	}
	s.chooseAuth()
	if err := s.resolveHosts(); err != nil {
		return nil, err
	}
	s.connect()
	if s.m.native != "" {
		src, err := natives[s.m.native](s)
		if err != nil {
			return nil, err
		}
		s.native = src
	}
	return s, nil
}

// Close frees the session's idle connections.
func (s *Session) Close() { s.transport.CloseIdleConnections() }

// chooseAuth takes the first way to sign in whose required keys are all there.
func (s *Session) chooseAuth() {
	if len(s.m.auth) == 0 {
		return
	}
	var want []string
	for i := range s.m.auth {
		a := &s.m.auth[i]
		var missing, keys []string
		for _, f := range a.secrets {
			if f.optional {
				continue
			}
			keys = append(keys, f.name)
			if !s.secretNames[f.name] {
				missing = append(missing, f.name)
			}
		}
		if len(missing) == 0 {
			s.auth = a
			s.readKeys()
			return
		}
		want = append(want, fmt.Sprintf("%s (%s)", strings.Join(keys, ", "), cmp.Or(a.title, a.id)))
	}
	s.authErr = &Error{Class: ClassAuth, Message: "the Secret lacks the keys that signing in needs",
		Fix: "give it " + strings.Join(want, ", or ")}
}

// readKeys parses the private keys of the chosen way to sign in.
func (s *Session) readKeys() {
	s.keys = map[string]crypto.Signer{}
	for _, f := range s.auth.secrets {
		if !f.pem || !s.secretNames[f.name] {
			continue
		}
		key, err := parsePrivateKey(s.o.Secrets[f.name])
		if err == nil {
			s.keys[f.name] = key
			err = s.wrongAlgorithm(f.name, key)
		}
		if err != nil {
			s.authErr = &Error{Class: ClassAuth, Message: fmt.Sprintf("the Secret's key %s %v", f.name, err),
				Fix: "put the whole PEM of the private key there, with its BEGIN and END lines"}
			return
		}
	}
}

// wrongAlgorithm tells that a key does not fit what the vendor expects.
func (s *Session) wrongAlgorithm(name string, key crypto.Signer) error {
	if o := s.auth.oauth; o != nil && o.assertion != nil && o.assertion.key == name && algorithm(key) != o.assertion.alg {
		return fmt.Errorf("holds a key for %s, and the connector signs with %s", algorithm(key), o.assertion.alg)
	}
	return nil
}

// resolveHosts fills the holes of the base URLs and declares their hosts.
func (s *Session) resolveHosts() error {
	if s.m.native != "" {
		return nil
	}
	declare := func(t *expr.Template) (*url.URL, error) {
		text, err := t.Text(context.Background(), s.vars(), nil)
		if err != nil {
			return nil, &Error{Class: ClassConfig, Message: err.Error()}
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, &Error{Class: ClassConfig, Message: "the base URL from the config is no plain https URL"}
		}
		u.Host = strings.ToLower(u.Host)
		u.Path = strings.TrimSuffix(u.Path, "/")
		s.declared[u.Host] = true
		return u, nil
	}
	var err error
	if s.base, err = declare(s.m.http.baseURL); err != nil {
		return err
	}
	for _, h := range s.m.http.hosts {
		if s.hosts[h.name], err = declare(h.value); err != nil {
			return err
		}
	}
	if s.auth != nil && s.auth.oauth != nil {
		if s.tokenURL, err = declare(s.auth.oauth.tokenURL); err != nil {
			return err
		}
	}
	return nil
}

// connect builds the client. It is called once the hosts are known; a native
// connector declares its hosts later.
func (s *Session) connect() {
	s.guard = newGuard(s.o.AllowedNetworks, s.o.Endpoints, s.overrides)
	s.transport = newTransport(s.guard)
	// A report that runs while the client waits has no header for as long.
	s.transport.ResponseHeaderTimeout = max(s.transport.ResponseHeaderTimeout, s.m.http.timeout)
	s.client = &http.Client{
		Transport:     &redirectedTransport{next: s.transport, overrides: s.overrides, guard: s.guard},
		Timeout:       cmp.Or(s.m.http.timeout, 2*time.Minute),
		CheckRedirect: s.checkRedirect,
	}
}

// EndpointOverridden reports whether the operator has redirected a host that
// this session uses (condition EndpointOverridden, decision 27).
func (s *Session) EndpointOverridden() bool {
	for host := range s.declared {
		if s.overrides[host] != nil {
			return true
		}
	}
	return false
}

// vars returns fresh variables for expressions: every declared one is there.
func (s *Session) vars() map[string]any {
	return map[string]any{
		"r": nil, "p": nil, "resp": nil, "status": int64(0), "headers": map[string]string{},
		"config": s.config, "state": map[string]any{}, "window": map[string]any{}, "input": map[string]any{},
		"vars": map[string]any{}, "records": []any{}, "secretNames": s.secretNames, "idempotencyKey": "",
		"now": s.clock.Now().UTC(),
	}
}

// withSecrets adds the credential, for auth and token templates alone. Keys
// that the Secret lacks are empty.
func (s *Session) withSecrets(vars map[string]any, secrets map[string]string) map[string]any {
	out := maps.Clone(vars)
	values := map[string]string{}
	for _, a := range s.m.auth {
		for _, f := range a.secrets {
			values[f.name] = secrets[f.name]
		}
	}
	out["secret"] = values
	return out
}

// wants reports whether the Integration asks for a data type.
func (s *Session) wants(t model.DataType) bool {
	return len(s.o.DataTypes) == 0 || slices.Contains(s.o.DataTypes, t)
}

// active reports whether config, credential and data types leave a stream on.
func (s *Session) active(st *stream) (bool, error) {
	if !slices.ContainsFunc(st.dataTypes(), s.wants) {
		return false, nil
	}
	if st.enabled == nil {
		return true, nil
	}
	on, err := st.enabled.EvalBool(context.Background(), s.vars())
	if err != nil {
		return false, &Error{Class: ClassConfig, Stream: st.name, Message: "enabled: " + err.Error()}
	}
	return on, nil
}

// Streams returns the streams that config, credential and data types leave on.
func (s *Session) Streams() []StreamInfo {
	var out []StreamInfo
	for _, st := range s.m.streams {
		if on, err := s.active(st); err == nil && on {
			info := st.info()
			info.DataTypes = slices.DeleteFunc(info.DataTypes, func(t model.DataType) bool { return !s.wants(t) })
			out = append(out, info)
		}
	}
	return out
}

// Manifest returns the session's manifest.
func (s *Session) Manifest() *Manifest { return s.m }

// sleep waits on the session's clock.
func (s *Session) sleep(ctx context.Context, d time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return context.DeadlineExceeded
	}
	t := s.clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C():
		return nil
	}
}
