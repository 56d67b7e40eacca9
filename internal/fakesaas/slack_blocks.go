// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of Block Kit, https://docs.slack.dev/reference/block-kit.
const (
	maxBlocks     = 50
	maxElements   = 25
	maxBlockText  = 3000
	maxButtonText = 75
	maxActionID   = 255
	maxValue      = 2000
)

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type slackElement struct {
	Type     string          `json:"type"`
	Text     json.RawMessage `json:"text"` // an object; in a context block's element text itself
	ActionID string          `json:"action_id"`
	Value    string          `json:"value"`
	Style    string          `json:"style"`
}

type slackBlock struct {
	Type      string         `json:"type"`
	BlockID   string         `json:"block_id"`
	Text      *slackText     `json:"text"`
	Fields    []slackText    `json:"fields"`
	Elements  []slackElement `json:"elements"`
	Accessory *slackElement  `json:"accessory"`
	Label     *slackText     `json:"label"`   // of an input
	Element   *slackElement  `json:"element"` // of an input
}

// checkBlocks applies the rules that a message with buttons can break.
func checkBlocks(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	blocks, err := decodeBlocks(raw)
	if err != nil {
		return err
	}
	if len(blocks) > maxBlocks {
		return fmt.Errorf("%d blocks, at most %d", len(blocks), maxBlocks)
	}
	seen := map[string]bool{}
	for i, b := range blocks {
		if b.BlockID != "" && seen[b.BlockID] {
			return fmt.Errorf("block_id %q twice", b.BlockID)
		}
		seen[b.BlockID] = true
		if err := b.check(); err != nil {
			return fmt.Errorf("block %d (%s): %w", i, b.Type, err)
		}
	}
	return nil
}

// decodeBlocks goes through the generic form, as encoding/json would take
// ACTION_ID for action_id and merge a key that is given twice.
func decodeBlocks(raw json.RawMessage) ([]slackBlock, error) {
	var generic []any
	if err := json.Unmarshal(raw, &generic); err != nil {
		return nil, fmt.Errorf("not a list of blocks: %w", err)
	}
	if key := oddKey(generic); key != "" {
		return nil, fmt.Errorf("unknown key %q", key)
	}
	plain, err := json.Marshal(generic)
	if err != nil {
		return nil, err
	}
	var blocks []slackBlock
	if err := json.Unmarshal(plain, &blocks); err != nil {
		return nil, fmt.Errorf("not a list of blocks: %w", err)
	}
	return blocks, nil
}

// oddKey finds a key that is not lower-case ASCII, which all of Block Kit's are.
func oddKey(v any) string {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if key := oddKey(item); key != "" {
				return key
			}
		}
	case map[string]any:
		for key, item := range v {
			if strings.ContainsFunc(key, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' }) {
				return key
			}
			if key := oddKey(item); key != "" {
				return key
			}
		}
	}
	return ""
}

func (b slackBlock) check() error {
	if len(b.BlockID) > maxActionID {
		return errors.New("block_id too long")
	}
	switch b.Type {
	case "section":
		if b.Text == nil && len(b.Fields) == 0 {
			return errors.New("neither text nor fields")
		}
		for _, t := range append(slices.Clone(b.Fields), ptrOr(b.Text)) {
			if len([]rune(t.Text)) > maxBlockText {
				return errors.New("text too long")
			}
		}
		if b.Text != nil && (b.Text.Text == "" || (b.Text.Type != "mrkdwn" && b.Text.Type != "plain_text")) {
			return errors.New("text wants type and text")
		}
	case "header":
		if b.Text == nil || b.Text.Type != "plain_text" || len([]rune(b.Text.Text)) > 150 {
			return errors.New("wants plain_text of at most 150 characters")
		}
	case "actions":
		if len(b.Elements) == 0 || len(b.Elements) > maxElements {
			return fmt.Errorf("%d elements, 1 to %d", len(b.Elements), maxElements)
		}
	case "context":
		if len(b.Elements) == 0 || len(b.Elements) > 10 {
			return fmt.Errorf("%d elements, 1 to 10", len(b.Elements))
		}
	case "input":
		switch {
		case b.Label == nil || b.Label.Type != "plain_text" || b.Label.Text == "":
			return errors.New("wants a plain_text label")
		case b.Element == nil || b.Element.Type != "plain_text_input" || b.Element.ActionID == "":
			return errors.New("wants a plain_text_input with an action_id")
		}
	case "divider", "image", "rich_text", "markdown":
	default:
		return errors.New("unknown type")
	}
	actions := map[string]bool{}
	for _, e := range append(slices.Clone(b.Elements), ptrOr(b.Accessory)) {
		if e.Type != "button" {
			continue
		}
		if err := e.check(); err != nil {
			return err
		}
		if actions[e.ActionID] {
			return fmt.Errorf("action_id %q twice", e.ActionID)
		}
		actions[e.ActionID] = true
	}
	return nil
}

func (e slackElement) check() error {
	var label slackText
	if err := json.Unmarshal(e.Text, &label); err != nil || label.Type != "plain_text" || label.Text == "" {
		return errors.New("button wants a plain_text label")
	}
	switch {
	case len([]rune(label.Text)) > maxButtonText:
		return errors.New("button label too long")
	case e.ActionID == "" || len(e.ActionID) > maxActionID:
		return errors.New("button wants an action_id of at most 255 characters")
	case len(e.Value) > maxValue:
		return errors.New("button value too long")
	case e.Style != "" && e.Style != "primary" && e.Style != "danger":
		return fmt.Errorf("button style %q is unknown", e.Style)
	}
	return nil
}

func checkMetadata(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	var m map[string]any // exact keys, unlike a struct's
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	kind, _ := m["event_type"].(string)
	if payload, _ := m["event_payload"].(map[string]any); kind == "" || payload == nil {
		return errors.New("incomplete")
	}
	return nil
}

func ptrOr[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
