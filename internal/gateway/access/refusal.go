// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Refusal is an answer that is no result. As JSON it is a Kubernetes Status,
// which kubectl's users know.
type Refusal struct {
	Code       int // of HTTP
	Message    string
	RetryAfter time.Duration // 0: none is told
	Challenge  string        // of WWW-Authenticate; empty: none is told
	Details    *metav1.StatusDetails
}

func (e *Refusal) Error() string { return e.Message }

// Refuse makes a Refusal.
func Refuse(code int, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// reasons of the codes that refusals have.
var reasons = map[int]metav1.StatusReason{
	http.StatusBadRequest: metav1.StatusReasonBadRequest, http.StatusUnauthorized: metav1.StatusReasonUnauthorized, http.StatusForbidden: metav1.StatusReasonForbidden,
	http.StatusNotFound: metav1.StatusReasonNotFound, http.StatusRequestTimeout: metav1.StatusReasonTimeout, http.StatusConflict: metav1.StatusReasonConflict,
	http.StatusRequestEntityTooLarge: metav1.StatusReasonRequestEntityTooLarge, http.StatusUnsupportedMediaType: metav1.StatusReasonUnsupportedMediaType,
	http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests, http.StatusUnprocessableEntity: metav1.StatusReasonInvalid, http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable,
}

// Explain returns what to answer for err: a Refusal as it is, and of anything
// else, which is logged, that it is not the caller's fault.
func Explain(log *slog.Logger, r *http.Request, err error) *Refusal {
	var e *Refusal
	if errors.As(err, &e) {
		return e
	}
	if !errors.Is(err, context.Canceled) { // then the caller has gone
		log.Error("The gateway could not answer", "route", r.Pattern, "error", err)
	}
	e = Refuse(http.StatusServiceUnavailable, "the store or the API server does not answer; try again, and look at the gateway's log if it stays")
	e.RetryAfter = 5 * time.Second
	return e
}

// Write answers with the refusal as a Status.
func (e *Refusal) Write(w http.ResponseWriter) {
	e.SetHeaders(w)
	WriteJSON(w, e.Code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Reason: reasons[e.Code], Message: e.Message, Details: e.Details, Code: int32(e.Code), //nolint:gosec // an HTTP status fits
	})
}

// SetHeaders sets Retry-After and WWW-Authenticate of an answer that is written
// in another form.
func (e *Refusal) SetHeaders(w http.ResponseWriter) {
	if e.Challenge != "" {
		w.Header().Set("WWW-Authenticate", e.Challenge)
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
}

// WriteJSON answers with v.
func WriteJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // an error here is a caller that has gone
}

// Checker is what Authorise asks; Guard is one.
type Checker interface {
	Check(r *http.Request, want Request) (user string, d Decision, reason string, err error)
}

// Unauthorised is the answer to who does not prove who they are.
func Unauthorised() *Refusal {
	e := Refuse(http.StatusUnauthorized, "unauthorised: no valid client certificate or bearer token; use the credentials of your kubeconfig, or the token of a ServiceAccount")
	e.Challenge = "Bearer"
	return e
}

// Authorise returns the name of a caller who may do what they want. To others
// it is a Refusal that names the role which allows it, and nothing of what
// exists. Any other error means that the API server could not be asked.
func Authorise(c Checker, r *http.Request, want Request) (user string, err error) {
	note := NoteOf(r.Context())
	note.cluster("", want)
	if HasKey(r) {
		note.Reason = "a key, which opens other interfaces"
		return "", Refuse(http.StatusForbidden, "keys do not open this interface: use the credentials of your kubeconfig, or the token of a ServiceAccount")
	}
	user, decision, reason, err := c.Check(r, want)
	note.cluster(user, want)
	switch {
	case err != nil:
		return user, err
	case decision == Unauthenticated:
		return user, Unauthorised()
	case decision != Allowed:
		note.Reason = "no role allows to " + want.String()
		if reason != "" {
			reason = ": " + reason
		}
		return user, Refuse(http.StatusForbidden, "user %q may not %s%s; bind the ClusterRole %s in that namespace, or a Role with that resource", user, want, reason, RoleFor(want))
	}
	return user, nil
}

// RoleFor names the least of the roles in config/rbac/roles that allows a
// request.
func RoleFor(r Request) string {
	switch {
	case slices.Contains([]string{"approvals", "reviews", "tasks"}, r.Resource):
		return "seatkeeper-answerer"
	case slices.Contains([]string{"stop", "resume", "approve", "release"}, r.Subresource):
		return "seatkeeper-approver"
	case r.Resource == "apikeys" && r.Verb != "get" && r.Verb != "list":
		return "seatkeeper-keyadmin"
	case r.Verb != "get" && r.Verb != "list":
		return "seatkeeper-editor"
	case slices.Contains([]string{"people", "accounts", "seats", "transactions", "runs", "audit", "imports"}, r.Resource), r.Subresource == "body":
		return "seatkeeper-auditor" // it reads about people; seatkeeper-viewer does not
	}
	return "seatkeeper-viewer"
}
