// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

// AppSignalKind says what kind of text tells of an app.
type AppSignalKind string

// Kinds of signals.
const (
	SignalSignOn  AppSignalKind = "signon"  // what an identity provider calls an app
	SignalOAuth   AppSignalKind = "oauth"   // what an OAuth client calls itself
	SignalExpense AppSignalKind = "expense" // a vendor, as a card statement or a bill names it
	SignalDomain  AppSignalKind = "domain"  // a host
)

// AppSignal is a sign of an app, as a source gives it.
type AppSignal struct {
	Kind AppSignalKind
	Text string
	Hint string // what the source's own catalogue calls it
	URL  string // or a host
}

// AppMatch says which known app a signal is of.
type AppMatch struct {
	// App is the slug of the known app; empty: none, or it cannot be told.
	App string
	// Rule is what matched, such as `domain zoom.us`; empty: nothing did.
	Rule string
	// Among are the slugs of what a signal may be of that cannot be told.
	Among []string
}

// AppRecogniser tells which known app a signal is of. The same version gives the
// same answers.
type AppRecogniser interface {
	Version() string
	Recognise(s AppSignal) AppMatch
}
