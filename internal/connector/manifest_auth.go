// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"regexp"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// secretField is one key of the Secret that an auth method reads.
type secretField struct {
	name, title string
	optional    bool
	pem         bool // a private key
	certificate bool
	rotates     bool // the vendor replaces it at each use
}

// authMethod is one way to sign in. Which one applies follows from the keys
// that the Secret has.
type authMethod struct {
	id, title, kind string
	secrets         []secretField

	token              *expr.Template // bearer
	headers            []pair         // header
	username, password *expr.Template // basic
	query              []pair         // query

	oauth  *oauthSpec // oauth2
	login  *loginSpec // session
	sendAs tokenHeader
}

// tokenHeader is how a token that was got is sent.
type tokenHeader struct{ name, prefix string }

// oauthSpec is how an OAuth 2.0 access token is got (RFC 6749, RFC 7523).
type oauthSpec struct {
	grant, clientAuth     string
	tokenURL              *expr.Template
	tokenQuery, tokenForm []pair
	scopes                map[string][]string
	separator             string // between scopes
	tokenField            string // dotted path in the answer
	assertion             *assertionSpec
	client                clientAssertion
	dpop                  string // how a proof of possession is wanted; empty: not at all
}

// clientAssertion is how a client signs for itself (RFC 7523, 2.2).
type clientAssertion struct {
	alg         string // empty: RS256 or ES256 by the key
	certificate string // the Secret key with the certificate, whose thumbprint names the key
}

// assertionSpec is the assertion of the JWT bearer grant (RFC 7523, 2.1).
type assertionSpec struct {
	iss, sub, aud, kid *expr.Template
	alg                string // RS256 or ES256
	key                string // the Secret key with the PEM
	ttl                time.Duration
	jti, scope         bool
	claims             []pair
}

// loginSpec is a request that exchanges the credential for a session token.
type loginSpec struct {
	request requestSpec
	token   *expr.Program
	expires *expr.Program // seconds
}

// pair is a named template, in document order.
type pair struct {
	name  string
	value *expr.Template
}

// named is a named expression, in document order.
type named struct {
	name string
	prg  *expr.Program
}

type httpSpec struct {
	baseURL     *expr.Template
	hosts       []pair
	headers     []pair
	timeout     time.Duration
	concurrency int
	limits      limitSpec
	errors      []errorRule
}

// limitSpec declares how the vendor speaks of its rate limit. Units are
// declared, never guessed: the same header name is a moment for some vendors
// and a delay for others.
type limitSpec struct {
	key            []string
	limit          string
	remaining      string
	reset          string
	resetFormat    string // epoch_s, epoch_ms, seconds, http_date
	retryAfter     string
	reservePercent int
	buckets        []bucketSpec
	usage          *usageSpec
}

// usageSpec is a header that tells how much of an allowance is used, and
// nothing of when it returns.
type usageSpec struct {
	header string
	regex  *regexp.Regexp // with the groups used and limit
	pause  time.Duration
}

type bucketSpec struct {
	match *expr.Program
	key   *expr.Program
	rate  Rate
}

type errorRule struct {
	when       *expr.Program
	class      ErrorClass
	message    *expr.Program
	retryAfter time.Duration
	fix        string
	refresh    bool // class auth: worth one new token
}

type accountSpec struct {
	request  requestSpec
	id, name *expr.Program
}

// requestSpec is a request as data.
type requestSpec struct {
	method  string
	path    *expr.Template
	host    string
	query   []pair
	form    []pair
	headers []pair
	body    *expr.Program
	graphql *graphqlSpec
	token   *expr.Template
	okWhen  *expr.Program
	// reads: declared to change nothing, whatever its method.
	reads bool
}

// graphqlSpec is a GraphQL document and its variables.
type graphqlSpec struct {
	query     string
	variables []named
}
