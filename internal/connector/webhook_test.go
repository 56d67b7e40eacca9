// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// webhookManifest has the ways of signing that vendors use. The signatures in
// the tests were made by another implementation.
const webhookManifest = `
  webhooks:
    slack:
      title: Buttons in messages
      secrets: {signingSecret: {title: Signing Secret}}
      verify:
        type: hmac_sha256
        header: X-Slack-Signature
        prefix: v0=
        secret: "${secret.signingSecret}"
        timestampHeader: X-Slack-Request-Timestamp
        payload: "'v0:' + headers['x-slack-request-timestamp'] + ':' + body"
      parse: {form: payload}
      id: resp.trigger_id
      emit:
        - {event: message.answered, account: resp.user.id, at: "ts(resp.actions[0].action_ts)", data: "{'callback': resp.actions[0].block_id, 'choice': resp.actions[0].value, 'text': null}"}
    zoom:
      secrets: {webhookToken: {title: Secret Token}}
      verify: {type: hmac_sha256, header: x-zm-signature, prefix: v0=, secret: "${secret.webhookToken}", timestampHeader: x-zm-request-timestamp,
        payload: "'v0:' + headers['x-zm-request-timestamp'] + ':' + body"}
      challenge:
        when: resp.event == 'endpoint.url_validation'
        sign: resp.payload.plainToken
        respond: "{'plainToken': resp.payload.plainToken, 'encryptedToken': signature}"
      id: "string(resp.event_ts) + resp.event + resp.payload.object.id"
      at: ts(resp.event_ts)
      emit: [{event: account.deactivated, when: resp.event == 'user.deactivated', account: resp.payload.object.id, person: "get(resp, 'payload.object.email')"}]
    okta:
      secrets: {hookToken: {}}
      verify: {type: token, header: Authorization, secret: "${secret.hookToken}"}
      challenge: {unverified: true, when: "method == 'GET' && 'x-okta-verification-challenge' in headers", respond: "{'verification': headers['x-okta-verification-challenge']}"}
      id: resp.eventId
      emit:
        - event: account.suspended
          forEach: "list(get(resp, 'data.events'))"
          as: ev
          when: ev.eventType == 'user.lifecycle.suspend'
          id: ev.uuid
          at: ts(ev.published)
          account: ev.target[0].id
          person: ev.target[0].alternateId
    standard:
      secrets: {webhookSecret: {}}
      verify: {type: standard_webhooks, secret: "${secret.webhookSecret}"}
      id: headers['webhook-id']
      emit: [{event: tested, data: resp}]
    git:
      secrets: {gitSecret: {}}
      verify: {type: hmac_sha1, header: X-Hub-Signature, prefix: sha1=, secret: "${secret.gitSecret}"}
      id: headers['x-delivery']
      emit: [{event: seen, account: resp.login}]
    ringing:
      secrets: {user: {}, password: {}}
      verify: {type: basic, secret: "${secret.user}:${secret.password}"}
      parse: form
      id: resp.id
      emit: [{event: rung}]
    open:
      verify: {type: none}
      challenge: {unverified: true, when: "'validationToken' in query", respond: query.validationToken}
      parse: text
      id: headers['x-id']
      emit: [{event: told, data: "{'text': resp}"}]
`

