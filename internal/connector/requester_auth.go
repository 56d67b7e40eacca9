// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// WebAuth authenticates a request from a Secret.
type WebAuth struct {
	Type WebAuthType
	// Owner tells credentials of different owners apart: tokens are shared only
	// within one.
	Owner string
	// Secret reads the Secret's data; fresh asks for what it is now.
	Secret   func(ctx context.Context, fresh bool) (map[string]string, error)
	TokenURL string // of client credentials
	Scopes   []string
	// Header carries the token, behind Scheme; empty: Authorization and Bearer.
	// Another header has no scheme by itself.
	Header, Scheme string
}

// WebAuthType is a way to authenticate.
type WebAuthType string

// Ways to authenticate, with the keys of the Secret.
const (
	WebBearer            WebAuthType = "Bearer"            // token
	WebBasic             WebAuthType = "Basic"             // username, password
	WebClientCredentials WebAuthType = "ClientCredentials" // clientId, clientSecret
)

// unknownTokenLife is how long a token is used whose end the vendor does not
// say.
const unknownTokenLife = 5 * time.Minute

// SecretKeys lists the keys that a way to authenticate needs.
func (t WebAuthType) SecretKeys() []string {
	switch t {
	case WebBearer:
		return []string{"token"}
	case WebBasic:
		return []string{"username", "password"}
	case WebClientCredentials:
		return []string{"clientId", "clientSecret"}
	}
	return nil
}

// webCredential is a credential as it goes into a request.
type webCredential struct {
	name   string // of the header
	header string // its value
	secret map[string]string
	token  credential // of client credentials
	hidden []string
}

// redact takes the credential out of a text.
func (c webCredential) redact(text string) string { return redactValues(text, nil, c.hidden) }

// redactIn is redact for every text in a value: some vendors repeat what they
// are sent.
func (c webCredential) redactIn(v any) any {
	if len(c.hidden) == 0 {
		return v
	}
	switch x := v.(type) {
	case string:
		return c.redact(x)
	case []any:
		for i, e := range x {
			x[i] = c.redactIn(e)
		}
	case map[string]any:
		for k, e := range x {
			x[k] = c.redactIn(e)
		}
	}
	return v
}

// credential reads the Secret and gets a token where the way asks for one. A
// credential that is refused is read again: it may just have been changed.
func (q *Requester) credential(ctx context.Context, a *WebAuth) (webCredential, error) {
	if a == nil {
		return webCredential{}, nil
	}
	data, err := a.Secret(ctx, false)
	if err != nil {
		return webCredential{}, err
	}
	c, err := q.sign(ctx, a, data)
	if ClassOf(err) != ClassAuth {
		return c, err
	}
	now, reread := a.Secret(ctx, true)
	if reread != nil || maps.Equal(now, data) {
		return c, err
	}
	return q.sign(ctx, a, now)
}

// renew gets another credential after a 401; renewed is false where there is no
// other.
func (q *Requester) renew(ctx context.Context, a *WebAuth, used webCredential) (c webCredential, renewed bool, err error) {
	data, err := a.Secret(ctx, true)
	if err != nil {
		return c, false, err
	}
	forgot := q.tokens.forget(ctx, used.token)
	if !forgot && maps.Equal(data, used.secret) {
		return c, false, nil
	}
	c, err = q.sign(ctx, a, data)
	return c, err == nil, err
}

