// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// ChannelEmail is the kind of the e-mail channel.
const ChannelEmail = "email"

// Mail is sent by the tenant's own mail server, which is no Integration. The
// capital keeps the name from being one.
const (
	MailIntegration = "Email"
	ActionMailSend  = "mail.send"
)

// mailTimeout bounds one mail: servers that look into what they take over are
// slow to confirm it, and a confirmation that comes too late sends a second copy.
var mailTimeout = Span{Elapsed: 2 * time.Minute}

// Inputs and outputs of ActionMailSend.
const (
	MailTo        = "to"
	MailSubject   = "subject"
	MailText      = "text"
	MailHTML      = "html"
	MailInReplyTo = "inReplyTo"
	MailMessageID = "messageID"
)

// Email delivers questions by e-mail, with a link to the page where they are
// answered.
type Email struct{}

// Kind implements Channel.
func (Email) Kind() string { return ChannelEmail }

// Send implements Channel.
func (Email) Send(_, address string, q notify.Question) (Call, error) {
	if slices.ContainsFunc(q.Prompts(), func(p notify.Prompt) bool { return q.Links[p.ID] == "" }) {
		return Call{}, errors.New("a question by e-mail without a link to answer it")
	}
	return MailCall(address, notify.QuestionMail(q), ""), nil
}

// Ref implements Channel.
func (Email) Ref(output map[string]any) (map[string]string, error) {
	id, _ := output[MailMessageID].(string)
	to, _ := output[MailTo].(string)
	if id == "" || to == "" {
		return nil, errors.New("the mail's Message-ID is not known")
	}
	return map[string]string{MailMessageID: id, MailTo: to}, nil
}

// Update implements Channel. A mail cannot be replaced: what happened follows
// it, once, and not after each reminder.
func (Email) Update(m store.MessageRef, c notify.Closing) (Call, error) {
	if m.Reminder {
		return Call{}, errors.New("the mail before the reminder is the one that is followed up")
	}
	if m.Ref[MailTo] == "" {
		return Call{}, errors.New("whom the mail went to is not known")
	}
	return MailCall(m.Ref[MailTo], notify.ClosingMail(c), m.Ref[MailMessageID]), nil
}

// MailCall is the call that sends a mail.
func MailCall(to string, m notify.Mail, inReplyTo string) Call {
	return Call{Integration: MailIntegration, Action: ActionMailSend, Input: map[string]any{
		MailTo: to, MailSubject: m.Subject, MailText: m.Text, MailHTML: m.HTML, MailInReplyTo: inReplyTo,
	}}
}

// QuestionOf words the question of a stored prompt for one of those who were
// asked. ok is false for a prompt of a version that did not keep it.
func QuestionOf(p store.Prompt, to store.Assignee) (q notify.Question, ok bool) {
	var subject struct {
		Question   *notify.Question `json:"question"`
		PersonID   string           `json:"personID"`   // whom it is about
		PersonName string           `json:"personName"` // of a seat
		About      string           `json:"about"`      // of a matter
	}
	if err := json.Unmarshal(p.Subject, &subject); err != nil || subject.Question == nil {
		return notify.Question{}, false
	}
	q = *subject.Question
	q.To, q.Zone, q.Deadline, q.Reminder = to.Name, zoneOf(to.TimeZone), p.ExpiresAt, 0
	if q.Matter != nil {
		if q.Matter.About = subject.About; subject.About != "" && subject.PersonID != "" && to.PersonID == subject.PersonID {
			q.Matter.About = "you"
		}
	}
	switch {
	case q.Matter != nil && !p.ExpiresAt.Before(p.CreatedAt.Add(farAway/2)):
		q.Deadline = time.Time{} // a task may have none
	case q.Matter == nil && to.PersonID == subject.PersonID:
		q.Holder = ""
	case q.Matter == nil:
		q.Holder = subject.PersonName
	}
	return q, true
}
