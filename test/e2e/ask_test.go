// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
)

const (
	reclaim  = "Reclaim"
	keep     = "Keep"
	escalate = "Escalate"
)

// patient asks at once: without quiet hours and reminders, whatever the zone.
func patient(obj *unstructured.Unstructured) bool {
	if obj.GetKind() == "LicensePolicy" && obj.GetName() == "zoom-90d" {
		unstructured.RemoveNestedField(obj.Object, "spec", "ask", "quietHours")
		unstructured.RemoveNestedField(obj.Object, "spec", "ask", "reminders")
	}
	return true
}

// asking is a site whose holders of idle Zoom seats were asked in Slack.
type asking struct {
	*site
	taken map[string]bool // messages that a test has used
	owner *fakesaas.Person
}

func newAsking(t *testing.T) *asking {
	t.Helper()
	a := &asking{taken: map[string]bool{}}
	company := fakesaas.Generate(fakesaas.Config{Seed: 7, People: 120, Now: noon, Domain: "acme.example"})
	// The owner of the app is somebody who is asked about no seat.
	for _, p := range company.People {
		m := company.SlackMemberOf(p.Email)
		if p.Lifecycle == fakesaas.LifecycleCurrent && m != nil && !m.Deleted && !m.Invited && company.ZoomUserOf(p.Email) == nil {
			a.owner = p
			break
		}
	}
	if a.owner == nil {
		t.Fatal("the company has nobody who could own Zoom")
	}
	a.site = newSite(t, plan{people: 120, seed: 7, objects: func(obj *unstructured.Unstructured) bool {
		if obj.GetKind() == "Application" && obj.GetName() == "zoom" {
			if err := unstructured.SetNestedSlice(obj.Object, []any{map[string]any{"email": a.owner.Email, "role": "Primary"}}, "spec", "owners"); err != nil {
				t.Fatal(err)
			}
		}
		return patient(obj)
	}})
	a.settled()
	return a
}

// question is a message to the holder of a seat.
type question struct {
	fakesaas.Message
	holder *fakesaas.Person
	zoomID string
	run    string
}

// question takes a question that no test has used; accept chooses among the
// holders.
func (a *asking) question(accept func(*fakesaas.Company, *fakesaas.Person) bool) question {
	a.t.Helper()
	var q question
	NewWithT(a.t).Eventually(func(g Gomega) {
		company, err := a.sim.Company()
		g.Expect(err).NotTo(HaveOccurred())
		for _, m := range a.sim.Messages() {
			// Whoever is asked in a holder's place cannot escalate.
			own := slices.ContainsFunc(m.Buttons(), func(b fakesaas.Button) bool { return b.ActionID == escalate })
			if a.taken[m.TS] || m.Ephemeral || !own {
				continue
			}
			holder := company.PersonByEmail(memberEmail(company, m.User))
			seat := zoomSeat(company, holder)
			if seat == nil || (accept != nil && !accept(company, holder)) {
				continue
			}
			q = question{Message: m, holder: holder, zoomID: seat.ID}
			return
		}
		g.Expect(q.TS).NotTo(BeEmpty(), "no such question among %d messages", len(a.sim.Messages()))
	}, wait).Should(Succeed())
	a.taken[q.TS] = true
	for _, r := range list[run](a.site, "runs", "--policy", "zoom-90d") {
		if strings.Contains(r.Subject, q.zoomID) {
			q.run = r.ID
		}
	}
	if q.run == "" {
		a.t.Fatalf("no run is about the seat %s", q.zoomID)
	}
	// The message is there before the outcome of sending it is recorded.
	NewWithT(a.t).Eventually(func() string { return read[run](a.site, "runs", q.run).State }, wait).Should(Equal("waiting"))
	return q
}

func memberEmail(c *fakesaas.Company, id string) string {
	for _, m := range c.SlackMembers {
		if m.ID == id {
			return m.Email
		}
	}
	return ""
}

// zoomSeat is the Zoom account of a person.
func zoomSeat(c *fakesaas.Company, p *fakesaas.Person) *fakesaas.ZoomUser {
	if p == nil {
		return nil
	}
	for _, z := range c.ZoomUsers {
		if z.EmployeeID == p.EmployeeID {
			return z
		}
	}
	return nil
}

