// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
)

// workflowRun as `seatkeeper runs ID` shows it.
type workflowRun struct {
	ID, State, Kind, Name, Outcome, Reason, Message, Subject string
	Revision                                                 int64
	Steps                                                    []struct{ Name, Result, Reason, Message string }
}

// company is what the vendors hold now.
func (s *site) company() *fakesaas.Company {
	s.t.Helper()
	c, err := s.sim.Company()
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// names lists the steps with their results.
func (r workflowRun) names() (out []string) {
	for _, s := range r.Steps {
		out = append(out, strings.TrimSpace(s.Name+" "+s.Result))
	}
	return out
}

// sample reads one of config/samples.
func (s *site) sample(file string, into any) {
	s.t.Helper()
	text, err := os.ReadFile("../../config/samples/" + file)
	if err == nil {
		err = yaml.UnmarshalStrict(text, into)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// rest calls the REST API as the cluster's administrator.
func (s *site) rest(method, path, body string) (int, map[string]any) {
	s.t.Helper()
	cfg := rest.CopyConfig(s.env.Config)
	cfg.Host, cfg.CAData, cfg.CAFile = s.server, nil, s.ca
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.server+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Seatkeeper-Namespace", s.ns)
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	out := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		s.t.Fatalf("%s %s: %d %s: %v", method, path, resp.StatusCode, text, err)
	}
	return resp.StatusCode, out
}

// TestWorkflowByHand runs the sample Workflow as a pipeline and a person would:
// by the REST API, the command line and a WorkflowRun.
func TestWorkflowByHand(t *testing.T) {
	s := newSite(t, plan{people: 120, seed: 7, objects: patient})
	s.settled()
	g := NewWithT(t)
	company := s.company()
	// Two people outside Sales with a paid seat, and one in it.
	var others []*fakesaas.Person
	var sales *fakesaas.Person
	for _, p := range company.People {
		z := company.ZoomUserOf(p.Email)
		switch {
		case p.Lifecycle != fakesaas.LifecycleCurrent || z == nil || z.Type != 2 || z.Status != fakesaas.ZoomActive:
		case p.Department == "Sales" && sales == nil:
			sales = p
		case p.Department != "Sales":
			others = append(others, p)
		}
	}
	g.Expect(sales).NotTo(BeNil())
	g.Expect(len(others)).To(BeNumerically(">=", 3))
	before := s.sim.Writes(fakesaas.Zoom)
	wf := &v1alpha1.Workflow{}
	s.sample("workflow.yaml", wf)
	wf.Namespace = s.ns
	s.create(wf)
	s.condition(&v1alpha1.Workflow{}, wf.Name, v1alpha1.ConditionReady, v1alpha1.ReasonReconciled)
	listed := list[struct {
		Name, State, Trigger string
		APIID, Revision      int64
	}](s, "workflows")
	g.Expect(listed).To(HaveLen(1))
	g.Expect(listed[0].State + " " + listed[0].Trigger).To(Equal("Ready manual"))

	// A dry run sends nothing, and a stranger starts nothing.
	r := s.cli("workflow", "run", wf.Name, "--person", others[0].Email, "--dry-run", "--wait")
	g.Expect(r.code).To(BeZero(), r.err)
	g.Expect(r.out).To(ContainSubstring("giveBack: dryRun"))
	r = s.cli("workflow", "run", wf.Name, "--person", "nobody@acme.example")
	g.Expect(r.code).To(Equal(1))
	g.Expect(r.err).To(ContainSubstring("nobody@acme.example"))
	code, refused := s.rest("POST", "/v1.0/workflows/zoom-leaver/trigger", `{"triggerUserEmail":"nobody@acme.example"}`)
	g.Expect(code).To(Equal(http.StatusNotFound))
	g.Expect(refused).To(HaveKeyWithValue("error", "Not Found"))
	g.Expect(s.sim.Writes(fakesaas.Zoom)).To(Equal(before))

	// By the REST API, twice with one key: one run, and one effect of each step.
	const key = `"idempotencyKey":"IT-4711"`
	code, started := s.rest("POST", "/v1.0/workflows/1/trigger", `{"triggerUserEmail":"`+others[0].Email+`",`+key+`}`)
	g.Expect(code).To(Equal(http.StatusAccepted), "%v", started)
	code, again := s.rest("POST", "/v1.0/workflows/zoom-leaver/trigger", `{"triggerUserEmail":"`+others[0].Email+`",`+key+`}`)
	g.Expect(code).To(Equal(http.StatusOK))
	g.Expect(again["id"]).To(Equal(started["id"]))
	id, _ := started["id"].(string)
	ended := func() string {
		_, v := s.rest("GET", "/v1.0/workflows/1/runs/"+id, "")
		return v["state"].(string)
	}
	g.Eventually(ended, wait).Should(Equal("succeeded"))
	shown := read[workflowRun](s, "runs", id)
	g.Expect(shown.names()).To(Equal([]string{"signOut done", "byDepartment otherwise", "byDepartment.pause done", "giveBack done"}))
	g.Expect(s.sim.Writes(fakesaas.Zoom)).To(Equal(before + 2))
	g.Expect(s.company().ZoomUserOf(others[0].Email).Type).To(Equal(1), "the seat was not given back")
	_, did := s.rest("GET", "/v1.0/workflows/actionExecutions?idWorkflow=1&status=success", "")
	g.Expect(did).To(HaveKeyWithValue("total", 2.0))
	g.Expect(list[record](s, "audit", "--run", id)).To(HaveLen(3), "the start and two writes")

	// By the command line; a stop ends a run that waits.
	r = s.cli("workflow", "run", wf.Name, "--person", sales.Email)
	g.Expect(r.code).To(BeZero(), r.err)
	waiting := strings.TrimSpace(r.out)
	g.Eventually(func() []string { return read[workflowRun](s, "runs", waiting).names() }, wait).Should(ContainElement("byDepartment.handOver"))
	g.Expect(s.cli("runs", "stop", waiting, "--reason", "wrong person").code).To(BeZero())
	g.Expect(read[workflowRun](s, "runs", waiting).State).To(Equal("stopped"))
	r = s.cli("runs", "resume", waiting, "--reason", "the right one after all")
	g.Expect(r.code).To(BeZero(), r.err)
	g.Eventually(func() string { return read[workflowRun](s, "runs", waiting).State }, wait).Should(Equal("waiting"))
	r = s.cli("runs", "retry", waiting)
	g.Expect(r.code).To(Equal(1))
	g.Expect(r.err).To(ContainSubstring("only a failed or stopped run"))
	g.Expect(s.cli("runs", "stop", waiting).code).To(BeZero())
	s.clock.forward(8 * 24 * time.Hour)

	// What was written can be committed again.
	r = s.cli("workflow", "restore", wf.Name, "--revision", "1")
	g.Expect(r.code).To(BeZero(), r.err)
	restored, written := &v1alpha1.Workflow{}, &v1alpha1.Workflow{}
	g.Expect(yaml.UnmarshalStrict([]byte(r.out), restored)).To(Succeed())
	g.Expect(s.client.Get(t.Context(), types.NamespacedName{Namespace: s.ns, Name: wf.Name}, written)).To(Succeed())
	g.Expect(restored.Spec).To(Equal(written.Spec))
	s.patch(&v1alpha1.Workflow{}, wf.Name, map[string]any{"spec": map[string]any{"description": "Takes seats back."}})
	g.Eventually(func() string { return s.cli("workflow", "diff", wf.Name, "1").out }, wait).Should(ContainSubstring("+  description: Takes seats back."))
	g.Expect(s.cli("workflow", "history", wf.Name, "-o", "csv").out).To(ContainSubstring("2,"))

	// By a WorkflowRun, from git.
	wr := &v1alpha1.WorkflowRun{}
	s.sample("workflowrun.yaml", wr)
	wr.Namespace, wr.Spec.DryRun, wr.Spec.Subject.Person = s.ns, false, v1alpha1.Email(others[1].Email)
	s.create(wr)
	s.condition(&v1alpha1.WorkflowRun{}, wr.Name, v1alpha1.ConditionSucceeded, v1alpha1.ReasonCompleted)
	g.Expect(s.company().ZoomUserOf(others[1].Email).Type).To(Equal(1))
	g.Expect(s.company().ZoomUserOf(sales.Email).Type).To(Equal(2), "a stopped run went on")

	// A changed Workflow is another revision; the old one is not lost.
	s.patch(&v1alpha1.Workflow{}, wf.Name, map[string]any{"spec": map[string]any{"suspend": true}})
	s.condition(&v1alpha1.Workflow{}, wf.Name, v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
	code, refused = s.rest("POST", "/v1.0/workflows/1/trigger", `{"triggerUserEmail":"`+others[2].Email+`"}`)
	g.Expect(code).To(Equal(http.StatusConflict), "%v", refused)
	g.Expect(s.client.Delete(t.Context(), &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: wf.Name}})).To(Succeed())
	g.Eventually(func() int {
		code, _ := s.rest("GET", "/v1.0/workflows/1", "")
		return code
	}, wait).Should(Equal(http.StatusNotFound))
}
