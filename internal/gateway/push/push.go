// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package push takes records that others send: canonical ones as NDJSON under
// /apis/v1/namespaces/{namespace}/integrations/{name}/records, and the custom
// sync of the REST API under /v1.0. What is sent becomes a sync of an
// Integration with the connector push, with the same stage and guard as any.
package push

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
)

// Bounds of one push.
const (
	DefaultMaxBytes = 1 << 30
	pushTimeout     = 30 * time.Minute
	idleTimeout     = time.Minute // between two pieces of the body
	answerTimeout   = 30 * time.Second
	maxFaults       = 10
	maxKey          = 255
)

// contentTypes are those of records. None of them can be sent by a web page
// without asking first, so that no page can push with a visitor's certificate.
var contentTypes = []string{"application/x-ndjson", "application/ndjson", "application/jsonl", "application/octet-stream"}

// Store is what a push needs of the store itself.
type Store interface {
	TenantByNamespace(ctx context.Context, namespace string) (model.TenantID, error)
	IntegrationByNumber(ctx context.Context, t model.TenantID, id int64) (store.IntegrationState, error)
	PushAnswer(ctx context.Context, t model.TenantID, integration, key string) (store.PushAnswer, error)
	PutPushAnswer(ctx context.Context, t model.TenantID, a store.PushAnswer) error
	PutAPIFile(ctx context.Context, t model.TenantID, f store.APIFile) (int64, error)
	APIFile(ctx context.Context, t model.TenantID, id int64) (store.APIFile, error)
	AppendAudit(ctx context.Context, t model.TenantID, r model.AuditRecord) error
}

// Pusher carries out a push.
type Pusher interface {
	Push(ctx context.Context, key syncer.Key, feed func(context.Context, *syncer.Push) (connector.RecordsEnd, error)) ([]syncer.PushedType, error)
}

// API serves pushes.
type API struct {
	Store Store
	Guard access.Checker
	// Callers tells who calls the routes under /v1.0.
	Callers *access.Callers
	Pusher  Pusher
	Clock   clock.PassiveClock
	Log     *slog.Logger
	// MaxBytes bounds one push; 0 is DefaultMaxBytes.
	MaxBytes int64
	// Pushes bounds pushes at the same time; nil is 8. One tenant gets at most
	// half of them: none can keep the others waiting.
	Pushes *access.Turns
	// Uploads bounds files that are sent or applied, which are in memory; nil is
	// 16, and half of them for one tenant.
	Uploads *access.Turns
}

// States of a Result.
const (
	Applied = "Applied"
	Held    = "Held"
)

// Result is the answer to a push.
type Result struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	// State is Applied, or Held if a guard holds what the push would remove of a
	// data type; the others are applied.
	State     string              `json:"state"`
	Records   int64               `json:"records"`
	DataTypes []syncer.PushedType `json:"dataTypes"`
}

// Register adds the routes.
func (a *API) Register(mux access.Mux) {
	if a.Pushes == nil {
		a.Pushes = access.NewTurns(4, 8)
	}
	if a.MaxBytes <= 0 {
		a.MaxBytes = DefaultMaxBytes
	}
	if a.Uploads == nil {
		a.Uploads = access.NewTurns(8, 16)
	}
	mux.HandleFunc("POST /apis/v1/namespaces/{ns}/integrations/{name}/records", a.records)
	mux.HandleFunc("POST /v1.0/files/upload", a.rest(a.uploadFile))
	mux.HandleFunc("PUT /v1.0/services/sync/custom", a.rest(a.syncCustom))
	mux.HandleFunc("/v1.0/", a.Callers.NotFound(a.Log))
}

// authorise checks the caller before anything is looked up.
func (a *API) authorise(r *http.Request, want access.Request) (user string, tenant model.TenantID, err error) {
	if user, err = access.Authorise(a.Guard, r, want); err != nil {
		return user, 0, err
	}
	tenant, err = a.Store.TenantByNamespace(r.Context(), want.Namespace)
	if errors.Is(err, store.ErrNotFound) {
		return user, 0, access.Refuse(http.StatusNotFound, "namespace %q has no Seatkeeper resources yet: apply an Integration with the connector push there", want.Namespace)
	}
	return user, tenant, err
}

