// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
)

// Session is one connector with the config and credential of one Integration.
// It is safe for concurrent use.
type Session struct{}

var errNotYet = errors.New("not there yet")

// TokenCache keeps access tokens in the memory of the process.
type TokenCache struct{}

// Manifest is a validated and compiled connector.
type Manifest struct{}

// Load parses, validates and compiles a Connector document.
func Load(file string, data []byte) (*Manifest, error) { return nil, errNotYet }

// LoadSpec does the same for the spec of a Connector resource, as JSON.
func LoadSpec(name string, spec []byte) (*Manifest, error) { return nil, errNotYet }

// Name returns the connector's name.
func (m *Manifest) Name() string { return "" }

// Title returns the name for people.
func (m *Manifest) Title() string { return "" }

// Category returns idp, hris, app, expense or file.
func (m *Manifest) Category() string { return "" }

// MultiAccount reports whether several accounts may be connected.
func (m *Manifest) MultiAccount() bool { return false }

// Domains returns the web domains of the app.
func (m *Manifest) Domains() []string { return nil }

// Verified returns Spec, Docs, Live or No.
func (m *Manifest) Verified() string { return "" }

// Capabilities returns the capabilities table.
func (m *Manifest) Capabilities() Capabilities { return Capabilities{} }

// Streams returns the streams in the manifest's order.
func (m *Manifest) Streams() []StreamInfo { return nil }

// Actions returns the actions in the manifest's order.
func (m *Manifest) Actions() []ActionInfo { return nil }

// Open validates the options against the manifest.
func Open(o Options) (*Session, error) { return nil, errNotYet }

// Streams returns the streams that are enabled by config, credential and data types.
func (s *Session) Streams() []StreamInfo { return nil }

// Test runs the connect test.
func (s *Session) Test(ctx context.Context) TestReport { return TestReport{} }

// Read reads a stream to its end.
func (s *Session) Read(ctx context.Context, stream string, sink Sink) (ReadResult, error) {
	return ReadResult{}, errNotYet
}

// Action describes an action.
func (s *Session) Action(name string) (ActionInfo, bool) { return ActionInfo{}, false }

// Precheck asks whether the effect is already there: Already or Absent.
func (s *Session) Precheck(ctx context.Context, call ActionCall) (ActionResult, error) {
	return ActionResult{}, errNotYet
}

// Execute carries the action out.
func (s *Session) Execute(ctx context.Context, call ActionCall) (ActionResult, error) {
	return ActionResult{}, errNotYet
}

// Verify asks whether the effect is there: Done or Absent.
func (s *Session) Verify(ctx context.Context, call ActionCall) (ActionResult, error) {
	return ActionResult{}, errNotYet
}

// LoadBuiltin loads a manifest that ships with the program, which may name a
// Go implementation.
func LoadBuiltin(file string, data []byte) (*Manifest, error) { return nil, errNotYet }
