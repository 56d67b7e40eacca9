// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

const rotatingManifest = `
apiVersion: seatkeeper.dev/v1alpha1
kind: Connector
metadata: {name: rotor}
spec:
  title: Rotor
  category: idp
  verified: "No"
  auth:
    - id: app
      type: oauth2
      grant: refresh_token
      clientAuth: post
      tokenURL: https://rotor.example/token
      secrets: {clientId: {}, clientSecret: {}, refreshToken: {rotates: true}}
  http: {baseURL: https://rotor.example}
  streams:
    groups:
      essential: true
      request: {get: /groups}
      records: resp
      key: r.id
      emit: [{type: Group, map: {externalId: r.id, name: r.id}}]
`

// rotor is a vendor that takes each refresh token once.
type rotor struct {
	mu            sync.Mutex
	valid, access string
	refreshes     int
	reused        bool
}

func (r *rotor) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.URL.Path != "/token" {
		if req.Header.Get("Authorization") != "Bearer "+r.access {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`[{"id":"g1"}]`))
		return
	}
	r.refreshes++
	if req.FormValue("refresh_token") != r.valid {
		r.reused = true
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	r.valid, r.access = fmt.Sprintf("refresh-%d-hunter2", r.refreshes), fmt.Sprintf("access-%d-hunter2", r.refreshes)
	fmt.Fprintf(w, `{"access_token":%q,"refresh_token":%q,"expires_in":3600}`, r.access, r.valid)
}

// secretData is a SecretReader over one Secret.
type secretData map[string]string

func (s secretData) ReadSecret(context.Context, string, string) (syncer.Secret, error) {
	return syncer.Secret{Data: s, Version: "1"}, nil
}

// Two replicas share nothing but the store: a hundred readers cause one
// refresh, and a restart none.
func TestReplicasRotateOneTokenTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		st := open()
		tenant, err := st.EnsureTenant(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		raw := make([]byte, 32)
		_, _ = rand.Read(raw)
		keys, err := store.ParseKeyring("k1 " + base64.StdEncoding.EncodeToString(raw))
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := connector.Load("rotor.yaml", []byte(rotatingManifest))
		if err != nil {
			t.Fatal(err)
		}
		vendor := &rotor{valid: "refresh-0-hunter2"}
		srv := httptest.NewServer(vendor)
		defer srv.Close()
		replica := func() *syncer.Sessions {
			return &syncer.Sessions{
				Builtin: func(string) (*connector.Manifest, error) { return manifest, nil },
				Secrets: secretData{"clientId": "id", "clientSecret": "hunter2-client", "refreshToken": "refresh-0-hunter2"},
				Budget:  budgets(st), Vault: vaults(st, keys), Endpoints: map[string]string{"rotor.example": srv.URL},
			}
		}
		read := func(s *syncer.Sessions, name string) {
			session, _, err := s.Open(t.Context(), syncer.Key{Tenant: tenant, Namespace: "acme", Name: name}, handover.Spec{Connector: "rotor", SecretName: "rotor"}, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer session.Close()
			res, err := session.Read(t.Context(), "groups", func(context.Context, string, []model.Record) error { return nil })
			if err != nil || res.Records != 1 {
				t.Errorf("%d records, %v", res.Records, err)
			}
		}
		one, two := replica(), replica()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { read([]*syncer.Sessions{one, two}[i%2], "rotor") })
		}
		wg.Wait()
		read(replica(), "rotor")   // after a restart
		read(replica(), "renamed") // and under another name, with the same Secret
		if vendor.refreshes != 1 || vendor.reused {
			t.Errorf("%d refreshes, reused %v", vendor.refreshes, vendor.reused)
		}
		vendor.mu.Lock()
		vendor.access = "ended before its time"
		vendor.mu.Unlock()
		for _, s := range []*syncer.Sessions{two, one, replica()} {
			read(s, "rotor")
		}
		if vendor.refreshes != 2 || vendor.reused {
			t.Errorf("%d refreshes, reused %v", vendor.refreshes, vendor.reused)
		}
	})
}
