// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package webhookurl makes the addresses at which Integrations and Workflows
// receive events. An address is a credential: it stands in a Secret of the
// user's namespace and nowhere else, and the gateway knows a keyed digest of it
// (decision 13).
//
// The Secret is the truth and the store its image, so that a crash between the
// two is mended by looking again. Deleting the Secret ends every address at once.
package webhookurl

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// PathPrefix is in front of the secret part of every address.
const PathPrefix = "/hooks/"

// Bounds of the overlap of a rotation.
const (
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 720 * time.Hour
)

// Values of WebhookStatus.Rotation.
const (
	Current     = "Current"
	Overlapping = "Overlapping"
)

// Store is where the gateway finds endpoints.
type Store interface {
	EnsureTenant(ctx context.Context, namespace string) (model.TenantID, error)
	PutEndpoints(ctx context.Context, k *store.Keyring, tenant model.TenantID, ownerKind, ownerName, ownerUID string, specs []store.EndpointSpec) error
}

// Minter makes addresses.
type Minter struct {
	// Secrets creates, reads and patches Secrets by name, uncached.
	Secrets client.Client
	Store   Store
	Keyring *store.Keyring
	// PublicURL is where senders reach the gateway; empty if nobody said so.
	PublicURL string
	// Denied says what to apply where Secrets of a namespace may not be touched.
	Denied func(namespace, secret string) error
	Clock  clock.PassiveClock
}

// Hook is one webhook of an owner.
type Hook struct {
	// Name is empty for the one of a Workflow.
	Name string
	// Config is for the gateway.
	Config json.RawMessage
}

// Problem is what the user has to mend.
type Problem struct{ Reason, Message string }

// Result is what became of an owner's addresses.
type Result struct {
	SecretName string
	Rotation   string
	// PathOnly: nobody said where senders reach the gateway.
	PathOnly bool
	// Problem, if not nil, keeps the addresses from being made or changed.
	Problem *Problem
	// After is when to look again; 0 is when something changes.
	After time.Duration
}

// SecretName is the Secret with an owner's addresses.
func SecretName(owner string) string { return owner + "-webhook" }

// Ensure makes and rotates the addresses of an owner, and tells the gateway of
// them. Without hooks it ends them. It writes nothing if nothing changed. An
// error is transient.
func (m *Minter) Ensure(ctx context.Context, kind string, owner client.Object, hooks []Hook) (Result, error) {
	res := Result{SecretName: SecretName(owner.GetName()), Rotation: Current, PathOnly: m.PublicURL == ""}
	tenant, err := m.Store.EnsureTenant(ctx, owner.GetNamespace())
	if err != nil {
		return res, err
	}
	put := func(specs []store.EndpointSpec) error {
		return m.Store.PutEndpoints(ctx, m.Keyring, tenant, kind, owner.GetName(), string(owner.GetUID()), specs)
	}
	if len(hooks) == 0 {
		return Result{}, put(nil)
	}
	overlap, problem := overlapOf(owner)
	if problem != nil {
		res.Problem = problem // what is there goes on
		return res, nil
	}
	have, problem, err := m.read(ctx, kind, owner)
	if err != nil || problem != nil {
		res.Problem = problem
		return res, err
	}
	want, err := m.next(tenant, have, owner, hooks, overlap)
	if err != nil {
		return res, err
	}
	if problem, err := m.write(ctx, kind, owner, have, want); err != nil || problem != nil {
		res.Problem = problem
		return res, err
	}
	if !want.previousUntil.IsZero() {
		res.Rotation, res.After = Overlapping, want.previousUntil.Sub(m.Clock.Now())+time.Second
	}
	return res, put(want.specs(hooks))
}

