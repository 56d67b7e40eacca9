// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package delegate lets somebody without access to the cluster supply the
// credential of an Integration, on a plain page behind a link that expires and
// works once. Making the link needs the cluster's identity and RBAC; the link
// itself is a credential. What is supplied is sealed until the manager has
// written it into the Secret.
package delegate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/gateway/page"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// Bounds.
const (
	minExpiry     = 5 * time.Minute
	maxExpiry     = 7 * 24 * time.Hour
	DefaultExpiry = 24 * time.Hour
	maxRequest    = 4 << 10
	maxForm       = 256 << 10
	maxValue      = 64 << 10
)

// Store keeps delegations.
type Store interface {
	TenantByNamespace(ctx context.Context, namespace string) (model.TenantID, error)
	IntegrationState(ctx context.Context, t model.TenantID, name string) (store.IntegrationState, error)
	CreateDelegation(ctx context.Context, k *store.Keyring, d store.Delegation) (store.Delegation, string, error)
	OpenDelegation(ctx context.Context, k *store.Keyring, token string) (store.Delegation, store.IntegrationState, error)
	SubmitDelegation(ctx context.Context, k *store.Keyring, token string, values map[string]string) (store.Delegation, error)
}

// Handler serves links and pages.
type Handler struct {
	Store   Store
	Keyring *store.Keyring
	Guard   access.Checker
	Limiter page.Limiter
	// Manifest returns the connector of an Integration.
	Manifest func(spec handover.Spec) (*connector.Manifest, error)
	Clock    clock.PassiveClock
	Log      *slog.Logger
}

// Register adds the routes.
func (h *Handler) Register(mux access.Mux) {
	mux.HandleFunc("POST /apis/v1/namespaces/{ns}/integrations/{name}/delegation", h.create)
	mux.HandleFunc("GET /delegate/{token}", page.Handler(h.Limiter, nil, h.show))
	mux.HandleFunc("POST /delegate/{token}", page.Handler(h.Limiter, nil, h.submit))
}

// Link is the answer to whoever makes one. The path is a credential.
type Link struct {
	Path      string    `json:"path"`
	ExpiresAt time.Time `json:"expiresAt"`
	Secret    string    `json:"secret"`
}

func (h *Handler) create(w http.ResponseWriter, r *http.Request) {
	link, err := h.link(w, r)
	if err != nil {
		access.Explain(h.Log, r, err).Write(w)
		return
	}
	access.WriteJSON(w, http.StatusOK, link)
}

