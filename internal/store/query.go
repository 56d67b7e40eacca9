// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// ErrCursor reports a page cursor that this store did not make.
var ErrCursor = errors.New("the page cursor is not one that a list returned")

// Page says where a list continues and how long it may be.
type Page struct {
	// Cursor is what the page before returned; empty starts at the beginning.
	Cursor string
	Limit  int // 0 is 100, at most 1000
}

// cursor makes an opaque page cursor of a row's sort key.
func cursor(key ...string) string {
	b, err := json.Marshal(key)
	if err != nil {
		return "" // strings always marshal
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(c string, parts int) ([]string, error) {
	if c == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(c)
	if err != nil {
		return nil, ErrCursor
	}
	var key []string
	if err := json.Unmarshal(b, &key); err != nil || len(key) != parts {
		return nil, ErrCursor
	}
	return key, nil
}

// conditions collects a WHERE clause whose first argument is the tenant.
type conditions struct {
	where []string
	args  []any
}

func where(tenant model.TenantID, first string) *conditions {
	return &conditions{where: []string{first}, args: []any{tenant}}
}

// add appends a condition; each ? in it takes the next value.
func (c *conditions) add(condition string, values ...any) {
	for _, v := range values {
		c.args = append(c.args, v)
		condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(c.args)), 1)
	}
	c.where = append(c.where, condition)
}

// equal appends column = value unless the value is empty.
func (c *conditions) equal(column, value string) {
	if value != "" {
		c.add(column+" = ?", value)
	}
}

// in appends column IN (values) unless there are none.
func (c *conditions) in(column string, values []string) {
	if len(values) == 0 {
		return
	}
	list, args := inList(c.args, values)
	c.args = args
	c.where = append(c.where, column+" IN ("+list+")")
}

// contains appends a case-insensitive search over columns.
func (c *conditions) contains(text string, columns ...string) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	pattern := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text)) + "%"
	c.args = append(c.args, pattern)
	terms := make([]string, len(columns))
	for i, col := range columns {
		terms[i] = fmt.Sprintf(`lower(%s) LIKE $%d ESCAPE '\'`, col, len(c.args))
	}
	c.where = append(c.where, "("+strings.Join(terms, " OR ")+")")
}

func (c *conditions) String() string { return strings.Join(c.where, " AND ") }

// connected joins a fact's source, so that hidden ones are out of sight.
func connected(alias string) string {
	return ` JOIN integration_state i ON i.tenant=` + alias + `.tenant AND i.id=` + alias + `.source AND i.hidden_at IS NULL `
}

// known, seen and sourceName are connected for facts that may come over SCIM
// or by the webhook of a Workflow, which are no Integrations.
func known(alias string) string {
	return ` LEFT JOIN integration_state i ON i.tenant=` + alias + `.tenant AND i.id=` + alias + `.source AND i.hidden_at IS NULL `
}

func seen(alias string) string {
	return fmt.Sprintf(`(i.id IS NOT NULL OR %s.source IN (%d, %d))`, alias, scimSource, webhookSource)
}

func sourceName(alias string) string {
	return fmt.Sprintf(`coalesce(i.name, CASE WHEN %s.source=%d THEN '%s' ELSE '%s' END)`, alias, webhookSource, WebhookSource, SCIMSource)
}

// page cuts rows that were read with one more than the limit, and returns the
// cursor of the next page, empty on the last.
func page[T any](rows []T, limit int, key func(T) string) ([]T, string) {
	if len(rows) <= limit {
		return rows, ""
	}
	rows = rows[:limit]
	return rows, key(rows[limit-1])
}
