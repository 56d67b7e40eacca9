// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/store"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// outside is what the requests of steps meet: the operator allows nothing, and
// the Secrets are those of have.
type outside struct {
	*connector.Requester
	have map[string]bool
}

func (outside) TakesHeader(name string) bool { return connector.TakesHeader(name) }

func (outside) Changes(document string) bool { return connector.GraphQLChanges(document) }

func (o outside) Secret(_ context.Context, _, name, _ string) (reason, message string, err error) {
	if !o.have[name] {
		return v1alpha1.ReasonSecretNotFound, fmt.Sprintf("there is no Secret %q", name), nil
	}
	return "", "", nil
}

// TestRequestsAreChecked has what can be known of a request before it is sent.
func TestRequestsAreChecked(t *testing.T) {
	k := newKit(t)
	here := outside{connector.NewRequester(connector.RequesterOptions{Endpoints: map[string]string{"desk.internal": "http://127.0.0.1:1"}}), map[string]bool{"desk": true}}
	k.r.Requests = here
	bad := func(reason string) string {
		return fmt.Sprintf("Valid=False %[1]s Ready=False %[1]s", reason)
	}
	step, expression, host, literal := bad(v1alpha1.ReasonInvalidStep), bad(v1alpha1.ReasonInvalidExpression), bad(v1alpha1.ReasonHostNotAllowed), bad(v1alpha1.ReasonSecretInLiteral)
	const post = `{url: "https://desk.example.com/x", method: POST, class: Keyed`
	for i, tc := range []struct{ name, http, want, says string }{
		{"get", `{url: "https://desk.example.com/people/${person.email}"}`, fine, ""},
		{"post", post + `, body: {mail: "${person.email}", n: 3}, headers: {X-Org: acme}, expect: "status == 201 && resp.ok"}`, fine, ""},
		{"auth", post + `, auth: {type: ClientCredentials, secretName: desk, tokenURL: "https://id.example.com/token", scopes: [a]}}`, fine, ""},
		{"verified", `{url: "https://desk.example.com/x", method: POST, class: Verifiable, verify: {url: "https://desk.example.com/x?q=${person.email}", expect: "resp.total > 0", within: 90s}}`, fine, ""},
		{"computed", `{url: "${input.url}", allowHosts: [desk.example.com]}`, fine, ""},
		{"redirected", `{url: "https://desk.internal/x"}`, fine, ""},
		{"graphql", `{url: "https://api.linear.app/graphql", graphql: {query: "query { me { id } }", variables: {n: "${person.email}"}}}`, fine, ""},
		{"mutation", `{url: "https://api.linear.app/graphql", graphql: {query: "mutation { a }"}}`, step, "spec.steps[s].http.class: the GraphQL document changes something"},
		{"graphql-put", `{url: "https://api.linear.app/graphql", method: PUT, class: Idempotent, graphql: {query: "{ a }"}}`, step, "GraphQL goes by POST"},
		{"plain", `{url: "http://desk.example.com/"}`, expression, "spec.steps[s].http.url: column 1: want an address that begins with https://"},
		{"any-host", `{url: "${input.url}"}`, step, "spec.steps[s].http.url: the host is computed, so allowHosts must name"},
		{"half-host", `{url: "https://${input.tenant}.example.com/x"}`, step, "allowHosts must name"},
		{"private", `{url: "https://10.1.2.3/x"}`, host, "10.1.2.3 is a private address"},
		{"metadata", `{url: "https://169.254.169.254/latest"}`, host, "a link-local address"},
		{"localhost", `{url: "https://localhost:8443/x"}`, host, "a loopback address"},
		{"token-host", post + `, auth: {type: ClientCredentials, secretName: desk, tokenURL: "https://127.0.0.1/token"}}`, host, "spec.steps[s].http.auth.tokenURL"},
		{"undefined", `{url: "https://desk.example.com/${person.mail}"}`, expression, "undefined field 'mail'"},
		{"expect-no-bool", `{url: "https://desk.example.com/", expect: "status"}`, expression, "spec.steps[s].http.expect: column 1: the expression yields int, want bool"},
		{"read-delete", `{url: "https://desk.example.com/", method: DELETE, class: Read}`, step, "Read is for requests that change nothing"},
		{"get-body", `{url: "https://desk.example.com/", body: {a: 1}}`, step, "a GET has no body"},
		{"key-header", `{url: "https://desk.example.com/", method: POST, class: Unsafe, keyHeader: X-Key}`, step, "only a request with class Keyed"},
		{"own-key", post + `, headers: {idempotency-key: "${input.k}"}}`, step, "which class Keyed sets"},
		{"two-auths", post + `, auth: {type: Bearer, secretName: desk}, headers: {authorization: "Bearer ${input.t}"}}`, step, "auth sets Authorization"},
		{"key-in-header", post + `, auth: {type: Bearer, secretName: desk, header: X-Api-Key}, headers: {Authorization: "Bearer ${input.t}"}}`, fine, ""},
		{"basic-header", post + `, auth: {type: Basic, secretName: desk, header: X-Api-Key}}`, step, "type Basic has its header"},
		{"connection-header", post + `, auth: {type: Bearer, secretName: desk, header: Host}}`, step, `spec.steps[s].http.auth.header: "Host" cannot be set`},
		{"host-header", post + `, headers: {Host: elsewhere}}`, step, `"Host" cannot be set`},
		{"literal", post + `, headers: {Authorization: "Bearer abcdefghijklmnop"}}`, literal, "spec.steps[s].http.headers.Authorization: a secret in a literal"},
		{"literal-query", `{url: "https://desk.example.com/", query: {apiKey: s3cr3t}}`, literal, "spec.steps[s].http.query.apiKey"},
		{"literal-body", post + `, body: {nested: [{client_secret: abc}]}}`, literal, "spec.steps[s].http.body.nested[0].client_secret"},
		{"literal-url", `{url: "https://desk.example.com/?api_key=abcdef"}`, literal, "spec.steps[s].http.url"},
		{"user-info", `{url: "https://u:p@desk.example.com/"}`, expression, "a credential belongs into a Secret"},
		{"no-secret", post + `, auth: {type: Bearer, secretName: gone}}`, "Valid=True Compiled Ready=False SecretNotFound", `spec.steps[s].http.auth.secretName: there is no Secret "gone"`},
	} {
		w := k.workflow(fmt.Sprintf("%02d-%s", i, tc.name), start+"steps:\n- name: s\n  http: "+tc.http+"\n")
		if says := k.settles(w, tc.want); !strings.Contains(says, tc.says) {
			t.Errorf("%s says %q, want %q in it", tc.name, says, tc.says)
		}
		if tc.name != "no-secret" {
			continue
		}
		// No run starts meanwhile; the spec has its revision, and the Secret mends it.
		if s, err := k.store.Workflow(t.Context(), k.store.tenant, w.Name); err != nil || s.State != store.WorkflowInvalid || s.Revision != 1 {
			t.Errorf("without its Secret: %+v, %v", s, err)
		}
		here.have["gone"] = true
		k.settles(w, fine)
		if s, err := k.store.Workflow(t.Context(), k.store.tenant, w.Name); err != nil || s.State != store.WorkflowReady || s.Revision != 1 {
			t.Errorf("with its Secret: %+v, %v", s, err)
		}
	}
	// What the schema refuses by itself.
	for name, http := range map[string]string{
		"no-class":     `{url: "https://desk.example.com/", method: POST}`,
		"no-verify":    `{url: "https://desk.example.com/", method: POST, class: Verifiable}`,
		"no-token-url": `{url: "https://desk.example.com/", auth: {type: ClientCredentials, secretName: desk}}`,
	} {
		w := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: name}}
		if err := yaml.UnmarshalStrict([]byte(start+"steps:\n- {name: s, http: "+http+"}\n"), &w.Spec); err != nil {
			t.Fatal(err)
		}
		if err := k.client.Create(t.Context(), w); err == nil {
			t.Errorf("%s was admitted", name)
		}
	}
}

