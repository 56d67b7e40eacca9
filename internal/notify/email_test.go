// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"
)

var (
	itDesk = mail.Address{Name: "Acme ÏT", Address: "it@acme.example"}
	sentAt = time.Date(2026, 11, 21, 8, 30, 0, 0, time.UTC)
)

func envelope() Envelope {
	return Envelope{From: itDesk, To: "ada@acme.example", Key: "2f1c5e4e-8f0a-5b7e-9d51-0c1f6a2b3c4d", Date: sentAt}
}

func linkedTo(q Question) Question {
	q.Links = map[string]string{}
	for _, p := range q.Prompts() {
		q.Links[p.ID] = "https://seatkeeper.acme.example/answer/TOKEN-" + p.ID
	}
	return q
}

func TestMails(t *testing.T) {
	about := question(t)
	about.Holder = "Ada <script>"
	about.Reminder = 1
	notice := matter(t, Matter{Kind: Notice, Subject: "Jo has left", Text: "Zoom was given back.\n\nNothing is to be done."})
	for name, m := range map[string]Mail{
		"mail-question": QuestionMail(linkedTo(question(t))),
		"mail-several":  QuestionMail(linkedTo(several(t))),
		"mail-reminder": QuestionMail(linkedTo(about)),
		"mail-approval": QuestionMail(linkedTo(matter(t, Matter{Kind: Approval, Text: "Delete the account of Jo?\n\nIt has <b>files</b>.", Options: []string{Approve, Reject}, Silence: "it counts as Reject"}))),
		"mail-notice":   QuestionMail(notice),
		"mail-closing":  ClosingMail(Closing{Outcome: Kept, App: "Zoom", Plan: "Licensed", Decided: "you chose Keep", Until: "2027-02-19", Contact: "it@acme.example"}),
		"mail-plain":    PlainMail("A renewal is near", "Zoom ends on 2027-01-31.\r\n\r\nAsk it@acme.example."),
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name, "Subject: "+m.Subject+"\n\n"+m.Text+"---\n"+m.HTML)
			if strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML, "<b>") {
				t.Error("what people wrote is not escaped")
			}
			if strings.Contains(m.Text+m.HTML, "token-1") {
				t.Error("the mail holds the token of another channel")
			}
		})
	}
}

// Decision 32, in both parts of the mail.
func TestMailSaysEverything(t *testing.T) {
	m := QuestionMail(linkedTo(question(t)))
	for _, fact := range []string{"Acme IT asks", "were not used for 90 days", "Zoom, Licensed", "2026-07-27 09:30", "zoom.last_login_time", "your seat is downgraded to Basic",
		"2026-11-24 18:00", "you keep the seat; nothing changes", "ask for it in the catalog", "it@acme.example", "https://seatkeeper.acme.example/answer/TOKEN-prompt-1"} {
		if !strings.Contains(m.Text, fact) || !strings.Contains(strings.NewReplacer("&#43;", "+", "&#39;", "'").Replace(m.HTML), fact) {
			t.Errorf("a part of the mail does not say %q", fact)
		}
	}
}

// read takes a message apart as mail programs do.
func read(raw []byte) (header mail.Header, text, html string, err error) {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, "", "", err
	}
	mediaType, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/alternative" {
		return nil, "", "", errors.Join(err, errors.New(mediaType))
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, want := range []struct {
		mediaType string
		into      *string
	}{{"text/plain", &text}, {"text/html", &html}} {
		part, err := parts.NextRawPart()
		if err != nil {
			return nil, "", "", err
		}
		if got := part.Header.Get("Content-Type"); got != want.mediaType+"; charset=utf-8" {
			return nil, "", "", errors.New("part " + got)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return nil, "", "", err
		}
		*want.into = strings.ReplaceAll(string(body), "\r\n", "\n")
	}
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		return nil, "", "", errors.New("more parts than two")
	}
	return m.Header, text, html, nil
}

