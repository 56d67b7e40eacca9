// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/answerlink"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/fakesmtp"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// received is a mail as its reader's program shows it.
type received struct {
	header     mail.Header
	to         string
	text, html string
}

func openMail(t *testing.T, m fakesmtp.Message) received {
	t.Helper()
	g := NewWithT(t)
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Data))
	g.Expect(err).NotTo(HaveOccurred())
	mediaType, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(mediaType).To(Equal("multipart/alternative"))
	l := received{header: parsed.Header, to: m.To}
	parts := multipart.NewReader(parsed.Body, params["boundary"])
	for _, into := range []*string{&l.text, &l.html} {
		part, err := parts.NextRawPart()
		g.Expect(err).NotTo(HaveOccurred())
		raw, err := io.ReadAll(quotedprintable.NewReader(part))
		g.Expect(err).NotTo(HaveOccurred())
		*into = string(raw)
	}
	return l
}

var answerURL = regexp.MustCompile(`https?://\S+` + answerlink.Path + `[A-Za-z0-9_-]+`)

// TestAskedByEmail asks the holders of unused seats by e-mail, through a mail
// server that misbehaves, and takes the answer of one on the gateway's page.
func TestAskedByEmail(t *testing.T) {
	storetest.EachDSN(t, askedByEmail)
}

