// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Note is what is known of a request while it is answered. If the answer is a
// refusal, the audit says so. What identifies a person does not belong in it.
type Note struct {
	// Tenant is whose audit has it, or Namespace says whose. Nobody's has what
	// asked for nobody.
	Tenant    model.TenantID
	Namespace string
	// Actor is who calls; it is empty until they have said so.
	Actor model.Actor
	// Proven is false for whoever only claims to be the actor.
	Proven bool
	// Route is what was asked for, without names. Empty: that of the mux.
	Route string
	// Reads is a POST that would change nothing.
	Reads bool
	// Reason is why it was refused. Empty: what the status says.
	Reason                 string
	ObjectKind, ObjectName string
	Detail                 map[string]string

	parts []part
}

// part is one of several things that a request asks for.
type part struct {
	status                            int
	method, route, reason, objectName string
	detail                            map[string]string
}

type noteKey struct{}

// NoteOf returns the note of a request, to be filled in. Outside of a Router
// nobody reads it.
func NoteOf(ctx context.Context) *Note {
	if n, ok := ctx.Value(noteKey{}).(*Note); ok {
		return n
	}
	return &Note{}
}

// Key notes a key of a tenant: proven is that the caller has its secret.
func (n *Note) Key(id KeyIdentity, proven bool) {
	n.Tenant, n.Actor, n.Proven = id.Tenant, model.Actor{Name: id.Actor(), Kind: model.ActorKey}, proven
	n.ObjectKind, n.ObjectName = "APIKey", id.Name
}

// cluster notes what a caller with the cluster's identity asks for; user is
// empty for whoever has none.
func (n *Note) cluster(user string, want Request) {
	n.Namespace, n.ObjectKind, n.ObjectName = want.Namespace, want.Resource, want.Name
	if user != "" {
		n.Actor, n.Proven = model.Actor{Name: user, Kind: model.ActorUser}, true
	}
}

// Part notes that one of the things that a request asks for was refused,
// whatever the answer to the request itself.
func (n *Note) Part(status int, method, route, reason, objectName string, detail map[string]string) {
	if n.refuses(method, status) {
		n.parts = append(n.parts, part{status, method, route, reason, objectName, detail})
	}
}

// refuses reports an answer that belongs into the audit: who was not let in, or
// had asked for too much, and a change that a known caller did not get.
func (n *Note) refuses(method string, status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return true
	}
	known := n.Tenant != 0 || n.Proven
	return known && !n.Reads && status >= 400 && status < 500 && method != http.MethodGet && method != http.MethodHead
}

// refused lists what was refused of a request that is answered with the status.
func (n *Note) refused(method string, status int) []part {
	if !n.refuses(method, status) {
		return n.parts
	}
	return append(slices.Clone(n.parts), part{status, method, n.Route, n.Reason, n.ObjectName, n.Detail})
}

// harmless is a name as the audit has it: an address may be a person's.
func harmless(name string) string {
	if strings.Contains(name, "@") || len(name) > 253 {
		return ""
	}
	return name
}

// answerWriter looks at the status of an answer before it is sent.
type answerWriter struct {
	http.ResponseWriter
	refusals *Refusals
	request  *http.Request
	note     *Note
	sent     bool
}

func (w *answerWriter) WriteHeader(status int) {
	if !w.sent && status >= 200 {
		w.sent = true
		if refused := w.note.refused(w.request.Method, status); len(refused) > 0 {
			w.refusals.record(w.request, w.note, refused)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) Write(b []byte) (int, error) {
	if !w.sent {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
