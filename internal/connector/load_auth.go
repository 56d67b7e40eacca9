// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// authKeys are the keys of each way to sign in, beside those of all.
var authKeys = map[string][]string{
	"bearer":  {"token"},
	"header":  {"headers"},
	"basic":   {"username", "password"},
	"query":   {"query"},
	"oauth2":  {"grant", "clientAuth", "tokenURL", "tokenQuery", "tokenForm", "scopes", "scopeSeparator", "assertion", "clientAssertion", "dpop", "tokenHeader", "tokenField"},
	"session": {"login", "header"},
}

func (l *loader) auth(n node) {
	if l.manifest.native == "" && !n.exists() {
		n.problem("nothing", "a list of ways to sign in", "")
	}
	seen := map[string]bool{}
	n.items(func(_ int, v node) {
		a := l.authMethod(v)
		if seen[a.id] && a.id != "" {
			v.get("id").problem(fmt.Sprintf("%q a second time", a.id), "an id of its own", "")
		}
		seen[a.id] = true
		l.manifest.auth = append(l.manifest.auth, a)
	})
}

func (l *loader) authMethod(v node) authMethod {
	kinds := sortedKeys(authKeys)
	a := authMethod{
		id: v.need("id", "a name").text(), title: v.get("title").text(),
		kind: v.need("type", strings.Join(kinds, ", ")).enum(kinds...),
	}
	keys, ok := authKeys[a.kind]
	if !ok {
		for _, k := range authKeys {
			keys = append(keys, k...)
		}
	}
	v.object(append([]string{"id", "title", "type", "description", "secrets"}, keys...)...)
	v.get("secrets").entries(func(name string, s node) { a.secrets = append(a.secrets, l.secretField(&a, name, s)) })
	switch a.kind {
	case "bearer":
		a.token = l.secretTemplate(v.need("token", "text such as ${secret.token}"))
	case "header":
		a.headers = l.pairs(v.need("headers", "headers that carry the credential"), l.secretTemplate)
	case "basic":
		a.username = l.secretTemplate(v.need("username", "text such as ${secret.username}"))
		a.password = l.secretTemplate(v.need("password", "text such as ${secret.password}"))
	case "query":
		a.query = l.pairs(v.need("query", "query parameters that carry the credential"), l.secretTemplate)
	case "oauth2":
		a.oauth = l.oauth(v, &a)
		a.sendAs = l.tokenHeader(v.get("tokenHeader"))
	case "session":
		a.login = l.login(v.need("login", "the request that gives a session token"))
		a.sendAs = l.tokenHeader(v.get("header"))
	}
	l.secretsDeclared(&a)
	return a
}

func (l *loader) secretField(a *authMethod, name string, s node) secretField {
	s.object("title", "optional", "description", "format", "rotates")
	if !idPattern.MatchString(name) {
		s.problem(fmt.Sprintf("the name %q", name), "letters, digits and underscores", "")
	}
	f := secretField{name: name, title: s.get("title").text(), optional: s.get("optional").boolean(),
		rotates: s.get("rotates").boolean()}
	format := s.get("format").enum("pem", "certificate")
	f.pem, f.certificate = format == "pem", format == "certificate"
	if f.rotates && (a.kind != "oauth2" || name != secretRefreshToken) {
		s.get("rotates").problem("true for "+name, "only the refreshToken of an oauth2 method", "nothing else is replaced by the vendor")
	}
	return f
}

var secretReference = regexp.MustCompile(`\bsecret\.([a-zA-Z][a-zA-Z0-9_]*)`)

// secretsDeclared finds references to keys that the method does not declare:
// they would fail at every request.
func (l *loader) secretsDeclared(a *authMethod) {
	names := make([]string, len(a.secrets))
	for i, f := range a.secrets {
		names[i] = f.name
	}
	for _, n := range l.withSecrets {
		undeclared(n, names, "a key under secrets of this method")
	}
	l.withSecrets = nil
}

func undeclared(n node, names []string, want string) {
	for _, m := range secretReference.FindAllStringSubmatch(n.yaml.Value, -1) {
		if !slices.Contains(names, m[1]) {
			n.problem("secret."+m[1], want, didYouMean(m[1], names))
		}
	}
}

// secretTemplate compiles a template that may hold the credential.
func (l *loader) secretTemplate(n node) *expr.Template {
	t := n.template(l.secretEnv)
	if t != nil {
		l.withSecrets = append(l.withSecrets, n)
	}
	return t
}

// tokenTemplate compiles a credential that one request has for itself. It may
// read the keys of any way to sign in.
func (l *loader) tokenTemplate(n node) *expr.Template {
	var names []string
	for _, a := range l.manifest.auth {
		for _, f := range a.secrets {
			names = append(names, f.name)
		}
	}
	t := n.template(l.secretEnv)
	if t != nil {
		undeclared(n, names, "a key under secrets of a way to sign in")
	}
	return t
}

