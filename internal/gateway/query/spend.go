// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Transaction is money spent, as a source reports it.
type Transaction struct {
	Integration      string                `json:"integration"`
	ExternalID       string                `json:"externalID"`
	Date             model.Date            `json:"date"`
	Amount           model.Money           `json:"amount"`
	VendorName       string                `json:"vendorName"`
	VendorExternalID string                `json:"vendorExternalID,omitempty"`
	Kind             model.TransactionKind `json:"kind"`
	MCC              string                `json:"mcc,omitempty"`
	Description      string                `json:"description,omitempty"`
	PayerEmail       string                `json:"payerEmail,omitempty"`
	Department       string                `json:"department,omitempty"`
	GLAccount        string                `json:"glAccount,omitempty"`
	Status           string                `json:"status,omitempty"`
	ReceiptURL       string                `json:"receiptURL,omitempty"`
	FirstSeen        time.Time             `json:"firstSeen"`
}

// Contract is a contract, as a source reports it.
type Contract struct {
	Integration   string               `json:"integration"`
	ExternalID    string               `json:"externalID"`
	Name          string               `json:"name"`
	AppHint       string               `json:"appHint"`
	Start         model.Date           `json:"start,omitempty"`
	End           model.Date           `json:"end,omitempty"`
	AutoRenew     bool                 `json:"autoRenew"`
	NoticeDays    *int64               `json:"noticeDays,omitempty"`
	Value         *model.Money         `json:"value,omitempty"`
	Currency      string               `json:"currency,omitempty"`
	BillingPeriod model.Period         `json:"billingPeriod,omitempty"`
	OwnerEmail    string               `json:"ownerEmail,omitempty"`
	Lines         []model.ContractLine `json:"lines,omitempty"`
	DocumentURL   string               `json:"documentURL,omitempty"`
	Status        string               `json:"status,omitempty"`
	FirstSeen     time.Time            `json:"firstSeen"`
}

// spendQuery reads the parameters of both lists.
func (c *call) spendQuery() (store.SpendQuery, error) {
	q := store.SpendQuery{Page: c.page(), Integration: c.query.Get("integration"), Search: c.query.Get("search")}
	for _, f := range []struct {
		name string
		into *model.Date
	}{{"from", &q.From}, {"until", &q.Until}} {
		v := c.query.Get(f.name)
		if v == "" {
			continue
		}
		d, err := model.ParseDate(v)
		if err != nil {
			return q, badRequest("%s=%q: want YYYY-MM-DD", f.name, v)
		}
		*f.into = d
	}
	return q, nil
}

func (a *API) transactions(c *call) (any, error) {
	q, err := c.spendQuery()
	if err != nil {
		return nil, err
	}
	found, next, err := a.Store.ListTransactions(c, c.tenant, q)
	if err != nil {
		return nil, cursorError(err)
	}
	views := make([]Transaction, len(found))
	for i, t := range found {
		views[i] = Transaction{
			Integration: t.Integration, ExternalID: t.ExternalID, Date: t.Date, Amount: t.Amount, VendorName: t.VendorName, VendorExternalID: t.VendorExternalID,
			Kind: t.Kind, MCC: t.MCC, Description: t.Description, PayerEmail: t.PayerEmail, Department: t.Department, GLAccount: t.GLAccount,
			Status: t.Status, ReceiptURL: t.ReceiptURL, FirstSeen: t.FirstSeen,
		}
	}
	return page("TransactionList", views, next), nil
}

func (a *API) contracts(c *call) (any, error) {
	q, err := c.spendQuery()
	if err != nil {
		return nil, err
	}
	found, next, err := a.Store.ListContracts(c, c.tenant, q)
	if err != nil {
		return nil, cursorError(err)
	}
	views := make([]Contract, len(found))
	for i, k := range found {
		views[i] = Contract{
			Integration: k.Integration, ExternalID: k.ExternalID, Name: k.Name, AppHint: k.AppHint, Start: k.Start, End: k.End, AutoRenew: k.AutoRenew,
			NoticeDays: k.NoticeDays, Currency: k.Currency, BillingPeriod: k.BillingPeriod, OwnerEmail: k.OwnerEmail, Lines: k.Lines,
			DocumentURL: k.DocumentURL, Status: k.Status, FirstSeen: k.FirstSeen,
		}
		if k.ValueMinor != nil {
			views[i].Value = &model.Money{Minor: *k.ValueMinor, Currency: k.Currency}
		}
	}
	return page("ContractList", views, next), nil
}
