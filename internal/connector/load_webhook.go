// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

var eventPattern = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*(\.[a-zA-Z0-9_]+){0,5}$`)

func (l *loader) webhook(name string, n node) {
	n.object("title", "description", "secrets", "verify", "challenge", "parse", "id", "at", "emit")
	if !idPattern.MatchString(name) {
		n.problem(fmt.Sprintf("the name %q", name), "letters, digits and underscores", "")
	}
	w := &Webhook{name: name, title: n.get("title").text()}
	if w.title == "" {
		w.title = name
	}
	l.manifest.webhooks = append(l.manifest.webhooks, w)
	env := l.withVar(n, "body", "query", "method", "signature").WithCost(expr.CostPage)
	n.get("secrets").entries(func(key string, s node) {
		s.object("title", "optional", "description")
		if !idPattern.MatchString(key) {
			s.problem(fmt.Sprintf("the name %q", key), "letters, digits and underscores", "")
		}
		w.secrets = append(w.secrets, secretField{name: key, title: s.get("title").text(), optional: s.get("optional").boolean()})
	})
	l.webhookVerify(w, n.need("verify", "how a delivery proves to be the vendor's"), env)
	l.webhookChallenge(w, n.get("challenge"), env)
	l.webhookParse(w, n.get("parse"))
	w.id = n.need("id", "CEL that yields what a repeated delivery is known by").program(env, expr.Dyn)
	w.at = n.get("at").program(env, expr.Timestamp)
	n.need("emit", "what a delivery tells").items(func(_ int, v node) { l.webhookEmit(w, v) })
}

func (l *loader) webhookVerify(w *Webhook, n node, env *expr.Env) {
	n.object("type", "header", "prefix", "encoding", "secret", "timestampHeader", "payload", "maxSkew")
	v := &w.verify
	v.kind = n.need("type", strings.Join(verifyKinds, ", ")).enum(verifyKinds...)
	v.header, v.prefix = n.get("header").text(), n.get("prefix").text()
	v.timestampHeader = n.get("timestampHeader").text()
	v.encoding = "hex"
	if e := n.get("encoding"); e.exists() {
		v.encoding = e.enum("hex", "base64")
	}
	v.payload = n.get("payload").program(env, expr.String)
	v.maxSkew = defaultMaxSkew
	if d := n.get("maxSkew"); d.exists() {
		if v.maxSkew = d.duration(); v.maxSkew <= 0 || v.maxSkew > maxMaxSkew {
			d.problem(d.kind(), "a duration up to 1h", "a longer one lets recorded deliveries be played again")
		}
	}
	if v.kind == verifyNone {
		for _, key := range []string{"header", "prefix", "encoding", "secret", "timestampHeader", "payload", "maxSkew"} {
			if k := n.get(key); k.exists() {
				k.problem(key+" with type none", "nothing: nothing is verified", "")
			}
		}
		return
	}
	secret := n.need("secret", "text such as ${secret.signingSecret}")
	if v.secret = l.secretTemplate(secret); v.secret != nil {
		if text, literal := v.secret.Literal(); literal {
			secret.problem(fmt.Sprintf("the literal %q", clip(text, 20)), "a key of the Secret, such as ${secret.signingSecret}", "")
		}
		if len(w.secrets) == 0 {
			n.problem("no webhook secrets", "the Secret's keys under webhooks."+w.name+".secrets", "")
		}
	}
	hmacs := v.hmacs()
	if hmacs || v.kind == verifyToken {
		if h := n.need("header", "the header that carries the proof"); h.exists() && !headerName(v.header) {
			h.problem(h.kind(), "the name of a header", "")
		}
	}
	if v.timestampHeader != "" && hmacs && (v.payload == nil || !strings.Contains(v.payload.Source(), strings.ToLower(v.timestampHeader))) {
		n.get("payload").problem("a payload without the timestamp", "CEL that includes headers['"+strings.ToLower(v.timestampHeader)+"']",
			"a timestamp that is not signed proves nothing")
	}
	for key, only := range map[string]bool{"payload": hmacs, "encoding": hmacs, "prefix": hmacs || v.kind == verifyToken} {
		if k := n.get(key); k.exists() && !only {
			k.problem(key+" with type "+v.kind, "nothing: the type has it by itself", "")
		}
	}
}

const maxMaxSkew = 60 * 60 * 1e9 // one hour

// answerTypes are what an answer to a challenge may be: no type that a browser
// would run.
var answerTypes = []string{"application/json", "text/plain"}

func (l *loader) webhookChallenge(w *Webhook, n node, env *expr.Env) {
	n.object("when", "respond", "sign", "contentType", "unverified")
	if !n.exists() {
		return
	}
	c := &challengeSpec{
		when:       n.need("when", "a CEL condition").program(env, expr.Bool),
		respond:    n.need("respond", "CEL that yields the answer").program(env, expr.Dyn),
		sign:       n.get("sign").program(env, expr.String),
		unverified: n.get("unverified").boolean(),
	}
	if t := n.get("contentType"); t.exists() {
		c.contentType = t.enum(answerTypes...)
	}
	if s := n.get("sign"); s.exists() && (c.unverified || !w.verify.hmacs()) {
		s.problem("sign", "a verified challenge of an HMAC type", "whoever asks would get signatures made")
	}
	if c.when != nil && c.respond != nil {
		w.challenge = c
	}
}

func (l *loader) webhookParse(w *Webhook, n node) {
	w.parse = "json"
	switch {
	case !n.exists():
	case n.yaml.Kind == yaml.MappingNode:
		n.object("form")
		w.parse, w.field = "field", n.need("form", "the field that holds JSON").text()
	default:
		w.parse = n.enum("json", "form", "text")
	}
}

func (l *loader) webhookEmit(w *Webhook, n node) {
	n.object("event", "forEach", "as", "when", "id", "at", "account", "app", "person", "personExternalId", "data")
	e := webhookEmit{as: n.get("as").text()}
	name := n.need("event", "the event's name, such as account.deactivated")
	if e.event = name.text(); name.exists() && !eventPattern.MatchString(e.event) {
		name.problem(name.kind(), "a name such as account.deactivated", "")
	}
	all := []string{"body", "query", "method", "signature"}
	env := l.withVar(n, append(all, e.as)...).WithCost(expr.CostPage)
	e.each = n.get("forEach").program(l.withVar(n, all...).WithCost(expr.CostPage), expr.List)
	if (e.as != "") != n.get("forEach").exists() {
		n.get("as").problem("one of forEach and as", "both or neither", "")
	}
	e.when = n.get("when").program(env, expr.Bool)
	e.id, e.at = n.get("id").program(env, expr.Dyn), n.get("at").program(env, expr.Timestamp)
	e.account, e.app = n.get("account").program(env, expr.Dyn), n.get("app").program(env, expr.Dyn)
	e.person, e.userID = n.get("person").program(env, expr.Dyn), n.get("personExternalId").program(env, expr.Dyn)
	e.data = n.get("data").program(env, expr.Map)
	w.emits = append(w.emits, e)
}
