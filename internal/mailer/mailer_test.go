// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package mailer_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/fakesmtp"
	"github.com/seatkeeper/seatkeeper/internal/mailer"
)

const (
	reader = "ada@acme.example"
	sender = "Acme IT <seatkeeper@acme.example>"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func client(allowed ...netip.Prefix) *mailer.Client {
	return &mailer.Client{Dial: connector.NewDial(allowed), Final: connector.IsRefused}
}

func start(t *testing.T, o fakesmtp.Options) *fakesmtp.Server {
	t.Helper()
	s, err := fakesmtp.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func secret(s *fakesmtp.Server, more ...string) map[string]string {
	out := map[string]string{"url": s.URL(), "from": sender, "ca.crt": s.CA}
	for i := 0; i < len(more); i += 2 {
		out[more[i]] = more[i+1]
	}
	return out
}

func read(t *testing.T, data map[string]string, plain ...string) mailer.Server {
	t.Helper()
	s, err := mailer.ReadSecret(data, plain)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var message = []byte("Subject: hello\r\n\r\nA line.\r\n.A line with a dot.\r\n")

func TestSend(t *testing.T) {
	for name, c := range map[string]struct {
		options fakesmtp.Options
		more    []string
		tls     bool
	}{
		"STARTTLS":            {fakesmtp.Options{}, nil, true},
		"TLS":                 {fakesmtp.Options{ImplicitTLS: true}, nil, true},
		"STARTTLS AUTH PLAIN": {fakesmtp.Options{AuthWays: []string{"PLAIN", "LOGIN"}, Username: "u", Password: "p w"}, []string{"username", "u", "password", "p w"}, true},
		"STARTTLS AUTH LOGIN": {fakesmtp.Options{AuthWays: []string{"LOGIN", "XOAUTH2"}, Username: "u", Password: "p"}, []string{"username", "u", "password", "p"}, true},
		"TLS AUTH LOGIN":      {fakesmtp.Options{ImplicitTLS: true, AuthWays: []string{"LOGIN"}, Username: "u", Password: "p"}, []string{"username", "u", "password", "p"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c.options)
			res := client(loopback...).Send(t.Context(), read(t, secret(s, c.more...)), reader, message)
			if res.Outcome != mailer.Accepted {
				t.Fatalf("%+v", res)
			}
			got := s.Messages()
			if len(got) != 1 || got[0].From != "seatkeeper@acme.example" || got[0].To != reader || got[0].TLS != c.tls || got[0].User != c.options.Username {
				t.Fatalf("%+v", got)
			}
			if want := strings.ReplaceAll(string(message), "\r\n", "\n"); string(got[0].Data) != want {
				t.Errorf("got %q, want %q", got[0].Data, want)
			}
			if res := client(loopback...).Check(t.Context(), read(t, secret(s, c.more...))); res.Outcome != mailer.Accepted || len(s.Messages()) != 1 {
				t.Errorf("Check = %+v, %d messages", res, len(s.Messages()))
			}
		})
	}
}

// What a misbehaving server does, and what may be done after it.
func TestOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		stage, reply string
		want         mailer.Outcome
		code         int
		taken        int
	}{
		"no connection":         {fakesmtp.Connect, fakesmtp.Drop, mailer.Later, 0, 0},
		"too busy":              {fakesmtp.Connect, "421 4.3.2 try later", mailer.Later, 421, 0},
		"we are not welcome":    {fakesmtp.Connect, "554 5.7.1 no", mailer.Refused, 554, 0},
		"EHLO dropped":          {fakesmtp.EHLO, fakesmtp.Drop, mailer.Later, 0, 0},
		"STARTTLS not now":      {fakesmtp.StartTLS, "454 4.7.0 not now", mailer.Later, 454, 0},
		"sender refused":        {fakesmtp.MailFrom, "550 5.7.60 may not send as", mailer.Refused, 550, 0},
		"greylisted":            {fakesmtp.RcptTo, "451 4.7.1 <ada@acme.example>: come back", mailer.Later, 451, 0},
		"unknown reader":        {fakesmtp.RcptTo, "550 5.1.1 <ADA@acme.example>: unknown", mailer.Refused, 550, 0},
		"full":                  {fakesmtp.RcptTo, "452 4.2.2 full", mailer.Later, 452, 0},
		"dropped at RCPT":       {fakesmtp.RcptTo, fakesmtp.Drop, mailer.Later, 0, 0},
		"DATA refused":          {fakesmtp.Data, "554 5.6.0 no", mailer.Refused, 554, 0},
		"dropped at DATA":       {fakesmtp.Data, fakesmtp.Drop, mailer.Later, 0, 0},
		"message refused":       {fakesmtp.End, "552 5.3.4 too big", mailer.Refused, 552, 0},
		"message not now":       {fakesmtp.End, "451 4.3.0 not now", mailer.Later, 451, 0},
		"lost after the data":   {fakesmtp.End, fakesmtp.Drop, mailer.Unknown, 0, 0},
		"taken and not told so": {fakesmtp.End, fakesmtp.TakeAndDrop, mailer.Unknown, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, fakesmtp.Options{})
			s.Script(c.stage, c.reply)
			res := client(loopback...).Send(t.Context(), read(t, secret(s)), reader, message)
			if res.Outcome != c.want || res.Code != c.code || len(s.Messages()) != c.taken {
				t.Errorf("%+v with %d messages, want %s, code %d, %d", res, len(s.Messages()), c.want, c.code, c.taken)
			}
			if res.Message == "" || strings.Contains(strings.ToLower(res.Message), "ada") {
				t.Errorf("message %q", res.Message)
			}
			if res := client(loopback...).Send(t.Context(), read(t, secret(s)), reader, message); res.Outcome != mailer.Accepted {
				t.Errorf("afterwards: %+v", res)
			}
		})
	}
}