// recordsOf is what RBAC must allow to push to an Integration.
func recordsOf(namespace, integration string) access.Request {
	return access.Request{Verb: "create", Namespace: namespace, Resource: "integrations", Subresource: "records", Name: integration}
}

func (a *API) records(w http.ResponseWriter, r *http.Request) {
	answer, replayed, err := a.pushRecords(w, r)
	if err != nil {
		access.Explain(a.Log, r, err).Write(w)
		return
	}
	if replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(answer, '\n')) // an error here is a caller that has gone
}

func (a *API) pushRecords(w http.ResponseWriter, r *http.Request) (answer []byte, replayed bool, err error) {
	namespace, name := r.PathValue("ns"), r.PathValue("name")
	user, tenant, err := a.authorise(r, recordsOf(namespace, name))
	if err != nil {
		return nil, false, err
	}
	all, err := parameters(r)
	if err != nil {
		return nil, false, err
	}
	idem := r.Header.Get("Idempotency-Key")
	if len(idem) > maxKey {
		return nil, false, bad("Idempotency-Key has %d bytes: want at most %d", len(idem), maxKey)
	}
	ctx, cancel := context.WithTimeout(r.Context(), pushTimeout)
	defer cancel()
	body := a.body(w, r, fmt.Sprintf("complete=%t\n", all))
	in := request{tenant: tenant, namespace: namespace, integration: name, actor: model.Actor{Name: user, Kind: model.ActorUser}, idem: idem, digest: body.digest}
	err = a.unanswered(ctx, in)
	if err == nil {
		answer, err = a.push(access.WithActor(ctx, user), in, func(ctx context.Context, p *syncer.Push) (connector.RecordsEnd, int64, error) {
			end, n, err := feed(ctx, p, body)
			end.All = end.All || all
			return end, n, err
		})
	}
	var answered *answeredError
	if errors.As(err, &answered) {
		answer, err = replay(answered.have, body)
		return answer, err == nil, err
	}
	return answer, false, err
}

// parameters reads the query and refuses what a web page could send unasked.
func parameters(r *http.Request) (complete bool, err error) {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if !slices.Contains(contentTypes, mediaType) {
		return false, access.Refuse(http.StatusUnsupportedMediaType, "Content-Type: want application/x-ndjson")
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return false, access.Refuse(http.StatusUnsupportedMediaType, "Content-Encoding: want none")
	}
	for name := range r.URL.Query() {
		if name != "complete" {
			return false, bad("there is no parameter %q; there is complete", clip(name))
		}
	}
	if v := r.URL.Query().Get("complete"); v != "" {
		if complete, err = strconv.ParseBool(v); err != nil {
			return false, bad("complete: want true or false")
		}
	}
	return complete, nil
}

// request is who pushes what to where.
type request struct {
	tenant                 model.TenantID
	namespace, integration string
	actor                  model.Actor
	idem                   string
	digest                 func() string // of what was sent, once it was read
}

// answeredError says that a push with the same Idempotency-Key was answered.
type answeredError struct{ have store.PushAnswer }

func (e *answeredError) Error() string { return "this push was answered" }

// turnRetry is when to try again what found no turn.
const turnRetry = 10 * time.Second

// inTurn runs f if there is a turn for the tenant, and refuses otherwise.
func inTurn(ctx context.Context, turns *access.Turns, tenant model.TenantID, f func() error) error {
	leave, ok := turns.Enter(ctx, tenant, 0)
	if !ok {
		e := access.Refuse(http.StatusServiceUnavailable, "this gateway takes in as much as it can: try again")
		e.RetryAfter = turnRetry
		return e
	}
	defer leave()
	return f()
}

