// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/connector/vendorspec"
)

// spec is a vendor's own description of its API. Only requests are checked:
// two of the three descriptions are from 2021 and lack what came since.
type spec struct {
	description *vendorspec.Description
	// lacking are parameters that the vendor added after the description, by
	// path; an empty path stands for all.
	lacking map[string][]string
}

// loadSpecs reads the descriptions from dir; none without a dir.
func loadSpecs(dir string) (map[string]*spec, error) {
	if dir == "" {
		return nil, nil
	}
	specs := map[string]*spec{
		Okta: {},
		Slack: {lacking: map[string][]string{
			"": {"metadata", "prevent_creation", "team_id"}, "/team.billableInfo": {"cursor", "limit"},
		}},
		Zoom: {lacking: map[string][]string{"": {"next_page_token"}}},
	}
	files := map[string]string{
		Okta: "okta-management.trimmed.json", Slack: "slack-web-2021.requests-only.json", Zoom: "zoom-v2-2021.trimmed.json",
	}
	for vendor, file := range files {
		var options []vendorspec.Option
		if vendor == Slack {
			options = append(options, vendorspec.AnyMethod())
		}
		d, err := vendorspec.Load(filepath.Join(dir, file), options...)
		if err != nil {
			return nil, fmt.Errorf("API description of %s: %w", vendor, err)
		}
		specs[vendor].description = d
	}
	return specs, nil
}

// check holds a call against the description, and says what is wrong. A call
// that the description does not have is not its business.
func (s *spec) check(c *call) string {
	op := s.description.Find(c.r.Method, c.r.URL.EscapedPath())
	if op == nil {
		return ""
	}
	lacking := append(slices.Clone(s.lacking[""]), s.lacking[op.Path]...)
	for _, v := range s.description.Check(c.r, c.raw) {
		if name := string(v)[strings.LastIndexByte(string(v), ' ')+1:]; !v.Unknown() || !slices.Contains(lacking, name) {
			return "against the vendor's description: " + string(v)
		}
	}
	return ""
}