// The end of the time ends a conversation wherever it hangs.
func TestTimeRunsOut(t *testing.T) {
	for stage, want := range map[string]mailer.Outcome{
		fakesmtp.Connect: mailer.Later, fakesmtp.EHLO: mailer.Later, fakesmtp.StartTLS: mailer.Later, fakesmtp.RcptTo: mailer.Later, fakesmtp.End: mailer.Unknown,
	} {
		t.Run(stage, func(t *testing.T) {
			s := start(t, fakesmtp.Options{})
			s.Script(stage, fakesmtp.Hang)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if res := client(loopback...).Send(ctx, read(t, secret(s)), reader, message); res.Outcome != want {
				t.Errorf("%+v, want %s", res, want)
			}
		})
	}
}

func TestNothingInTheClear(t *testing.T) {
	s := start(t, fakesmtp.Options{NoTLS: true, AuthWays: []string{"PLAIN"}, Username: "u", Password: "p"})
	send := func(data map[string]string, plain ...string) mailer.Result {
		return client(loopback...).Send(t.Context(), read(t, data, plain...), reader, message)
	}
	if res := send(secret(s)); res.Outcome != mailer.Refused || !strings.Contains(res.Message, "STARTTLS") {
		t.Errorf("without leave: %+v", res)
	}
	if res := send(secret(s, "username", "u", "password", "p"), s.Addr()); res.Outcome != mailer.Refused || !strings.Contains(res.Message, "password") {
		t.Errorf("a password in the clear: %+v", res)
	}
	if len(s.Messages()) != 0 {
		t.Fatal("a mail went out in the clear")
	}
	if res := send(secret(s), s.Addr()); res.Outcome != mailer.Accepted {
		t.Errorf("with the operator's leave: %+v", res)
	}
	secured := start(t, fakesmtp.Options{})
	if res := send(secret(secured), secured.Addr()); res.Outcome != mailer.Accepted || !secured.Messages()[0].TLS {
		t.Errorf("leave is no wish: %+v", res)
	}
}

func TestCertificateIsChecked(t *testing.T) {
	other := start(t, fakesmtp.Options{})
	for name, o := range map[string]fakesmtp.Options{"STARTTLS": {}, "TLS": {ImplicitTLS: true}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, o)
			data := secret(s)
			data["ca.crt"] = other.CA
			res := client(loopback...).Send(t.Context(), read(t, data), reader, message)
			if res.Outcome != mailer.Refused || !strings.Contains(res.Message, "certificate") || len(s.Messages()) != 0 {
				t.Errorf("%+v", res)
			}
		})
	}
}

