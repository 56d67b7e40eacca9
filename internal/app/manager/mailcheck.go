// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/controllers/organization"
	"github.com/seatkeeper/seatkeeper/internal/mailer"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
)

// mailChecks tells controllers whether people can be asked by e-mail.
type mailChecks struct {
	objects   client.Reader
	secrets   syncer.SecretReader
	client    *mailer.Client
	plain     []string
	publicURL string
	clock     clock.PassiveClock

	mu    sync.Mutex
	known map[string]checkedMail // by namespace
}

// checkedMail is what a mail server said.
type checkedMail struct {
	server string // what was asked: a change asks again
	at     time.Time
	result mailer.Result
}

const (
	// checkedFor is how long an answer of a mail server stands: an Organization
	// is looked at whenever its inventory changes.
	checkedFor = 15 * time.Minute
	// checkTimeout bounds one look: a server that hangs must not hold up the
	// controller.
	checkTimeout = 10 * time.Second
)

const noPublicURL = "no address is known under which people reach the gateway: start the manager with --public-url (chart: gateway.publicURL)"

func (w *wiring) mailChecks() *mailChecks {
	o := w.options
	return &mailChecks{objects: w.GetClient(), secrets: secretReader{reader: w.GetAPIReader(), serviceAccount: o.ServiceAccount}, client: mailClient(o), plain: o.PlaintextMailRelays,
		publicURL: o.PublicURL, clock: o.Clock, known: map[string]checkedMail{}}
}

// Problem implements licensepolicy.Mail.
func (m *mailChecks) Problem(ctx context.Context, namespace, secretName string) (reason, message string, err error) {
	_, err = readMailServer(ctx, m.secrets, namespace, secretName, m.plain)
	var none *noMail
	switch {
	case errors.As(err, &none):
		return none.reason, none.message, nil
	case err != nil:
		return "", "", err
	case m.publicURL == "":
		return v1alpha1.ReasonPublicURLUnset, noPublicURL, nil
	}
	return "", "", nil
}

// ProblemIn implements workflow.Mail.
func (m *mailChecks) ProblemIn(ctx context.Context, namespace string) (reason, message string, err error) {
	name, err := smtpSecretOf(ctx, m.objects, namespace)
	if err != nil {
		return "", "", err
	}
	return m.Problem(ctx, namespace, name)
}

// Check implements organization.Mail.
func (m *mailChecks) Check(ctx context.Context, namespace, secretName string) (organization.MailState, error) {
	server, err := readMailServer(ctx, m.secrets, namespace, secretName, m.plain)
	var none *noMail
	if errors.As(err, &none) {
		return organization.MailState{Status: metav1.ConditionFalse, Reason: none.reason, Message: none.message}, nil
	}
	if err != nil {
		return organization.MailState{}, err
	}
	switch res := m.asked(ctx, namespace, server); {
	case res.Outcome == mailer.Refused:
		return organization.MailState{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonMailServerUnusable, Message: res.Message}, nil
	case res.Outcome != mailer.Accepted:
		return organization.MailState{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonMailServerUnreachable, Message: res.Message}, nil
	case m.publicURL == "":
		return organization.MailState{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPublicURLUnset, Message: "the mail server takes mails, but nobody can be asked by e-mail: " + noPublicURL}, nil
	}
	return organization.MailState{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonMailServerReady, Message: "people can be asked and told by e-mail, through " + server.Address()}, nil
}

// asked is what the server said a moment ago, or says now.
func (m *mailChecks) asked(ctx context.Context, namespace string, server mailer.Server) mailer.Result {
	id := server.Fingerprint()
	now := m.clock.Now()
	m.mu.Lock()
	have, ok := m.known[namespace]
	m.mu.Unlock()
	if ok && have.server == id && now.Sub(have.at) < checkedFor && have.result.Outcome == mailer.Accepted {
		return have.result
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	res := m.client.Check(ctx, server)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[namespace] = checkedMail{server: id, at: now, result: res}
	return res
}