// push carries out one push, keeps its answer and writes the audit. It returns
// an *answeredError if another request with the key was faster.
func (a *API) push(ctx context.Context, in request, feed func(context.Context, *syncer.Push) (connector.RecordsEnd, int64, error)) (answer []byte, err error) {
	err = inTurn(ctx, a.Pushes, in.tenant, func() error {
		var records int64
		_, err := a.Pusher.Push(ctx, syncer.Key{Tenant: in.tenant, Namespace: in.namespace, Name: in.integration},
			func(ctx context.Context, p *syncer.Push) (end connector.RecordsEnd, err error) {
				// Here one push of the Integration runs at a time, and its answer is
				// kept before the next: with one key nothing is applied twice.
				if err := a.unanswered(ctx, in); err != nil {
					return end, err
				}
				p.WhenApplied(func(ctx context.Context, types []syncer.PushedType) (err error) {
					answer, err = a.note(ctx, in, records, types)
					return err
				})
				end, records, err = feed(ctx, p)
				return end, err
			})
		return err
	})
	if err != nil {
		return nil, a.explain(in, err)
	}
	return answer, nil
}

// unanswered returns an *answeredError if there is an answer for the key.
func (a *API) unanswered(ctx context.Context, in request) error {
	if in.idem == "" {
		return nil
	}
	have, err := a.Store.PushAnswer(ctx, in.tenant, in.integration, in.idem)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return &answeredError{have}
}

// note records what was applied, even if the sender has gone.
func (a *API) note(ctx context.Context, in request, records int64, types []syncer.PushedType) ([]byte, error) {
	result := Result{Kind: "PushResult", APIVersion: "query.seatkeeper.dev/v1", State: Applied, Records: records, DataTypes: types}
	if types == nil {
		result.DataTypes = []syncer.PushedType{}
	}
	if slices.ContainsFunc(types, func(t syncer.PushedType) bool { return t.Held != nil }) {
		result.State = Held
	}
	answer, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	digest := in.digest()
	err = a.Store.AppendAudit(ctx, in.tenant, model.AuditRecord{
		Actor: in.actor.Name, ActorKind: in.actor.Kind, Action: "records.push", ObjectKind: "Integration", ObjectName: in.integration,
		RequestDigest: digest, Result: strings.ToLower(result.State), Detail: map[string]string{"records": strconv.FormatInt(records, 10)},
	})
	if err == nil && in.idem != "" {
		err = a.Store.PutPushAnswer(ctx, in.tenant, store.PushAnswer{Integration: in.integration, Key: in.idem, Digest: digest, Answer: answer})
	}
	return answer, err
}

