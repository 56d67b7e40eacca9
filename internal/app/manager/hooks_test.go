// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// hook sends a request to the address of a webhook.
func (w *world) hook(method, url, body string, headers map[string]string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// calls counts what a vendor was asked.
func (w *world) calls(vendor string) (n int) {
	for k, count := range w.vendors.Requests() {
		if strings.HasPrefix(k, vendor+" ") {
			n += count
		}
	}
	return n
}

// TestDeactivationIsSeenAtOnce is acceptance rows 46, 113 and 197: Okta tells of a
// deactivation, and the next sync, which begins within five seconds, sees it.
func TestDeactivationIsSeenAtOnce(t *testing.T) {
	address := make(chan net.Addr, 1)
	w := newWorld(t, func(w *world) {
		w.options.Gateway = true
		w.options.GatewayOptions = GatewayOptions{Listen: "127.0.0.1:0", Listening: func(a net.Addr) { address <- a }}
	})
	g := NewWithT(t)
	base := "http://" + (<-address).String()
	w.secret("okta", secrets["okta"])
	okta := w.integration("okta", map[string]any{"domain": "acme.okta.com"})
	w.create(okta)
	w.ready(okta, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	missing := w.condition(okta, v1alpha1.ConditionWebhookReady, metav1.ConditionFalse, v1alpha1.ReasonSecretKeyMissing)
	g.Expect(missing.Message).To(ContainSubstring("eventHookToken"))

	const token = "a-long-random-text"
	withToken := maps.Clone(secrets["okta"])
	withToken["eventHookToken"] = token
	w.secret("okta", withToken)
	w.annotate(okta, v1alpha1.RequestedAtAnnotation, "1")
	// No --public-url was given here.
	w.condition(okta, v1alpha1.ConditionWebhookReady, metav1.ConditionTrue, v1alpha1.ReasonPublicURLUnset)
	g.Expect(okta.Status.Webhook).To(Equal(&v1alpha1.WebhookStatus{SecretName: "okta-webhook", Rotation: "Current"}))
	var s corev1.Secret
	w.get("okta-webhook", &s)
	url := base + string(s.Data["path"])
	// What the gateway knows of an endpoint is up to two seconds old.
	g.Eventually(func() int {
		code, _ := w.hook("POST", url, `{"eventId":"none","data":{}}`, map[string]string{"Authorization": token})
		return code
	}, 10*time.Second).Should(Equal(200))
	code, answer := w.hook("GET", url, "", map[string]string{"X-Okta-Verification-Challenge": "abc"})
	g.Expect(fmt.Sprint(code, answer)).To(Equal(`200{"verification":"abc"}`))
	code, _ = w.hook("POST", url, "{}", map[string]string{"Authorization": "guess"})
	g.Expect(code).To(Equal(401))

	tenant, err := w.store.TenantByNamespace(t.Context(), w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	status := func(id string) (out string) {
		accounts, _, err := w.store.ListAccounts(t.Context(), tenant, store.AccountQuery{IncludeRemoved: true, Page: store.Page{Limit: 1000}})
		g.Expect(err).NotTo(HaveOccurred())
		for _, a := range accounts {
			if a.ExternalID == id {
				return string(a.Status)
			}
		}
		return "none"
	}
	gone := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "gone"}, Spec: v1alpha1.WorkflowSpec{
		Trigger: v1alpha1.Trigger{Realtime: &v1alpha1.RealtimeTrigger{Integration: "okta", Event: "account.changed", Subject: "Person"}},
		When:    "event.data.data.type == 'user.lifecycle.deactivate'",
		Steps:   []v1alpha1.Step{{StepBase: v1alpha1.StepBase{Name: "settle"}, StepAction: v1alpha1.StepAction{Wait: &v1alpha1.WaitStep{For: "1s"}}}}}}
	w.create(gone)
	w.ready(gone, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	var leaver fakesaas.OktaUser
	g.Expect(w.vendors.Update(func(c *fakesaas.Company) {
		for _, u := range c.OktaUsers {
			if u.Status == "ACTIVE" {
				u.Status, u.Sessions, u.LastUpdated = "DEPROVISIONED", false, time.Now().UTC()
				leaver = *u
				return
			}
		}
	})).To(Succeed())
	g.Expect(status(leaver.ID)).To(Equal(string(model.AccountActive)))
	// The vendor is quiet: nothing but the event makes the next call.
	before := w.calls(fakesaas.Okta)
	g.Consistently(func() int { return w.calls(fakesaas.Okta) }, 2*time.Second, 200*time.Millisecond).Should(Equal(before))
	sent := time.Now()
	code, answer = w.hook("POST", url, fmt.Sprintf(`{"eventType":"com.okta.event_hook","eventId":"hook-1","eventTime":"2026-11-21T09:59:00.000Z","data":{"events":[
		{"uuid":"e1","published":"2026-11-21T09:58:58.000Z","eventType":"user.lifecycle.deactivate","outcome":{"result":"SUCCESS"},"target":[{"id":%q,"type":"User","alternateId":"x@acme.example"}]}]}}`, leaver.ID),
		map[string]string{"Authorization": token})
	g.Expect(code).To(Equal(200), answer)
	g.Eventually(func() int { return w.calls(fakesaas.Okta) }, 5*time.Second, 20*time.Millisecond).Should(BeNumerically(">", before))
	t.Logf("the vendor was asked %s after the event", time.Since(sent).Round(time.Millisecond))
	g.Eventually(func() string { return status(leaver.ID) }, 15*time.Second).ShouldNot(Equal(string(model.AccountActive)))
	// Acceptance row 14: the event itself started a run about the leaver, once.
	g.Eventually(w.runs, 15*time.Second).Should(HaveLen(1))
	g.Expect(w.runs()[0].Subject).To(Equal(strings.ToLower(leaver.Login)))
	g.Eventually(func() store.RunState { return w.runs()[0].State }, 15*time.Second).Should(Equal(store.RunSucceeded))

	// An event that cannot be read is kept, and the Integration says so.
	code, _ = w.hook("POST", url, `{"eventId":"hook-2","eventTime":"yesterday","data":{"events":[{"uuid":"e2","eventType":"user.lifecycle.create"}]}}`, map[string]string{"Authorization": token})
	g.Expect(code).To(Equal(200))
	w.condition(okta, v1alpha1.ConditionWebhookReady, metav1.ConditionFalse, v1alpha1.ReasonDeadLetters)

	// A new address is asked for by annotation; both are good.
	w.annotate(okta, v1alpha1.RotateWebhookAnnotation, "1")
	g.Eventually(func() string { w.get("okta", okta); return okta.Status.Webhook.Rotation }).Should(Equal("Overlapping"))
	w.get("okta-webhook", &s)
	g.Expect(string(s.Data["previousPath"])).To(Equal(strings.TrimPrefix(url, base)))
	for _, path := range []string{"path", "previousPath"} {
		code, _ = w.hook("GET", base+string(s.Data[path]), "", map[string]string{"X-Okta-Verification-Challenge": "abc"})
		g.Expect(code).To(Equal(200), path)
	}
	g.Expect(w.client.Delete(t.Context(), gone)).To(Succeed()) // it would hold the Integration
	g.Expect(w.client.Delete(t.Context(), okta)).To(Succeed())
	g.Eventually(func() int {
		code, _ := w.hook("GET", base+string(s.Data["path"]), "", map[string]string{"X-Okta-Verification-Challenge": "abc"})
		return code
	}, 15*time.Second).Should(Equal(404))
}

// A Workflow's address takes what its sender signs, from the Secret to the outbox
// (acceptance rows 40, 41 and 45).
func TestWorkflowAddress(t *testing.T) {
	address := make(chan net.Addr, 1)
	w := newWorld(t, func(w *world) {
		w.options.Gateway = true
		w.options.PublicURL = "https://seats.acme.example"
		w.options.GatewayOptions = GatewayOptions{Listen: "127.0.0.1:0", Listening: func(a net.Addr) { address <- a }}
	})
	g := NewWithT(t)
	base := "http://" + (<-address).String()
	hire := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "hire"}, Spec: v1alpha1.WorkflowSpec{
		Trigger: v1alpha1.Trigger{Webhook: &v1alpha1.WebhookTrigger{Dedupe: "${body.id}", HMAC: &v1alpha1.WebhookHMAC{
			SecretName: "hire-sender", Header: "X-Signature", Prefix: "sha256="}}},
		Steps: []v1alpha1.Step{{StepBase: v1alpha1.StepBase{Name: "rest"}, StepAction: v1alpha1.StepAction{Wait: &v1alpha1.WaitStep{For: "1h"}}}}}}
	w.create(hire)
	w.condition(hire, v1alpha1.ConditionWebhookReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	w.secret("hire-sender", map[string]string{"key": "sesame"})
	w.annotate(hire, v1alpha1.RequestedAtAnnotation, "1")
	w.condition(hire, v1alpha1.ConditionWebhookReady, metav1.ConditionTrue, v1alpha1.ReasonAddressReady)
	g.Expect(hire.Status.Webhook).To(Equal(&v1alpha1.WebhookStatus{SecretName: "hire-webhook", Rotation: "Current"}))
	var s corev1.Secret
	w.get("hire-webhook", &s)
	g.Expect(string(s.Data["url"])).To(Equal("https://seats.acme.example" + string(s.Data["path"])))

	const body = `{"id":7,"first_name":"Ada"}`
	mac := hmac.New(sha256.New, []byte("sesame"))
	mac.Write([]byte(body))
	signature := map[string]string{"X-Signature": "sha256=" + hex.EncodeToString(mac.Sum(nil)), "Content-Type": "application/json"}
	g.Eventually(func() int {
		code, _ := w.hook("POST", base+string(s.Data["path"]), body, signature)
		return code
	}, 10*time.Second).Should(Equal(202))
	code, _ := w.hook("POST", base+string(s.Data["path"]), body, nil)
	g.Expect(code).To(Equal(401))
	tenant, err := w.store.TenantByNamespace(t.Context(), w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() string {
		waiting, dead, err := w.store.InboxDepth(t.Context())
		g.Expect(err).NotTo(HaveOccurred())
		return fmt.Sprint(waiting, dead)
	}, 10*time.Second).Should(Equal("0 0"))
	list, err := w.store.ReceivedEvents(t.Context(), tenant, store.EventQuery{Endpoint: "Workflow/hire"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(list).To(HaveLen(1))
	g.Expect(list[0].State).To(Equal(store.EventHandled))
	g.Eventually(w.runs, 15*time.Second).Should(HaveLen(1)) // the delivery is a run

	g.Expect(w.client.Delete(t.Context(), hire)).To(Succeed())
	g.Eventually(func() int {
		code, _ := w.hook("POST", base+string(s.Data["path"]), body, signature)
		return code
	}, 15*time.Second).Should(Equal(404))
}