// tokenHeader reads how a token is sent; Authorization: Bearer where nothing
// is said.
func (l *loader) tokenHeader(n node) tokenHeader {
	n.object("name", "prefix")
	h := tokenHeader{name: textproto.CanonicalMIMEHeaderKey(cmp.Or(n.get("name").text(), "Authorization")), prefix: n.get("prefix").text()}
	if h.name == "Authorization" && !n.get("prefix").exists() {
		h.prefix = "Bearer "
	}
	return h
}

// Grants and ways of client authentication.
const (
	grantClient  = "client_credentials"
	grantAccount = "account_credentials" // Zoom's: differs in the grant and in its query
	grantJWT     = "jwt_bearer"
	grantRefresh = "refresh_token"

	clientBasic = "basic"
	clientPost  = "post"
	clientJWT   = "private_key_jwt"
)

// Secret keys with a meaning of their own.
const (
	secretClientID     = "clientId"
	secretClientSecret = "clientSecret" //nolint:gosec // the name of a key, no credential
	secretPrivateKey   = "privateKey"
	secretKeyID        = "keyId"
	secretRefreshToken = "refreshToken" //nolint:gosec // the name of a key, no credential
)

func (l *loader) oauth(v node, a *authMethod) *oauthSpec {
	grants := []string{grantClient, grantAccount, grantJWT, grantRefresh}
	o := &oauthSpec{
		grant:      v.need("grant", strings.Join(grants, ", ")).enum(grants...),
		tokenURL:   l.httpsTemplate(v.need("tokenURL", "an https URL")),
		tokenQuery: l.pairs(v.get("tokenQuery"), l.secretTemplate),
		tokenForm:  l.pairs(v.get("tokenForm"), l.secretTemplate),
		tokenField: cmp.Or(v.get("tokenField").text(), "access_token"),
		scopes:     map[string][]string{},
		separator:  " ", // RFC 6749, 3.3
	}
	if sep := v.get("scopeSeparator"); sep.exists() {
		o.separator = sep.enum(" ", ",")
	}
	sc := v.get("scopes")
	sc.object("read", "act")
	for _, k := range []string{"read", "act"} {
		o.scopes[k] = sc.get(k).texts()
	}
	ways := []string{clientBasic, clientPost}
	if o.grant == grantClient {
		ways = append(ways, clientJWT)
	}
	client := v.get("clientAuth")
	if o.grant != grantJWT && !client.exists() {
		client.problem("nothing", strings.Join(ways, ", "), "")
	}
	o.clientAuth = client.enum(ways...)
	l.oauthSecrets(v.get("secrets"), a, o)
	l.clientAssertion(v.get("clientAssertion"), a, o)
	if d := v.get("dpop"); d.exists() {
		if o.dpop = d.enum(dpopAuto, dpopRequired); o.grant == grantRefresh {
			d.problem("dpop with grant "+grantRefresh, "another grant", "its access token is shared between processes, and a bound one is not")
		}
	}
	as := v.get("assertion")
	switch {
	case o.grant == grantJWT:
		o.assertion = l.assertion(v.need("assertion", "the claims and the key of the assertion"), a)
	case as.exists():
		as.problem("an assertion with grant "+o.grant, "grant "+grantJWT, "")
	}
	return o
}

// clientAssertion reads how a client signs for itself, beside its key.
func (l *loader) clientAssertion(n node, a *authMethod, o *oauthSpec) {
	if !n.exists() {
		return
	}
	n.object("alg", "certificate")
	if o.clientAuth != clientJWT {
		n.problem("clientAssertion with clientAuth "+o.clientAuth, "clientAuth "+clientJWT, "")
	}
	o.client.alg = n.get("alg").enum(algRS256, algPS256, algES256)
	cert := n.get("certificate")
	if !cert.exists() {
		return
	}
	m := keyHole.FindStringSubmatch(cert.text())
	if m == nil {
		cert.problem(cert.kind(), "one Secret key alone, as ${secret.certificate}", "")
		return
	}
	o.client.certificate = m[1]
	if !slices.ContainsFunc(a.secrets, func(f secretField) bool { return f.name == m[1] && f.certificate && !f.optional }) {
		cert.problem("secret."+m[1], "a required key under secrets with format: certificate", "")
	}
}

