// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/answerlink"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/mailer"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// mails sends the mails of the workflow engine through the tenant's own mail
// server, and hands every other call on.
//
// A mail that may have arrived is sent again: it has the same Message-ID and the
// same links, of which the first answer counts, so that a second copy does no
// harm and a lost one would.
type mails struct {
	workflow.Actions
	objects client.Reader // the manager's cache, for the Organization
	secrets syncer.SecretReader
	spaces  *tenantNames
	client  *mailer.Client
	plain   []string // relays that the operator lets be reached without TLS
	clock   clock.PassiveClock
}

var _ workflow.Actions = (*mails)(nil)

// noMail says why the tenant cannot send mails, until somebody mends it.
type noMail struct {
	reason, message string
}

func (e *noMail) Error() string { return e.message }

// server reads the tenant's mail server, each time anew (decision 12).
func (m *mails) server(ctx context.Context, tenant model.TenantID) (mailer.Server, error) {
	ns, err := m.spaces.of(ctx, tenant)
	if err != nil {
		return mailer.Server{}, err
	}
	name, err := smtpSecretOf(ctx, m.objects, ns)
	if err != nil {
		return mailer.Server{}, err
	}
	return readMailServer(ctx, m.secrets, ns, name, m.plain)
}

// smtpSecretOf is the Secret that the Organization names; empty: none.
func smtpSecretOf(ctx context.Context, objects client.Reader, namespace string) (string, error) {
	var org v1alpha1.Organization
	err := objects.Get(ctx, client.ObjectKey{Namespace: namespace, Name: v1alpha1.OrganizationName}, &org)
	if err != nil && !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("read the Organization: %w", err)
	}
	if n := org.Spec.Notifications; n != nil {
		return string(n.SMTPSecretName), nil
	}
	return "", nil
}

// readMailServer reads the Secret of a mail server. What somebody has to mend is
// a noMail.
func readMailServer(ctx context.Context, secrets syncer.SecretReader, namespace, name string, plain []string) (mailer.Server, error) {
	if name == "" {
		return mailer.Server{}, &noMail{v1alpha1.ReasonMailNotConfigured, "the Organization names no mail server: set spec.notifications.smtpSecretName"}
	}
	secret, err := secrets.ReadSecret(ctx, namespace, name)
	var absent *syncer.SecretNotFoundError
	var denied *syncer.SecretDeniedError
	switch {
	case errors.As(err, &absent):
		return mailer.Server{}, &noMail{v1alpha1.ReasonSecretNotFound, "spec.notifications.smtpSecretName: " + absent.Error()}
	case errors.As(err, &denied):
		return mailer.Server{}, &noMail{v1alpha1.ReasonSecretAccessDenied, denied.Error()}
	case err != nil:
		return mailer.Server{}, err
	}
	server, err := mailer.ReadSecret(secret.Data, plain)
	if err != nil {
		return mailer.Server{}, &noMail{v1alpha1.ReasonMailSecretInvalid, fmt.Sprintf("Secret %q of the mail server: %v", name, err)}
	}
	return server, nil
}

// Action implements workflow.Actions.
func (m *mails) Action(ctx context.Context, tenant model.TenantID, integration, action string) (workflow.ActionInfo, error) {
	if integration != workflow.MailIntegration {
		return m.Actions.Action(ctx, tenant, integration, action)
	}
	info := workflow.ActionInfo{Class: workflow.ClassIdempotent}
	_, err := m.server(ctx, tenant)
	var none *noMail
	if errors.As(err, &none) {
		info.Refused, err = none.message, nil
	}
	return info, err
}

// Precheck implements workflow.Actions.
func (m *mails) Precheck(ctx context.Context, tenant model.TenantID, c workflow.Call) (workflow.Result, error) {
	if c.Integration != workflow.MailIntegration {
		return m.Actions.Precheck(ctx, tenant, c)
	}
	return workflow.Result{Class: workflow.ResultAbsent}, nil
}

// Verify implements workflow.Actions. Nobody can tell whether a mail arrived.
func (m *mails) Verify(ctx context.Context, tenant model.TenantID, c workflow.Call) (workflow.Result, error) {
	if c.Integration != workflow.MailIntegration {
		return m.Actions.Verify(ctx, tenant, c)
	}
	return workflow.Result{Class: workflow.ResultUnknown, Message: "a mail server does not tell what it has sent"}, nil
}

// Execute implements workflow.Actions.
func (m *mails) Execute(ctx context.Context, tenant model.TenantID, c workflow.Call) (workflow.Result, error) {
	if c.Integration != workflow.MailIntegration {
		return m.Actions.Execute(ctx, tenant, c)
	}
	server, err := m.server(ctx, tenant)
	var none *noMail
	switch {
	case errors.As(err, &none):
		return workflow.Result{Class: workflow.ResultDenied, Message: none.message}, nil
	case err != nil:
		return workflow.Result{Class: workflow.ResultFailed, Message: err.Error()}, nil
	}
	text := func(key string) string { s, _ := c.Input[key].(string); return s }
	to := text(workflow.MailTo)
	message, err := notify.MIME(notify.Mail{Subject: text(workflow.MailSubject), Text: text(workflow.MailText), HTML: text(workflow.MailHTML)},
		notify.Envelope{From: server.From, To: to, Key: c.IdemKey, InReplyTo: text(workflow.MailInReplyTo), Date: m.clock.Now()})
	if err != nil {
		return workflow.Result{Class: workflow.ResultDenied, Message: err.Error()}, nil
	}
	sent := m.client.Send(ctx, server, to, message)
	res := workflow.Result{StatusCode: sent.Code, Message: sent.Message}
	switch sent.Outcome {
	case mailer.Accepted:
		res.Class, res.Sent = workflow.ResultDone, true
		res.Output = map[string]any{workflow.MailMessageID: notify.MessageID(c.IdemKey, server.From), workflow.MailTo: to}
	case mailer.Later:
		res.Class = workflow.ResultFailed // provably not taken over: Sent stays false
	case mailer.Refused:
		res.Class = workflow.ResultDenied
	default:
		res.Class, res.Sent = workflow.ResultUnknown, true
	}
	return res, nil
}

// mailClient keeps tenants' mail servers out of private networks, as their
// Integrations (invariant 11). A relay that the operator names may be anywhere.
func mailClient(o Options) *mailer.Client {
	return &mailer.Client{Dial: connector.NewDial(o.AllowedNetworks, o.PlaintextMailRelays...), Final: connector.IsRefused}
}

// linkMaker makes the link by which an assignee answers a prompt.
type linkMaker = func(tenant model.TenantID, promptID string, to store.Assignee) (string, error)

// mails puts the sending of mails before the actions of vendors.
func (w *wiring) mails(vendors workflow.Actions) *mails {
	o := w.options
	return &mails{Actions: vendors, objects: w.GetCache(), secrets: secretReader{reader: w.GetAPIReader(), serviceAccount: o.ServiceAccount}, spaces: w.spaces,
		client: mailClient(o), plain: o.PlaintextMailRelays, clock: o.Clock}
}

// answerLinks makes the links by which people answer from an e-mail; nil where
// nobody knows under which address they reach the gateway.
func answerLinks(publicURL string, keys answerlink.Keys) linkMaker {
	if publicURL == "" {
		return nil
	}
	base := strings.TrimSuffix(publicURL, "/") + answerlink.Path
	return func(tenant model.TenantID, promptID string, to store.Assignee) (string, error) {
		token, err := keys.Token(tenant, promptID, answerlink.Addressee{PersonID: to.PersonID, Email: to.Email})
		return base + token, err
	}
}