// TestLiteralSecrets tells a credential from the place for one.
func TestLiteralSecrets(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       bool
	}{
		{"Authorization", "Bearer ${steps.token.access}", false},
		{"Authorization", "Zoho-oauthtoken ${steps.token.access}", false},
		{"Authorization", "Token token=${steps.token.access}, id=${input.id}", false},
		{"Authorization", "Bearer ${'abcdefghijkl'}", true},
		{"Authorization", "Basic dXNlcjpwYXNz", true},
		{"Authorization", "Bearer ${person.email}0123456789abcdef0123", true},
		{"X-Api-Key", "1234", true},
		{"x_auth_token", "1234", true},
		{"clientSecret", "1234", true},
		{"Cookie", "a=b", true},
		{"token_type", "bearer", false},
		{"X-Org", "acme", false},
		{"X-Org", "xoxb-1234567890-abcdef", true},
		{"", "send eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.x", true},
		{"", "grant_type=client_credentials&client_secret=abcd1234", true},
		{"", "client_secret=${input.x}", false},
		{"grant_type", "client_credentials", false},
		{"password", "${input.password}", false},
		{"password", "", false},
	} {
		if got := literalSecret(tc.name, tc.text); got != tc.want {
			t.Errorf("%s: %s is a secret: %v, want %v", tc.name, tc.text, got, tc.want)
		}
	}
	p, err := planOf(t, "Person", `- {name: a, action: {integration: zoom, name: user.create, with: {email: x, password: Welcome1}}}`+"\n")
	if err != nil || p.uses[0].literal != "with.password" {
		t.Errorf("%+v, %v", p.uses, err)
	}
}

