// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// workers is a Workday report, and a Zoom in front of the simulator's that makes
// users.
type workers struct {
	mu     sync.Mutex
	rows   []map[string]string
	made   map[string]int // e-mail address → how often
	report http.Handler
	zoom   http.Handler
}

func newWorkers(behind string) *workers {
	target, err := url.Parse(behind)
	if err != nil {
		panic(err)
	}
	w := &workers{made: map[string]int{}}
	w.report = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(map[string]any{"Report_Entry": w.rows})
	})
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	w.zoom = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		rw.Header().Set("Content-Type", "application/json")
		mail, one := strings.CutPrefix(r.URL.Path, "/v2/users/")
		switch {
		case r.Method == http.MethodPost && r.URL.Path == "/v2/users":
			var in struct {
				UserInfo struct {
					Email string `json:"email"`
				} `json:"user_info"`
			}
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				http.Error(rw, "{}", http.StatusBadRequest)
				return
			}
			w.made[in.UserInfo.Email]++
			rw.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(rw).Encode(map[string]any{"id": "new", "email": in.UserInfo.Email})
		case one && r.Method == http.MethodGet && w.made[mail] > 0:
			_ = json.NewEncoder(rw).Encode(map[string]any{"id": "new", "email": mail, "status": "active"})
		case one && r.Method == http.MethodGet && strings.Contains(mail, "@"):
			rw.WriteHeader(http.StatusNotFound)
			_, _ = rw.Write([]byte(`{"code":1001,"message":"User does not exist"}`))
		default:
			proxy.ServeHTTP(rw, r)
		}
	})
	return w
}

// hire adds somebody who works there from the day.
func (w *workers) hire(id string, day time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rows = append(w.rows, map[string]string{"Employee_ID": id, "Email_Work": id + "@acme.example", "First_Name": id, "Last_Name": "Doe", "Department": "Sales",
		"Manager_Email": "w00@acme.example", "Hire_Date": day.Format(time.DateOnly), "Active_Status": "1"})
}

func (w *workers) has(mail string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.made[mail]
}

// TestNewHireInWorkdayIsOnboarded is acceptance row 15: a new row in the report
// becomes a person who joined, and the person has an account, once.
func TestNewHireInWorkdayIsOnboarded(t *testing.T) {
	var hr *workers
	w := newWorld(t, func(w *world) {
		hr = newWorkers(w.vendors.Endpoints()["api.zoom.us"])
		for host, h := range map[string]http.Handler{"wd2-impl-services1.workday.com": hr.report, "api.zoom.us": hr.zoom} {
			s := httptest.NewServer(h)
			t.Cleanup(s.Close)
			w.options.ConnectorEndpoints[host] = s.URL
		}
	})
	g := NewWithT(t)
	began := time.Now().AddDate(-1, 0, 0)
	for i := range 30 {
		hr.hire("w"+string(rune('0'+i/10))+string(rune('0'+i%10)), began)
	}
	w.secret("workday", map[string]string{"username": "isu", "password": "secret"})
	w.secret("zoom", secrets["zoom"])
	workday := w.integration("workday", map[string]any{"host": "wd2-impl-services1.workday.com", "tenant": "acme", "owner": "isu", "report": "Workers"})
	zoom := w.integration("zoom", nil)
	zoom.Spec.Permission = v1alpha1.PermissionReadAndAct
	org := acme(w.ns)
	org.Spec.LifecycleSource = &v1alpha1.LifecycleSource{Integration: "workday"}
	onboard := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "onboard"}, Spec: v1alpha1.WorkflowSpec{
		Direction: v1alpha1.DirectionOnboarding, When: "person.department == 'Sales'",
		Trigger: v1alpha1.Trigger{Person: &v1alpha1.PersonTrigger{Events: []v1alpha1.PersonEvent{v1alpha1.PersonJoined}}},
		Steps: []v1alpha1.Step{{StepBase: v1alpha1.StepBase{Name: "zoom"}, StepAction: v1alpha1.StepAction{Action: &v1alpha1.ActionStep{
			Integration: "zoom", Name: "user.create", With: map[string]v1alpha1.Value{"email": raw(t, "${person.email}"), "givenName": raw(t, "${person.givenName}")}}}}},
	}}
	w.create(org, workday, zoom, onboard)
	w.ready(workday, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.ready(onboard, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	g.Expect(w.runs()).To(BeEmpty(), "a first listing is nobody's first day")

	hr.hire("ada", time.Now().AddDate(0, 0, -1))
	w.syncNow(workday, "a hire")
	g.Eventually(func() int { return hr.has("ada@acme.example") }, 30*time.Second, 100*time.Millisecond).Should(Equal(1))
	g.Eventually(func() store.RunState { return w.runs()[0].State }, 15*time.Second).Should(Equal(store.RunSucceeded))
	w.syncNow(workday, "nothing new")
	w.ready(workday, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	g.Expect(w.runs()).To(HaveLen(1))
	g.Expect(w.runs()[0].Subject).To(Equal("ada@acme.example"))
	g.Expect(hr.has("ada@acme.example")).To(Equal(1))
}