// explain turns what a push failed with into an answer.
func (a *API) explain(in request, err error) error {
	var busy *store.BusyError
	var refused *syncer.PushRefusedError
	var tooBig *http.MaxBytesError
	var faults lineErrors
	switch {
	case errors.As(err, &faults):
		e := access.Refuse(http.StatusUnprocessableEntity, "%v; nothing was changed", faults)
		e.Details = faults.details()
		return e
	case errors.As(err, &tooBig):
		return access.Refuse(http.StatusRequestEntityTooLarge, "more than %d bytes; nothing was changed: send one data type at a time, or split what is not complete", tooBig.Limit)
	case errors.As(err, &busy):
		e := access.Refuse(http.StatusConflict, "another push or sync of Integration %s is running; nothing was changed: try again in a moment", in.integration)
		e.RetryAfter = min(max(busy.Until.Sub(a.Clock.Now()), time.Second), 10*time.Second)
		return e
	case errors.As(err, &refused):
		e := access.Refuse(http.StatusConflict, "%s", refused.Message)
		if refused.Later {
			e.RetryAfter = 2 * time.Second
		}
		return e
	case errors.Is(err, store.ErrNotFound):
		return access.Refuse(http.StatusNotFound, "there is no Integration %q in namespace %q: apply one with the connector push", in.integration, in.namespace)
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return access.Refuse(http.StatusRequestTimeout, "the records did not come in within %s, or paused for more than %s; nothing was changed", pushTimeout, idleTimeout)
	case errors.Is(err, errBody):
		return access.Refuse(http.StatusBadRequest, "the request ended before its end; nothing was changed")
	}
	return err
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// lineErrors are the first wrong lines.
type lineErrors []*connector.LineError

func (l lineErrors) Error() string {
	texts := make([]string, len(l))
	for i, e := range l {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

// details names the lines and fields.
func (l lineErrors) details() *metav1.StatusDetails {
	d := &metav1.StatusDetails{Kind: "records"}
	for _, f := range l {
		d.Causes = append(d.Causes, metav1.StatusCause{
			Type: metav1.CauseTypeFieldValueInvalid, Message: f.Message, Field: strings.TrimSuffix(fmt.Sprintf("line %d.%s", f.Line, f.Field), ".")})
	}
	return d
}

// feed stages what the body has. After a wrong line it only looks for more of
// them.
func feed(ctx context.Context, p *syncer.Push, body io.Reader) (connector.RecordsEnd, int64, error) {
	in := connector.NewRecordReader(body)
	var faults lineErrors
	for len(faults) < maxFaults {
		rec, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var fault *connector.LineError
		switch {
		case errors.As(err, &fault):
			if faults = append(faults, fault); fault.Fatal() {
				return connector.RecordsEnd{}, 0, faults
			}
			continue
		case err != nil:
			if ctx.Err() != nil {
				err = errors.Join(ctx.Err(), err)
			}
			return connector.RecordsEnd{}, 0, err
		}
		if !p.Accepts(rec.Type()) {
			faults = append(faults, &connector.LineError{Line: in.Line(), Field: "type", Message: fmt.Sprintf("spec.dataTypes of the Integration leaves out %s", rec.Type())})
			continue
		}
		if len(faults) > 0 {
			continue
		}
		if err := p.Stage(ctx, rec); err != nil {
			return connector.RecordsEnd{}, 0, err
		}
	}
	if len(faults) > 0 {
		return connector.RecordsEnd{}, 0, faults
	}
	return in.End(), in.Records(), nil
}

// bodyReader limits, times and digests a body.
type bodyReader struct {
	body    io.Reader
	control *http.ResponseController
	clock   clock.PassiveClock
	sum     hash.Hash
}

// errBody marks that the sender, not the store, failed.
var errBody = errors.New("the body ended early")

func (a *API) body(w http.ResponseWriter, r *http.Request, parameters string) *bodyReader {
	b := &bodyReader{body: http.MaxBytesReader(w, r.Body, a.MaxBytes), control: http.NewResponseController(w), clock: a.Clock, sum: sha256.New()}
	_, _ = io.WriteString(b.sum, parameters)
	// The server's own deadlines are for small requests.
	_ = b.control.SetWriteDeadline(time.Now().Add(pushTimeout + answerTimeout))
	return b
}

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(idleTimeout)) // a recorder in a test has none to extend
	n, err := b.body.Read(p)
	_, _ = b.sum.Write(p[:n])
	var tooBig *http.MaxBytesError
	if err != nil && !errors.Is(err, io.EOF) && !errors.As(err, &tooBig) && !isTimeout(err) {
		err = fmt.Errorf("%w: %w", errBody, err)
	}
	return n, err
}

func (b *bodyReader) digest() string { return "sha256:" + hex.EncodeToString(b.sum.Sum(nil)) }

// replay answers as before, if the same was sent again.
func replay(have store.PushAnswer, body *bodyReader) ([]byte, error) {
	if _, err := io.Copy(io.Discard, body); err != nil {
		return nil, bad("the request ended before its end; nothing was changed")
	}
	if body.digest() != have.Digest {
		return nil, access.Refuse(http.StatusUnprocessableEntity, "this Idempotency-Key was used for other records; nothing was changed: use a new key for each push")
	}
	return have.Answer, nil
}

func bad(format string, args ...any) error {
	return access.Refuse(http.StatusBadRequest, format, args...)
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