func TestWrongPassword(t *testing.T) {
	s := start(t, fakesmtp.Options{AuthWays: []string{"PLAIN"}, Username: "u", Password: "p"})
	res := client(loopback...).Send(t.Context(), read(t, secret(s, "username", "u", "password", "hunter2")), reader, message)
	if res.Outcome != mailer.Refused || res.Code != 535 || strings.Contains(res.Message, "hunter2") {
		t.Errorf("%+v", res)
	}
	none := start(t, fakesmtp.Options{})
	res = client(loopback...).Send(t.Context(), read(t, secret(none, "username", "u", "password", "p")), reader, message)
	if res.Outcome != mailer.Refused || !strings.Contains(res.Message, "AUTH") {
		t.Errorf("%+v", res)
	}
}

// Invariant 11: a tenant's Secret opens no private network.
func TestPrivateAddressesAreRefused(t *testing.T) {
	s := start(t, fakesmtp.Options{})
	res := client().Send(t.Context(), read(t, secret(s)), reader, message)
	if res.Outcome != mailer.Refused || !strings.Contains(res.Message, "loopback") || len(s.Messages()) != 0 {
		t.Errorf("%+v", res)
	}
	trusted := &mailer.Client{Dial: connector.NewDial(nil, s.Addr()), Final: connector.IsRefused}
	if res := trusted.Send(t.Context(), read(t, secret(s)), reader, message); res.Outcome != mailer.Accepted {
		t.Errorf("named by the operator: %+v", res)
	}
}

func TestReadSecret(t *testing.T) {
	good := map[string]string{"url": "smtp://mail.acme.example", "from": sender, "username": "u", "password": "hunter2"}
	s := read(t, good, "MAIL.acme.example:587")
	if s.Address() != "mail.acme.example:587" || s.Implicit || !s.Plain || s.From.Name != "Acme IT" {
		t.Errorf("%+v", s)
	}
	if s := read(t, map[string]string{"url": "smtps://mail.acme.example/", "from": "a@b.example"}, "mail.acme.example:465"); s.Port != "465" || !s.Implicit || s.Plain {
		t.Errorf("%+v", s)
	}
	for name, c := range map[string]struct{ key, value, wrong string }{
		"no url":        {"url", "", "url"},
		"http":          {"url", "http://mail.acme.example", "url"},
		"password":      {"url", "smtp://u:hunter2@mail.acme.example", "url"},
		"path":          {"url", "smtp://mail.acme.example/x", "url"},
		"query":         {"url", "smtp://mail.acme.example?tls=off", "url"},
		"port":          {"url", "smtp://mail.acme.example:0", "url"},
		"large port":    {"url", "smtp://mail.acme.example:99999", "url"},
		"no from":       {"from", "", "from"},
		"two from":      {"from", "a@b.example, c@d.example", "from"},
		"from injected": {"from", "a@b.example\r\nBcc: c@d.example", "from"},
		"from unicode":  {"from", "ä@b.example", "from"},
		"no username":   {"username", "", "username"},
		"no password":   {"password", "", "password"},
		"no PEM":        {"ca.crt", "x", "ca.crt"},
	} {
		t.Run(name, func(t *testing.T) {
			data := map[string]string{c.key: c.value}
			for k, v := range good {
				if k != c.key {
					data[k] = v
				}
			}
			_, err := mailer.ReadSecret(data, nil)
			var wrong *mailer.SecretError
			if !errors.As(err, &wrong) || wrong.Key != c.wrong || bytes.Contains([]byte(err.Error()), []byte("hunter2")) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// FuzzReadSecret: whatever a Secret holds, no error repeats its password, and
// what is read can be written to.
func FuzzReadSecret(f *testing.F) {
	f.Add("smtp://mail.acme.example:587", sender, "u", "hunter2hunter2", "")
	f.Add("smtps://[::1]:465/", "a@b.example", "", "", "x")
	f.Add("smtp://u:hunter2hunter2@h?x#y", "\r\nBcc: x@y", "", "hunter2hunter2", "-----BEGIN CERTIFICATE-----")
	f.Fuzz(func(t *testing.T, address, from, username, password, ca string) {
		s, err := mailer.ReadSecret(map[string]string{"url": address, "from": from, "username": username, "password": password, "ca.crt": ca}, nil)
		switch {
		case err != nil && len(password) > 12 && strings.Contains(err.Error(), password):
			t.Errorf("the error holds the password: %v", err)
		case err != nil:
		case s.Host == "" || s.Plain || strings.ContainsAny(s.From.Address, "\r\n<> ") || (s.Username == "") != (s.Password == ""):
			t.Errorf("read as %+v", s)
		}
	})
}
