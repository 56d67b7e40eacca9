// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"errors"
	"net/http"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
)

// refusalRate is how often the same refusal of one user is audited.
var refusalRate = ratelimit.Rate{Count: 1, Per: time.Minute}

// auditRefusal records that somebody known was not allowed to change something.
// That it cannot be recorded does not turn the refusal into anything else.
func (a *API) auditRefusal(r *http.Request, want access.Request, user string, refused error) {
	var e *access.Refusal
	if !errors.As(refused, &e) || e.Code != http.StatusForbidden || user == "" || want.Verb == "get" || want.Verb == "list" {
		return
	}
	tenant, err := a.Store.TenantByNamespace(r.Context(), want.Namespace)
	if err != nil {
		return // there is nobody whose audit it would be
	}
	if wait, err := a.refusals.Take(r.Context(), user+"\x00"+want.String(), refusalRate); err != nil || wait > 0 {
		return
	}
	err = a.Store.AppendAudit(r.Context(), tenant, model.AuditRecord{Actor: user, ActorKind: model.ActorUser, Action: "request.refuse",
		ObjectKind: want.Resource, ObjectName: want.Name, Reason: "no role allows to " + want.String(), Result: "refused"})
	if err != nil && r.Context().Err() == nil {
		a.Log.Warn("A refused request was not audited", "route", r.Pattern, "error", err)
	}
}