func askedByEmail(t *testing.T, dsn string) {
	t.Parallel() // it waits most of the time
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	keyring := filepath.Join(t.TempDir(), "keyring")
	if err := os.WriteFile(keyring, []byte("k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(w *world) {
		w.options.Store, w.options.Keyring, w.options.Gateway, w.options.PublicURL = dsn, keyring, true, "http://"+address+"/"
		w.options.GatewayOptions = GatewayOptions{Listen: address}
	})
	g := NewWithT(t)
	server, err := fakesmtp.Start(fakesmtp.Options{AuthWays: []string{"PLAIN"}, Username: "seatkeeper", Password: "p"})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(server.Close)
	for name, data := range secrets {
		w.secret(name, data)
	}
	org := acme(w.ns)
	org.Spec.Notifications = &v1alpha1.Notifications{SMTPSecretName: "mail"}
	zoom := w.integration("zoom", nil)
	zoom.Spec.Permission = v1alpha1.PermissionReadAndAct
	hris := w.integration("csv", hrisConfig())
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	// People first: whom the accounts of a listing belong to is looked up as it is stored.
	w.create(org, hris)
	w.condition(org, v1alpha1.ConditionEmailReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	w.ready(hris, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.create(zoom, w.zoomApp())
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	policy := &v1alpha1.LicensePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "zoom-90d"},
		Spec: v1alpha1.LicensePolicySpec{
			ApplicationRef: &v1alpha1.ObjectReference{Name: "zoom"}, Plans: []v1alpha1.PlanName{"Licensed"}, Mode: v1alpha1.ModeAsk, Schedule: "* * * * *",
			Ask: &v1alpha1.Ask{Channels: []v1alpha1.AskChannel{{Email: ptrTo(true)}}, Options: []v1alpha1.AskOption{v1alpha1.OptionReclaim, v1alpha1.OptionKeep},
				Timeout: "72h", KeepFor: "90d", OnTimeout: v1alpha1.TimeoutKeep},
			Guard: &v1alpha1.Guard{MinItems: ptrTo(int32(100)), MaxPercent: ptrTo(int32(50))},
		},
	}
	w.create(policy)
	without := w.ready(policy, metav1.ConditionTrue, v1alpha1.ReasonNoReachableChannel)
	g.Expect(without.Message).To(ContainSubstring(`Secret "mail"`))
	g.Expect(w.runs()).To(BeEmpty(), "somebody is to be asked whom nothing reaches")

	// One mail is put off, one is taken over without a word, one has no reader.
	server.Script(fakesmtp.RcptTo, "451 4.7.1 greylisted", "550 5.1.1 no such user")
	server.Script(fakesmtp.End, fakesmtp.TakeAndDrop)
	w.secret("mail", map[string]string{"url": server.URL(), "from": "Acme IT <it@acme.example>", "username": "seatkeeper", "password": "p", "ca.crt": server.CA})
	w.patch(org, map[string]any{"spec": map[string]any{"displayName": "Acme Inc"}})
	w.condition(org, v1alpha1.ConditionEmailReady, metav1.ConditionTrue, v1alpha1.ReasonMailServerReady)

	var asked []received
	delivered := 0
	g.Eventually(func(g Gomega) {
		runs := w.runs()
		g.Expect(len(runs)).To(BeNumerically(">=", 4), "too few idle seats")
		waiting, refused := 0, 0
		for _, r := range runs {
			switch r.Reason {
			case "WaitingForAnswer":
				waiting++
			case "NoReachableChannel": // or the holder has left, so that there is nobody to ask
				if strings.Contains(r.Message, "550") {
					refused++
					g.Expect(r.Message).NotTo(ContainSubstring("@"))
				} else {
					g.Expect(r.Message).To(ContainSubstring("has left or is not known"))
				}
			default:
				g.Expect(r.Reason).To(Equal("WaitingForAnswer"), w.describe)
			}
		}
		g.Expect(refused).To(Equal(1), w.describe)
		g.Expect(waiting).To(BeNumerically(">", 2), w.describe)
		delivered = waiting
	}, "150s").Should(Succeed())
	ids := map[string][]string{}
	for _, m := range server.Messages() {
		g.Expect(m.TLS).To(BeTrue())
		l := openMail(t, m)
		asked = append(asked, l)
		link := answerURL.FindString(l.text)
		g.Expect(link).To(HavePrefix("http://" + address + answerlink.Path))
		g.Expect(l.html).To(ContainSubstring(link))
		ids[l.header.Get("Message-Id")] = append(ids[l.header.Get("Message-Id")], link)
	}
	g.Expect(ids).To(HaveLen(delivered))
	doubled := 0
	for _, links := range ids {
		if len(links) == 2 {
			doubled++
			g.Expect(links[0]).To(Equal(links[1]), "the second copy of a mail has another link")
		}
	}
	g.Expect(doubled).To(Equal(1), "the mail whose fate was unknown was not sent again, or others were: %v", ids)
	g.Eventually(func(g Gomega) {
		g.Expect(w.client.Get(t.Context(), client.ObjectKeyFromObject(policy), policy)).To(Succeed())
		c := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionPeopleUnreached)
		g.Expect(c).NotTo(BeNil())
		g.Expect(c.Message).To(ContainSubstring(fmt.Sprintf(": %d. ", len(w.runs())-delivered)))
	}, "90s").Should(Succeed())

	first := asked[0]
	g.Expect(first.header.Get("Auto-Submitted")).To(Equal("auto-generated"))
	g.Expect(first.header.Get("From")).To(Equal(`"Acme IT" <it@acme.example>`))
	for _, fact := range []string{"asks about your paid seat", "Last use: ", "If given back: ", "Answer by ", "you keep the seat", "To get it back: "} {
		g.Expect(first.text).To(ContainSubstring(fact))
	}
	link := answerURL.FindString(first.text)
	for range 3 {
		g.Expect(pageStatus(t, http.MethodGet, link, "")).To(Equal(http.StatusOK))
	}
	g.Expect(w.outcomes()).To(BeEmpty(), "loading the page decided")
	g.Expect(pageStatus(t, http.MethodPost, link, "Keep")).To(Equal(http.StatusOK))
	g.Expect(pageStatus(t, http.MethodPost, link, "Reclaim")).To(Equal(http.StatusGone))
	g.Eventually(func() map[string]int { return w.outcomes() }, "60s").Should(Equal(map[string]int{"kept": 1}))
	g.Expect(pageStatus(t, http.MethodGet, link, "")).To(Equal(http.StatusGone))
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(BeZero())
	g.Eventually(func(g Gomega) {
		messages := server.Messages()
		last := openMail(t, messages[len(messages)-1])
		g.Expect(last.to).To(Equal(first.to))
		g.Expect(last.header.Get("In-Reply-To")).To(Equal(first.header.Get("Message-Id")))
		g.Expect(last.text).To(And(ContainSubstring("Kept: "), ContainSubstring("you chose Keep")))
	}, "30s").Should(Succeed())

	tenant, err := w.store.TenantByNamespace(t.Context(), w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	records, err := w.store.Audit(t.Context(), tenant, store.AuditQuery{Action: "prompt.answer"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(records).To(HaveLen(1))
	g.Expect(records[0].Actor).To(HavePrefix("person:"))
	g.Expect(records[0].Detail).To(HaveKeyWithValue("via", "e-mail link"))
	reconciletest.Check(t, w.client, policy)
}

// outcomes counts the runs that have ended.
func (w *world) outcomes() map[string]int {
	out := map[string]int{}
	for _, r := range w.runs() {
		if r.State.Ended() {
			out[r.Outcome]++
		}
	}
	return out
}

func pageStatus(t *testing.T, method, link, choice string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, link, strings.NewReader(url.Values{"choice": {choice}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(fmt.Errorf("%s the page: %w", method, err))
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
