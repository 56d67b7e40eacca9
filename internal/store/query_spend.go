// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// reportedRow is what a listed row of a source has beside its record.
type reportedRow struct {
	Integration string // whose sync found it
	Stream      string
	FirstSeen   time.Time
	ChangedAt   time.Time
	RemovedAt   *time.Time
	sourceOfKey int64
}

// TransactionView is money spent, as a source reports it.
type TransactionView struct {
	reportedRow
	model.Transaction
}

// ContractView is a contract, as a source reports it.
type ContractView struct {
	reportedRow
	model.Contract
}

// SpendQuery selects transactions or contracts; empty fields do not restrict.
type SpendQuery struct {
	Page
	Integration    string
	Search         string     // in the vendor's or the contract's name
	From, Until    model.Date // transactions: the day booked; contracts: the end. Both inclusive
	IncludeRemoved bool
}

// ListTransactions returns transactions by source and id, and the cursor of the
// next page.
func (s *Store) ListTransactions(ctx context.Context, tenant model.TenantID, q SpendQuery) ([]TransactionView, string, error) {
	return listSpend(ctx, s, tenant, q, spendTable[TransactionView]{
		table: "spend_transaction", search: "d.vendor_name", day: "d.booked_on",
		columns: "d.booked_on, d.amount_minor, d.currency, d.vendor_name, d.vendor_external_id, d.mcc, d.description, d.payer_email, d.department, d.gl_account, d.kind, d.status, d.receipt_url",
		scan: func(r *sql.Rows) (v TransactionView, err error) {
			return v, v.scan(r, &v.ExternalID, &v.Date, &v.Amount.Minor, &v.Amount.Currency, &v.VendorName, &v.VendorExternalID, &v.MCC, &v.Description,
				&v.PayerEmail, &v.Department, &v.GLAccount, &v.Kind, &v.Status, &v.ReceiptURL)
		},
		key: func(v TransactionView) []string { return v.cursorKey(v.ExternalID) },
	})
}

// ListContracts returns what sources report of contracts by source and id, and
// the cursor of the next page.
func (s *Store) ListContracts(ctx context.Context, tenant model.TenantID, q SpendQuery) ([]ContractView, string, error) {
	return listSpend(ctx, s, tenant, q, spendTable[ContractView]{
		table: "reported_contract", search: "d.name", day: "d.end_date",
		columns: "d.name, d.app_hint, d.start_date, d.end_date, d.auto_renew, d.notice_days, d.value_minor, d.currency, d.billing_period, d.owner_email, d.lines, d.document_url, d.status",
		scan: func(r *sql.Rows) (v ContractView, err error) {
			var notice, value sql.NullInt64
			var lines string
			err = v.scan(r, &v.ExternalID, &v.Name, &v.AppHint, &v.Start, &v.End, &v.AutoRenew, &notice, &value, &v.Currency, &v.BillingPeriod,
				&v.OwnerEmail, &lines, &v.DocumentURL, &v.Status)
			v.NoticeDays, v.ValueMinor = nullInt(notice), nullInt(value)
			if err == nil && lines != "" {
				err = json.Unmarshal([]byte(lines), &v.Lines)
			}
			return v, err
		},
		key: func(v ContractView) []string { return v.cursorKey(v.ExternalID) },
	})
}

func (v *reportedRow) cursorKey(id string) []string {
	return []string{strconv.FormatInt(v.sourceOfKey, 10), v.Stream, id}
}

// scan reads the columns that every row has, and then its own.
func (v *reportedRow) scan(r *sql.Rows, own ...any) error {
	var first, changed int64
	var removed sql.NullInt64
	err := r.Scan(append([]any{&v.Integration, &v.sourceOfKey, &v.Stream, &first, &changed, &removed}, own...)...)
	v.FirstSeen, v.ChangedAt, v.RemovedAt = fromMillis(first), fromMillis(changed), nullTime(removed)
	return err
}

// spendTable is one of the two tables.
type spendTable[V any] struct {
	table, columns, search, day string
	scan                        func(*sql.Rows) (V, error)
	key                         func(V) []string
}

func listSpend[V any](ctx context.Context, s *Store, tenant model.TenantID, q SpendQuery, t spendTable[V]) ([]V, string, error) {
	c := where(tenant, "d.tenant = $1")
	key, err := parseCursor(q.Cursor, 3)
	if err != nil {
		return nil, "", err
	}
	if key != nil {
		source, err := strconv.ParseInt(key[0], 10, 64)
		if err != nil {
			return nil, "", ErrCursor
		}
		c.add("(d.source, d.stream, d.external_id) > (?, ?, ?)", source, key[1], key[2])
	}
	c.equal("i.name", q.Integration)
	c.contains(q.Search, t.search)
	if q.From != "" {
		c.add(t.day+" >= ?", string(q.From))
	}
	if q.Until != "" {
		c.add(t.day+" <= ?", string(q.Until))
	}
	if !q.IncludeRemoved {
		c.where = append(c.where, "d.removed_at IS NULL")
	}
	limit := clampLimit(q.Limit)
	rows, err := collect(ctx, s.reads, t.scan, fmt.Sprintf(`SELECT i.name, d.source, d.stream, d.first_seen_at, d.changed_at, d.removed_at, d.external_id, %s
		FROM %s d%sWHERE %s ORDER BY d.source, d.stream, d.external_id LIMIT %d`, t.columns, t.table, connected("d"), c, limit+1), c.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list %s: %w", t.table, err)
	}
	rows, next := page(rows, limit, func(v V) string { return cursor(t.key(v)...) })
	return rows, next, nil
}