func overlapOf(owner client.Object) (time.Duration, *Problem) {
	text := owner.GetAnnotations()[v1alpha1.WebhookOverlapAnnotation]
	if text == "" {
		return defaultOverlap, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxOverlap {
		return 0, &Problem{v1alpha1.ReasonInvalidSpec, fmt.Sprintf("annotation %s: want a duration from 0s to 720h, such as 2h", v1alpha1.WebhookOverlapAnnotation)}
	}
	return d, nil
}

// addresses are the tokens of an owner's webhooks, by webhook.
type addresses struct {
	version       string // of the Secret; empty if there is none
	data          map[string][]byte
	first         string // the webhook whose keys have no name in them
	rotated       string
	previousUntil time.Time
	tokens        map[string]string
	previous      map[string]string
}

// key is the name of a Secret's key: of the first webhook alone, of any other
// behind its name.
func (a *addresses) key(webhook, key string) string {
	if webhook == a.first {
		return key
	}
	return webhook + "." + key
}

func (a *addresses) specs(hooks []Hook) []store.EndpointSpec {
	out := make([]store.EndpointSpec, len(hooks))
	for i, h := range hooks {
		out[i] = store.EndpointSpec{Webhook: h.Name, Token: a.tokens[h.Name], Previous: a.previous[h.Name], PreviousUntil: a.previousUntil, Config: h.Config}
	}
	return out
}

// read reads the Secret, which is the user's to delete.
func (m *Minter) read(ctx context.Context, kind string, owner client.Object) (*addresses, *Problem, error) {
	name := SecretName(owner.GetName())
	var s corev1.Secret
	err := m.Secrets.Get(ctx, types.NamespacedName{Namespace: owner.GetNamespace(), Name: name}, &s)
	switch {
	case apierrors.IsNotFound(err):
		return &addresses{}, nil, nil
	case apierrors.IsForbidden(err):
		return nil, m.denied(owner), nil
	case err != nil:
		return nil, nil, failure("read", name, err)
	}
	for k, v := range labels(kind, owner) {
		if s.Labels[k] != v {
			return nil, &Problem{v1alpha1.ReasonSecretConflict, fmt.Sprintf("the Secret %s exists and was not made for %s %q: rename or delete one of the two", name, kind, owner.GetName())}, nil
		}
	}
	a := &addresses{version: s.ResourceVersion, data: s.Data, first: s.Annotations[v1alpha1.FirstWebhookAnnotation], rotated: s.Annotations[v1alpha1.RotatedWebhookAnnotation]}
	if at, err := time.Parse(time.RFC3339, s.Annotations[v1alpha1.PreviousUntilAnnotation]); err == nil {
		a.previousUntil = at
	}
	return a, nil, nil
}

// next is what the addresses shall be.
func (m *Minter) next(tenant model.TenantID, have *addresses, owner client.Object, hooks []Hook, overlap time.Duration) (*addresses, error) {
	now := m.Clock.Now()
	want := &addresses{version: have.version, first: hooks[0].Name, rotated: have.rotated, previousUntil: have.previousUntil, tokens: map[string]string{}, previous: map[string]string{}}
	if slices.ContainsFunc(hooks, func(h Hook) bool { return h.Name == have.first }) {
		want.first = have.first // another order in the manifest moves no address
	}
	asked := owner.GetAnnotations()[v1alpha1.RotateWebhookAnnotation]
	rotate := have.version != "" && asked != "" && asked != have.rotated
	if asked != "" {
		want.rotated = asked
	}
	if rotate {
		want.previousUntil = now.Add(overlap).Truncate(time.Second)
	}
	if !want.previousUntil.After(now) {
		want.previousUntil = time.Time{}
	}
	for _, h := range hooks {
		token := func(key string) string {
			t := strings.TrimPrefix(string(have.data[have.key(h.Name, key)]), PathPrefix)
			if !store.TokenOfTenant(tenant, t) {
				return "" // edited, or of another installation
			}
			return t
		}
		current, previous := token("path"), token("previousPath")
		if rotate {
			current, previous = "", current
		}
		if current == "" {
			var err error
			if current, err = store.NewEndpointToken(tenant); err != nil {
				return nil, err
			}
		}
		want.tokens[h.Name] = current
		if !want.previousUntil.IsZero() && previous != "" {
			want.previous[h.Name] = previous
		}
	}
	if len(want.previous) == 0 {
		want.previousUntil = time.Time{}
	}
	want.data = m.data(want)
	return want, nil
}

// data is the Secret's content.
func (m *Minter) data(a *addresses) map[string][]byte {
	out := map[string][]byte{}
	add := func(webhook, path, url, token string) {
		out[a.key(webhook, path)] = []byte(PathPrefix + token)
		if m.PublicURL != "" {
			out[a.key(webhook, url)] = []byte(strings.TrimSuffix(m.PublicURL, "/") + PathPrefix + token)
		}
	}
	for webhook, token := range a.tokens {
		add(webhook, "path", "url", token)
	}
	for webhook, token := range a.previous {
		add(webhook, "previousPath", "previousURL", token)
	}
	return out
}

// write brings the Secret to what it shall be.
func (m *Minter) write(ctx context.Context, kind string, owner client.Object, have, want *addresses) (*Problem, error) {
	name := SecretName(owner.GetName())
	annotations := map[string]any{v1alpha1.FirstWebhookAnnotation: want.first, v1alpha1.RotatedWebhookAnnotation: nil, v1alpha1.PreviousUntilAnnotation: nil}
	if want.rotated != "" {
		annotations[v1alpha1.RotatedWebhookAnnotation] = want.rotated
	}
	if !want.previousUntil.IsZero() {
		annotations[v1alpha1.PreviousUntilAnnotation] = want.previousUntil.UTC().Format(time.RFC3339)
	}
	by := client.FieldOwner(v1alpha1.FieldOwnerPrefix + "webhook")
	if have.version == "" {
		s := &corev1.Secret{Type: corev1.SecretTypeOpaque, Data: want.data, ObjectMeta: metav1.ObjectMeta{
			Namespace: owner.GetNamespace(), Name: name, Labels: labels(kind, owner), Annotations: map[string]string{},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Name: owner.GetName(), UID: owner.GetUID()}}}}
		for k, v := range annotations {
			if text, ok := v.(string); ok {
				s.Annotations[k] = text
			}
		}
		return m.outcome("create", owner, m.Secrets.Create(ctx, s, by))
	}
	if have.first == want.first && have.rotated == want.rotated && have.previousUntil.Equal(want.previousUntil) && sameData(have.data, want.data) {
		return nil, nil
	}
	data := map[string]any{}
	for k := range have.data {
		data[k] = nil
	}
	for k, v := range want.data {
		data[k] = v // encoded as base64, as a Secret's data is
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": have.version, "annotations": annotations}, "data": data})
	if err != nil {
		return nil, fmt.Errorf("encode the Secret %s", name) // the cause could quote it
	}
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: owner.GetNamespace(), Name: name}}
	return m.outcome("change", owner, m.Secrets.Patch(ctx, s, client.RawPatch(types.MergePatchType, patch), by))
}

func (m *Minter) outcome(verb string, owner client.Object, err error) (*Problem, error) {
	if apierrors.IsForbidden(err) {
		return m.denied(owner), nil
	}
	return nil, failure(verb, SecretName(owner.GetName()), err)
}

func (m *Minter) denied(owner client.Object) *Problem {
	return &Problem{v1alpha1.ReasonSecretAccessDenied, m.Denied(owner.GetNamespace(), SecretName(owner.GetName())).Error()}
}

// failure keeps the API server's reason and not its text, which may quote what
// was sent.
func failure(verb, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s the Secret %s: the API server answered %s", verb, name, apierrors.ReasonForError(err))
}

func labels(kind string, owner client.Object) map[string]string {
	return map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue, v1alpha1.OwnerKindLabel: kind, v1alpha1.OwnerNameLabel: owner.GetName()}
}

func sameData(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if string(v) != string(b[k]) {
			return false
		}
	}
	return true
}