// hasManager accepts holders whose manager works here and reads Slack.
func hasManager(c *fakesaas.Company, p *fakesaas.Person) bool {
	m := c.Person(p.ManagerID)
	if m == nil || m.Lifecycle != fakesaas.LifecycleCurrent {
		return false
	}
	slack := c.SlackMemberOf(m.Email)
	return slack != nil && !slack.Deleted && !slack.Invited
}

// click presses a button and expects the status of every answer.
func (a *asking) click(q question, choice, by string, status int, o fakesaas.ClickOptions) {
	a.t.Helper()
	r, err := a.sim.Click(a.t.Context(), q.TS, choice, by, o)
	if err != nil {
		a.t.Fatalf("click %s: %v", choice, err)
	}
	for _, s := range r.Statuses {
		if s != status {
			a.t.Fatalf("click %s by %q: status %d %q, want %d", choice, by, s, r.Body, status)
		}
	}
	if r.Took > 3*time.Second {
		a.t.Errorf("click %s took %s; Slack waits 3 s", choice, r.Took)
	}
}

// told waits for an answer that only the person who clicked sees.
func (a *asking) told(user, part string) {
	a.t.Helper()
	NewWithT(a.t).Eventually(func() []string {
		var texts []string
		for _, m := range a.sim.Messages() {
			if m.Ephemeral && m.User == user {
				texts = append(texts, m.Text)
			}
		}
		return texts
	}, wait).Should(ContainElement(ContainSubstring(part)))
}

// message is how a question reads now.
func (a *asking) message(ts string) fakesaas.Message {
	for _, m := range a.sim.Messages() {
		if m.TS == ts {
			return m
		}
	}
	return fakesaas.Message{}
}

func (a *asking) buttons(ts string) []fakesaas.Button {
	m := a.message(ts)
	return m.Buttons()
}

// ended waits until the question's run has ended so, and its message says it.
func (a *asking) ended(q question, outcome, says string) {
	a.t.Helper()
	g := NewWithT(a.t)
	g.Eventually(func(g Gomega) {
		r := read[run](a.site, "runs", q.run)
		g.Expect(r.State).To(Equal("succeeded"), "%+v", r)
		g.Expect(r.Outcome).To(Equal(outcome), "%+v", r)
	}, wait).Should(Succeed())
	g.Eventually(func(g Gomega) {
		m := a.message(q.TS)
		g.Expect(m.Buttons()).To(BeEmpty(), "the message still has buttons: %s", m.Text)
		g.Expect(m.Text).To(ContainSubstring(says))
	}, wait).Should(Succeed())
}

// member is the Slack id of a person.
func (a *asking) member(email string) string {
	a.t.Helper()
	c, err := a.sim.Company()
	if err != nil {
		a.t.Fatal(err)
	}
	m := c.SlackMemberOf(email)
	if m == nil {
		a.t.Fatalf("%s is not in Slack", email)
	}
	return m.ID
}

// zoomType is the licence that a Zoom user has now.
func (a *asking) zoomType(id string) int {
	a.t.Helper()
	c, err := a.sim.Company()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, z := range c.ZoomUsers {
		if z.ID == id {
			return z.Type
		}
	}
	a.t.Fatalf("no Zoom user %s", id)
	return 0
}

// TestOneSeatToTheEnd is journeys 7 and 8.
func TestOneSeatToTheEnd(t *testing.T) {
	a := newAsking(t)
	g := NewWithT(t)
	g.Expect(a.sim.Writes(fakesaas.Zoom)).To(BeZero(), "the first sync wrote")

	for _, c := range []struct {
		name string
		run  func(*testing.T, *asking)
	}{
		{"Reclaim", reclaimed}, {"Keep", kept}, {"Escalate", escalated}, {"UsedAgain", usedAgain}, {"Silence", silence},
		{"PolicyDeleted", policyDeleted},
	} {
		if !t.Run(c.name, func(t *testing.T) {
			outer := a.t
			a.t = t
			defer func() { a.t = outer }()
			c.run(t, a)
		}) {
			break // the next would only fail for the same reason
		}
	}
	g.Expect(a.sim.Violations()).To(BeEmpty())
}

