// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestAuthFaultsAreNamedAtLoad(t *testing.T) {
	for name, tt := range map[string]struct{ auth, path, want string }{
		"type":         {`- {id: a, type: magic}`, "spec.auth[0].type", "one of"},
		"key of other": {`- {id: a, type: bearer, token: "${secret.t}", query: {}, secrets: {t: {}}}`, "spec.auth[0].query", "unknown key"},
		"undeclared":   {`- {id: a, type: query, query: {k: "${secret.keyy}"}, secrets: {key: {}}}`, "spec.auth[0].query.k", "did you mean key?"},
		"twice":        {"- {id: a, type: bearer, token: \"${secret.t}\", secrets: {t: {}}}\n    - {id: a, type: bearer, token: \"${secret.t}\", secrets: {t: {}}}", "spec.auth[1].id", "second time"},
		"rotates":      {`- {id: a, type: bearer, token: "${secret.t}", secrets: {t: {rotates: true}}}`, "spec.auth[0].secrets.t.rotates", "refreshToken"},
		"format":       {`- {id: a, type: bearer, token: "${secret.t}", secrets: {t: {format: der}}}`, "spec.auth[0].secrets.t.format", "pem"},
		"no pem":       {strings.Replace(clientAuthMethod, "{format: pem}", "{}", 1), "spec.auth[0].secrets.privateKey", "format: pem"},
		"optional key": {strings.Replace(clientAuthMethod, "{format: pem}", "{format: pem, optional: true}", 1), "spec.auth[0].secrets.privateKey", "required"},
		"clientAuth":   {strings.Replace(clientAuthMethod, "private_key_jwt", "psychic", 1), "spec.auth[0].clientAuth", "private_key_jwt"},
		"http":         {strings.Replace(clientAuthMethod, "https://login", "http://login", 1), "spec.auth[0].tokenURL", "https://"},
		"assertion":    {clientAuthMethod + "\n      assertion: {iss: x}", "spec.auth[0].assertion", "jwt_bearer"},
		"no assertion": {`- {id: a, type: oauth2, grant: jwt_bearer, tokenURL: "https://l.example/t"}`, "spec.auth[0].assertion", "nothing"},
		"key text":     {strings.Replace(bearerMethod, `key: "${secret.key}"`, `key: "x${secret.key}"`, 1), "spec.auth[0].assertion.key", "one Secret key alone"},
		"ttl":          {strings.Replace(bearerMethod, "ttl: 1h", "ttl: 2h", 1), "spec.auth[0].assertion.ttl", "at most 1h"},
		"refresh":      {`- {id: a, type: oauth2, grant: refresh_token, clientAuth: basic, tokenURL: "https://l.example/t", secrets: {clientId: {}, clientSecret: {optional: true}}}`, "spec.auth[0].secrets", "refreshToken"},
		"browser":      {`- {id: a, type: oauth2, grant: authorization_code, tokenURL: "https://l.example/t"}`, "spec.auth[0].grant", "one of client_credentials"},
		"login":        {`- {id: a, type: session, secrets: {}}`, "spec.auth[0].login", "nothing"},
		"login type":   {`- {id: a, type: session, login: {post: /x, token: "1"}, secrets: {}}`, "spec.auth[0].login.token", "string"},
		"login path":   {`- {id: a, type: session, login: {post: "/x/${secret.a}", token: resp.t}, secrets: {a: {}}}`, "spec.auth[0].login.post", "secret"},
		"login host":   {`- {id: a, type: session, login: {post: /x, host: nowhere, token: resp.t}, secrets: {}}`, "spec.auth[0].login.host", "http.hosts"},
	} {
		text := withAuth("    " + strings.TrimSpace(strings.Replace(tt.auth, "SCOPE", "scope: true", 1)))
		_, err := Load("f.yaml", []byte(text))
		var ps Problems
		errors.As(err, &ps)
		if !slices.ContainsFunc(ps, func(p Problem) bool {
			return p.Path == tt.path && strings.Contains(p.String(), tt.want) && p.Line > 0 && strings.HasPrefix(p.String(), "f.yaml:")
		}) {
			t.Errorf("%s: want %s … %s, got:\n%v", name, tt.path, tt.want, err)
		}
	}
	for name, tt := range map[string]struct{ old, text, path, want string }{
		"refresh":     {"class: auth}", "class: plan, refresh: true}", "spec.http.errors[1].refresh", "class auth"},
		"usage regex": {"      key: [path]\n", "      key: [path]\n      usage: {header: X, regex: '(?P<used>x)'}\n", "spec.http.rateLimit.usage.regex", "limit"},
		"concurrency": {"    rateLimit:\n", "    concurrency: 17\n    rateLimit:\n", "spec.http.concurrency", "16"},
		"mutation":    {"request: {get: /linked}", "request: {post: /g, graphql: {query: 'mutation M { x }'}}", "spec.streams.linked.request.graphql.query", "a query"},
		"graphql get": {"request: {get: /linked}", "request: {get: /g, graphql: {query: '{ x }'}}", "spec.streams.linked.request.graphql", "POST"},
		"both":        {"request: {get: /linked}", "request: {post: /g, body: '{}', graphql: {query: '{ x }'}}", "spec.streams.linked.request.graphql", "one of them"},
		"token":       {"request: {get: /linked}", "request: {get: /linked, token: '${secret.tokn}'}", "spec.streams.linked.request.token", "did you mean token?"},
		"own token":   {"request: {get: /linked}", "token: '${secret.admin}'\n      request: {get: /linked}", "spec.streams.linked.token", "way to sign in"},
		"put":         {"request: {get: /linked}", "request: {put: /g}", "spec.streams.linked.request", "search"},
	} {
		text := strings.Replace(chaosManifest, tt.old, tt.text, 1)
		_, err := Load("f.yaml", []byte(text))
		var ps Problems
		errors.As(err, &ps)
		if text == chaosManifest || !slices.ContainsFunc(ps, func(p Problem) bool { return p.Path == tt.path && strings.Contains(p.String(), tt.want) }) {
			t.Errorf("%s: want %s … %s, got:\n%v", name, tt.path, tt.want, err)
		}
	}
}
