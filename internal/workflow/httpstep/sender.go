// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package httpstep sends the requests of http steps: it reads the Secret that a
// step names and has a connector's requester send the request.
package httpstep

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// secretAge bounds how long a Secret is remembered: far less than the 5 minutes
// of decision 12, and long enough that many runs share one look.
const secretAge = 30 * time.Second

// Sender sends the requests of http steps.
type Sender struct {
	Requester *connector.Requester
	Secrets   syncer.SecretReader
	// Namespace names the one of a tenant.
	Namespace func(context.Context, model.TenantID) (string, error)
	Clock     clock.PassiveClock

	mu   sync.Mutex
	read map[secretName]readSecret
}

type secretName struct{ namespace, name string }

type readSecret struct {
	data  map[string]string
	until time.Time
}

var _ workflow.Requests = (*Sender)(nil)

// Send implements workflow.Requests.
func (q *Sender) Send(ctx context.Context, tenant model.TenantID, r workflow.Request) (workflow.Result, error) {
	web := connector.WebRequest{Method: r.Method, URL: r.URL, Header: r.Headers, Query: r.Query, Body: r.Body, Hosts: r.Hosts}
	if r.KeyHeader != "" {
		web.Header = withHeader(r.Headers, r.KeyHeader, r.Key)
	}
	if a := r.Auth; a != nil {
		namespace, err := q.Namespace(ctx, tenant)
		if err != nil {
			return workflow.Result{Class: workflow.ResultFailed, Message: "the namespace could not be found out"}, nil
		}
		secret := secretName{namespace, a.SecretName}
		web.Auth = &connector.WebAuth{
			Type: connector.WebAuthType(a.Type), Owner: namespace + "/" + a.SecretName, TokenURL: a.TokenURL, Scopes: a.Scopes, Header: a.Header, Scheme: a.Scheme,
			Secret: func(ctx context.Context, fresh bool) (map[string]string, error) { return q.secret(ctx, secret, fresh) },
		}
	}
	ans, err := q.Requester.Send(ctx, web)
	return resultOf(ans, err), nil
}

func withHeader(headers map[string]string, name, value string) map[string]string {
	out := map[string]string{name: value}
	for k, v := range headers {
		if !strings.EqualFold(k, name) {
			out[k] = v
		}
	}
	return out
}

// resultOf says what is known of a request; what its answer means is the
// engine's to judge.
func resultOf(ans connector.WebAnswer, err error) workflow.Result {
	res := workflow.Result{Sent: ans.Sent, StatusCode: ans.Status, RetryAfter: ans.RetryAfter}
	if err == nil {
		res.Answer = &workflow.Answer{Status: ans.Status, Header: ans.Header, Body: ans.Body, TooLong: ans.TooLong, Words: ans.Words}
		return res
	}
	res.Message = err.Error()
	e, _ := connector.AsError(err)
	switch {
	case ans.Sent:
		res.Class = workflow.ResultUnknown
	case e == nil: // the Secret could not be read
		res.Class = workflow.ResultFailed
	case e.Class == connector.ClassRateLimit: // of the token endpoint
		res.Class, res.RetryAfter = workflow.ResultRateLimited, e.RetryAfter
	case e.Class == connector.ClassHostRefused, e.Class == connector.ClassConfig, e.Class == connector.ClassAuth, e.Class == connector.ClassPermission:
		res.Class = workflow.ResultDenied
	default:
		res.Class = workflow.ResultFailed
	}
	return res
}

// secret reads a Secret, or remembers it for a moment.
func (q *Sender) secret(ctx context.Context, name secretName, fresh bool) (map[string]string, error) {
	now := q.Clock.Now()
	q.mu.Lock()
	have, ok := q.read[name]
	q.mu.Unlock()
	if ok && !fresh && now.Before(have.until) {
		return have.data, nil
	}
	s, err := q.Secrets.ReadSecret(ctx, name.namespace, name.name)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		delete(q.read, name)
		return nil, fmt.Errorf("auth.secretName: %w", err)
	}
	if q.read == nil || len(q.read) >= 1000 {
		q.read = map[secretName]readSecret{}
	}
	q.read[name] = readSecret{s.Data, now.Add(secretAge)}
	return s.Data, nil
}