// TestSensitiveOutputs follows sensitive outputs to those who use them.
func TestSensitiveOutputs(t *testing.T) {
	const token = `- {name: token, http: {url: "https://a.example/t"}, outputs: {access: {value: resp.a, sensitive: true}, id: {value: resp.id}}}` + "\n"
	use := func(name string) string {
		return `- {name: ` + name + `, http: {url: "https://a.example/u", headers: {X-Token: "${steps.token.access}"}}}` + "\n"
	}
	const pause = "- {name: pause, wait: {for: 1d}}\n"
	for _, tc := range []struct{ name, steps, refused, warns string }{
		{"at once", token + use("u"), "", ""},
		{"behind a wait", token + pause + use("u"), "", "spec.steps[u].http.headers.X-Token uses steps.token.access, which is sensitive, behind the step pause"},
		{"the other output", token + pause + `- {name: u, http: {url: "https://a.example/${steps.token.id}"}}` + "\n", "", ""},
		{"the whole result", token + pause + `- {name: u, action: {integration: zoom, name: user.create, with: {x: "${steps.token}"}}}` + "\n", "", "behind the step pause"},
		{"behind an approval", token + "- {name: ok, approval: {approvers: [{role: Manager}]}}\n" + use("u"), "", "behind the step ok"},
		{"before the wait", token + use("u") + pause, "", ""},
		{"wait in another case", token + "- {name: s, switch: [{when: input.x, steps: [{name: p, wait: {for: 1d}}]}, {steps: [" + strings.TrimPrefix(strings.TrimSpace(use("u")), "- ") + "]}]}\n", "", ""},
		{"wait in a case before", token + "- {name: s, switch: [{when: 'true', steps: [{name: p, wait: {for: 1d}}]}]}\n" + use("u"), "", "behind the step p"},
		{"wait later in a loop", token + "- {name: l, forEach: {in: '[1]', as: x, steps: [" + strings.TrimPrefix(strings.TrimSpace(use("u")), "- ") + ", {name: p, wait: {for: 1d}}]}}\n", "", "behind the step p"},
		{"all in a loop", "- {name: l, forEach: {in: '[1]', as: x, steps: [" + strings.TrimPrefix(strings.TrimSpace(token), "- ") + ", " + strings.TrimPrefix(strings.TrimSpace(use("u")), "- ") + ", {name: p, wait: {for: 1d}}]}}\n", "", ""},
		{"in a condition of a switch", token + `- {name: s, switch: [{when: "steps.token.access != ''", steps: [{name: p, wait: {for: 1d}}]}]}` + "\n", "", ""},
		{"in a message", token + `- {name: tell, delegate: {to: [{role: Manager}], text: "it is ${steps.token['access']}"}}` + "\n", "spec.steps[tell].delegate.text: steps.token.access is sensitive: only action and http steps", ""},
		{"in the condition of a wait", token + `- {name: tell, when: "steps.token.access != ''", wait: {for: 1d}}` + "\n", "spec.steps[tell].when: steps.token.access is sensitive", ""},
		{"in an item's own run", token + "- {name: l, forEach: {in: '[1]', as: x, maxParallel: 2, steps: [" + strings.TrimPrefix(strings.TrimSpace(use("u")), "- ") + "]}}\n",
			"steps.token.access is sensitive, and only the run opens it that has it: the items of forEach l have runs of their own", ""},
		{"all in an item's own run", "- {name: l, forEach: {in: '[1]', as: x, maxParallel: 2, steps: [" + strings.TrimPrefix(strings.TrimSpace(token), "- ") + ", " + strings.TrimPrefix(strings.TrimSpace(use("u")), "- ") + "]}}\n", "", ""},
		{"in a loop's list", token + `- {name: l, forEach: {in: "[steps.token.access]", as: x, steps: [{name: p, wait: {for: 1d}}]}}` + "\n", "spec.steps[l].forEach.in", ""},
	} {
		p, err := planOf(t, "Person", tc.steps)
		switch {
		case tc.refused != "":
			if err == nil || !strings.Contains(err.Error(), tc.refused) {
				t.Errorf("%s: %v, want %q", tc.name, err, tc.refused)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		got := strings.Join(p.warnings, "; ")
		if (got == "") != (tc.warns == "") || !strings.Contains(got, tc.warns) {
			t.Errorf("%s warns %q, want %q", tc.name, got, tc.warns)
		}
	}
	k := newKit(t)
	w := k.workflow("warned", start+"steps:\n"+token+pause+use("u"))
	if says := k.settles(w, fine); !strings.Contains(says, "behind the step pause") {
		t.Errorf("Ready says %q", says)
	}
}

// TestRetryDefaults are those that the API documents.
func TestRetryDefaults(t *testing.T) {
	p, err := planOf(t, "Person", `
- {name: a, action: {integration: zoom, name: user.signOut, with: {userId: x}}}
- {name: b, http: {url: "https://a.example/"}, retry: {maxAttempts: 2, backoff: 1m}}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := engine.Retry{MaxAttempts: 5, Base: engine.Span{Elapsed: defaultBackoff}, Max: engine.Span{Elapsed: defaultMaxBackoff}}
	if got := p.definition.Steps[0].Action.Retry; got != want {
		t.Errorf("default %+v, want %+v", got, want)
	}
	want.MaxAttempts, want.Base = 2, engine.Span{Elapsed: 6 * defaultBackoff}
	if got := p.definition.Steps[1].HTTP.Retry; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestSamples compiles the samples as the engine will.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("../../config/samples/workflow*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var w v1alpha1.Workflow
		if err := yaml.Unmarshal(raw, &w); err != nil {
			t.Fatal(err)
		}
		if w.Kind != v1alpha1.KindWorkflow {
			continue
		}
		p, err := translate(w.Spec)
		if err == nil {
			err = engine.Check(p.definition, expr.Workflow{})
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, u := range p.requests {
			if err := literals(u); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
