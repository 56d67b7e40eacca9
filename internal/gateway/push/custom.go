// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// customFile is a file of type customIntegrationData.
type customFile struct {
	Users    []customUser    `json:"users"`
	Licenses []customLicense `json:"licenses"`
}

type customUser struct {
	ID             textOrNumber    `json:"id"`
	Email          string          `json:"email"`
	FirstName      string          `json:"firstName"`
	LastName       string          `json:"lastName"`
	Status         string          `json:"status"` // active, deleted
	ExternalStatus string          `json:"externalStatus"`
	Roles          []string        `json:"roles"`
	LastUsedDate   json.RawMessage `json:"lastUsedDate"` // null: never; not there: not known
}

// textOrNumber is an id, which some senders write as a number.
type textOrNumber string

// UnmarshalJSON implements json.Unmarshaler.
func (t *textOrNumber) UnmarshalJSON(data []byte) error {
	var n json.Number
	if err := json.Unmarshal(data, &n); err == nil && data[0] != '"' {
		*t = textOrNumber(n)
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}

type customLicense struct {
	Name             string `json:"name"`
	UnassignedAmount *int64 `json:"unassignedAmount"`
	PricePerUser     *int64 `json:"pricePerUser"` // cents
	Users            []struct {
		Email         string `json:"email"`
		LicenseStatus string `json:"licenseStatus"` // active, inactive, deleted
	} `json:"users"`
}

// prices says what the prices of a file mean, which the file does not.
type prices struct {
	currency string
	period   model.Period
}

// pricesOf reads the Integration's config, with the connector's defaults.
func pricesOf(spec json.RawMessage) prices {
	p := prices{currency: "USD"}
	var s handover.Spec
	if json.Unmarshal(spec, &s) != nil {
		return p // the push itself says what is wrong with the spec
	}
	if v, ok := s.Config["currency"].(string); ok && v != "" {
		p.currency = v
	}
	if v, ok := s.Config["pricePeriod"].(string); ok {
		p.period = model.Period(v)
	}
	return p
}

// customRecords reads a file as a whole; it is 3 MiB at most. A fault names
// where it is and no value.
func customRecords(file []byte, p prices) ([]model.Record, error) {
	dec := json.NewDecoder(bytes.NewReader(file))
	var in customFile
	if err := dec.Decode(&in); err != nil || dec.More() {
		return nil, bad("the file is no JSON object with users and licenses as documented; nothing was changed")
	}
	var out []model.Record
	byMail := map[string]string{}
	for i, u := range in.Users {
		a, err := u.account()
		if err != nil {
			return nil, bad("users[%d].%v; nothing was changed", i, err)
		}
		byMail[a.PersonKey] = a.ExternalID
		out = append(out, model.Record{Account: a})
	}
	for i, l := range in.Licenses {
		seats, used, err := l.seats(byMail)
		if err != nil {
			return nil, bad("licenses[%d].%v; nothing was changed", i, err)
		}
		plan := &model.Plan{Key: l.Name, Name: l.Name, Paid: l.PricePerUser == nil || *l.PricePerUser > 0, Used: &used, UnitCostMinor: l.PricePerUser}
		if l.UnassignedAmount != nil {
			bought := used + *l.UnassignedAmount
			plan.Purchased = &bought
		}
		if l.PricePerUser != nil {
			plan.Currency, plan.Period = p.currency, p.period
		}
		out = append(out, model.Record{Plan: plan})
		for _, s := range seats {
			s.Paid = plan.Paid
			out = append(out, model.Record{Assignment: s})
		}
	}
	return out, nil
}

func (u customUser) account() (*model.Account, error) {
	key, err := address(u.Email)
	if err != nil {
		return nil, err
	}
	a := &model.Account{ExternalID: cmp.Or(string(u.ID), key), PersonKey: key, Username: key, DisplayName: strings.TrimSpace(u.FirstName + " " + u.LastName),
		RawStatus: u.ExternalStatus, Role: strings.Join(u.Roles, ", ")}
	switch u.Status {
	case "active":
		a.Status = model.AccountActive
	case "deleted":
		a.Status = model.AccountDeleted
	default:
		return nil, fmt.Errorf("status: want active or deleted")
	}
	if len(u.LastUsedDate) == 0 {
		return a, nil
	}
	a.ActivityReported = true
	var text string
	if err := json.Unmarshal(u.LastUsedDate, &text); err != nil {
		return nil, fmt.Errorf("lastUsedDate: want a date or null")
	}
	if text == "" {
		return a, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			t = t.UTC()
			a.LastActivityAt, a.LastActivitySource = &t, "push.lastUsedDate"
			return a, nil
		}
	}
	return nil, fmt.Errorf("lastUsedDate: want a date such as 2026-11-20 or 2026-11-20T12:00:00Z")
}

// seats are those that somebody holds, and used how many are active.
func (l customLicense) seats(byMail map[string]string) (seats []*model.Assignment, used int64, err error) {
	switch {
	case l.Name == "":
		return nil, 0, fmt.Errorf("name: required")
	case l.UnassignedAmount != nil && *l.UnassignedAmount < 0:
		return nil, 0, fmt.Errorf("unassignedAmount: want 0 or more")
	case l.PricePerUser != nil && *l.PricePerUser < 0:
		return nil, 0, fmt.Errorf("pricePerUser: want cents, 0 or more")
	}
	for i, u := range l.Users {
		key, err := address(u.Email)
		if err != nil {
			return nil, 0, fmt.Errorf("users[%d].%w", i, err)
		}
		s := &model.Assignment{AccountExternalID: byMail[key], PersonKey: key, PlanKey: l.Name, PlanName: l.Name, State: model.AssignmentActive}
		switch u.LicenseStatus {
		case "active":
			used++
		case "inactive":
			s.State = model.AssignmentSuspended
		case "deleted":
			continue
		default:
			return nil, 0, fmt.Errorf("users[%d].licenseStatus: want active, inactive or deleted", i)
		}
		seats = append(seats, s)
	}
	return seats, used, nil
}

func address(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s {
		return "", fmt.Errorf("email: no e-mail address")
	}
	return s, nil
}