// sign makes the credential of a Secret's data.
func (q *Requester) sign(ctx context.Context, a *WebAuth, data map[string]string) (webCredential, error) {
	c := webCredential{name: cmp.Or(a.Header, "Authorization"), secret: data}
	for _, key := range a.Type.SecretKeys() {
		if data[key] == "" {
			return c, &Error{Class: ClassAuth, Message: "the Secret lacks the key " + key, Fix: "give it " + strings.Join(a.Type.SecretKeys(), " and ")}
		}
		if key != "username" && key != "clientId" {
			c.hidden = append(c.hidden, data[key])
		}
	}
	switch a.Type {
	case WebBearer:
		c.header = a.carry(data["token"])
	case WebBasic:
		text := base64.StdEncoding.EncodeToString([]byte(data["username"] + ":" + data["password"]))
		c.header, c.hidden = "Basic "+text, append(c.hidden, text)
	case WebClientCredentials:
		key := tokenKeyOf(a, data)
		token, err := q.tokens.get(ctx, key, q.clock.Now(), func(*tokenEntry) (string, time.Time, error) { return q.fetchToken(ctx, a, data) })
		switch {
		case err != nil && ctx.Err() != nil:
			return c, &Error{Class: ClassCanceled, Message: "the time for this work ran out while signing in", Err: err}
		case err != nil:
			return c, err
		}
		c.header, c.token, c.hidden = a.carry(token), credential{key, token}, append(c.hidden, token)
	default:
		return c, &Error{Class: ClassConfig, Message: fmt.Sprintf("auth.type %q is not known", a.Type)}
	}
	if !sendable(c.header) {
		return c, &Error{Class: ClassAuth, Message: "the credential has a line break or another control character", Fix: "put it into the Secret without one"}
	}
	return c, nil
}

// carry is a token as its header has it.
func (a *WebAuth) carry(token string) string {
	scheme := a.Scheme
	if scheme == "" && (a.Header == "" || strings.EqualFold(a.Header, "Authorization")) {
		scheme = "Bearer"
	}
	return strings.TrimSpace(scheme + " " + token)
}

// tokenKeyOf tells credentials apart without holding them.
func tokenKeyOf(a *WebAuth, data map[string]string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q", a.Owner, a.TokenURL, a.Scopes, data["clientId"], data["clientSecret"]))
	return hex.EncodeToString(sum[:])
}

// fetchToken asks for a token by client credentials (RFC 6749, 4.4). Whether the
// vendor takes them in the header or in the form is found out by trying.
func (q *Requester) fetchToken(ctx context.Context, a *WebAuth, data map[string]string) (string, time.Time, error) {
	u, err := url.Parse(a.TokenURL)
	if err != nil {
		return "", time.Time{}, &Error{Class: ClassConfig, Message: "auth.tokenURL: it is no address"}
	}
	if err := q.refuse(u, []string{strings.ToLower(u.Host)}); err != nil {
		return "", time.Time{}, classifyNetwork(ctx, u.Host, err)
	}
	client := &http.Client{Transport: q.transport, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	config := clientcredentials.Config{ClientID: data["clientId"], ClientSecret: data["clientSecret"], TokenURL: a.TokenURL, Scopes: a.Scopes}
	token, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
	if err != nil {
		return "", time.Time{}, q.signInFailed(ctx, u.Host, err, data)
	}
	life := unknownTokenLife
	if !token.Expiry.IsZero() {
		life = time.Until(token.Expiry)
	}
	// Renew a little early: the clocks differ.
	return token.AccessToken, q.clock.Now().Add(life - min(life/10, time.Minute)), nil
}

// signInFailed classifies why a token endpoint gave no token, without what it
// answered beyond its own words.
func (q *Requester) signInFailed(ctx context.Context, host string, err error, data map[string]string) error {
	var refused *oauth2.RetrieveError
	var network *url.Error
	switch {
	case errors.As(err, &refused) && refused.Response != nil:
	case errors.As(err, &network):
		e := classifyNetwork(ctx, host, err)
		e.Message = "signing in failed: " + e.Message
		return e
	default: // an answer without a token
		return &Error{Class: ClassAuth, Message: "signing in gave no access token", Fix: fixSecret}
	}
	status := refused.Response.StatusCode
	e := &Error{Class: classOfStatus(status), Status: status}
	switch {
	case refused.ErrorCode == "temporarily_unavailable", refused.ErrorCode == "server_error":
		e.Class = ClassTransient
	case e.Class != ClassRateLimit && e.Class != ClassTransient:
		e.Class, e.Fix = ClassAuth, fixSecret
	}
	e.RetryAfter, _ = parseRetryAfter(refused.Response.Header.Get("Retry-After"), q.clock.Now())
	words := refused.ErrorCode
	if refused.ErrorDescription != "" {
		words += ": " + refused.ErrorDescription
	}
	if words == "" {
		words = fmt.Sprintf("HTTP %d %s", status, http.StatusText(status))
	}
	e.Message = "signing in failed: " + clip(redactValues(words, data, nil), maxWords)
	return e
}