// reclaimed is the way of one seat from the question to the books, past
// everybody who may not answer.
func reclaimed(t *testing.T, a *asking) {
	g := NewWithT(t)
	q := a.question(hasManager)
	stranger := a.member(a.owner.Email)
	before := a.sim.Requests()
	untouched := func(what string) {
		t.Helper()
		g.Expect(a.sim.EffectCount(fakesaas.Zoom, "", q.zoomID)).To(BeZero(), what)
		g.Expect(read[run](a.site, "runs", q.run).State).To(Equal("waiting"), what)
	}

	a.click(q, reclaim, "", http.StatusUnauthorized, fakesaas.ClickOptions{Forge: true})
	a.click(q, reclaim, "", http.StatusUnauthorized, fakesaas.ClickOptions{Late: 6 * time.Minute})
	untouched("a forged or stale click counted")

	a.click(q, reclaim, stranger, http.StatusOK, fakesaas.ClickOptions{})
	a.told(stranger, q.holder.Name())
	untouched("a stranger's click counted")
	g.Expect(list[record](a.site, "audit", "--run", q.run)).To(ContainElement(SatisfyAll(
		HaveField("Actor", "slack:"+stranger), HaveField("Result", ContainSubstring("refused")))), "the stranger's attempt is not in the audit")

	a.click(q, reclaim, "", http.StatusOK, fakesaas.ClickOptions{Times: 2})
	a.ended(q, "reclaimed", "Zoom")
	a.click(q, "", "", http.StatusUnauthorized, fakesaas.ClickOptions{Replay: true})

	g.Expect(a.zoomType(q.zoomID)).To(Equal(fakesaas.ZoomBasic))
	g.Expect(a.sim.EffectCount(fakesaas.Zoom, "license.remove", q.zoomID)).To(Equal(1))
	g.Expect(a.sim.Writes(fakesaas.Zoom)).To(Equal(1))
	after := a.sim.Requests()
	const get = "zoom GET /v2/users/{id}"
	g.Expect(after[get]-before[get]).To(BeNumerically(">=", 2), "precheck and verification did not both ask Zoom: %v", after)
	g.Expect(after["zoom PATCH /v2/users/{id}"]).To(Equal(1))

	// One decision, by the person who was asked.
	records := list[record](a.site, "audit", "--run", q.run)
	g.Expect(records).To(ContainElement(SatisfyAll(HaveField("Action", "prompt.answer"), HaveField("Result", reclaim),
		HaveField("ActorKind", "Employee"), HaveField("Actor", HavePrefix("person:")))))
	done := 0
	for _, r := range records {
		if r.Action == "license.remove" && r.Result == "done" {
			done++
			g.Expect(r.RequestDigest).NotTo(BeEmpty())
		}
	}
	g.Expect(done).To(Equal(1), "one effect, one audit record: %+v", records)

	// The contract runs until 2027-06-30: nothing is saved before.
	kinds := map[string]saving{}
	for _, l := range list[saving](a.site, "savings", "--policy", "zoom-90d") {
		if l.RunID == q.run {
			kinds[l.Kind] = l
		}
	}
	g.Expect(kinds).To(HaveKey("potential"))
	g.Expect(kinds["potential"].Amount.Minor).To(BeEquivalentTo(12 * 1599))
	g.Expect(kinds["potential"].Amount.Currency).To(Equal("USD"))
	g.Expect(kinds["potential"].Contract).To(Equal("zoom-2026"))
	g.Expect(kinds["potential"].Effective).To(Equal("2027-07-01"))
	g.Expect(kinds).To(HaveKey("sunk"))
	g.Expect(kinds["sunk"].Amount.Minor).To(BeNumerically("~", 7.4*1599, 1599), "what is paid until the term ends")
	g.Expect(kinds).NotTo(HaveKey("realised"), "a saving is realised when billing falls, not before")
	g.Expect(kinds).NotTo(HaveKey("avoided"), "nobody got the seat instead of a new one")
}