func (h *Handler) link(w http.ResponseWriter, r *http.Request) (Link, error) {
	want := access.Request{Verb: "create", Namespace: r.PathValue("ns"), Resource: "integrations", Subresource: "delegate", Name: r.PathValue("name")}
	user, err := access.Authorise(h.Guard, r, want)
	if err != nil {
		return Link{}, err
	}
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/json" {
		return Link{}, access.Refuse(http.StatusUnsupportedMediaType, "Content-Type: want application/json")
	}
	var in struct {
		ExpiresIn string `json:"expiresIn"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&in); err != nil {
		return Link{}, access.Refuse(http.StatusBadRequest, `want {"expiresIn": "24h"}`)
	}
	expiry, err := time.ParseDuration(cmp.Or(in.ExpiresIn, DefaultExpiry.String()))
	if err != nil || expiry < minExpiry || expiry > maxExpiry {
		return Link{}, access.Refuse(http.StatusBadRequest, "expiresIn: want %s to %s, such as 24h", minExpiry, maxExpiry)
	}
	st, spec, err := h.target(r.Context(), want)
	if err != nil {
		return Link{}, err
	}
	d, token, err := h.Store.CreateDelegation(r.Context(), h.Keyring, store.Delegation{
		Tenant: st.Tenant, Integration: st.Name, IntegrationUID: st.UID, SecretName: spec.SecretName, CreatedBy: user, ExpiresAt: h.Clock.Now().Add(expiry)})
	if err != nil {
		return Link{}, err
	}
	return Link{Path: "/delegate/" + token, ExpiresAt: d.ExpiresAt, Secret: d.SecretName}, nil
}

// target is the Integration, if somebody can supply its credential.
func (h *Handler) target(ctx context.Context, want access.Request) (store.IntegrationState, handover.Spec, error) {
	var st store.IntegrationState
	var spec handover.Spec
	tenant, err := h.Store.TenantByNamespace(ctx, want.Namespace)
	if err == nil {
		st, err = h.Store.IntegrationState(ctx, tenant, want.Name)
	}
	if errors.Is(err, store.ErrNotFound) {
		return st, spec, access.Refuse(http.StatusNotFound, "there is no Integration %q in namespace %q", want.Name, want.Namespace)
	}
	if err != nil {
		return st, spec, err
	}
	st.Tenant = tenant
	manifest, spec, err := h.connector(st)
	switch {
	case err != nil:
		return st, spec, err
	case spec.SecretName == "":
		return st, spec, access.Refuse(http.StatusConflict, "the Integration names no Secret: set spec.credentialsRef.name first")
	case len(manifest.SecretSets()) == 0:
		return st, spec, access.Refuse(http.StatusConflict, "the connector %s needs no credential", manifest.Name())
	}
	return st, spec, nil
}

func (h *Handler) connector(st store.IntegrationState) (*connector.Manifest, handover.Spec, error) {
	var spec handover.Spec
	if err := json.Unmarshal(st.Spec, &spec); err != nil {
		return nil, spec, fmt.Errorf("the spec of integration %q: %w", st.Name, err)
	}
	m, err := h.Manifest(spec)
	if err != nil {
		return nil, spec, access.Refuse(http.StatusConflict, "the Integration's connector cannot be used: %v", err)
	}
	return m, spec, nil
}

// show shows the form. It changes nothing, however often it is loaded.
func (h *Handler) show(w http.ResponseWriter, r *http.Request) {
	d, m, ok := h.open(w, r)
	if !ok {
		return
	}
	writePage(w, http.StatusOK, formOf(d, m, nil))
}

// open finds the link and what it is for, or says why it does not work.
func (h *Handler) open(w http.ResponseWriter, r *http.Request) (store.Delegation, *connector.Manifest, bool) {
	d, st, err := h.Store.OpenDelegation(r.Context(), h.Keyring, r.PathValue("token"))
	if err != nil {
		h.closed(w, err)
		return d, nil, false
	}
	m, _, err := h.connector(st)
	if err != nil {
		h.unusable(w, err)
	}
	return d, m, err == nil
}

func (h *Handler) closed(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, store.ErrDelegationOver):
		page.Say(w, http.StatusGone, "This link has ended", "It was used, has expired, was replaced by a newer one, or what it was for is gone. Nothing was changed. Ask the person who sent it for a new link.")
	case errors.Is(err, store.ErrNotFound):
		page.Say(w, http.StatusNotFound, "This link is not known", "It may have been cut off on its way: copy it whole. Nothing was changed.")
	default:
		h.Log.Error("A delegation page failed", "error", err)
		w.Header().Set("Retry-After", "5")
		page.Say(w, http.StatusServiceUnavailable, "Not available at the moment", "Nothing was changed. Load this page again in a moment.")
	}
}

func (h *Handler) unusable(w http.ResponseWriter, err error) {
	var e *access.Refusal
	if !errors.As(err, &e) {
		h.Log.Error("A delegation page failed", "error", err)
	}
	page.Say(w, http.StatusConflict, "This connection is not ready", "Its settings have to be corrected first. Nothing was changed. Tell the person who sent the link.")
}

// submit takes the credential, once.
func (h *Handler) submit(w http.ResponseWriter, r *http.Request) {
	d, m, ok := h.open(w, r)
	if !ok {
		return
	}
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/x-www-form-urlencoded" || http.NewCrossOriginProtection().Check(r) != nil {
		page.Say(w, http.StatusForbidden, "Not from this page", "The credential has to be sent with the form of this page. Nothing was changed.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		page.Say(w, http.StatusRequestEntityTooLarge, "Too large", "What was sent is no credential: it is larger than 256 KiB, or was cut off. Nothing was changed.")
		return
	}
	values, faults := read(r.PostForm, m)
	if len(faults) > 0 {
		writePage(w, http.StatusUnprocessableEntity, formOf(d, m, faults))
		return
	}
	if _, err := h.Store.SubmitDelegation(r.Context(), h.Keyring, r.PathValue("token"), values); err != nil {
		h.closed(w, err)
		return
	}
	page.Say(w, http.StatusOK, "Thank you", "The credential was taken and encrypted. Seatkeeper now stores and tests it. This link has ended; you can close the page.")
}

// fault is what is wrong with one field.
type fault struct{ ID, Title, Message string }

// read takes the fields of the chosen way to sign in.
func read(form map[string][]string, m *connector.Manifest) (map[string]string, []fault) {
	get := func(name string) string {
		if v := form[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	auth := get("auth")
	fields := m.SecretFields(auth)
	if len(fields) == 0 {
		return nil, []fault{{ID: "main", Title: "Way to sign in", Message: "choose one of those on this page"}}
	}
	values := map[string]string{}
	var faults []fault
	for _, f := range fields {
		v := strings.TrimSpace(strings.ReplaceAll(get("secret."+f.Name), "\r\n", "\n"))
		wrong := ""
		switch {
		case v == "" && !f.Optional:
			wrong = "fill this in"
		case len(v) > maxValue:
			wrong = "longer than 64 KiB"
		case !f.PEM && strings.ContainsAny(v, "\n\r\x00"):
			wrong = "one line only"
		case f.PEM && v != "" && !strings.HasPrefix(v, "-----BEGIN "):
			wrong = "paste all of it, from -----BEGIN to the end"
		case f.PEM && v != "":
			v += "\n"
		}
		if wrong != "" {
			faults = append(faults, fault{ID: fieldID(auth, f.Name), Title: f.Title, Message: wrong})
			continue
		}
		if v != "" {
			values[f.Name] = v
		}
	}
	return values, faults
}
