// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	start   = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	serving = Request{User: "server", Hosts: []string{"127.0.0.1", "localhost"}, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
)

func open(t *testing.T, dir string, now time.Time) *Authority {
	t.Helper()
	authority, err := OpenAuthority(filepath.Join(dir, "ca"), "test", func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func ensure(t *testing.T, authority *Authority, dir string, req Request) *Pair {
	t.Helper()
	pair, err := authority.Ensure(filepath.Join(dir, "leaf"), req)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestCertificatesAreKeptUntilTheyMustChange(t *testing.T) {
	moreHosts := serving
	moreHosts.Hosts = append([]string{"192.0.2.1"}, serving.Hosts...)
	otherUser := serving
	otherUser.User = "other"
	for _, test := range []struct {
		name           string
		at             time.Time
		req            Request
		newCA, newLeaf bool
	}{
		{"at once", start, serving, false, false},
		{"long before expiry", start.Add(leafLifetime - leafRenewal - time.Hour), serving, false, false},
		{"leaf about to expire", start.Add(leafLifetime - leafRenewal + time.Hour), serving, false, true},
		{"another address", start, moreHosts, false, true},
		{"another user", start, otherUser, false, true},
		{"authority about to expire", start.Add(caLifetime - caRenewal + time.Hour), serving, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			oldCA := open(t, dir, start)
			oldLeaf := ensure(t, oldCA, dir, serving)
			ca := open(t, dir, test.at)
			leaf := ensure(t, ca, dir, test.req)
			if got := !bytes.Equal(ca.CertPEM, oldCA.CertPEM); got != test.newCA {
				t.Errorf("authority is new: %t, want %t", got, test.newCA)
			}
			if got := !bytes.Equal(leaf.CertPEM, oldLeaf.CertPEM); got != test.newLeaf {
				t.Errorf("leaf is new: %t, want %t", got, test.newLeaf)
			}
			if !ca.satisfies(leaf, test.req) {
				t.Error("the leaf does not answer the request")
			}
		})
	}
}

func TestLeafLifetimeEndsBeforeItsAuthoritys(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, start)
	// The last moment at which the old authority still signs.
	ca := open(t, dir, start.Add(caLifetime-caRenewal-time.Second))
	leaf, _, err := ensure(t, ca, dir, serving).parse()
	if err != nil || leaf.NotAfter.After(ca.cert.NotAfter) {
		t.Errorf("leaf ends %s, authority %s, %v", leaf.NotAfter, ca.cert.NotAfter, err)
	}
}

func TestDamagedAuthorityIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	ca := open(t, dir, start)
	for _, path := range []string{ca.CertFile, ca.KeyFile} {
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = OpenAuthority(filepath.Join(dir, "ca"), "test", time.Now)
		if err == nil || !strings.Contains(err.Error(), ca.CertFile) {
			t.Errorf("with %s damaged: %v", path, err)
		}
		if now, _ := os.ReadFile(path); string(now) != "damaged" {
			t.Errorf("%s was replaced", path)
		}
		if err := os.WriteFile(path, old, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIssuedCertificateCannotSign(t *testing.T) {
	ca := open(t, t.TempDir(), start)
	pair, err := ca.Issue(Request{User: "ann", Groups: []string{"it"}, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		t.Fatal(err)
	}
	cert, _, err := pair.parse()
	if err != nil {
		t.Fatal(err)
	}
	if cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign != 0 || cert.Subject.CommonName != "ann" || len(cert.Subject.Organization) != 1 {
		t.Errorf("issued %+v", cert.Subject)
	}
}
