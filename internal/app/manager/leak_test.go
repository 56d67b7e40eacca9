// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// recorder keeps everything that is logged.
type recorder struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(b)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// TestNothingLeaks is invariant 10, and the rule that logs, statuses and events
// name nobody: credentials are planted, things go well and wrong, and then every
// place that other people can read is searched.
func TestNothingLeaks(t *testing.T) {
	address, logged := make(chan net.Addr, 1), &recorder{}
	w := newWorld(t, func(w *world) {
		w.options.Gateway = true
		w.options.GatewayOptions = GatewayOptions{Listen: "127.0.0.1:0", Listening: func(a net.Addr) { address <- a }}
		w.options.Log = slog.New(slog.NewTextHandler(io.MultiWriter(testLog{t}, logged), &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	g, ctx := NewWithT(t), t.Context()
	for name, data := range secrets {
		w.secret(name, data)
	}
	const refused, inURL = "canary-refused-token", "canary-in-the-url"
	canaries := []string{refused, inURL, "/actions/T"} // the last is part of every response_url
	for _, data := range secrets {
		for key, v := range data {
			if key != "accountId" && key != "clientId" { // these name an account, and are shown
				canaries = append(canaries, v)
			}
		}
	}

	// Well: people, accounts, a question and its answer.
	zoom, slack, okta := w.integration("zoom", nil), w.integration("slack", nil), w.integration("okta", map[string]any{"domain": "acme.okta.com"})
	zoom.Spec.Permission, slack.Spec.Permission = v1alpha1.PermissionReadAndAct, v1alpha1.PermissionReadAndAct
	hris := w.integration("csv", hrisConfig())
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	w.create(acme(w.ns), hris, slack, zoom, okta, w.zoomApp())
	for _, i := range []*v1alpha1.Integration{hris, slack, zoom, okta} {
		w.ready(i, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	}
	w.vendors.SetInteractivityURL("http://" + (<-address).String() + "/slack/interactions/" + w.ns + "/slack")
	policy := &v1alpha1.LicensePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "zoom-90d"},
		Spec: v1alpha1.LicensePolicySpec{
			ApplicationRef: &v1alpha1.ObjectReference{Name: "zoom"}, Plans: []v1alpha1.PlanName{"Licensed"}, Mode: v1alpha1.ModeAsk, Schedule: "* * * * *",
			Ask: &v1alpha1.Ask{Channels: []v1alpha1.AskChannel{{Integration: "slack"}}, Options: []v1alpha1.AskOption{v1alpha1.OptionReclaim, v1alpha1.OptionKeep},
				Timeout: "72h", KeepFor: "90d", OnTimeout: v1alpha1.TimeoutKeep},
			Guard: &v1alpha1.Guard{MinItems: ptrTo(int32(1)), MaxPercent: ptrTo(int32(5))}, // some are held and listed
		},
	}
	w.create(policy)
	var question fakesaas.Message
	g.Eventually(func(g Gomega) {
		messages := w.vendors.Messages()
		g.Expect(messages).NotTo(BeEmpty(), "nobody was asked: %+v", w.runs())
		question = messages[0]
		g.Expect(question.Buttons()).NotTo(BeEmpty())
	}, "90s").Should(Succeed())
	for _, b := range question.Buttons() {
		canaries = append(canaries, b.Value) // what answers the question
	}
	for _, o := range []fakesaas.ClickOptions{{Forge: true}, {Times: 2}} {
		_, err := w.vendors.Click(ctx, question.TS, "Reclaim", "", o)
		g.Expect(err).NotTo(HaveOccurred())
	}
	_, err := w.vendors.Click(ctx, question.TS, "Keep", w.stranger(question), fakesaas.ClickOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() bool {
		for _, r := range w.runs() {
			if r.State == store.RunSucceeded {
				return true
			}
		}
		return false
	}, "60s").Should(BeTrue(), w.describe)

	// Wrong: a shrunken and a broken listing, a refused token, a URL with a credential.
	w.vendors.AddFault(fakesaas.Fault{Vendor: fakesaas.Zoom, Kind: fakesaas.FaultShrink, Percent: 60})
	w.annotate(zoom, v1alpha1.RequestedAtAnnotation, "shrunk")
	w.ready(zoom, metav1.ConditionFalse, v1alpha1.ReasonGuardHeld)
	w.vendors.AddFault(fakesaas.Fault{Vendor: fakesaas.Slack, Kind: fakesaas.FaultTruncate})
	w.annotate(slack, v1alpha1.RequestedAtAnnotation, "truncated")
	w.secret("okta", map[string]string{"token": refused})
	w.annotate(okta, v1alpha1.RequestedAtAnnotation, "refused")
	for _, i := range []*v1alpha1.Integration{slack, okta} {
		g.Eventually(func(g Gomega) {
			w.get(i.Name, i)
			g.Expect(i.Status.LastHandledReconcileAt).NotTo(BeEmpty())
		}).Should(Succeed())
	}
	bad := w.integration("csv", hrisConfig())
	bad.Name, bad.Spec.CredentialsRef.Name = "bad", "hris"
	value, err := v1alpha1.NewValue("https://hris.acme.example/nothing?token=" + inURL)
	g.Expect(err).NotTo(HaveOccurred())
	bad.Spec.Config["url"] = value
	w.create(bad)
	g.Eventually(func(g Gomega) {
		w.get(bad.Name, bad)
		g.Expect(bad.Status.Conditions).NotTo(BeEmpty())
	}).Should(Succeed())
	w.condition(okta, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonFailed)
	w.stop()

	shown := map[string]string{"log": logged.String(), "statuses and events": w.shown()}
	for place, text := range shown {
		g.Expect(text).NotTo(BeEmpty())
		for _, c := range canaries {
			if at := strings.Index(text, c); at >= 0 {
				t.Errorf("the %s have a credential: …%s…", place, around(text, at))
			}
		}
		lower := strings.ToLower(text)
		for _, p := range w.company.People {
			for _, personal := range []string{p.Email, p.GivenName + " " + p.FamilyName} {
				if at := strings.Index(lower, strings.ToLower(personal)); at >= 0 {
					t.Errorf("the %s name a person: …%s…", place, around(text, at))
				}
			}
		}
	}
	files := 0
	dir := strings.TrimPrefix(w.options.Store, "sqlite:")
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, c := range canaries {
			if c == inURL {
				continue // whoever may read the resource reads it there
			}
			if at := bytes.Index(raw, []byte(c)); at >= 0 {
				t.Errorf("%s has a credential: …%q…", filepath.Base(path), around(string(raw), at))
			}
		}
		return nil
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).To(BeNumerically(">=", 2))
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(Equal(1))
}

// stranger is a Slack user who was not asked.
func (w *world) stranger(asked fakesaas.Message) string {
	w.t.Helper()
	for _, m := range w.company.SlackMembers {
		if m.ID != asked.User && !m.Bot && !m.Deleted {
			return m.ID
		}
	}
	w.t.Fatal("the company has one Slack user")
	return ""
}

// shown is the status of every resource and every event.
func (w *world) shown() string {
	w.t.Helper()
	var out strings.Builder
	for _, list := range []client.ObjectList{&v1alpha1.IntegrationList{}, &v1alpha1.ApplicationList{}, &v1alpha1.LicensePolicyList{}, &v1alpha1.OrganizationList{}, &v1alpha1.APIKeyList{}, &corev1.EventList{}} {
		if err := w.client.List(w.t.Context(), list, client.InNamespace(w.ns)); err != nil {
			w.t.Fatal(err)
		}
		raw, err := json.Marshal(list)
		if err != nil {
			w.t.Fatal(err)
		}
		var objects struct{ Items []map[string]any }
		if err := json.Unmarshal(raw, &objects); err != nil {
			w.t.Fatal(err)
		}
		for _, o := range objects.Items {
			delete(o, "spec")     // the user's own words
			delete(o, "metadata") // managedFields and annotations
			line, err := json.Marshal(o)
			if err != nil {
				w.t.Fatal(err)
			}
			out.Write(line)
			out.WriteByte('\n')
		}
	}
	return out.String()
}

func around(text string, at int) string {
	return text[max(0, at-120):min(len(text), at+120)]
}
