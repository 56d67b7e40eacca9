// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fakesmtp is a mail server for tests: real TCP, STARTTLS or TLS from
// the first byte, AUTH, and any misbehaviour that a test asks for.
package fakesmtp

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// Stages of a conversation that a reply can be scripted for. End is the end of
// the data, after which the message counts.
const (
	Connect  = "CONNECT"
	EHLO     = "EHLO"
	StartTLS = "STARTTLS"
	Auth     = "AUTH"
	MailFrom = "MAIL"
	RcptTo   = "RCPT"
	Data     = "DATA"
	End      = "END"
)

// Replies that are no text.
const (
	// Drop closes the connection without an answer.
	Drop = "drop"
	// TakeAndDrop takes the message over and closes without an answer.
	TakeAndDrop = "take and drop"
	// Hang gives no answer until the client gives up.
	Hang = "hang"
)

// Options say how the server presents itself.
type Options struct {
	ImplicitTLS bool
	NoTLS       bool     // offers no STARTTLS
	AuthWays    []string // empty: none
	Username    string
	Password    string
}

// Message is a mail that the server took over.
type Message struct {
	From, To string
	Data     []byte
	TLS      bool
	User     string
}

// Server is a running server.
type Server struct {
	// CA is the certificate to trust, in PEM.
	CA string

	options  Options
	listener net.Listener
	config   *tls.Config
	wg       sync.WaitGroup
	mu       sync.Mutex
	script   map[string][]string
	messages []Message
	conns    map[net.Conn]bool
	closed   bool
}

// Start serves on a free port of 127.0.0.1.
func Start(o Options) (*Server, error) {
	s := &Server{options: o, script: map[string][]string{}, conns: map[net.Conn]bool{}}
	certificate, ca, err := selfSigned()
	if err != nil {
		return nil, fmt.Errorf("fake mail server: %w", err)
	}
	s.CA, s.config = ca, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("fake mail server: %w", err)
	}
	s.wg.Go(s.accept)
	return s, nil
}

// Addr is the server's host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL is the server's address as a Secret has it.
func (s *Server) URL() string {
	if s.options.ImplicitTLS {
		return "smtps://" + s.Addr()
	}
	return "smtp://" + s.Addr()
}

// Close ends every conversation and waits for it.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	_ = s.listener.Close()
	s.wg.Wait()
}

// Script makes the server answer the stage with the replies, one each time, and
// properly again after them.
func (s *Server) Script(stage string, replies ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script[stage] = append(s.script[stage], replies...)
}

// Messages are the mails that were taken over, the oldest first.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = conn.Close()
			return
		}
		s.conns[conn] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			(&conversation{s: s, conn: conn}).serve()
			_ = conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

// conversation is one connection.
type conversation struct {
	s    *Server
	conn net.Conn
	text *textproto.Conn
	tls  bool
	Message
}

func (c *conversation) serve() {
	if c.s.options.ImplicitTLS {
		c.conn, c.tls = tls.Server(c.conn, c.s.config), true
	}
	c.text = textproto.NewConn(c.conn)
	if !c.answer(Connect, "220 fake ESMTP") {
		return
	}
	for {
		line, err := c.text.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		if !c.command(strings.ToUpper(verb), rest) {
			return
		}
	}
}

// command answers one command; false ends the conversation.
func (c *conversation) command(verb, rest string) bool {
	switch verb {
	case "EHLO", "HELO":
		return c.answer(EHLO, strings.Join(c.extensions(), "\r\n"))
	case "STARTTLS":
		if !c.answer(StartTLS, "220 go on") {
			return false
		}
		c.conn, c.tls = tls.Server(c.conn, c.s.config), true
		c.text = textproto.NewConn(c.conn)
		return true
	case "AUTH":
		return c.auth(rest)
	case "MAIL":
		c.From = between(rest)
		return c.answer(MailFrom, "250 ok")
	case "RCPT":
		c.To = between(rest)
		return c.answer(RcptTo, "250 ok")
	case "DATA":
		return c.data()
	case "QUIT":
		_ = c.text.PrintfLine("221 bye")
		return false
	case "RSET", "NOOP":
		return c.text.PrintfLine("250 ok") == nil
	}
	return c.text.PrintfLine("500 not known") == nil
}

func (c *conversation) extensions() []string {
	lines := []string{"fake", "8BITMIME"}
	if !c.tls && !c.s.options.NoTLS {
		lines = append(lines, "STARTTLS")
	}
	if ways := c.s.options.AuthWays; len(ways) > 0 {
		lines = append(lines, "AUTH "+strings.Join(ways, " "))
	}
	for i := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		lines[i] = "250" + sep + lines[i]
	}
	return lines
}

func (c *conversation) auth(rest string) bool {
	way, initial, _ := strings.Cut(rest, " ")
	var user, password string
	if strings.EqualFold(way, "PLAIN") {
		raw, _ := base64.StdEncoding.DecodeString(initial)
		if parts := strings.Split(string(raw), "\x00"); len(parts) == 3 {
			user, password = parts[1], parts[2]
		}
	} else {
		for _, v := range []struct {
			prompt string
			into   *string
		}{{"Username:", &user}, {"Password:", &password}} {
			_ = c.text.PrintfLine("334 %s", base64.StdEncoding.EncodeToString([]byte(v.prompt)))
			line, err := c.text.ReadLine()
			if err != nil {
				return false
			}
			raw, _ := base64.StdEncoding.DecodeString(line)
			*v.into = string(raw)
		}
	}
	if user != c.s.options.Username || password != c.s.options.Password {
		return c.text.PrintfLine("535 5.7.8 who are you") == nil
	}
	c.User = user
	return c.answer(Auth, "235 welcome")
}

func (c *conversation) data() bool {
	if reply := c.s.next(Data); reply != "" {
		return c.say(reply)
	}
	if c.text.PrintfLine("354 go on") != nil {
		return false
	}
	raw, err := io.ReadAll(c.text.DotReader())
	if err != nil {
		return false
	}
	m := c.Message
	m.Data, m.TLS = raw, c.tls
	take := func() {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		c.s.messages = append(c.s.messages, m)
	}
	switch reply := c.s.next(End); reply {
	case TakeAndDrop:
		take()
		return false
	case "":
		take()
		return c.text.PrintfLine("250 taken") == nil
	default:
		return c.say(reply)
	}
}

// next is the scripted reply of a stage.
func (s *Server) next(stage string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.script[stage]
	if len(q) == 0 {
		return ""
	}
	s.script[stage] = q[1:]
	return q[0]
}

// answer gives the scripted reply, or the proper one. After a scripted refusal
// the conversation goes on as servers do.
func (c *conversation) answer(stage, proper string) bool {
	if reply := c.s.next(stage); reply != "" {
		return c.say(reply)
	}
	return c.text.PrintfLine("%s", proper) == nil
}

func (c *conversation) say(reply string) bool {
	switch reply {
	case Drop, TakeAndDrop:
		return false
	case Hang:
		_, _ = bufio.NewReader(c.conn).ReadByte() // until the client closes
		return false
	}
	return c.text.PrintfLine("%s", reply) == nil
}

func between(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}

// selfSigned makes a certificate of 127.0.0.1 and localhost.
func selfSigned() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fake mail server"}, NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}