var webhookSecrets = map[string]string{"signingSecret": "8f742231b10e8888abcd99yyyzzz85a5", "webhookToken": "zoom-secret", "hookToken": "Okta-Token-1",
	"webhookSecret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "gitSecret": "sha1-secret", "user": "bell", "password": "pa:ss"}

var delivered = time.Unix(1764590400, 0).UTC()

func deliver(body string, headers ...string) WebhookRequest {
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	return WebhookRequest{Method: http.MethodPost, Header: h, Body: []byte(body)}
}

const (
	slackBody = "payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%22t-1%22%2C%22user%22%3A%7B%22id%22%3A%22U2%22%7D%2C%22actions%22%3A%5B%7B%22block_id%22%3A%22cb-7%22%2C%22value%22%3A%22keep%22%2C%22action_ts%22%3A%221764590390.5%22%7D%5D%7D"
	zoomBody  = `{"event":"user.deactivated","event_ts":1764590399000,"payload":{"account_id":"A1","object":{"id":"z1","email":"Ada@Acme.example"}}}`
	zoomCheck = `{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680}`
	oktaBody  = `{"eventId":"e-1","data":{"events":[{"uuid":"u1","published":"2025-12-01T11:59:00Z","eventType":"user.lifecycle.suspend","target":[{"id":"00u1","alternateId":"Ada@acme.example"}]},{"uuid":"u2","published":"2025-12-01T11:59:01Z","eventType":"user.session.start","target":[]},{"uuid":"u3","published":"2025-12-01T11:59:02Z","eventType":"user.lifecycle.suspend","target":[{"id":"00u2","alternateId":"bob@acme.example"}]}]}}`
)

func slackDelivery() WebhookRequest {
	return deliver(slackBody, "X-Slack-Signature", "v0=23c99a4575ab4fc143b72dd4c0800479f59f42b397ef102a794b9b9b0e1672b2", "X-Slack-Request-Timestamp", "1764590400")
}

func TestWebhooks(t *testing.T) {
	m := load1(t, chaosManifest+webhookManifest)
	if got := m.Webhooks(); len(got) != 7 || m.Webhook("nothing") != nil || !cmp.Equal(m.Webhook("ringing").SecretNames(), []string{"user", "password"}) {
		t.Fatalf("webhooks %v", got)
	}
	challenge := deliver("", "X-Okta-Verification-Challenge", "c-1")
	challenge.Method = http.MethodGet
	validation := deliver("")
	validation.Query = url.Values{"validationToken": {"tok en"}}
	at := func(s string) time.Time {
		t, _ := time.Parse(time.RFC3339Nano, s)
		return t
	}
	now := delivered
	for name, tt := range map[string]struct {
		hook  string
		in    WebhookRequest
		now   time.Time
		want  []WebhookEvent
		id    string
		reply string
	}{
		"slack": {"slack", slackDelivery(), now, []WebhookEvent{{Name: "message.answered", ID: "t-1/message.answered/0", At: at("2025-12-01T11:59:50.5Z"), Account: "U2",
			Data: map[string]any{"callback": "cb-7", "choice": "keep", "text": nil}}}, "t-1", ""},
		"zoom": {"zoom", deliver(zoomBody, "x-zm-signature", "v0=71ae9e0b44cbf48fcda46e559d476368cf2501048f778f4e1c3db3abed21b073", "x-zm-request-timestamp", "1764590400"), now,
			[]WebhookEvent{{Name: "account.deactivated", ID: "1764590399000user.deactivatedz1/account.deactivated/0", At: at("2025-12-01T11:59:59Z"), Account: "z1", Person: "ada@acme.example"}}, "1764590399000user.deactivatedz1", ""},
		"zoom asks for proof": {"zoom", deliver(zoomCheck, "x-zm-signature", "v0=8df103b24f5a7b97634d7fdf6e90c3ce3eec7e3a191dce9a812c9012e7a54b7b", "x-zm-request-timestamp", "1764590400"), now,
			nil, "", `application/json {"encryptedToken":"b17f0320a1322a509340a1a835b3d9edbc491f0b0790ed2d20d0604d39dfe922","plainToken":"qgg8vlvZRS6UYooatFL8Aw"}`},
		"okta": {"okta", deliver(oktaBody, "Authorization", "Okta-Token-1"), now, []WebhookEvent{
			{Name: "account.suspended", ID: "u1", At: at("2025-12-01T11:59:00Z"), Account: "00u1", Person: "ada@acme.example"},
			{Name: "account.suspended", ID: "u3", At: at("2025-12-01T11:59:02Z"), Account: "00u2", Person: "bob@acme.example"}}, "e-1", ""},
		"okta asks for proof": {"okta", challenge, now, nil, "", `application/json {"verification":"c-1"}`},
		"standard": {"standard", deliver(`{"test": 2432232314}`, "webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330",
			"webhook-signature", "v1a,bm9uZQ== v1,bm9uZQ== v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), time.Unix(1614265330, 0), []WebhookEvent{{Name: "tested",
			ID: "msg_p5jXN8AQM9LWM0D4loKWxJek/tested/0", At: time.Unix(1614265330, 0).UTC(), Data: map[string]any{"test": int64(2432232314)}}}, "msg_p5jXN8AQM9LWM0D4loKWxJek", ""},
		"sha1":  {"git", deliver(`{"id":"d1","login":"octocat"}`, "X-Hub-Signature", "sha1=4637d9b9429b36477edcde5fd5d2fe64b0382831", "X-Delivery", "d1"), now, []WebhookEvent{{Name: "seen", ID: "d1/seen/0", At: now, Account: "octocat"}}, "d1", ""},
		"basic": {"ringing", deliver("id=7&x=1", "Authorization", "Basic YmVsbDpwYTpzcw=="), now, []WebhookEvent{{Name: "rung", ID: "7/rung/0", At: now}}, "7", ""},
		"none":  {"open", deliver("hello", "X-Id", "9"), now, []WebhookEvent{{Name: "told", ID: "9/told/0", At: now, Data: map[string]any{"text": "hello"}}}, "9", ""},
		"graph": {"open", validation, now, nil, "", "text/plain; charset=utf-8 tok en"},
	} {
		res, err := m.Webhook(tt.hook).Handle(t.Context(), tt.in, webhookSecrets, tt.now)
		reply := ""
		if res.Answer != nil {
			reply = res.Answer.ContentType + " " + string(res.Answer.Body)
		}
		if d := cmp.Diff(tt.want, res.Events); err != nil || d != "" || res.ID != tt.id || reply != tt.reply {
			t.Errorf("%s: id %q, answer %q, %v\n(-want +got)\n%s", name, res.ID, reply, err, d)
		}
	}
}

