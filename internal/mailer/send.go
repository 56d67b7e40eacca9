// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package mailer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Outcome is how a mail ended.
type Outcome string

// Outcomes.
const (
	// Accepted: the server has taken the mail over.
	Accepted Outcome = "accepted"
	// Later: nothing was taken over, and it may go well another time.
	Later Outcome = "later"
	// Refused: nothing was taken over, and repeating it would not help.
	Refused Outcome = "refused"
	// Unknown: the connection ended between the end of the mail and the answer.
	Unknown Outcome = "unknown"
)

// Result is what came of a mail. Message is fit for a person and has neither a
// secret nor the address of the reader.
type Result struct {
	Outcome Outcome
	Code    int // of the server's last answer; 0: there was none
	Message string
}

// Client sends mails.
type Client struct {
	// Dial connects; it decides which addresses may be reached.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Final reports that a failure to connect would not go away by itself.
	Final func(error) bool
}

// maxTime bounds one mail whose caller sets no deadline.
const maxTime = 2 * time.Minute

// Send hands a message over for one reader.
func (c *Client) Send(ctx context.Context, s Server, to string, message []byte) Result {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	session, res := c.open(ctx, s)
	if session == nil {
		return res
	}
	res = session.transfer(s.From.Address, to, message)
	session.close(res.Code != 0)
	res.Message = withoutAddresses(res.Message, s.From.Address)
	return res
}

var address = regexp.MustCompile(`[^\s<>"'(),:;\[\]]+@[^\s<>"'(),:;\[\]]+`)

// withoutAddresses keeps people's addresses, which servers like to repeat, out
// of logs and conditions; the sender is nobody's.
func withoutAddresses(s, from string) string {
	return address.ReplaceAllStringFunc(s, func(found string) string {
		if strings.EqualFold(found, from) {
			return found
		}
		return "ADDRESS"
	})
}

// Check connects as Send would, signs in, and sends nothing.
func (c *Client) Check(ctx context.Context, s Server) Result {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	session, res := c.open(ctx, s)
	if session == nil {
		return res
	}
	session.close(true)
	return Result{Outcome: Accepted}
}

// session is one conversation with a server.
type session struct {
	*smtp.Client
	conn net.Conn
	stop func() bool
}

// goodbye bounds the end of a conversation, which nothing depends on.
const goodbye = 5 * time.Second

// close ends the conversation, politely with a server that still answers.
func (s *session) close(politely bool) {
	s.stop()
	_ = s.conn.SetDeadline(time.Now().Add(goodbye))
	if politely {
		_ = s.Quit() // what was taken over was answered for before
	}
	_ = s.Close()
}

func (c *Client) open(ctx context.Context, s Server) (*session, Result) {
	conn, err := c.Dial(ctx, "tcp", s.Address())
	if err != nil {
		return nil, c.unreachable(s, err)
	}
	// The end of the time, or of the lease, ends the conversation wherever it is.
	out := &session{conn: conn, stop: context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })}
	config := &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
	if s.Implicit {
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			out.stop()
			_ = conn.Close()
			return nil, untrusted(s, err)
		}
		conn = secured
	}
	if out.Client, err = smtp.NewClient(conn, s.Host); err != nil {
		out.stop()
		_ = conn.Close()
		return nil, answered(s, "the greeting", err)
	}
	if res, ok := out.begin(s, conn, config); !ok {
		out.close(res.Code != 0)
		return nil, res
	}
	return out, Result{}
}

// begin greets, secures the connection and signs in.
func (s *session) begin(server Server, conn net.Conn, config *tls.Config) (Result, bool) {
	if err := s.Hello(helloName(conn)); err != nil {
		return answered(server, "EHLO", err), false
	}
	if !server.Implicit {
		offered, _ := s.Extension("STARTTLS")
		switch {
		case offered:
			if err := s.StartTLS(config); err != nil {
				return untrusted(server, err), false
			}
		case !server.Plain:
			return Result{Outcome: Refused, Message: fmt.Sprintf("mail server %s offers no STARTTLS, and nothing is sent in the clear; use smtps://, or let the operator allow this relay", server.Address())}, false
		}
	}
	if server.Username == "" {
		return Result{}, true
	}
	if _, secured := s.TLSConnectionState(); !secured {
		return Result{Outcome: Refused, Message: fmt.Sprintf("mail server %s offers no TLS, and a password is not sent in the clear; leave username and password out of the Secret", server.Address())}, false
	}
	_, list := s.Extension("AUTH")
	ways := strings.Fields(strings.ToUpper(list))
	var auth smtp.Auth
	switch {
	case slices.Contains(ways, "PLAIN"):
		auth = smtp.PlainAuth("", server.Username, server.Password, server.Host)
	case slices.Contains(ways, "LOGIN"):
		auth = &loginAuth{server.Username, server.Password}
	default:
		return Result{Outcome: Refused, Message: fmt.Sprintf("mail server %s offers neither AUTH PLAIN nor AUTH LOGIN; leave username and password out of the Secret if it needs none", server.Address())}, false
	}
	if err := s.Auth(auth); err != nil {
		return answered(server, "the sign-in", err), false
	}
	return Result{}, true
}

