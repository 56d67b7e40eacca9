// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// hostRefused is returned from the dialer or the client for a place where
// this connector may not send anything.
type hostRefused struct{ reason string }

func (e *hostRefused) Error() string { return e.reason }

// refusedNetworks are special-purpose networks (RFC 6890 and its updates) that
// netip's predicates do not name.
var refusedNetworks = func() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	compat = netip.MustParsePrefix("::/96") // RFC 4291 2.5.5.1, deprecated and still parsed
	sixTo4 = netip.MustParsePrefix("2002::/16")
)

// refusedAddress says why ip is refused, or "".
func refusedAddress(ip netip.Addr, allowed []netip.Prefix) string {
	ip = ip.Unmap().WithZone("")
	for _, p := range allowed {
		if p.Contains(ip) {
			return ""
		}
	}
	// IPv6 forms that carry an IPv4 address reach that address.
	b := ip.As16()
	switch {
	case ip.Is6() && !ip.IsLoopback() && !ip.IsUnspecified() && (nat64.Contains(ip) || compat.Contains(ip)):
		return refusedAddress(netip.AddrFrom4([4]byte(b[12:16])), allowed)
	case ip.Is6() && sixTo4.Contains(ip):
		return refusedAddress(netip.AddrFrom4([4]byte(b[2:6])), allowed)
	}
	switch {
	case ip.IsLoopback():
		return "a loopback address"
	case ip.IsPrivate():
		return "a private address"
	case ip.IsLinkLocalUnicast(), ip.IsLinkLocalMulticast(), ip.IsInterfaceLocalMulticast():
		return "a link-local address"
	case ip.IsMulticast(), ip.IsUnspecified():
		return "a multicast or unspecified address"
	}
	for _, p := range refusedNetworks {
		if p.Contains(ip) {
			return "a special-purpose address"
		}
	}
	return ""
}

// guard decides where a session may connect to. The check runs on the address
// that is dialled, after name resolution, so that a name which resolves
// differently the second time gains nothing.
type guard struct {
	allowed []netip.Prefix
	trusted map[string]bool // host:port of operator overrides

	mu      sync.Mutex
	proxies map[string]bool // host:port of the environment's proxies
}

func (g *guard) proxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if u != nil {
		g.mu.Lock()
		g.proxies[hostPort(u)] = true
		g.mu.Unlock()
	}
	return u, err
}

func (g *guard) isProxy(addr string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.proxies[addr]
}

func (g *guard) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if !g.trusted[addr] && !g.isProxy(addr) {
		d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return &hostRefused{"the address could not be read"}
			}
			if why := refusedAddress(ap.Addr(), g.allowed); why != "" {
				host, _, _ := net.SplitHostPort(addr)
				return &hostRefused{fmt.Sprintf("%s resolves to %s", host, why)}
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, addr)
}

// check refuses what dialling cannot see: a literal private address that a
// proxy would reach for us, and a declared host that is one of the addresses
// which only the operator may name.
func (g *guard) check(u *url.URL) error {
	addr := hostPort(u)
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		if why := refusedAddress(ip, g.allowed); why != "" {
			return &hostRefused{u.Hostname() + " is " + why}
		}
	}
	if g.trusted[addr] || g.isProxy(addr) {
		return &hostRefused{u.Host + " is an address of the operator's own"}
	}
	return nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

func newTransport(g *guard) *http.Transport {
	return &http.Transport{
		Proxy:                  g.proxy,
		DialContext:            g.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  60 * time.Second,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    256, // as many as the engine makes calls at once: each would pay for a handshake
		MaxResponseHeaderBytes: 1 << 20,
		ForceAttemptHTTP2:      true,
	}
}

// classifyNetwork turns a failure to send or to receive into an Error. It
// drops what net/http adds, since a URL may hold an identifier.
func classifyNetwork(ctx context.Context, host string, err error) *Error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	var (
		refused  *hostRefused
		dns      *net.DNSError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		verify   *tls.CertificateVerificationError
		alert    tls.AlertError
		timeout  net.Error
	)
	e := &Error{Class: ClassTransient, Err: err}
	switch {
	case errors.As(err, &refused):
		e.Class = ClassHostRefused
		e.Message = refused.reason
		e.Fix = "requests go to public addresses of declared hosts only; the operator can allow a network or redirect a host"
	case ctx.Err() != nil:
		e.Class, e.Message = ClassCanceled, "the time for this work ran out while waiting for "+host
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Class, e.Message = ClassUnreachable, "the host name "+host+" does not exist"
		e.Fix = "check the spelling in spec.config and the cluster's DNS"
	case errors.As(err, &dns):
		e.Message = "the name " + host + " could not be resolved"
	case errors.As(err, &verify), errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &invalid),
		errors.As(err, &record), errors.As(err, &alert):
		e.Class, e.Message = ClassUnreachable, "no trusted TLS connection to "+host
		e.Fix = "check the host name, and a proxy that intercepts TLS"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		e.Class, e.Message = ClassUnreachable, host+" refused the connection or cannot be routed to"
		e.Fix = "check the network policy and the proxy settings"
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Message = host + " did not answer in time"
	default:
		e.Message = "the connection to " + host + " broke"
	}
	return e
}
