// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks of the proxies in front of the gateway, which are
// believed when they say for whom they forward. Nobody else is.
type Proxies []netip.Prefix

// ParseProxies reads a list of networks and addresses with commas between them.
func ParseProxies(list string) (Proxies, error) {
	var out Proxies
	for _, s := range strings.Split(list, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if a, bad := netip.ParseAddr(s); err != nil && bad == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q: want networks such as 10.0.0.0/8", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

type clientKey struct{}

// Handler lets ClientAddress see through the proxies.
func (p Proxies) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := p.client(r)
		if !a.IsValid() {
			next.ServeHTTP(w, r)
			return
		}
		inner := r.WithContext(context.WithValue(r.Context(), clientKey{}, a))
		defer func() { r.Pattern = inner.Pattern }() // of the mux, for who counts requests
		next.ServeHTTP(w, inner)
	})
}

// ClientAddress returns the address of who sent a request: that of the
// connection, or behind trusted proxies that of the last hop they do not trust.
// It is not valid if there is none, which is in no network.
func ClientAddress(r *http.Request) netip.Addr {
	if a, ok := r.Context().Value(clientKey{}).(netip.Addr); ok {
		return a
	}
	return peer(r)
}

func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return plain(ap.Addr())
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func (p Proxies) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// client walks the hops from the nearest on, and stops at the first that is not
// trusted, or that cannot be read: what stands before it anybody may have
// written.
func (p Proxies) client(r *http.Request) netip.Addr {
	at := peer(r)
	if !p.trusted(at) {
		return at
	}
	hops := forwarded(r.Header)
	for i := len(hops) - 1; i >= 0; i-- {
		a, ok := hopAddress(hops[i])
		if !ok {
			return at
		}
		if at = a; !p.trusted(at) {
			return at
		}
	}
	return at
}

// forwarded lists the hops that the proxies name, the nearest last.
//
// Only X-Forwarded-For is read. Proxies append to it by default and hand the
// header Forwarded (RFC 7239) on as the caller wrote it, so that who believed
// that as well would let callers choose their address.
func forwarded(h http.Header) []string {
	if list := h.Values("X-Forwarded-For"); len(list) > 0 {
		return strings.Split(strings.Join(list, ","), ",")
	}
	return nil
}

// hopAddress reads 192.0.2.1, 192.0.2.1:80, 2001:db8::1 and [2001:db8::1]:80.
func hopAddress(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr()), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return plain(a), err == nil
}

// AddressBucket spreads addresses over n buckets, a network of IPv6 that one
// subscriber has as one, so that nobody fills the memory.
func AddressBucket(a netip.Addr, n uint32) uint32 {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			a = p.Addr()
		}
	}
	f := fnv.New32a()
	_, _ = f.Write(a.AsSlice()) // a hash.Hash never fails a write
	return f.Sum32() % n
}
