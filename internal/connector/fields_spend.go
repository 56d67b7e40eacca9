// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/currency"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

var transactionType = recordType{
	dataType: model.DataTransactions,
	fresh:    func() model.Record { return model.Record{Transaction: &model.Transaction{}} },
	fields: map[string]field{
		"externalId": needed(str(func(r *model.Record) *string { return &r.Transaction.ExternalID })),
		"date":       needed(date(func(r *model.Record) *model.Date { return &r.Transaction.Date })),
		"amountMinor": {want: expr.Int, required: true, set: func(r *model.Record, v any) error {
			n, ok := v.(int64)
			if !ok {
				return fmt.Errorf("got %s, want an integer of minor units, such as 1999 for 19.99", expr.TypeName(v))
			}
			r.Transaction.Amount.Minor = n
			return nil
		}},
		"currency":         needed(currencyCode(func(r *model.Record) *string { return &r.Transaction.Amount.Currency })),
		"vendorName":       needed(str(func(r *model.Record) *string { return &r.Transaction.VendorName })),
		"vendorExternalId": str(func(r *model.Record) *string { return &r.Transaction.VendorExternalID }),
		"mcc":              str(func(r *model.Record) *string { return &r.Transaction.MCC }),
		"description":      str(func(r *model.Record) *string { return &r.Transaction.Description }),
		"payerEmail":       lowered(func(r *model.Record) *string { return &r.Transaction.PayerEmail }),
		"department":       str(func(r *model.Record) *string { return &r.Transaction.Department }),
		"glAccount":        str(func(r *model.Record) *string { return &r.Transaction.GLAccount }),
		"kind": needed(oneOf(func(r *model.Record) *model.TransactionKind { return &r.Transaction.Kind },
			model.TransactionCard, model.TransactionBill, model.TransactionReimbursement, model.TransactionInvoice, model.TransactionRefund)),
		"status":     str(func(r *model.Record) *string { return &r.Transaction.Status }),
		"receiptURL": str(func(r *model.Record) *string { return &r.Transaction.ReceiptURL }),
	},
}

var contractType = recordType{
	dataType: model.DataContracts,
	fresh:    func() model.Record { return model.Record{Contract: &model.Contract{}} },
	fields: map[string]field{
		"externalId": needed(str(func(r *model.Record) *string { return &r.Contract.ExternalID })),
		"name":       needed(str(func(r *model.Record) *string { return &r.Contract.Name })),
		"appHint":    needed(str(func(r *model.Record) *string { return &r.Contract.AppHint })),
		"start":      date(func(r *model.Record) *model.Date { return &r.Contract.Start }),
		"end":        date(func(r *model.Record) *model.Date { return &r.Contract.End }),
		"autoRenew":  boolean(func(r *model.Record) *bool { return &r.Contract.AutoRenew }),
		"noticeDays": integer(func(r *model.Record) **int64 { return &r.Contract.NoticeDays }),
		"valueMinor": integer(func(r *model.Record) **int64 { return &r.Contract.ValueMinor }),
		"currency":   currencyCode(func(r *model.Record) *string { return &r.Contract.Currency }),
		"billingPeriod": oneOf(func(r *model.Record) *model.Period { return &r.Contract.BillingPeriod },
			model.PeriodMonth, model.PeriodQuarter, model.PeriodYear),
		"ownerEmail":  lowered(func(r *model.Record) *string { return &r.Contract.OwnerEmail }),
		"lines":       {want: expr.List, set: setLines},
		"documentURL": str(func(r *model.Record) *string { return &r.Contract.DocumentURL }),
		"status":      str(func(r *model.Record) *string { return &r.Contract.Status }),
	},
	check: func(r *model.Record) error {
		c := r.Contract
		priced := slices.ContainsFunc(c.Lines, func(l model.ContractLine) bool { return l.UnitCostMinor != nil })
		switch {
		case c.Currency == "" && (c.ValueMinor != nil || priced):
			return errors.New("amounts without a currency")
		case c.Start != "" && c.End != "" && c.End < c.Start:
			return errors.New("the end is before the start")
		case c.NoticeDays != nil && *c.NoticeDays < 0:
			return errors.New("noticeDays is negative")
		}
		return nil
	},
}

// currencyCode is an ISO 4217 code, in any case.
func currencyCode(at func(*model.Record) *string) field {
	return field{want: expr.Dyn, set: func(r *model.Record, v any) error {
		s, err := toString(v)
		if err != nil {
			return err
		}
		if s = strings.ToUpper(strings.TrimSpace(s)); s != "" {
			if _, err := currency.ParseISO(s); err != nil {
				return errors.New("got text that is no ISO 4217 currency, want a code such as EUR")
			}
		}
		*at(r) = s
		return nil
	}}
}

// setLines reads [{planKey, quantity, unitCostMinor}].
func setLines(r *model.Record, v any) error {
	r.Contract.Lines = nil
	list, ok := v.([]any)
	if v != nil && !ok {
		return fmt.Errorf("got %s, want a list of lines", expr.TypeName(v))
	}
	if len(list) > maxListItems {
		return fmt.Errorf("the list has %d elements; at most %d are kept", len(list), maxListItems)
	}
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return fmt.Errorf("line %d: got %s, want {planKey, quantity, unitCostMinor}", i+1, expr.TypeName(e))
		}
		var line model.ContractLine
		for name, v := range m {
			var err error
			switch n, isInt := v.(int64); {
			case v == nil:
			case name == "planKey":
				line.PlanKey, err = toString(v)
			case name != "quantity" && name != "unitCostMinor":
				err = errors.New("there is no such field")
			case !isInt || name == "quantity" && n < 0:
				err = fmt.Errorf("got %s, want an integer", expr.TypeName(v))
			case name == "quantity":
				line.Quantity = n
			default:
				line.UnitCostMinor = &n
			}
			if err != nil {
				return fmt.Errorf("line %d, %s: %w", i+1, clip(name, 40), err)
			}
		}
		if line.PlanKey == "" {
			return fmt.Errorf("line %d: planKey is missing", i+1)
		}
		r.Contract.Lines = append(r.Contract.Lines, line)
	}
	return nil
}