func kept(t *testing.T, a *asking) {
	g := NewWithT(t)
	q := a.question(nil)
	a.click(q, keep, "", http.StatusOK, fakesaas.ClickOptions{Times: 2})
	a.ended(q, "kept", "Kept")
	g.Expect(a.zoomType(q.zoomID)).To(Equal(fakesaas.ZoomLicensed))
	g.Expect(a.sim.EffectCount(fakesaas.Zoom, "", q.zoomID)).To(BeZero())
	a.resync("zoom") // verdicts follow the inventory
	g.Eventually(func() []seat { return list[seat](a.site, "seats", "--policy", "zoom-90d", "--class", "Kept") }, wait).Should(
		ContainElement(HaveField("AccountExternalID", q.zoomID)))
}

func escalated(t *testing.T, a *asking) {
	g := NewWithT(t)
	q := a.question(hasManager)
	company, err := a.sim.Company()
	g.Expect(err).NotTo(HaveOccurred())
	boss := a.member(company.Person(q.holder.ManagerID).Email)
	a.click(q, escalate, "", http.StatusOK, fakesaas.ClickOptions{})
	toBoss := a.escalation(q, boss)

	// No self-approval: the holder may not decide in the manager's place.
	a.click(toBoss, keep, q.User, http.StatusOK, fakesaas.ClickOptions{})
	a.told(q.User, company.Person(q.holder.ManagerID).Name())
	g.Expect(read[run](a.site, "runs", q.run).State).To(Equal("waiting"))

	a.click(toBoss, reclaim, "", http.StatusOK, fakesaas.ClickOptions{})
	a.ended(toBoss, "reclaimed", "Zoom")
	g.Expect(a.zoomType(q.zoomID)).To(Equal(fakesaas.ZoomBasic))
	g.Expect(a.sim.EffectCount(fakesaas.Zoom, "license.remove", q.zoomID)).To(Equal(1))
	answers := map[string]string{}
	for _, r := range list[record](a.site, "audit", "--run", q.run) {
		if r.Action == "prompt.answer" {
			answers[r.Result] = r.Actor
		}
	}
	g.Expect(answers).To(And(HaveKey(escalate), HaveKey(reclaim)))
	g.Expect(answers[reclaim]).NotTo(Equal(answers[escalate]), "the same person asked and decided")
}

// escalation waits for the message that asks somebody else about the seat.
func (a *asking) escalation(q question, user string) question {
	a.t.Helper()
	out := q
	NewWithT(a.t).Eventually(func(g Gomega) {
		var found bool
		for _, m := range a.sim.Messages() {
			if m.User == user && !m.Ephemeral && !a.taken[m.TS] && len(m.Buttons()) > 0 && strings.Contains(m.Text, q.holder.Name()) {
				out.Message, found = m, true
			}
		}
		g.Expect(found).To(BeTrue(), "%s was not asked about the seat of %s: %+v", user, q.holder.Name(), read[run](a.site, "runs", q.run))
	}, wait).Should(Succeed())
	a.taken[out.TS] = true
	return out
}

// usedAgain answers after the seat was used once more: it stays.
func usedAgain(t *testing.T, a *asking) {
	g := NewWithT(t)
	q := a.question(nil)
	g.Expect(a.sim.Update(func(c *fakesaas.Company) {
		now := a.clock.Now()
		zoomSeat(c, q.holder).LastLogin = &now
	})).To(Succeed())
	a.resync("zoom")
	a.click(q, reclaim, "", http.StatusOK, fakesaas.ClickOptions{})
	a.ended(q, "skipped", "used again on 2026-11-18")
	g.Expect(a.zoomType(q.zoomID)).To(Equal(fakesaas.ZoomLicensed))
	g.Expect(a.sim.EffectCount(fakesaas.Zoom, "", q.zoomID)).To(BeZero())
}

