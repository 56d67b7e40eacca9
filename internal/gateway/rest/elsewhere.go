// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/gateway/push"
)

// fileAnswer is what keeping a file answers.
type fileAnswer struct {
	ID int64 `json:"id" doc:"Names the file for a day."`
}

// customSync asks for a sync of a file.
type customSync struct {
	IDFile       int64 `json:"idFile"`
	IDAppAccount int64 `json:"idAppAccount" doc:"The number of the Integration, status.apiID."`
}

// elsewhere are the routes that internal/gateway/push serves.
func elsewhere() []operation {
	records := access.Request{Verb: "create", Resource: "integrations", Subresource: "records"}
	tooLarge := []int{http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType}
	return []operation{
		{
			method: http.MethodPost, path: "/files/upload", id: "uploadFile", summary: "Keep a file for a sync",
			scope: "records:write", want: records, answer: fileAnswer{}, refusals: tooLarge,
			form: map[string]any{"type": "object", "required": []string{"type", "file"}, "properties": map[string]any{
				"type": map[string]any{"type": kindString, "const": "customIntegrationData"}, "file": map[string]any{"type": kindString, "format": "binary"},
			}},
		},
		{
			method: http.MethodPut, path: "/services/sync/custom", id: "syncCustom", summary: "Make a file the accounts of a custom integration",
			scope: "records:write", want: records, body: customSync{}, answer: push.Result{}, refusals: append(tooLarge, http.StatusConflict, http.StatusUnprocessableEntity),
		},
	}
}
