// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package access tells who a caller of the gateway is and what they may do,
// by the cluster's own identity and RBAC (decision 14): people authenticate as
// to an aggregated API server, and every request is a SubjectAccessReview on a
// resource of the group seatkeeper.dev.
package access

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
)

// Group is the API group of the resources that are authorised.
const Group = "seatkeeper.dev"

// Request is what a caller wants to do.
type Request struct {
	Verb        string // get, list, create, update
	Namespace   string
	Resource    string // "seats", "runs", …
	Subresource string // "stop", "release", …; empty for none
	Name        string
}

func (r Request) String() string {
	res := r.Resource
	if r.Subresource != "" {
		res += "/" + r.Subresource
	}
	return fmt.Sprintf("%s %s.%s in namespace %q", r.Verb, res, Group, r.Namespace)
}

// Decision is the outcome of a check.
type Decision int

// Outcomes of Guard.Check.
const (
	Unauthenticated Decision = iota
	Forbidden
	Allowed
)

// Guard authenticates and authorises.
type Guard struct {
	authn authenticator.Request
	authz authorizer.Authorizer
	// Failures bounds how often an address may fail; nil bounds nothing.
	Failures *Failures
}

// cacheTTL bounds how long a revoked role or token goes on working.
const cacheTTL = 10 * time.Second

// NewGuard delegates to the API server that client talks to. clientCA is a PEM
// file with the cluster's client certificate authority; empty accepts bearer
// tokens only.
func NewGuard(client kubernetes.Interface, clientCA string) (*Guard, error) {
	backoff := &wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 3}
	cfg := authenticatorfactory.DelegatingAuthenticatorConfig{
		TokenAccessReviewClient:  client.AuthenticationV1(),
		TokenAccessReviewTimeout: 5 * time.Second,
		WebhookRetryBackoff:      backoff,
		CacheTTL:                 cacheTTL,
	}
	if clientCA != "" {
		ca, err := dynamiccertificates.NewDynamicCAContentFromFile("client-ca", clientCA)
		if err != nil {
			return nil, fmt.Errorf("read the client certificate authority %s: %w", clientCA, err)
		}
		cfg.ClientCertificateCAContentProvider = ca
	}
	authn, _, err := cfg.New()
	if err != nil {
		return nil, fmt.Errorf("set up authentication: %w", err)
	}
	authz, err := authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: client.AuthorizationV1(),
		AllowCacheTTL:             cacheTTL,
		DenyCacheTTL:              cacheTTL,
		WebhookRetryBackoff:       backoff,
	}.New()
	if err != nil {
		return nil, fmt.Errorf("set up authorisation: %w", err)
	}
	return &Guard{authn: authn, authz: authz}, nil
}

// Check returns who the caller is and whether they may. A *Refusal says that the
// caller's address has failed too often. Any other error means that the API server
// could not be asked, and nothing may be served.
func (g *Guard) Check(r *http.Request, want Request) (name string, d Decision, reason string, err error) {
	if HasKey(r) { // the API server's log is no place for it
		return "", Unauthenticated, "", nil
	}
	if blocked := g.Failures.Blocked(r); blocked != nil {
		return "", Unauthenticated, "", blocked
	}
	resp, ok, err := g.authn.AuthenticateRequest(r)
	if err != nil || !ok {
		// A credential that does not hold is the caller's error, not ours, and
		// the library reports both as an error; the text may name the token's
		// parts, so it is not passed on.
		return "", Unauthenticated, "", g.Failures.Failed(r, Unauthorised())
	}
	g.Failures.Proved(r)
	decision, reason, err := g.authz.Authorize(r.Context(), attributes(resp.User, want))
	if err != nil {
		return resp.User.GetName(), Forbidden, "", fmt.Errorf("ask the API server whether %q may %s: %w", resp.User.GetName(), want, err)
	}
	if decision != authorizer.DecisionAllow {
		return resp.User.GetName(), Forbidden, reason, nil
	}
	return resp.User.GetName(), Allowed, "", nil
}

// Identify returns who the caller is, without asking what they may. Whoever asks
// counts a failure.
func (g *Guard) Identify(r *http.Request) (name string, ok bool) {
	if HasKey(r) || g.Failures.Blocked(r) != nil {
		return "", false
	}
	resp, ok, err := g.authn.AuthenticateRequest(r)
	if err != nil || !ok {
		return "", false
	}
	g.Failures.Proved(r)
	return resp.User.GetName(), true
}

func attributes(u user.Info, want Request) authorizer.Attributes {
	return authorizer.AttributesRecord{
		User: u, Verb: want.Verb, Namespace: want.Namespace, APIGroup: Group, APIVersion: "v1",
		Resource: want.Resource, Subresource: want.Subresource, Name: want.Name, ResourceRequest: true,
	}
}

type actorKey struct{}

// WithActor returns a context that carries the authenticated user name.
func WithActor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

// Actor returns the user name that the guard put in the context.
func Actor(ctx context.Context) string {
	name, _ := ctx.Value(actorKey{}).(string)
	return name
}