// oauthSecrets checks that the keys are declared which the grant reads.
func (l *loader) oauthSecrets(n node, a *authMethod, o *oauthSpec) {
	need := func(name string, mayBeOptional, pem bool) {
		i := slices.IndexFunc(a.secrets, func(s secretField) bool { return s.name == name })
		switch {
		case i < 0:
			n.problem("no "+name, "the key "+name+", which the grant reads", "")
		case a.secrets[i].optional && !mayBeOptional:
			n.get(name).problem("an optional key", name+" as a required key", "")
		case pem && !a.secrets[i].pem:
			n.get(name).problem("no format", "format: pem", "")
		}
	}
	if o.clientAuth != "" {
		need(secretClientID, false, false)
	}
	switch o.clientAuth {
	case clientJWT:
		need(secretPrivateKey, false, true)
	case clientBasic, clientPost:
		// A public client has no secret (RFC 6749, 2.1).
		need(secretClientSecret, o.grant == grantRefresh, false)
	}
	if o.grant == grantRefresh {
		need(secretRefreshToken, false, false)
	}
}

// maxAssertionTTL is what the strictest of those that take long ones allow.
const maxAssertionTTL = time.Hour

var keyHole = regexp.MustCompile(`^\$\{\s*secret\.([a-zA-Z][a-zA-Z0-9_]*)\s*\}$`)

func (l *loader) assertion(n node, a *authMethod) *assertionSpec {
	n.object("iss", "sub", "aud", "ttl", "alg", "key", "kid", "claims", "jti", "scope")
	s := &assertionSpec{
		iss: l.secretTemplate(n.need("iss", "who vouches, such as ${secret.clientId}")),
		sub: l.secretTemplate(n.get("sub")), aud: l.secretTemplate(n.get("aud")), kid: l.secretTemplate(n.get("kid")),
		alg: cmp.Or(n.get("alg").enum("RS256", "ES256"), "RS256"), ttl: cmp.Or(n.get("ttl").duration(), defaultAssertionTTL),
		claims: l.pairs(n.get("claims"), l.secretTemplate), jti: n.get("jti").boolean(), scope: n.get("scope").boolean(),
	}
	if s.ttl > maxAssertionTTL {
		n.get("ttl").problem(n.get("ttl").kind(), "at most 1h", "")
	}
	key := n.need("key", "the Secret key with the PEM, as ${secret.privateKey}")
	if l.secretTemplate(key) == nil {
		return s
	}
	m := keyHole.FindStringSubmatch(key.text())
	if m == nil {
		key.problem(key.kind(), "one Secret key alone, as ${secret.privateKey}", "an error about the key has to name where it is")
		return s
	}
	s.key = m[1]
	if i := slices.IndexFunc(a.secrets, func(f secretField) bool { return f.name == s.key }); i >= 0 && !a.secrets[i].pem {
		key.problem("secret."+s.key, "a key under secrets with format: pem", "")
	}
	return s
}

// login reads the request of a two-step session. Only its form, headers and
// body may hold the credential: a path ends in logs.
func (l *loader) login(n node) *loginSpec {
	n.object("post", "host", "headers", "form", "body", "token", "expires")
	s := &loginSpec{
		request: requestSpec{
			method: http.MethodPost, path: l.path(n.need("post", "the path that gives a token"), l.env), host: l.host(n.get("host")),
			headers: l.pairs(n.get("headers"), l.secretTemplate), form: l.pairs(n.get("form"), l.secretTemplate), reads: true,
		},
		token:   n.need("token", "CEL over resp and headers that yields the token").program(l.pageEnv, expr.String),
		expires: n.get("expires").program(l.pageEnv, expr.Dyn),
	}
	if b := n.get("body"); b.exists() {
		if s.request.body = b.program(l.secretEnv, expr.Dyn); s.request.body != nil {
			l.withSecrets = append(l.withSecrets, b)
		}
		if len(s.request.form) > 0 {
			b.problem("both form and body", "one of them", "")
		}
	}
	return s
}

func (l *loader) path(n node, env *expr.Env) *expr.Template {
	t := n.template(env)
	if t != nil && !strings.HasPrefix(t.Source(), "/") {
		n.problem(n.kind(), "a path that begins with /", "the host comes from http.baseURL or http.hosts")
	}
	return t
}

// host reads the name of a host. The hosts are read after the ways to sign in,
// so that crossHosts checks it.
func (l *loader) host(n node) string {
	if n.exists() {
		l.hostNames = append(l.hostNames, n)
	}
	return n.text()
}

// crossHosts finds names that http.hosts does not have.
func (l *loader) crossHosts() {
	for _, n := range l.hostNames {
		if !slices.ContainsFunc(l.manifest.http.hosts, func(p pair) bool { return p.name == n.text() }) {
			n.problem(n.kind(), "a name under http.hosts", "")
		}
	}
}

// reading marks a request that is declared to change nothing: a search may go
// by POST, and then needs no permission to act.
func (l *loader) reading(n node, r requestSpec) requestSpec {
	switch {
	case r.method != "" && r.method != http.MethodGet && r.method != http.MethodPost:
		n.problem(r.method, "get, or post for a search", "a listing changes nothing")
	case r.graphql != nil && !r.reads:
		n.get("graphql").get("query").problem("a mutation or subscription", "a query", "a listing changes nothing")
	default:
		r.reads = true
	}
	return r
}
