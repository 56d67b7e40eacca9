// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // see signForClient
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// Identifiers of RFC 7523, 8.1 and 8.2.
const (
	jwtBearerGrant  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	jwtBearerClient = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

const (
	defaultAssertionTTL = 5 * time.Minute
	defaultTokenLife    = time.Hour
	maxTokenLife        = 30 * 24 * time.Hour
)

// tokens is what a token endpoint gave.
type tokens struct {
	access, refresh string
	expires         time.Time
}

// requestToken asks the token endpoint (RFC 6749; Zoom's account_credentials
// differs from client_credentials only in the grant and in its query). refresh
// is the token of that grant.
func (s *Session) requestToken(ctx context.Context, secrets map[string]string, refresh string) (tokens, error) {
	p := s.prover()
	for try := 1; ; try++ {
		ans, err := s.askForToken(ctx, secrets, refresh, p)
		if p != nil && try < maxProofTries && p.askedAgain(ans) {
			continue // with another assertion: each is taken once
		}
		if err != nil {
			return tokens{}, err
		}
		return s.readTokens(ans, p)
	}
}

// askForToken sends one token request. An answer comes beside an error too.
func (s *Session) askForToken(ctx context.Context, secrets map[string]string, refresh string, p *prover) (*answer, error) {
	o := s.auth.oauth
	secretVars := s.withSecrets(s.vars(), secrets)
	w := &wire{method: http.MethodPost, header: http.Header{}}
	form := url.Values{"grant_type": {o.grant}}
	for name, v := range secrets {
		if v != s.o.Secrets[name] {
			w.hidden = append(w.hidden, v) // of a Secret that was changed since
		}
	}
	scope := ""
	switch o.grant {
	case grantClient:
		scope = s.scope()
	case grantJWT:
		assertion, err := s.assertion(ctx, secretVars)
		if err != nil {
			return nil, err
		}
		form.Set("grant_type", jwtBearerGrant)
		form.Set("assertion", assertion)
		w.hidden = append(w.hidden, assertion)
		if !o.assertion.scope {
			scope = s.scope()
		}
	case grantRefresh:
		form.Set("refresh_token", refresh)
		w.hidden = append(w.hidden, refresh)
	}
	if scope != "" {
		form.Set("scope", scope)
	}
	w.header.Set("Accept", "application/json")
	w.header.Set("User-Agent", userAgent(s.o.UserAgent))
	w.header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := s.authenticateClient(w, form, secrets); err != nil {
		return nil, err
	}
	query, err := encodePairs(ctx, o.tokenQuery, secretVars, nil)
	if err != nil {
		return nil, &Error{Class: ClassConfig, Message: "tokenQuery: " + err.Error()}
	}
	for name := range (&url.URL{RawQuery: query}).Query() {
		form.Del(name) // the query says it
	}
	for _, p := range o.tokenForm {
		v, err := p.value.Text(ctx, secretVars, nil)
		if err != nil {
			return nil, &Error{Class: ClassConfig, Message: "tokenForm: " + p.name + ": " + err.Error()}
		}
		form.Set(p.name, v)
	}
	u := *s.tokenURL
	u.RawQuery = query
	w.url, w.body = &u, []byte(form.Encode())
	if p != nil && p.begun() {
		if err := p.prove(w, ""); err != nil {
			return nil, &Error{Class: ClassConfig, Message: "no proof of possession could be made: " + err.Error()}
		}
	}
	return s.signIn(ctx, w, refresh == "")
}

// scope joins the scopes that the Integration's permission asks for.
func (s *Session) scope() string {
	scopes := s.auth.oauth.scopes["read"]
	if s.o.Permission == PermissionReadAndAct {
		scopes = append(scopes[:len(scopes):len(scopes)], s.auth.oauth.scopes["act"]...)
	}
	return strings.Join(scopes, s.auth.oauth.separator)
}

// authenticateClient says which client asks (RFC 6749, 2.3; RFC 7523, 2.2).
func (s *Session) authenticateClient(w *wire, form url.Values, secrets map[string]string) error {
	id, secret := secrets[secretClientID], secrets[secretClientSecret]
	switch how := s.auth.oauth.clientAuth; {
	case how == "":
	case how == clientJWT:
		now := s.clock.Now()
		assertion, err := s.signForClient(secrets, map[string]any{
			"iss": id, "sub": id, "aud": s.tokenURL.String(), "jti": uuid.NewString(),
			"iat": now.Unix(), "exp": now.Add(defaultAssertionTTL).Unix(),
		})
		if err != nil {
			return signingFailed(secretPrivateKey, err)
		}
		form.Set("client_id", id)
		form.Set("client_assertion_type", jwtBearerClient)
		form.Set("client_assertion", assertion)
		w.hidden = append(w.hidden, assertion)
	case how == clientBasic && secret != "":
		s.sendBasic(w, url.QueryEscape(id), url.QueryEscape(secret))
	default:
		form.Set("client_id", id)
		if secret != "" {
			form.Set("client_secret", secret)
		}
	}
	return nil
}

// signForClient signs a client's assertion with its key, which it names by id or
// by the thumbprints of its certificate (RFC 7515, 4.1.4, 4.1.7 and 4.1.8).
func (s *Session) signForClient(secrets map[string]string, claims map[string]any) (string, error) {
	how, key := s.auth.oauth.client, s.keys[secretPrivateKey]
	header := map[string]any{"typ": "JWT"}
	if kid := secrets[secretKeyID]; kid != "" {
		header["kid"] = kid
	}
	alg := cmp.Or(how.alg, algorithm(key))
	if how.certificate != "" {
		cert, err := parseCertificate(secrets[how.certificate])
		if err == nil && !certifies(cert, key) {
			err = errors.New("is not the certificate of the private key")
		}
		if err != nil {
			return "", fmt.Errorf("key %s of the Secret %w", how.certificate, err)
		}
		claims["nbf"] = claims["iat"]
		strong := sha256.Sum256(cert.Raw)
		header["x5t#S256"] = base64.RawURLEncoding.EncodeToString(strong[:])
		if alg == algRS256 { // vendors that take PS256 look for the strong one
			weak := sha1.Sum(cert.Raw) //nolint:gosec // names a certificate and protects nothing (RFC 7515, 4.1.7)
			header["x5t"] = base64.RawURLEncoding.EncodeToString(weak[:])
		}
	}
	return signJWS(key, alg, header, claims)
}

func signingFailed(key string, err error) *Error {
	return &Error{Class: ClassAuth, Message: fmt.Sprintf("nothing could be signed with the Secret's key %s: %v", key, err), Fix: fixSecret}
}

// assertion signs the grant's JWT (RFC 7523, 2.1 and 3).
func (s *Session) assertion(ctx context.Context, secretVars map[string]any) (string, error) {
	a := s.auth.oauth.assertion
	var failed error
	text := func(name string, t *expr.Template) string {
		if t == nil {
			return ""
		}
		v, err := t.Text(ctx, secretVars, nil)
		if err != nil && failed == nil {
			failed = &Error{Class: ClassConfig, Message: "assertion." + name + ": " + err.Error()}
		}
		return v
	}
	now := s.clock.Now()
	claims := map[string]any{"iat": now.Unix(), "exp": now.Add(a.ttl).Unix()}
	for _, c := range a.claims {
		v, err := c.value.Eval(ctx, secretVars)
		if err != nil {
			return "", &Error{Class: ClassConfig, Message: "assertion.claims." + c.name + ": " + err.Error()}
		}
		if v != nil {
			claims[c.name] = v
		}
	}
	claims["iss"] = text("iss", a.iss)
	claims["aud"] = cmp.Or(text("aud", a.aud), s.tokenURL.String())
	if sub := text("sub", a.sub); sub != "" {
		claims["sub"] = sub
	}
	if a.jti {
		claims["jti"] = uuid.NewString()
	}
	if scope := s.scope(); a.scope && scope != "" {
		claims["scope"] = scope
	}
	kid := text("kid", a.kid)
	if failed != nil {
		return "", failed
	}
	token, err := signJWT(s.keys[a.key], kid, claims)
	if err != nil {
		return "", signingFailed(a.key, err)
	}
	return token, nil
}

// signIn makes a request that gives a token, and classifies its failure.
func (s *Session) signIn(ctx context.Context, w *wire, patient bool) (*answer, error) {
	if err := s.spend(ctx, w, patient); err != nil {
		return nil, err
	}
	ans, failure := s.send(ctx, w)
	if failure != nil {
		return ans, failure
	}
	class := classOfStatus(ans.status)
	if class == "" {
		return ans, nil
	}
	m, _ := ans.body.(map[string]any)
	code, _ := m["error"].(string)
	switch {
	case code == "temporarily_unavailable", code == "server_error": // RFC 6749, 4.1.2.1
		class = ClassTransient
	case class != ClassRateLimit && class != ClassTransient:
		class = ClassAuth // invalid_client, invalid_grant, unknown account
	}
	e := s.explain(&Error{Class: class, Status: ans.status}, ans)
	e.Message = "signing in failed: " + e.Message
	e.badClient = code == "invalid_client" || code == "unauthorized_client" // RFC 6749, 5.2
	if class == ClassRateLimit {
		e.RetryAfter, _ = parseRetryAfter(ans.header.Get("Retry-After"), s.clock.Now())
		e.RetryAfter = cmp.Or(e.RetryAfter, defaultPause)
	}
	return ans, e
}

// readTokens reads what the token endpoint gave (RFC 6749, 5.1). Some vendors
// refuse with status 200.
func (s *Session) readTokens(ans *answer, p *prover) (tokens, error) {
	m, _ := ans.body.(map[string]any)
	t := tokens{}
	t.access, _ = member(m, s.auth.oauth.tokenField).(string)
	if t.access == "" {
		e := &Error{Class: ClassAuth, Status: ans.status}
		if words := vendorWords(ans.body); words != "" {
			e.Message = "signing in gave no access token: " + clip(s.redact(words, ans.hidden), maxWords)
		} else {
			e.Message = "signing in gave no access token"
		}
		return t, s.explain(e, ans)
	}
	if p != nil {
		kind, _ := m["token_type"].(string)
		if bound := p.bind(t.access, kind); !bound && s.auth.oauth.dpop == dpopRequired {
			return tokens{}, &Error{Class: ClassAuth, Status: ans.status, Message: "signing in gave an access token that is not bound to a key (DPoP), and the connector takes no other"}
		}
	}
	t.refresh, _ = m["refresh_token"].(string)
	t.expires = s.tokenEnd(m["expires_in"])
	return t, nil
}

// tokenEnd is until when a token with so many seconds to live is used.
func (s *Session) tokenEnd(seconds any) time.Time {
	life := defaultTokenLife
	n, ok := wholeNumber(seconds)
	if text, isText := seconds.(string); isText {
		var err error
		n, err = strconv.ParseInt(text, 10, 64)
		ok = err == nil
	}
	if ok && n > 0 {
		life = time.Duration(min(n, int64(math.Floor(maxTokenLife.Seconds())))) * time.Second
	}
	// Renew a little early: the clocks differ and a page may take its time.
	return s.clock.Now().Add(life - min(life/10, time.Minute))
}

// member follows a dotted path through objects.
func member(m map[string]any, path string) any {
	var v any = m
	for _, k := range strings.Split(path, ".") {
		object, _ := v.(map[string]any)
		v = object[k]
	}
	return v
}

// logIn makes the first step of a two-step session.
func (s *Session) logIn(ctx context.Context) (string, time.Time, error) {
	login := s.auth.login
	x := exchange{spec: &login.request, vars: s.withSecrets(s.vars(), s.o.Secrets)}
	w, err := s.prepare(ctx, x)
	if err != nil {
		return "", time.Time{}, err
	}
	ans, err := s.signIn(ctx, w, true)
	if err != nil {
		return "", time.Time{}, err
	}
	x.vars = s.vars() // what judges the answer sees no secret
	ans.bodyErr = nil // a token may come in a header, beside any body
	if failure := s.classify(ctx, x, ans, answerVars(x.vars, ans)); failure != nil {
		failure.Message = "signing in failed: " + failure.Message
		return "", time.Time{}, failure
	}
	token, err := login.token.EvalString(ctx, x.vars)
	if err != nil || token == "" {
		return "", time.Time{}, s.explain(&Error{Class: ClassAuth, Status: ans.status, Message: "signing in gave no session token"}, ans)
	}
	var life any
	if login.expires != nil {
		if life, err = login.expires.Eval(ctx, x.vars); err != nil {
			return "", time.Time{}, evalFailure("", "login.expires", err)
		}
	}
	return token, s.tokenEnd(life), nil
}
