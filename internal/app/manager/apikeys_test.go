// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	certutil "k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/cli"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// keyWorld is a whole manager with its gateway over TLS, and the command line of
// an administrator.
type keyWorld struct {
	*world
	server, ca, kubeconfig string
	logged                 *recorder
	tokens                 []string // every one that was made
}

func newKeyWorld(t *testing.T) *keyWorld {
	t.Helper()
	env, dir := testenv.Cluster(t), t.TempDir()
	cert, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", nil, []string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	k := &keyWorld{ca: filepath.Join(dir, "tls.crt"), logged: &recorder{}}
	for name, data := range map[string][]byte{"tls.crt": cert, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address := make(chan net.Addr, 1)
	k.world = newWorld(t, func(w *world) {
		w.options.Gateway = true
		w.options.GatewayOptions = GatewayOptions{Listen: "127.0.0.1:0", CertFile: k.ca, KeyFile: filepath.Join(dir, "tls.key"), ClientCA: env.CAFile,
			Listening: func(a net.Addr) { address <- a }}
		w.options.Log = slog.New(slog.NewTextHandler(io.MultiWriter(testLog{t}, k.logged), &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	k.server = "https://" + (<-address).String()
	k.kubeconfig = env.WriteKubeconfig(t, env.Config, k.ns)
	return k
}

// seatkeeper runs the command line and returns what it prints, and its exit code.
func (k *keyWorld) seatkeeper(args ...string) (out, errOut string, code int) {
	k.t.Helper()
	var o, e bytes.Buffer
	code = cli.Execute(k.t.Context(), "seatkeeper", append(args, "--kubeconfig", k.kubeconfig, "--server", k.server, "--server-ca", k.ca, "-n", k.ns), &o, &e)
	return o.String(), e.String(), code
}

// token runs the command line, which must print one token and nothing else.
func (k *keyWorld) token(args ...string) string {
	k.t.Helper()
	out, errOut, code := k.seatkeeper(args...)
	token := strings.TrimSuffix(out, "\n")
	if _, err := store.ParseAPIToken(token); code != 0 || err != nil {
		k.t.Fatalf("seatkeeper %v: exit %d, %q\n%s", args, code, out, errOut)
	}
	if strings.Contains(errOut, token) {
		k.t.Errorf("standard error repeats the token")
	}
	k.tokens = append(k.tokens, token)
	return token
}

// call sends a request with a bearer token and returns the code of the answer.
func (k *keyWorld) call(method, path, token string) (int, string) {
	k.t.Helper()
	client := httpClientTrusting(k.t, k.ca)
	req, err := http.NewRequestWithContext(k.t.Context(), method, k.server+path, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func httpClientTrusting(t *testing.T, ca string) *http.Client {
	t.Helper()
	pool, err := certutil.NewPool(ca)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// works reports whether a token of type REST is known: what is not there is then
// answered 404.
func (k *keyWorld) works(token string) bool {
	k.t.Helper()
	code, _ := k.call("GET", "/v1.0/nothing", token)
	return code == http.StatusNotFound
}

// TestKeysFromEndToEnd makes, uses, rotates, delivers and revokes keys through
// command line, API server, manager and gateway; afterwards no place that others
// can read has a token.
func TestKeysFromEndToEnd(t *testing.T) {
	k := newKeyWorld(t)
	g, ctx := NewWithT(t), t.Context()

	first := k.token("keys", "create", "export", "--type", "rest", "--description", "nightly", "--expires-in", "90d")
	g.Expect(k.works(first)).To(BeTrue())
	export := &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: "export"}}
	k.ready(export, metav1.ConditionTrue, v1alpha1.ReasonIssued)
	id, err := store.ParseAPIToken(first)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(export.Status.KeyID).To(Equal(id.KeyID))

	// It is shown once; a second try is refused, and audited.
	_, errOut, code := k.seatkeeper("keys", "create", "export")
	g.Expect(code).To(Equal(1))
	g.Expect(errOut).To(ContainSubstring("rotate"))
	g.Expect(k.works(first)).To(BeTrue())

	// A key opens nothing else.
	for path, want := range map[string]int{"/apis/v1/namespaces/" + k.ns + "/people": 403, "/apis/v1/namespaces/" + k.ns + "/keys": 403} {
		got, body := k.call("GET", path, first)
		g.Expect(got).To(Equal(want), body)
	}

	second := k.token("keys", "rotate", "export")
	g.Expect(k.works(first)).To(BeTrue(), "the token before works for the overlap")
	g.Expect(k.works(second)).To(BeTrue())
	third := k.token("keys", "rotate", "export")
	g.Expect(k.works(first)).To(BeFalse(), "two tokens at most")
	g.Expect(k.works(second)).To(BeTrue())
	g.Eventually(func(g Gomega) {
		k.get("export", export)
		g.Expect(third).To(ContainSubstring(export.Status.KeyID))
		g.Expect(second).To(ContainSubstring(export.Status.PreviousKeyID))
	}).Should(Succeed())
	g.Expect(k.works(third)).To(BeTrue())
	out, _, code := k.seatkeeper("keys", "list", "-o", "json")
	g.Expect(code).To(Equal(0))
	g.Expect(out).To(ContainSubstring(`"lastUsed"`))

	_, errOut, code = k.seatkeeper("keys", "revoke", "export", "--reason", "left in a chat")
	g.Expect(code).To(Equal(0), errOut)
	g.Expect(k.works(second)).To(BeFalse())
	g.Expect(k.works(third)).To(BeFalse())
	k.ready(export, metav1.ConditionFalse, v1alpha1.ReasonRevoked)
	g.Expect(export.Spec.Revoked).To(BeTrue())
	g.Expect(export.Status.KeyID).To(BeEmpty())

	delivered := k.deliveries(g)

	// The audit names who did what to which key.
	tenant, err := k.store.TenantByNamespace(ctx, k.ns)
	g.Expect(err).NotTo(HaveOccurred())
	records, err := k.store.Audit(ctx, tenant, store.AuditQuery{ObjectKind: "APIKey", Limit: 1000})
	g.Expect(err).NotTo(HaveOccurred())
	seen := map[string]int{}
	for _, r := range records {
		seen[r.Action+"/"+r.Result]++
	}
	g.Expect(seen).To(HaveKeyWithValue("key.create/done", 2), "%v", seen)
	g.Expect(seen).To(HaveKeyWithValue("key.create/refused", 1))
	g.Expect(seen).To(HaveKeyWithValue("key.rotate/done", 3))
	g.Expect(seen).To(HaveKeyWithValue("key.revoke/done", 2))
	g.Expect(seen).To(HaveKey("request.refuse/refused"))

	k.stop()
	k.noTraces(append(k.tokens, delivered...), records)
}

// deliveries delivers a key to a Secret, and another to a second Secret, which
// rotates it; takes them back; and ends the key with its resource.
func (k *keyWorld) deliveries(g *WithT) (tokens []string) {
	k.t.Helper()
	ctx := k.t.Context()
	k.secret("taken", map[string]string{"token": "somebody else's"})
	key := &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: "warehouse"},
		Spec: v1alpha1.APIKeySpec{Type: v1alpha1.APIKeyREST, DeliverTo: &v1alpha1.KeyDelivery{SecretName: "taken"}}}
	k.create(key)
	k.ready(key, metav1.ConditionFalse, v1alpha1.ReasonDeliveryConflict)
	var s corev1.Secret
	k.get("taken", &s)
	g.Expect(string(s.Data["token"])).To(Equal("somebody else's"))

	read := func(name string) string {
		k.patch(key, map[string]any{"spec": map[string]any{"deliverTo": map[string]any{"secretName": name}}})
		k.condition(key, v1alpha1.ConditionDelivered, metav1.ConditionTrue, v1alpha1.ReasonIssued)
		k.ready(key, metav1.ConditionTrue, v1alpha1.ReasonIssued)
		g.Expect(key.Status.SecretName).To(Equal(name))
		var s corev1.Secret
		k.get(name, &s)
		tokens = append(tokens, string(s.Data["token"]))
		return string(s.Data["token"])
	}
	first := read("one")
	g.Expect(k.works(first)).To(BeTrue())
	second := read("two")
	g.Expect(k.works(first)).To(BeTrue(), "for the overlap")
	g.Expect(k.works(second)).To(BeTrue())

	g.Expect(k.client.Delete(ctx, key)).To(Succeed())
	g.Eventually(func() bool {
		return apierrors.IsNotFound(k.client.Get(ctx, client.ObjectKeyFromObject(key), &v1alpha1.APIKey{}))
	}, "30s").Should(BeTrue())
	g.Expect(k.works(first)).To(BeFalse())
	g.Expect(k.works(second)).To(BeFalse())
	for _, name := range []string{"one", "two"} {
		err := k.client.Get(ctx, client.ObjectKey{Namespace: k.ns, Name: name}, &corev1.Secret{})
		g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "Secret %s: %v", name, err)
	}
	return tokens
}

// noTraces looks for tokens and their digests wherever somebody may read.
func (k *keyWorld) noTraces(tokens []string, records any) {
	k.t.Helper()
	audit, err := json.Marshal(records)
	if err != nil {
		k.t.Fatal(err)
	}
	places := map[string]string{"log": k.logged.String(), "statuses and events": k.shown(), "audit": string(audit)}
	for _, token := range tokens {
		parsed, err := store.ParseAPIToken(token)
		if err != nil {
			k.t.Fatal(err)
		}
		secret := token[strings.LastIndex(token, "_")+1:]
		for place, text := range places {
			if text == "" {
				k.t.Errorf("nothing was found in the %s", place)
			}
			for _, c := range []string{secret, hex.EncodeToString(parsed.Digest()), "Bearer skp_"} {
				if at := strings.Index(text, c); at >= 0 {
					k.t.Errorf("the %s have a key: …%s…", place, around(text, at))
				}
			}
		}
		err = filepath.WalkDir(strings.TrimPrefix(k.options.Store, "sqlite:"), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if err == nil && bytes.Contains(raw, []byte(secret)) {
				k.t.Errorf("%s has the secret of a key", filepath.Base(path))
			}
			return err
		})
		if err != nil {
			k.t.Fatal(err)
		}
	}
}

// TestKeyExpiresSoon lets a key expire, with its warning.
func TestKeyExpiresSoon(t *testing.T) {
	k := newKeyWorld(t)
	at := metav1.NewTime(time.Now().Add(3 * 24 * time.Hour).Truncate(time.Second))
	key := &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: "soon"}, Spec: v1alpha1.APIKeySpec{Type: v1alpha1.APIKeyREST, ExpiresAt: &at}}
	k.create(key)
	c := k.ready(key, metav1.ConditionFalse, v1alpha1.ReasonNotIssued)
	g := NewWithT(t)
	g.Expect(c.Message).To(ContainSubstring("seatkeeper keys create soon"))
	token := k.token("keys", "create", "soon")
	k.ready(key, metav1.ConditionTrue, v1alpha1.ReasonIssued)
	warning := k.condition(key, v1alpha1.ConditionExpiring, metav1.ConditionTrue, v1alpha1.ReasonExpiresSoon)
	g.Expect(warning.Message).To(ContainSubstring("7 days"))
	g.Eventually(k.shown).Should(ContainSubstring(warning.Message))

	at = metav1.NewTime(time.Now().Add(time.Second).Truncate(time.Second))
	k.patch(key, map[string]any{"spec": map[string]any{"expiresAt": at}})
	k.ready(key, metav1.ConditionFalse, v1alpha1.ReasonExpired)
	g.Expect(k.works(token)).To(BeFalse())
	at = metav1.NewTime(time.Now().Add(60 * 24 * time.Hour).Truncate(time.Second))
	k.patch(key, map[string]any{"spec": map[string]any{"expiresAt": at}})
	k.ready(key, metav1.ConditionTrue, v1alpha1.ReasonIssued)
	g.Expect(k.works(token)).To(BeTrue())
}