// transfer sends one mail. Until the end of the data the server has taken
// nothing over; from then on a lost answer leaves it open.
func (s *session) transfer(from, to string, message []byte) Result {
	server := Server{}
	if err := s.Mail(from); err != nil {
		return answered(server, "the sender", err)
	}
	if err := s.Rcpt(to); err != nil {
		return answered(server, "the reader's address", err)
	}
	w, err := s.Data()
	if err != nil {
		return answered(server, "DATA", err)
	}
	if _, err := bytes.NewReader(message).WriteTo(w); err != nil {
		return answered(server, "the message", err)
	}
	err = w.Close()
	var reply *textproto.Error
	switch {
	case err == nil:
		return Result{Outcome: Accepted, Code: 250}
	case errors.As(err, &reply):
		return answered(server, "the message", err)
	}
	return Result{Outcome: Unknown, Message: "the connection to the mail server ended after the message was sent and before it was confirmed"}
}

// answered reads what a failed command means.
func answered(s Server, what string, err error) Result {
	where := "the mail server"
	if s.Host != "" {
		where = "mail server " + s.Address()
	}
	var reply *textproto.Error
	if !errors.As(err, &reply) {
		return Result{Outcome: Later, Message: fmt.Sprintf("the connection to %s broke at %s", where, what)}
	}
	res := Result{Outcome: Refused, Code: reply.Code, Message: fmt.Sprintf("%s refused %s: %d %s", where, what, reply.Code, printable(reply.Msg))}
	if reply.Code/100 == 4 {
		res.Outcome = Later
	}
	return res
}

func (c *Client) unreachable(s Server, err error) Result {
	res := Result{Outcome: Later, Message: fmt.Sprintf("mail server %s cannot be reached: %s", s.Address(), printable(rootOf(err).Error()))}
	if c.Final != nil && c.Final(err) {
		res.Outcome = Refused
		res.Message += "; the operator can allow a network with --allowed-network"
	}
	return res
}

// rootOf drops the addresses that net adds to an error.
func rootOf(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// untrusted tells a certificate that does not fit from a broken connection.
func untrusted(s Server, err error) Result {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return Result{Outcome: Refused, Message: fmt.Sprintf("the certificate of mail server %s is not trusted: %s; put its authority into key %s of the Secret, or correct the host", s.Address(), printable(certificate.Err.Error()), keyCA)}
	}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return answered(s, "STARTTLS", err)
	}
	return Result{Outcome: Later, Message: fmt.Sprintf("no TLS connection to mail server %s came about", s.Address())}
}

// maxReply keeps a server's words short.
const maxReply = 300

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > maxReply {
		s = string(r[:maxReply]) + "…"
	}
	return strings.TrimSpace(s)
}

// helloName is the address literal of RFC 5321 4.1.3: a pod has no name that a
// mail server could look up.
func helloName(conn net.Conn) string {
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	ip := net.ParseIP(host)
	switch {
	case err != nil || ip == nil:
		return "localhost"
	case ip.To4() == nil:
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + ip.String() + "]"
}

// loginAuth is AUTH LOGIN, which some servers offer alone. It is asked for only
// under TLS.
type loginAuth struct{ username, password string }

// Start implements smtp.Auth.
func (a *loginAuth) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS {
		return "", nil, errors.New("no TLS")
	}
	return "LOGIN", nil, nil
}

// Next implements smtp.Auth.
func (a *loginAuth) Next(fromServer []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	switch prompt := strings.ToLower(string(fromServer)); {
	case strings.HasPrefix(prompt, "user"):
		return []byte(a.username), nil
	case strings.HasPrefix(prompt, "pass"):
		return []byte(a.password), nil
	}
	return nil, errors.New("the server asks for neither username nor password")
}
