// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki creates the certificates of a local control plane and keeps them
// in its data directory, so that a second start serves with the same identity.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/seatkeeper/seatkeeper/localcluster/internal/datadir"
)

const (
	// caLifetime outlives any sensible data directory. caRenewal leaves room for
	// leaves that were issued just before the authority is replaced.
	caLifetime = 10 * 365 * 24 * time.Hour
	caRenewal  = 400 * 24 * time.Hour

	leafLifetime = 365 * 24 * time.Hour
	leafRenewal  = 30 * 24 * time.Hour

	// backdate tolerates a client whose clock is a little behind.
	backdate = time.Hour
)

// Pair is a certificate with its private key, as PEM.
type Pair struct {
	CertPEM, KeyPEM []byte
	// CertFile and KeyFile are set if the pair is kept on disk.
	CertFile, KeyFile string
}

// Authority signs certificates.
type Authority struct {
	Pair
	cert *x509.Certificate
	key  crypto.Signer
	now  func() time.Time
}

// Request describes a leaf certificate.
type Request struct {
	// User and Groups become the common name and the organizations, which is
	// how Kubernetes reads a client certificate.
	User   string
	Groups []string
	// Hosts are DNS names and IP addresses of a serving certificate.
	Hosts []string
	Usage []x509.ExtKeyUsage
}

// OpenAuthority loads the authority kept in base.crt and base.key, and creates
// it if it is missing or about to expire. It never replaces files that it cannot
// read: certificates that people hold were signed with them.
func OpenAuthority(base, commonName string, now func() time.Time) (*Authority, error) {
	pair, err := readPair(base)
	if err != nil {
		return nil, err
	}
	if pair != nil {
		cert, key, err := pair.parse()
		if err != nil {
			return nil, fmt.Errorf("read certificate authority %s: %w; to start with a new one, remove %s and %s",
				pair.CertFile, err, pair.CertFile, pair.KeyFile)
		}
		if now().Add(caRenewal).Before(cert.NotAfter) {
			return &Authority{Pair: *pair, cert: cert, key: key, now: now}, nil
		}
	}

	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             now().Add(-backdate),
		NotAfter:              now().Add(caLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	signed, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("create certificate authority %q: %w", commonName, err)
	}
	created, err := newPair(signed, key)
	if err != nil {
		return nil, err
	}
	if err := created.write(base); err != nil {
		return nil, err
	}
	cert, _, err := created.parse()
	if err != nil {
		return nil, err
	}
	return &Authority{Pair: *created, cert: cert, key: key, now: now}, nil
}

// Issue signs a new certificate, which is not written anywhere.
func (a *Authority) Issue(req Request) (*Pair, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: req.User, Organization: req.Groups},
		NotBefore:   a.now().Add(-backdate),
		NotAfter:    a.now().Add(leafLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: req.Usage,
	}
	for _, host := range req.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	signed, err := sign(template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %q: %w", req.User, err)
	}
	return newPair(signed, key)
}

// Ensure returns the certificate kept in base.crt and base.key, and issues it
// anew if it is missing, not of this authority, does not answer the request, or
// is about to expire.
func (a *Authority) Ensure(base string, req Request) (*Pair, error) {
	pair, err := readPair(base)
	if err != nil {
		return nil, err
	}
	if pair != nil && a.satisfies(pair, req) {
		return pair, nil
	}
	issued, err := a.Issue(req)
	if err != nil {
		return nil, err
	}
	return issued, issued.write(base)
}

func (a *Authority) satisfies(pair *Pair, req Request) bool {
	cert, _, err := pair.parse()
	if err != nil || !a.now().Add(leafRenewal).Before(cert.NotAfter) {
		return false
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: req.Usage, CurrentTime: a.now()}); err != nil {
		return false
	}
	for _, host := range req.Hosts {
		if cert.VerifyHostname(host) != nil {
			return false
		}
	}
	return cert.Subject.CommonName == req.User
}

// EnsureKey creates a private key for signing tokens if path does not exist.
func EnsureKey(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	return datadir.WriteFile(path, keyPEM, 0o600)
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return key, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, template, parent, public, signer)
}

func newPair(der []byte, key *ecdsa.PrivateKey) (*Pair, error) {
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return &Pair{CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), KeyPEM: keyPEM}, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// readPair returns nil without an error if one of the files does not exist.
func readPair(base string) (*Pair, error) {
	pair := &Pair{CertFile: base + ".crt", KeyFile: base + ".key"}
	var err error
	if pair.CertPEM, err = os.ReadFile(pair.CertFile); err == nil {
		pair.KeyPEM, err = os.ReadFile(pair.KeyFile)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return pair, err
}

func (p *Pair) parse() (*x509.Certificate, crypto.Signer, error) {
	certBlock, _ := pem.Decode(p.CertPEM)
	keyBlock, _ := pem.Decode(p.KeyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, errors.New("not PEM")
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, errors.New("certificate and key do not belong together")
	}
	return cert, key, nil
}

func (p *Pair) write(base string) error {
	p.CertFile, p.KeyFile = base+".crt", base+".key"
	if err := datadir.WriteFile(p.KeyFile, p.KeyPEM, 0o600); err != nil {
		return err
	}
	return datadir.WriteFile(p.CertFile, p.CertPEM, 0o644)
}