func TestMIME(t *testing.T) {
	m := QuestionMail(linkedTo(question(t)))
	m.Subject = "Brauchst du Zoom noch, Jürgen? " + strings.Repeat("schön ", 12)
	raw, err := MIME(m, envelope())
	if err != nil {
		t.Fatal(err)
	}
	again, err := MIME(m, envelope())
	if err != nil || !bytes.Equal(raw, again) {
		t.Error("the same mail is written differently")
	}
	header, text, html, err := read(raw)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
	if err != nil || decoded != m.Subject {
		t.Errorf("subject %q, %v", decoded, err)
	}
	if from, err := header.AddressList("From"); err != nil || len(from) != 1 || *from[0] != itDesk {
		t.Errorf("from %v, %v", from, err)
	}
	if date, err := header.Date(); err != nil || !date.Equal(sentAt) {
		t.Errorf("date %v, %v", date, err)
	}
	for name, want := range map[string]string{"To": "<ada@acme.example>", "Message-Id": "<2f1c5e4e-8f0a-5b7e-9d51-0c1f6a2b3c4d@acme.example>", "Auto-Submitted": "auto-generated", "In-Reply-To": ""} {
		if got := header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if text != m.Text || html != m.HTML {
		t.Errorf("the parts are not as given:\n%s\n%s", text, html)
	}
	lines(t, raw)
	e := envelope()
	e.InReplyTo = "<a-b.c@acme.example>"
	raw, err = MIME(m, e)
	if err != nil || !bytes.Contains(raw, []byte("\r\nIn-Reply-To: <a-b.c@acme.example>\r\nReferences: <a-b.c@acme.example>\r\n")) {
		t.Errorf("%v\n%s", err, raw)
	}
}

// lines checks RFC 5322 2.1.1 and 2.3: lines end with CRLF and are not long.
func lines(t *testing.T, raw []byte) {
	t.Helper()
	rest := string(raw)
	if stripped := strings.ReplaceAll(rest, "\r\n", ""); strings.ContainsAny(stripped, "\r\n") {
		t.Error("a bare CR or LF")
	}
	for line := range strings.SplitSeq(rest, "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
	for i := range raw {
		if raw[i] > 0x7e {
			t.Fatalf("octet %#x", raw[i])
		}
	}
}

func TestMIMERefuses(t *testing.T) {
	for name, change := range map[string]func(*Envelope){
		"reader with a line end": func(e *Envelope) { e.To = "ada@acme.example\r\nBcc: eve@evil.example" },
		"two readers":            func(e *Envelope) { e.To = "ada@acme.example, eve@evil.example" },
		"a name":                 func(e *Envelope) { e.To = "Ada <ada@acme.example>" },
		"a space":                func(e *Envelope) { e.To = `"a b"@acme.example` },
		"unicode":                func(e *Envelope) { e.To = "jürgen@acme.example" },
		"nobody":                 func(e *Envelope) { e.To = "" },
		"no domain":              func(e *Envelope) { e.To = "ada" },
		"sender":                 func(e *Envelope) { e.From.Address = "it@acme.example\r\nX: y" },
		"no key":                 func(e *Envelope) { e.Key = "" },
		"key":                    func(e *Envelope) { e.Key = "a\r\nX: y" },
		"key of another":         func(e *Envelope) { e.Key = "a@b> <c" },
		"in reply":               func(e *Envelope) { e.InReplyTo = "<a@b>\r\nX: y" },
	} {
		t.Run(name, func(t *testing.T) {
			e := envelope()
			change(&e)
			if raw, err := MIME(Mail{Subject: "s", Text: "t", HTML: "h"}, e); err == nil {
				t.Errorf("written:\n%s", raw)
			}
		})
	}
}

// FuzzMail: whatever vendors and people are called, there is one message with
// the headers that we wrote, and its text says what was given.
func FuzzMail(f *testing.F) {
	f.Add("Zoom", "Ada", "ada@acme.example", "a text")
	f.Add("Zoom\r\nBcc: eve@evil.example", "=?utf-8?q?=0D=0AX:_y?=", "ada@acme.example\r\n", ".\r\n.\r\nQUIT")
	f.Add("\u2028\x00\x85", strings.Repeat("ö", 400), `"x"@y`, "--=_boundary--\r\n\xff")
	f.Fuzz(func(t *testing.T, app, name, to, text string) {
		q := question(t)
		q.To, q.Holder, q.Why = name, name, text
		q.Seats[0].App, q.Seats[0].Effect = app, text
		m := QuestionMail(linkedTo(q))
		e := envelope()
		e.To, e.From.Name = to, name
		raw, err := MIME(m, e)
		if err != nil {
			if _, bad := ParseMailbox(to); bad == nil {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		lines(t, raw)
		header, got, _, err := read(raw)
		if err != nil {
			t.Fatalf("%v in\n%s", err, raw)
		}
		for key := range header {
			switch key {
			case "From", "To", "Subject", "Date", "Message-Id", "Auto-Submitted", "X-Auto-Response-Suppress", "Mime-Version", "Content-Type":
			default:
				t.Fatalf("header %q of somebody else", key)
			}
			if len(header[key]) != 1 {
				t.Fatalf("header %q %d times", key, len(header[key]))
			}
		}
		if list, err := header.AddressList("To"); err != nil || len(list) != 1 || list[0].Address != to {
			t.Fatalf("to %v, %v", list, err)
		}
		if !strings.Contains(got, "https://seatkeeper.acme.example/answer/TOKEN-prompt-1") {
			t.Fatal("no link")
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
		if err != nil || strings.ContainsAny(subject, "\r\n") {
			t.Fatalf("subject %q, %v", subject, err)
		}
	})
}
