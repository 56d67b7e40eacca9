// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
)

// Envelope is what a mail needs on its way.
type Envelope struct {
	From mail.Address
	To   string // a bare address
	// Key names the effect: a message that is sent again has the same
	// Message-ID, by which mail programs know it.
	Key string
	// InReplyTo is the Message-ID of the message that this one follows.
	InReplyTo string
	Date      time.Time
}

// MessageID is that of the mail with the key.
func MessageID(key string, from mail.Address) string {
	_, domain, _ := strings.Cut(from.Address, "@")
	return "<" + key + "@" + domain + ">"
}

// ParseMailbox reads a bare address that mail can be sent to.
func ParseMailbox(s string) (string, error) {
	a, err := mail.ParseAddress(s)
	switch {
	case err != nil || a.Name != "" || a.Address != s:
		return "", errors.New("it is no e-mail address such as jo@acme.example")
	case strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 || strings.ContainsAny(s, "<>"):
		return "", errors.New("only addresses of ASCII characters without spaces can be written to")
	}
	return s, nil
}

// MIME is the mail as RFC 5322 and RFC 2046 write it, in plain text and HTML.
// Auto-Submitted (RFC 3834) keeps programs from answering it.
func MIME(m Mail, e Envelope) ([]byte, error) {
	to, err := ParseMailbox(e.To)
	if err != nil {
		return nil, fmt.Errorf("the address of the reader cannot be used: %w", err)
	}
	if _, err := ParseMailbox(e.From.Address); err != nil {
		return nil, fmt.Errorf("the address of the sender cannot be used: %w", err)
	}
	id := MessageID(e.Key, e.From)
	if e.Key == "" || !isMessageID(id) || e.InReplyTo != "" && !isMessageID(e.InReplyTo) {
		return nil, errors.New("the mail's key makes no Message-ID")
	}
	sum := sha256.Sum256([]byte(id))
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if err := w.SetBoundary("=_" + hex.EncodeToString(sum[:12])); err != nil {
		return nil, err
	}
	for _, part := range []struct{ mediaType, text string }{{"text/plain", m.Text}, {"text/html", m.HTML}} {
		if err := writePart(w, part.mediaType, part.text); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	header := func(name, value string) { _, _ = fmt.Fprintf(&out, "%s: %s\r\n", name, value) }
	header("From", fold(e.From.String()))
	header("To", (&mail.Address{Address: to}).String())
	header("Subject", fold(mime.QEncoding.Encode("utf-8", strings.ReplaceAll(clip(oneLine(m.Subject), subjectMax), "=?", "= ?"))))
	header("Date", e.Date.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	header("Message-ID", id)
	if e.InReplyTo != "" {
		header("In-Reply-To", e.InReplyTo)
		header("References", e.InReplyTo)
	}
	header("Auto-Submitted", "auto-generated")
	header("X-Auto-Response-Suppress", "All") // Exchange: MS-OXCMAIL 2.2.3.2.14
	header("MIME-Version", "1.0")
	header("Content-Type", "multipart/alternative;\r\n boundary=\""+w.Boundary()+"\"")
	out.WriteString("\r\n")
	out.Write(body.Bytes())
	return out.Bytes(), nil
}

func writePart(w *multipart.Writer, mediaType, text string) error {
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {mediaType + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
	if err != nil {
		return err
	}
	qp := quotedprintable.NewWriter(part)
	if _, err := qp.Write([]byte(strings.ToValidUTF8(text, "\uFFFD"))); err != nil {
		return err
	}
	return qp.Close()
}

// fold breaks a header between encoded words, which the standard library puts
// on one line.
func fold(s string) string { return strings.ReplaceAll(s, "?= =?", "?=\r\n =?") }

// isMessageID is stricter than RFC 5322: what this program makes, and no more.
func isMessageID(s string) bool {
	left, right, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">"), "@")
	plain := func(s string) bool {
		return s != "" && len(s) <= 255 && strings.IndexFunc(s, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
		}) < 0
	}
	return ok && strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") && plain(left) && plain(right)
}