// silence is journey 8, and an answer that comes too late.
func silence(t *testing.T, a *asking) {
	g := NewWithT(t)
	owner := a.member(a.owner.Email)
	orphan := a.question(func(c *fakesaas.Company, p *fakesaas.Person) bool {
		m := c.Person(p.ManagerID)
		return m != nil && m.Lifecycle == fakesaas.LifecyclePast
	})
	ignored, late := a.question(hasManager), a.question(nil)
	company, err := a.sim.Company()
	g.Expect(err).NotTo(HaveOccurred())
	buttons := late.Buttons()

	// The manager has left, so there is nobody to wait for: the owner of the app
	// is asked.
	a.click(orphan, escalate, "", http.StatusOK, fakesaas.ClickOptions{})
	toOwner := a.escalation(orphan, owner)
	// This one has a manager, who does not answer in three days.
	a.click(ignored, escalate, "", http.StatusOK, fakesaas.ClickOptions{})
	toBoss := a.escalation(ignored, a.member(company.Person(ignored.holder.ManagerID).Email))

	a.clock.forward(73 * time.Hour)
	fallback := a.escalation(ignored, owner)
	a.ended(toOwner, "kept", "")
	a.ended(late, "kept", "")
	// The manager's answer now comes too late.
	a.clickGone(toBoss, toBoss.Buttons())
	a.told(toBoss.User, "closed")

	// A client that still shows the buttons sends what they carried.
	a.clickGone(late, buttons)
	a.told(late.User, "closed")

	a.clock.forward(73 * time.Hour)
	a.ended(fallback, "kept", "")
	g.Eventually(func() []fakesaas.Button { return a.buttons(toBoss.TS) }, wait).Should(BeEmpty(), "the manager could still answer")
	for _, q := range []question{orphan, ignored, late} {
		g.Expect(a.zoomType(q.zoomID)).To(Equal(fakesaas.ZoomLicensed))
		g.Expect(a.sim.EffectCount(fakesaas.Zoom, "", q.zoomID)).To(BeZero())
	}
}

// policyDeleted answers a question whose policy is gone. The seat is one that
// fell idle after the others were asked.
func policyDeleted(t *testing.T, a *asking) {
	g := NewWithT(t)
	a.clock.forward(20 * 24 * time.Hour)
	a.resync("hris", "okta", "slack", "zoom")
	q := a.question(nil)
	buttons := q.Buttons()
	policy := &v1alpha1.LicensePolicy{}
	policy.Namespace, policy.Name = a.ns, "zoom-90d"
	g.Expect(a.client.Delete(t.Context(), policy)).To(Succeed())
	g.Eventually(func() []fakesaas.Button { return a.buttons(q.TS) }, wait).Should(BeEmpty(), "the question is still open")
	a.clickGone(q, buttons)
	a.told(q.User, "closed")
	g.Expect(a.zoomType(q.zoomID)).To(Equal(fakesaas.ZoomLicensed))
	g.Expect(a.sim.EffectCount(fakesaas.Zoom, "", q.zoomID)).To(BeZero())
}

// clickGone presses Reclaim in a client that has not yet received the update of
// the message: a signed request with the button that was there.
func (a *asking) clickGone(q question, buttons []fakesaas.Button) {
	a.t.Helper()
	var value fakesaas.Button
	for _, b := range buttons {
		if b.ActionID == reclaim || b.Text == reclaim || strings.Contains(b.ActionID, strings.ToLower(reclaim)) {
			value = b
		}
	}
	if value.Value == "" {
		a.t.Fatalf("no button %s among %+v", reclaim, buttons)
	}
	payload, err := json.Marshal(map[string]any{
		"type": "block_actions", "user": map[string]any{"id": q.User, "team_id": a.team()}, "team": map[string]any{"id": a.team()},
		"container": map[string]any{"type": "message", "message_ts": q.TS, "channel_id": q.Channel}, "channel": map[string]any{"id": q.Channel},
		"response_url": "https://hooks.slack.com/actions/" + a.team() + "/" + q.TS + "/" + q.User + ".9",
		"actions":      []any{map[string]any{"type": "button", "action_id": value.ActionID, "block_id": value.BlockID, "value": value.Value}},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	body := []byte(url.Values{"payload": {string(payload)}}.Encode())
	at := strconv.FormatInt(a.clock.Now().Unix(), 10)
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.server+"/slack/interactions/"+a.ns+"/slack", bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Slack-Request-Timestamp", at)
	req.Header.Set("X-Slack-Signature", fakesaas.SignSlack(fakesaas.SimSlackSigningSecret, at, body))
	client, err := queryclient.TrustingClient(a.ca)
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		a.t.Fatalf("a late click: status %d", resp.StatusCode)
	}
}

// team is the Slack workspace's id.
func (a *asking) team() string {
	a.t.Helper()
	c, err := a.sim.Company()
	if err != nil {
		a.t.Fatal(err)
	}
	return c.SlackTeamID
}
