// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
)

// Dial connects to an address.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// NewDial returns what connects for protocols other than HTTP under the rules of
// this package: not to private, loopback and link-local addresses, unless the
// operator allows their network or trusts the host:port itself.
func NewDial(allowed []netip.Prefix, trusted ...string) Dial {
	g := &guard{allowed: allowed, trusted: map[string]bool{}}
	for _, address := range trusted {
		g.trusted[strings.ToLower(address)] = true
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return g.dial(ctx, network, strings.ToLower(address))
	}
}

// IsRefused reports that an error of a Dial is the rules' own, which trying
// again does not change.
func IsRefused(err error) bool {
	var refused *hostRefused
	return errors.As(err, &refused)
}
