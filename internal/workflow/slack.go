// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"errors"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// ChannelSlack is the kind of the Slack channel.
const ChannelSlack = "slack"

// Slack delivers questions through the connector actions message.send and
// message.update of the tenant's Slack integration. Updates go by channel and
// ts, which do not expire as a response_url does.
type Slack struct{}

// Kind implements Channel.
func (Slack) Kind() string { return ChannelSlack }

// Send implements Channel.
func (Slack) Send(integration, address string, q notify.Question) (Call, error) {
	if len(q.Seats) == 0 && q.Matter == nil {
		return Call{}, errors.New("a question about nothing")
	}
	return Call{Integration: integration, Action: "message.send", Input: map[string]any{
		"userId": address, "text": notify.Text(q), "blocks": notify.SlackBlocks(q), "callback": q.Key(),
	}}, nil
}

// Ref implements Channel.
func (Slack) Ref(output map[string]any) (map[string]string, error) {
	channel, ts := fmt.Sprint(output["channel"]), fmt.Sprint(output["ts"])
	if output["channel"] == nil || output["ts"] == nil {
		return nil, errors.New("Slack did not tell where the message is")
	}
	return map[string]string{"channel": channel, "ts": ts}, nil
}

// Update implements Channel.
func (Slack) Update(m store.MessageRef, c notify.Closing) (Call, error) {
	return Call{Integration: m.Integration, Action: "message.update", Input: map[string]any{
		"channel": m.Ref["channel"], "ts": m.Ref["ts"], "text": notify.ClosingText(c), "blocks": notify.SlackClosing(c),
	}}, nil
}
