// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
)

// customData is the type of the files that a custom sync reads.
const customData = "customIntegrationData"

const (
	maxRESTBody = 64 << 10
	// formOverhead is what a form adds to the file in it.
	formOverhead = 64 << 10
)

// restCall is one request whose caller is known, but not yet authorised.
type restCall struct {
	context.Context
	*access.Caller
	w http.ResponseWriter
	r *http.Request
}

func (a *API) rest(serve func(*restCall) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := func() (any, error) {
			caller, err := a.Callers.Identify(r)
			if err == nil && caller.Key != nil { // what a key may says nothing of its object
				err = caller.Require(writeRecords, access.Request{})
			}
			if err != nil {
				return nil, err
			}
			return serve(&restCall{Context: access.WithActor(r.Context(), caller.User), Caller: caller, w: w, r: r})
		}()
		if err != nil {
			access.Explain(a.Log, r, err).WriteREST(w)
			return
		}
		access.WriteJSON(w, http.StatusOK, answer)
	}
}

// writeRecords is the scope of a key that pushes.
const writeRecords = "records:write"

// uploadFile keeps a file for a later request: POST /v1.0/files/upload with the
// form fields type and file.
func (a *API) uploadFile(c *restCall) (any, error) {
	if err := c.Require(writeRecords, recordsOf(c.Namespace, "")); err != nil {
		return nil, err
	}
	var id int64
	err := inTurn(c, a.Uploads, c.Tenant, func() (err error) {
		id, err = a.keepFile(c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return map[string]int64{"id": id}, nil
}

// keepFile reads the form and keeps the file in it.
func (a *API) keepFile(c *restCall) (id int64, err error) {
	mediaType, params, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if mediaType != "multipart/form-data" || params["boundary"] == "" {
		return 0, access.Refuse(http.StatusUnsupportedMediaType, "Content-Type: want multipart/form-data with the fields type and file")
	}
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, store.MaxAPIFile+formOverhead)
	form, err := c.r.MultipartReader()
	if err != nil {
		return 0, bad("the form cannot be read")
	}
	f := store.APIFile{CreatedBy: c.User}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		var content []byte
		if err == nil {
			content, err = io.ReadAll(io.LimitReader(part, store.MaxAPIFile+1))
		}
		var tooBig *http.MaxBytesError
		if errors.As(err, &tooBig) || len(content) > store.MaxAPIFile {
			return 0, access.Refuse(http.StatusRequestEntityTooLarge, "the file is larger than 3 MiB")
		}
		if err != nil {
			return 0, bad("the form ended before its end; nothing was kept")
		}
		switch part.FormName() {
		case "file":
			f.Name, f.Bytes = part.FileName(), content
		case "type":
			f.Type = string(content)
		}
	}
	if f.Type != customData || len(f.Bytes) == 0 {
		return 0, bad("want the form fields type=%s and file; files of other types come with a later version", customData)
	}
	return a.Store.PutAPIFile(c, c.Tenant, f)
}

// syncCustom makes a file a sync: PUT /v1.0/services/sync/custom with idFile
// and idAppAccount. The file is the whole of what the app has.
func (a *API) syncCustom(c *restCall) (any, error) {
	if mediaType, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); mediaType != "application/json" {
		return nil, access.Refuse(http.StatusUnsupportedMediaType, "Content-Type: want application/json")
	}
	var in struct {
		IDFile       int64 `json:"idFile"`
		IDAppAccount int64 `json:"idAppAccount"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(c.w, c.r.Body, maxRESTBody)).Decode(&in); err != nil || in.IDFile < 1 || in.IDAppAccount < 1 {
		return nil, bad("want {idFile, idAppAccount}, two numbers")
	}
	integration, err := a.target(c, in.IDAppAccount)
	if err != nil {
		return nil, err
	}
	var answer []byte
	err = inTurn(c, a.Uploads, c.Tenant, func() (err error) {
		answer, err = a.applyFile(c, in.IDFile, integration)
		return err
	})
	if err != nil {
		return nil, err
	}
	return json.RawMessage(answer), nil
}

// applyFile pushes what a file says.
func (a *API) applyFile(c *restCall, id int64, integration store.IntegrationState) ([]byte, error) {
	file, err := a.Store.APIFile(c, c.Tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, access.Refuse(http.StatusNotFound, "there is no file %d; files are kept for a day", id)
	}
	if err != nil {
		return nil, err
	}
	records, err := customRecords(file.Bytes, pricesOf(integration.Spec))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(file.Bytes)
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(pushTimeout + answerTimeout))
	ctx, cancel := context.WithTimeout(c, pushTimeout)
	defer cancel()
	return a.push(ctx, request{tenant: c.Tenant, namespace: c.Namespace, integration: integration.Name, actor: c.Actor(),
		digest: func() string { return "sha256:" + hex.EncodeToString(sum[:]) }},
		func(ctx context.Context, p *syncer.Push) (connector.RecordsEnd, int64, error) {
			return feedCustom(ctx, p, records)
		})
}

// target finds the Integration by its number. Who may not push to it is not
// told whether there is one.
func (a *API) target(c *restCall, number int64) (store.IntegrationState, error) {
	var st store.IntegrationState
	tenant, err := a.Store.TenantByNamespace(c, c.Namespace)
	if err == nil {
		st, err = a.Store.IntegrationByNumber(c, tenant, number)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return st, err
	}
	if denied := c.Require(writeRecords, recordsOf(c.Namespace, st.Name)); denied != nil {
		return st, denied
	}
	if err != nil {
		return st, access.Refuse(http.StatusNotFound, "idAppAccount %d: there is no such Integration in namespace %q; `seatkeeper integrations NAME -o yaml` shows its apiID", number, c.Namespace)
	}
	return st, nil
}

func feedCustom(ctx context.Context, p *syncer.Push, records []model.Record) (end connector.RecordsEnd, n int64, err error) {
	for _, t := range []model.DataType{model.DataAccounts, model.DataPlans, model.DataAssignments} {
		if p.Accepts(t) {
			end.Types = append(end.Types, t)
		}
	}
	for _, r := range records {
		if !p.Accepts(r.Type()) {
			continue
		}
		if err := p.Stage(ctx, r); err != nil {
			return end, n, err
		}
		n++
	}
	return end, n, nil
}
