// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Options configures Start. Only Company is required.
type Options struct {
	// Company is what the vendors know; it belongs to the server from then on
	// (read it through Server.Company). With a StateFile that exists, the
	// company in the file is served instead, as it was left.
	Company *Company
	// Listen is the address of every listener; default 127.0.0.1:0, and then
	// each gets a port of its own.
	Listen string
	// Ports gives fixed ports by vendor (and Admin) on the host of Listen.
	Ports map[string]int
	// Clock defaults to the real one.
	Clock clock.Clock
	// StateFile keeps the company, the messages and the effects between two
	// starts. Empty: in memory only.
	StateFile string
	// SlackInteractivityURL is where clicks are posted.
	SlackInteractivityURL string
	// HTTPClient posts clicks; nil is a plain client. Give one that trusts the
	// gateway's certificate.
	HTTPClient *http.Client
	// SlackBotScopes replaces the scopes of the bot token.
	SlackBotScopes []string
	// SpecDir holds the vendors' API descriptions, which are no part of the
	// project. Empty: only the shape of requests is checked.
	SpecDir string
	// RateLimit refuses more than so many calls to one endpoint in a minute.
	// Zero: limits are announced (600) and not enforced.
	RateLimit int
	// HRISDelimiter separates the fields of the export; default comma.
	HRISDelimiter rune
	// HRISWithBOM begins the export with a byte order mark.
	HRISWithBOM bool
	// LocalLinks makes Okta link to the listener and not, as the real one does,
	// to its own host name; for plain clients that know no override.
	LocalLinks bool
	// Truth are the rules for /_sim/truth.
	Truth TruthOptions
}

// Server is the set of running simulators.
type Server struct {
	opts    Options
	clock   clock.Clock
	vendors map[string]*vendor
	client  *http.Client // plays Slack when it calls the product

	mu         sync.Mutex
	state      *state
	faults     []*Fault
	faultID    int
	violations []Violation
	usage      map[string]*minute
	zoomTokens map[string]time.Time
	tokenCount int
	lastClick  *signedClick
	requests   map[string]int

	urls    map[string]string
	servers []*http.Server
	serving sync.WaitGroup
}

// Start runs the simulators until ctx ends or Close is called.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:0"
	}
	if opts.HRISDelimiter == 0 {
		opts.HRISDelimiter = ','
	}
	if opts.HTTPClient == nil {
		opts.HTTPClient = &http.Client{Timeout: 30 * time.Second}
	}
	st, err := loadState(opts.StateFile, opts.Company)
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts: opts, clock: opts.Clock, state: st,
		client:     opts.HTTPClient,
		usage:      map[string]*minute{},
		zoomTokens: map[string]time.Time{},
		requests:   map[string]int{},
		urls:       map[string]string{},
	}
	specs, err := loadSpecs(opts.SpecDir)
	if err != nil {
		return nil, err
	}
	s.vendors = map[string]*vendor{
		Okta: s.oktaVendor(), Slack: s.slackVendor(), Zoom: s.zoomVendor(), HRIS: s.hrisVendor(),
	}
	for name, v := range s.vendors {
		v.name, v.spec = name, specs[name]
	}
	if err := s.save(); err != nil {
		return nil, err
	}
	for _, name := range append(Vendors(), Admin) {
		if err := s.listen(name); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return s, nil
}

func (s *Server) listen(name string) error {
	address := s.opts.Listen
	if port, fixed := s.opts.Ports[name]; fixed {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return fmt.Errorf("listen address %q of the simulators: %w", address, err)
		}
		address = net.JoinHostPort(host, strconv.Itoa(port))
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("simulated %s: %w", name, err)
	}
	admin := s.adminHandler()
	handler := admin
	if v := s.vendors[name]; v != nil {
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isAdminPath(r.URL.Path) {
				admin.ServeHTTP(w, r)
				return
			}
			s.serve(v, w, r)
		})
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
	s.urls[name] = "http://" + l.Addr().String()
	s.servers = append(s.servers, srv)
	s.serving.Go(func() { _ = srv.Serve(l) })
	return nil
}

// Close stops the listeners. It may be called more than once.
func (s *Server) Close() error {
	var errs []error
	for _, srv := range s.servers {
		errs = append(errs, srv.Close())
	}
	s.serving.Wait()
	return errors.Join(errs...)
}

// URL is the base URL of a vendor, or of Admin.
func (s *Server) URL(vendor string) string { return s.urls[vendor] }

// Endpoints maps the host names that the product would call to the simulators,
// in the form of the operator's endpoint override.
func (s *Server) Endpoints() map[string]string {
	cfg := s.state.Company.Config
	return map[string]string{
		cfg.OktaHost():    s.urls[Okta],
		"slack.com":       s.urls[Slack],
		"api.slack.com":   s.urls[Slack],
		"hooks.slack.com": s.urls[Slack],
		"zoom.us":         s.urls[Zoom],
		"api.zoom.us":     s.urls[Zoom],
		cfg.HRISHost():    s.urls[HRIS],
	}
}

// Truth counts what a flawless observer would see now. A zero Now in o is the
// simulators' clock.
func (s *Server) Truth(o TruthOptions) *TruthReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.Now.IsZero() {
		o.Now = s.clock.Now()
	}
	return s.state.Company.Truth(o)
}

// Company is a copy of what the vendors know now.
func (s *Server) Company() (*Company, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := json.Marshal(s.state.Company)
	if err != nil {
		return nil, err
	}
	c := &Company{}
	return c, json.Unmarshal(data, c)
}

// Update changes the company under the simulators' feet, as an administrator
// at the vendor would, and keeps the change.
func (s *Server) Update(change func(*Company)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.state.Company)
	return s.save()
}

// Requests counts the calls received by vendor and path pattern, such as
// "zoom PATCH /v2/users/{id}".
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[string]int, len(s.requests))
	for k, n := range s.requests {
		counts[k] = n
	}
	return counts
}
