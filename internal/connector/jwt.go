// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// minRSABits is what RFC 7518, 3.3 demands.
const minRSABits = 2048

// Signature algorithms (RFC 7518, 3.1).
const (
	algRS256 = "RS256"
	algPS256 = "PS256"
	algES256 = "ES256"
)

// signJWT makes a JWT in compact serialisation (RFC 7515, 3.1), RS256 or ES256
// by the key.
func signJWT(key crypto.Signer, keyID string, claims map[string]any) (string, error) {
	header := map[string]any{"typ": "JWT"}
	if keyID != "" {
		header["kid"] = keyID
	}
	return signJWS(key, algorithm(key), header, claims)
}

// signJWS signs claims below a header, to which it adds the algorithm.
func signJWS(key crypto.Signer, alg string, header, claims map[string]any) (string, error) {
	header["alg"] = alg
	var parts [2]string
	for i, v := range []map[string]any{header, claims} {
		raw, err := encodeJSON(v)
		if err != nil {
			return "", err
		}
		parts[i] = base64.RawURLEncoding.EncodeToString(raw)
	}
	text := parts[0] + "." + parts[1]
	sum := sha256.Sum256([]byte(text))
	var sig []byte
	switch k := key.(type) {
	case *rsa.PrivateKey:
		var err error
		switch alg {
		case algPS256: // RFC 7518, 3.5: a salt as long as the hash
			sig, err = rsa.SignPSS(rand.Reader, k, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		case algRS256:
			sig, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		default:
			err = errors.New("the key is RSA, and " + alg + " is not")
		}
		if err != nil {
			return "", err
		}
	case *ecdsa.PrivateKey:
		if alg != algES256 {
			return "", errors.New("the key is on P-256, and " + alg + " is for RSA")
		}
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			return "", err
		}
		sig = make([]byte, 64) // RFC 7518, 3.4: R and S, 32 octets each
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
	default:
		return "", errors.New("the key is neither RSA nor P-256")
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

func algorithm(key crypto.Signer) string {
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		return algES256
	}
	return algRS256
}

// parseCertificate reads the first PEM certificate of a text.
func parseCertificate(text string) (*x509.Certificate, error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "\n") { // copied out of JSON, with its escapes
		text = strings.ReplaceAll(text, `\n`, "\n")
	}
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("holds no PEM certificate")
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("holds a damaged certificate")
		}
		return cert, nil
	}
}

// certifies reports whether the certificate is of the key.
func certifies(cert *x509.Certificate, key crypto.Signer) bool {
	public, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(key.Public())
}

// otherPEM are the labels that are told when they stand where a key should.
var otherPEM = []string{"CERTIFICATE", "CERTIFICATE REQUEST", "PUBLIC KEY", "RSA PUBLIC KEY", "OPENSSH PRIVATE KEY"}

// parsePrivateKey reads a PEM private key. Its errors tell what is wrong and
// nothing of the text.
func parsePrivateKey(text string) (crypto.Signer, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		return nil, errors.New("holds JSON; give it the private key alone, which begins with -----BEGIN PRIVATE KEY-----")
	}
	if !strings.Contains(text, "\n") { // copied out of JSON, with its escapes
		text = strings.ReplaceAll(text, `\n`, "\n")
	}
	other := ""
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, errors.New("holds a private key with a passphrase; store it without one")
		}
		parse, ok := map[string]func([]byte) (any, error){
			"PRIVATE KEY":     x509.ParsePKCS8PrivateKey,
			"RSA PRIVATE KEY": func(b []byte) (any, error) { return x509.ParsePKCS1PrivateKey(b) },
			"EC PRIVATE KEY":  func(b []byte) (any, error) { return x509.ParseECPrivateKey(b) },
		}[block.Type]
		if !ok {
			if slices.Contains(otherPEM, block.Type) {
				other = block.Type
			}
			continue
		}
		key, err := parse(block.Bytes)
		if err != nil {
			return nil, errors.New("holds a damaged private key")
		}
		return usableKey(key)
	}
	if other != "" {
		return nil, fmt.Errorf("holds a PEM %s, not a private key", other)
	}
	return nil, errors.New("holds no PEM private key")
}

func usableKey(key any) (crypto.Signer, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("holds an RSA key of %d bits, want at least %d", k.N.BitLen(), minRSABits)
		}
		return k, nil
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() {
			return nil, errors.New("holds an elliptic-curve key that is not on P-256")
		}
		return k, nil
	}
	return nil, errors.New("holds a key that is neither RSA nor P-256")
}