func TestWebhooksThatProveNothing(t *testing.T) {
	m := load1(t, chaosManifest+webhookManifest)
	with := func(in WebhookRequest, name, value string) WebhookRequest {
		in.Header = in.Header.Clone()
		in.Header.Set(name, value)
		return in
	}
	body := func(in WebhookRequest, s string) WebhookRequest {
		in.Body = []byte(s)
		return in
	}
	slack := slackDelivery()
	challenge := deliver("", "X-Okta-Verification-Challenge", "c-1") // by POST it is none
	for name, tt := range map[string]struct {
		hook  string
		in    WebhookRequest
		now   time.Time
		class ErrorClass
	}{
		"another body":           {"slack", body(slack, strings.Replace(slackBody, "keep", "drop", 1)), delivered, ClassAuth},
		"another time":           {"slack", with(slack, "X-Slack-Request-Timestamp", "1764590401"), delivered, ClassAuth},
		"no time":                {"slack", with(slack, "X-Slack-Request-Timestamp", ""), delivered, ClassAuth},
		"no signature":           {"slack", with(slack, "X-Slack-Signature", ""), delivered, ClassAuth},
		"no prefix":              {"slack", with(slack, "X-Slack-Signature", "23c99a4575ab4fc143b72dd4c0800479f59f42b397ef102a794b9b9b0e1672b2"), delivered, ClassAuth},
		"half a signature":       {"slack", with(slack, "X-Slack-Signature", "v0=23c99a4575ab4fc143b72dd4c0800479"), delivered, ClassAuth},
		"no hex":                 {"slack", with(slack, "X-Slack-Signature", "v0=zz"), delivered, ClassAuth},
		"played again later":     {"slack", slack, delivered.Add(5*time.Minute + time.Second), ClassAuth},
		"from the future":        {"slack", slack, delivered.Add(-5*time.Minute - time.Second), ClassAuth},
		"wrong token":            {"okta", deliver(oktaBody, "Authorization", "okta-token-1"), delivered, ClassAuth},
		"no token":               {"okta", deliver(oktaBody), delivered, ClassAuth},
		"challenge by POST":      {"okta", challenge, delivered, ClassAuth},
		"wrong password":         {"ringing", deliver("id=7", "Authorization", "Basic YmVsbDpwYTpzczI="), delivered, ClassAuth},
		"no password":            {"ringing", deliver("id=7"), delivered, ClassAuth},
		"unsigned proof":         {"zoom", deliver(zoomCheck, "x-zm-request-timestamp", "1764590400"), delivered, ClassAuth},
		"another message's":      {"standard", deliver(`{"test": 2432232314}`, "webhook-id", "msg_2", "webhook-timestamp", "1614265330", "webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), time.Unix(1614265330, 0), ClassAuth},
		"no message id":          {"standard", deliver(`{}`, "webhook-timestamp", "1614265330"), time.Unix(1614265330, 0), ClassAuth},
		"standard, old":          {"standard", deliver(`{"test": 2432232314}`, "webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330", "webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), delivered, ClassAuth},
		"no JSON":                {"okta", deliver("<x>", "Authorization", "Okta-Token-1"), delivered, ClassInvalid},
		"nothing":                {"okta", deliver("", "Authorization", "Okta-Token-1"), delivered, ClassInvalid},
		"no id":                  {"okta", deliver(`{"eventId":""}`, "Authorization", "Okta-Token-1"), delivered, ClassMapping},
		"another shape":          {"okta", deliver(`{"eventId":"1","data":{"events":[{"eventType":"user.lifecycle.suspend","uuid":"1","target":"s3cret"}]}}`, "Authorization", "Okta-Token-1"), delivered, ClassMapping},
		"too long":               {"open", deliver(strings.Repeat("x", maxWebhookBytes+1), "X-Id", "1"), delivered, ClassInvalid},
		"no text":                {"open", deliver("\xff\xfe", "X-Id", "1"), delivered, ClassInvalid},
		"more data than a few k": {"open", deliver(strings.Repeat("x", maxEventData), "X-Id", "1"), delivered, ClassMapping},
	} {
		res, err := m.Webhook(tt.hook).Handle(t.Context(), tt.in, webhookSecrets, tt.now)
		if ClassOf(err) != tt.class || len(res.Events) > 0 || res.Answer != nil {
			t.Errorf("%s: got %v, %+v", name, err, res)
		}
		for _, s := range webhookSecrets {
			if err != nil && len(s) > 6 && strings.Contains(err.Error(), s) || err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: the error tells %v", name, err)
			}
		}
	}
	_, err := m.Webhook("slack").Handle(t.Context(), slack, nil, delivered)
	if e := wantClass(t, err, ClassConfig); !strings.Contains(e.Message, "signingSecret") {
		t.Error(e)
	}
	// A secret that was never set must not be equal to a token that is empty.
	_, err = m.Webhook("okta").Handle(t.Context(), deliver(oktaBody, "Authorization", ""), map[string]string{"hookToken": ""}, delivered)
	wantClass(t, err, ClassConfig)
}

func TestWebhookProblems(t *testing.T) {
	for name, tt := range map[string]struct{ old, new, want string }{
		"timestamp unsigned": {`payload: "'v0:' + headers['x-slack-request-timestamp'] + ':' + body"`, "payload: body", "a timestamp that is not signed proves nothing"},
		"literal secret":     {`secret: "${secret.hookToken}"`, `secret: abc`, "a key of the Secret"},
		"no id":              {"      id: resp.eventId\n", "", "spec.webhooks.okta.id"},
		"no header":          {"type: token, header: Authorization,", "type: token,", "the header that carries the proof"},
		"long skew":          {"{type: standard_webhooks,", "{type: standard_webhooks, maxSkew: 48h,", "up to 1h"},
		"html answer":        {"respond: query.validationToken", "contentType: text/html, respond: query.validationToken", "one of application/json, text/plain"},
		"signing oracle":     {"challenge: {unverified: true, when: \"'vali", "challenge: {sign: body, unverified: true, when: \"'vali", "whoever asks"},
		"secret in a map":    {"data: resp}", "data: \"{'x': secret.hookToken}\"}", "undeclared reference to 'secret'"},
		"none and a secret":  {"{type: none}", `{type: none, secret: "${secret.x}"}`, "nothing is verified"},
		"unknown type":       {"type: hmac_sha1,", "type: hmac_md5,", "did you mean hmac_sha1?"},
		"event name":         {"event: rung", "event: it rang", "a name such as"},
	} {
		text := strings.Replace(webhookManifest, tt.old, tt.new, 1)
		if text == webhookManifest {
			t.Errorf("%s: the change changes nothing", name)
			continue
		}
		if _, err := Load("x.yaml", []byte(chaosManifest+text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}

func FuzzWebhook(f *testing.F) {
	m := load1(f, chaosManifest+webhookManifest)
	f.Add(uint8(0), slackBody, "v0=23c99a4575ab4fc143b72dd4c0800479f59f42b397ef102a794b9b9b0e1672b2", "1764590400")
	f.Add(uint8(1), zoomCheck, "v0=8df103b24f5a7b97634d7fdf6e90c3ce3eec7e3a191dce9a812c9012e7a54b7b", "1764590400")
	f.Add(uint8(2), oktaBody, "Okta-Token-1", "")
	f.Add(uint8(3), `{"test": 2432232314}`, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "1764590400")
	f.Add(uint8(5), "id=7&x=%zz", "Basic YmVsbDpwYTpzcw==", "2025-12-01T12:00:00Z")
	names := m.Webhooks()
	f.Fuzz(func(t *testing.T, which uint8, body, proof, stamp string) {
		name := names[int(which)%len(names)]
		in := deliver(body, "Webhook-Id", "m", "X-Id", "1")
		for _, h := range []string{"X-Slack-Signature", "X-Zm-Signature", "Authorization", "Webhook-Signature", "X-Hub-Signature"} {
			in.Header[h] = []string{proof}
		}
		for _, h := range []string{"X-Slack-Request-Timestamp", "X-Zm-Request-Timestamp", "Webhook-Timestamp"} {
			in.Header[h] = []string{stamp}
		}
		res, err := m.Webhook(name).Handle(t.Context(), in, webhookSecrets, delivered)
		if err != nil && (ClassOf(err) == "" || len(res.Events) > 0 && ClassOf(err) == ClassAuth) {
			t.Fatalf("%s: %v", name, err)
		}
		// With another secret nothing is taken.
		if _, err := m.Webhook(name).Handle(t.Context(), in, map[string]string{"signingSecret": "1", "webhookToken": "1", "hookToken": "\x00", "webhookSecret": "MQ==", "gitSecret": "1", "user": "\x00", "password": "\x00"}, delivered); err == nil && name != "open" {
			t.Fatalf("%s: taken with another secret", name)
		}
	})
}
