// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mailer hands mails to a tenant's mail server: SMTP (RFC 5321) under
// TLS, one message at a time, and the outcome in terms of what may be repeated.
package mailer

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/notify"
)

// Keys of the Secret.
const (
	keyURL      = "url"
	keyFrom     = "from"
	keyUsername = "username"
	keyPassword = "password"
	keyCA       = "ca.crt"
)

// Server is a tenant's mail server, as its Secret says.
type Server struct {
	Host string
	Port string
	// Implicit TLS from the first byte (RFC 8314 3.3); else STARTTLS.
	Implicit bool
	// Plain allows a relay that offers no TLS; only the operator may.
	Plain              bool
	From               mail.Address
	Username, Password string
	Roots              *x509.CertPool // nil: the system's
	ca                 string         // that Roots are of
}

// Address is the server's host:port.
func (s Server) Address() string { return net.JoinHostPort(s.Host, s.Port) }

// Fingerprint tells servers, and what we sign in with, apart without naming it.
func (s Server) Fingerprint() string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%t %t\n%s\n%q %q\n%q", s.Address(), s.Implicit, s.Plain, s.From.String(), s.Username, s.Password, s.ca)
	return hex.EncodeToString(h.Sum(nil))
}

// SecretError says which key of the Secret is wrong, and how to mend it. It
// holds no value.
type SecretError struct{ Key, Problem string }

func (e *SecretError) Error() string { return fmt.Sprintf("key %s %s", e.Key, e.Problem) }

// ReadSecret reads the Secret of a mail server. plain lists the host:port of
// relays that the operator lets be reached without TLS.
func ReadSecret(data map[string]string, plain []string) (Server, error) {
	get := func(key string) string { return strings.TrimSpace(data[key]) }
	var s Server
	if get(keyURL) == "" {
		return s, &SecretError{keyURL, "is missing: put smtp://HOST:587 (STARTTLS) or smtps://HOST:465 there"}
	}
	u, err := url.Parse(get(keyURL))
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return s, &SecretError{keyURL, "is no address of a mail server: want smtp://HOST:587 (STARTTLS) or smtps://HOST:465, and user and password in keys of their own"}
	}
	s.Implicit = u.Scheme == "smtps"
	s.Host, s.Port = strings.ToLower(u.Hostname()), cmp.Or(u.Port(), map[bool]string{true: "465", false: "587"}[s.Implicit])
	if n, err := strconv.ParseUint(s.Port, 10, 16); err != nil || n == 0 {
		return s, &SecretError{keyURL, "has no valid port"}
	}
	s.Plain = !s.Implicit && slices.ContainsFunc(plain, func(p string) bool { return strings.EqualFold(p, s.Address()) })
	from, err := mail.ParseAddress(get(keyFrom))
	if err != nil {
		return s, &SecretError{keyFrom, "is no address: want Acme IT <seatkeeper@acme.example>"}
	}
	if _, err := notify.ParseMailbox(from.Address); err != nil {
		return s, &SecretError{keyFrom, "cannot be used: " + err.Error()}
	}
	s.From = *from
	s.Username, s.Password = get(keyUsername), data[keyPassword]
	switch {
	case s.Username == "" && s.Password != "":
		return s, &SecretError{keyUsername, "is missing, and there is a password"}
	case s.Username != "" && s.Password == "":
		return s, &SecretError{keyPassword, "is missing, and there is a username"}
	}
	if pem := get(keyCA); pem != "" {
		s.Roots, s.ca = x509.NewCertPool(), pem
		if !s.Roots.AppendCertsFromPEM([]byte(pem)) {
			return s, &SecretError{keyCA, "holds no certificate in PEM"}
		}
	}
	return s, nil
}
