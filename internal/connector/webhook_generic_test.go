// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var genericNow = time.Unix(1614265330, 0)

func generic(t testing.TB, g GenericWebhook) *Webhook {
	t.Helper()
	w, err := NewWebhook(g)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func delivery(body string, headers ...string) WebhookRequest {
	in := WebhookRequest{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
	for i := 0; i < len(headers); i += 2 {
		in.Header.Add(headers[i], headers[i+1])
	}
	return in
}

func classOf(err error) ErrorClass {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ""
}

// The vector that the libraries of standardwebhooks.com are tested with.
func TestStandardWebhooksVector(t *testing.T) {
	w := generic(t, GenericWebhook{Signature: &GenericSignature{Standard: true}})
	secrets := map[string]string{GenericKey: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	const id, body, good = "msg_p5jXN8AQM9LWM0D4loKWxJek", `{"test": 2432232314}`, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	send := func(id, stamp, signature, body string) error {
		_, err := w.Receive(t.Context(), delivery(body, "webhook-id", id, "webhook-timestamp", stamp, "webhook-signature", signature), secrets, genericNow)
		return err
	}
	const stamp = "1614265330"
	for name, signature := range map[string]string{
		"alone": good, "after another key's": "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= " + good, "beside ed25519": "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== " + good,
	} {
		if err := send(id, stamp, signature, body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"none":               send(id, stamp, "", body),
		"another version":    send(id, stamp, "v2,"+strings.TrimPrefix(good, "v1,"), body),
		"another id":         send("msg_x", stamp, good, body),
		"another body":       send(id, stamp, good, body+" "),
		"five minutes early": send(id, "1614265631", good, body),
		"five minutes late":  send(id, "1614265029", good, body),
		"no timestamp":       send(id, "", good, body),
		"no base64":          send(id, stamp, "v1,%%%", body),
	} {
		if classOf(err) != ClassAuth {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Senders sign in different ways; each is told by the spec, and is then required.
func TestGenericSignatures(t *testing.T) {
	const key, body, stamp = "sesame", `{"a":1}`, "1614265330"
	s256 := func(text string) []byte {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	s512 := hmac.New(sha512.New, []byte(key))
	s512.Write([]byte(body))
	for name, c := range map[string]struct {
		spec    GenericSignature
		headers []string
	}{
		"GitHub": {GenericSignature{Header: "X-Hub-Signature-256", Prefix: "sha256="}, []string{"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(s256(body))}},
		"HiBob":  {GenericSignature{Header: "Bob-Signature", Algorithm: "SHA512", Encoding: "Base64"}, []string{"Bob-Signature", base64.StdEncoding.EncodeToString(s512.Sum(nil))}},
		"Deel":   {GenericSignature{Header: "x-deel-signature", Signed: "POST${rawBody}"}, []string{"x-deel-signature", hex.EncodeToString(s256("POST" + body))}},
		"Slack": {GenericSignature{Header: "X-Slack-Signature", Prefix: "v0=", TimestampHeader: "X-Slack-Request-Timestamp", Signed: "v0:${headers['x-slack-request-timestamp']}:${rawBody}"},
			[]string{"X-Slack-Request-Timestamp", stamp, "X-Slack-Signature", "v0=" + hex.EncodeToString(s256("v0:"+stamp+":"+body))}},
	} {
		t.Run(name, func(t *testing.T) {
			w := generic(t, GenericWebhook{Signature: &c.spec})
			secrets := map[string]string{GenericKey: key}
			if _, err := w.Receive(t.Context(), delivery(body, c.headers...), secrets, genericNow); err != nil {
				t.Fatal(err)
			}
			own := delivery(body)
			if err := w.Prove(t.Context(), &own, secrets, genericNow); err != nil || own.Header.Get(c.spec.Header) != c.headers[len(c.headers)-1] {
				t.Errorf("proved as %q, %v", own.Header.Get(c.spec.Header), err)
			}
			for what, in := range map[string]WebhookRequest{"unsigned": delivery(body), "tampered": delivery(body+" ", c.headers...), "truncated": delivery(body, c.spec.Header, c.headers[len(c.headers)-1][:8])} {
				if _, err := w.Receive(t.Context(), in, secrets, genericNow); classOf(err) != ClassAuth {
					t.Errorf("%s: %v", what, err)
				}
			}
			if _, err := w.Receive(t.Context(), delivery(body, c.headers...), nil, genericNow); classOf(err) != ClassConfig {
				t.Errorf("without the key: %v", err)
			}
			if c.spec.TimestampHeader != "" {
				if _, err := w.Receive(t.Context(), delivery(body, c.headers...), secrets, genericNow.Add(301*time.Second)); classOf(err) != ClassAuth {
					t.Errorf("too old: %v", err)
				}
			}
		})
	}
	for name, s := range map[string]GenericSignature{
		"no header": {}, "an algorithm": {Header: "X", Algorithm: "md5"}, "an encoding": {Header: "X", Encoding: "hexadecimal"},
		"an unsigned timestamp": {Header: "X", TimestampHeader: "T"}, "an unsigned body": {Header: "X", Signed: "${method}"}, "no CEL": {Header: "X", Signed: "${rawBody"},
	} {
		if _, err := NewWebhook(GenericWebhook{Signature: &s}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// What vendors send to see whether somebody answers starts nothing.
func TestGenericPings(t *testing.T) {
	signed := generic(t, GenericWebhook{Signature: &GenericSignature{Header: "X-Sig"}})
	open := generic(t, GenericWebhook{})
	okta := WebhookRequest{Method: http.MethodGet, Header: http.Header{"X-Okta-Verification-Challenge": {"abc"}}}
	for name, c := range map[string]struct {
		w    *Webhook
		in   WebhookRequest
		want string
	}{
		"Okta":          {signed, okta, `{"verification":"abc"}`},
		"HiBob":         {signed, delivery("Ping test"), "ok\n"},
		"HiBob, quoted": {signed, delivery(`"Ping test"`), "ok\n"},
		"HiBob, object": {signed, delivery(`{"text":"Ping test"}`), "ok\n"},
		"Slack":         {open, delivery(`{"type":"url_verification","token":"t","challenge":"3eZ"}`), "3eZ"},
		"GitHub":        {open, delivery(`{"zen":"Keep it logically awesome."}`, "X-GitHub-Event", "ping"), "ok\n"},
	} {
		got, err := c.w.Receive(t.Context(), c.in, map[string]string{GenericKey: "k"}, genericNow)
		if err != nil || got.Answer == nil || string(got.Answer.Body) != c.want {
			t.Errorf("%s: %+v, %v", name, got.Answer, err)
		}
	}
	for _, body := range []string{`{"type":"url_verification","challenge":"3eZ"}`, `{"text":"Ping test","a":1}`} {
		if got, err := signed.Receive(t.Context(), delivery(body), map[string]string{GenericKey: "k"}, genericNow); classOf(err) != ClassAuth {
			t.Errorf("unsigned %s: %+v, %v", body, got, err)
		}
	}
}

func TestGenericBodies(t *testing.T) {
	w := generic(t, GenericWebhook{Dedupe: "${body.id}"})
	const form = "application/x-www-form-urlencoded"
	for name, c := range map[string]struct{ contentType, body, want string }{
		"JSON":              {"application/json", `{"first_name":"Ada","n":1}`, `{"first_name":"Ada","n":1}`},
		"JSON untold":       {"", `[1,2]`, `[1,2]`},
		"bare text":         {"text/plain", "hello there", `"hello there"`},
		"a JSON string":     {"application/json", `"hello"`, `"hello"`},
		"Rippling's form":   {form, "event_name=employee.hired&company_id=7", `{"company_id":"7","event_name":"employee.hired"}`},
		"BambooHR's form":   {form, "type=employee.updated&data[companyId]=1&data[changedFields][0]=firstName", `{"data":{"changedFields":{"0":"firstName"},"companyId":"1"},"type":"employee.updated"}`},
		"JSON in a form":    {form, `payload=%7B%22a%22%3A1%7D`, `{"a":1}`},
		"text in a form":    {form, `payload=hello`, `{"payload":"hello"}`},
		"a field twice":     {form, `a=1&a=2`, `{"a":["1","2"]}`},
		"64 levels":         {"", strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 64) + strings.Repeat("]", 64)},
		"65 levels":         {"", strings.Repeat("[", 65) + strings.Repeat("]", 65), ""},
		"a million levels":  {"application/json", strings.Repeat(`{"a":`, 150_000), ""},
		"a key twice":       {"application/json", `{"a":1,"b":{"a":1,"a":2}}`, ""},
		"a key twice, bare": {"text/plain", `{"a":1,"\u0061":2}`, ""},
		"trailing data":     {"application/json", `{}{}`, ""},
		"no JSON":           {"application/json", `hello`, ""},
		"cut off":           {"text/plain", `{"a":`, ""},
		"empty":             {"application/json", " ", ""},
		"no text":           {"text/plain", "\xff\xfe", ""},
		"no form":           {form, "%zz", ""},
		"value and object":  {form, "a=1&a[b]=2", ""},
		"deep form":         {form, "a[b][c][d][e][f][g][h][i]=1", ""},
	} {
		got, err := w.Receive(t.Context(), delivery(c.body, "Content-Type", c.contentType), nil, genericNow)
		text, _ := json.Marshal(got.Body)
		switch {
		case c.want == "" && classOf(err) != ClassInvalid:
			t.Errorf("%s: %s, %v", name, text, err)
		case c.want != "" && (err != nil || string(text) != c.want):
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
	for name, c := range map[string]struct{ in, same WebhookRequest }{
		"the user's own id": {delivery(`{"id":"7"}`, "webhook-id", "a"), delivery(`{"id":7,"x":1}`, "webhook-id", "b")},
		"webhook-id":        {delivery(`{"x":1}`, "webhook-id", "a"), delivery(`{"x":2}`, "webhook-id", "a")},
		"X-GitHub-Delivery": {delivery(`{"x":1}`, "X-GitHub-Delivery", "a"), delivery(`{"x":2}`, "X-GitHub-Delivery", "a")},
	} {
		a, errA := w.Receive(t.Context(), c.in, nil, genericNow)
		b, errB := w.Receive(t.Context(), c.same, nil, genericNow)
		if errA != nil || errB != nil || a.ID == "" || a.ID != b.ID {
			t.Errorf("%s: %q and %q, %v %v", name, a.ID, b.ID, errA, errB)
		}
	}
	if got, err := w.Receive(t.Context(), delivery(`{"x":1}`), nil, genericNow); err != nil || got.ID != "" {
		t.Errorf("known by its bytes alone: %q, %v", got.ID, err)
	}
}

// FuzzWebhookBody reads what any sender may send: it ends, and what is taken as
// JSON is what any other reader takes it for.
func FuzzWebhookBody(f *testing.F) {
	f.Add("application/json", []byte(`{"a":[1,{"b":null}],"c":"\u00e9"}`))
	f.Add("application/x-www-form-urlencoded", []byte("data[a][0]=x&payload=%7B%7D"))
	f.Add("text/plain", []byte("Ping test"))
	f.Add("", []byte(`{"a":1,"a":2}`))
	w := generic(f, GenericWebhook{Dedupe: "${body.id}"})
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		in := delivery(string(body), "Content-Type", contentType)
		got, err := w.Receive(t.Context(), in, nil, genericNow)
		if utf8.Valid(body) {
			sameAsLibrary(t, body)
		}
		if err != nil {
			if c := classOf(err); c != ClassInvalid {
				t.Fatalf("class %q: %v", c, err)
			}
			return
		}
		if got.Answer != nil {
			return
		}
		if _, err := json.Marshal(got.Body); err != nil {
			t.Fatalf("no JSON: %v", err)
		}
	})
}

// sameAsLibrary: what is JSON and what it says is what encoding/json takes it
// for, but for what is refused on top.
func sameAsLibrary(t *testing.T, body []byte) {
	t.Helper()
	strict, err := decodeStrict(body)
	if errors.Is(err, errDuplicateKey) || errors.Is(err, errTooDeep) {
		return
	}
	loose, looseErr := decodeJSON(body)
	if (err == nil) != (looseErr == nil) || !reflect.DeepEqual(strict, loose) {
		t.Fatalf("%q: %#v (%v), but %#v (%v)", body, strict, err, loose, looseErr)
	}
}

func TestDecodeStrict(t *testing.T) {
	for _, body := range []string{
		` {"a" : [1, -0.5e+3, 12345678901234567890, "x\n\u00e9\ud800", true, false, null, {}, []] } `, `"\u0000"`, "\"\u0000\"", `"a\"b"`, `"\`, `"\"`, `"\x"`,
		`01`, `1.`, `-`, `+1`, `.5`, `1e`, `1e999`, `1 2`, `1,`, `[1,]`, `[,1]`, `{"a":1,}`, `{a:1}`, `{"a"}`, `{"a":}`, `{1:2}`, `[1}`, `{]`, `[`, `{`, `tru`, `truex`, `nullnull`, ``, ` `, "\u00a01", "\ufeff1",
		`{"a":{"a":1},"b":[{"a":1},{"a":2}],"":0}`, "[1\n,\t2\r]", "\"tab\t\"", "\"\u2028\x7f\"", "\x001", "1\x00",
	} {
		sameAsLibrary(t, []byte(body))
	}
	for body, want := range map[string]error{
		`{"a":1,"a":2}`: errDuplicateKey, `[{"b":{"\u0061":1,"a":2}}]`: errDuplicateKey, strings.Repeat("[", 65): errTooDeep, strings.Repeat(`{"a":`, 65): errTooDeep,
		`{}{}`: errTrailing, "1\x00": errTrailing,
	} {
		if _, err := decodeStrict([]byte(body)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", body, err, want)
		}
	}
}

// FuzzWebhookSignature guesses signatures.
func FuzzWebhookSignature(f *testing.F) {
	f.Add("sha256=00", "1614265330", "v1,AAAA", []byte("{}"))
	hmacs := generic(f, GenericWebhook{Signature: &GenericSignature{Header: "X-Sig", Prefix: "sha256=", TimestampHeader: "X-At", Signed: "${headers['x-at']}.${rawBody}"}})
	standard := generic(f, GenericWebhook{Signature: &GenericSignature{Standard: true}})
	secrets := map[string]string{GenericKey: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	f.Fuzz(func(t *testing.T, signature, stamp, list string, body []byte) {
		in := delivery(string(body), "X-Sig", signature, "X-At", stamp, "webhook-id", "msg", "webhook-timestamp", stamp, "webhook-signature", list)
		for _, w := range []*Webhook{hmacs, standard} {
			if got, err := w.Receive(t.Context(), in, secrets, genericNow); err == nil && got.Answer == nil {
				t.Fatalf("a guess was taken: %s", fmt.Sprint(signature, list))
			}
		}
	})
}
