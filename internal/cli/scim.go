// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"
)

// scimResources are what `seatkeeper scim` lists.
var scimResources = []resource{
	{
		Name:    "scim-requests",
		Short:   "Each request of an identity provider, with its outcome; newest first",
		Long:    "Each request of an identity provider, with its outcome; newest first. The log\nhas names of attributes and never their values. The correlation id is the one\nthat the answer carried as X-Request-Id.",
		Example: "  seatkeeper scim log -n acme --failed\n  seatkeeper scim log -n acme --correlation 5f0e… -o yaml",
		Columns: []column{
			{Header: "TIME", Path: "at", Format: minute}, {Header: "METHOD", Path: "method"}, {Header: "ROUTE", Path: "route"}, {Header: "STATUS", Path: "status"},
			{Header: "OUTCOME", Path: "outcome"}, {Header: "CORRELATION", Path: "correlationID", Whole: true}, {Header: "RESOURCE", Path: "resourceID", Wide: true},
			{Header: "CHANGED", Path: "changed", Wide: true}, {Header: "KEY", Path: "keyName", Wide: true}, {Header: "FROM", Path: "address", Wide: true},
		},
		Filters: []filter{{"failed", "failed", "only requests that were refused or failed"}, {"correlation", "correlation", "only this correlation id"},
			{"resource", "resource", "only requests about the user or group with this id"}, {"key", "key", "only requests with this APIKey"}},
	},
	{
		Name:    "members",
		Short:   "Who has a role in Seatkeeper, Employees aside",
		Example: "  seatkeeper scim members -n acme\n  seatkeeper scim members -n acme --all -o csv",
		Columns: []column{
			{Header: "USER", Path: "userName"}, {Header: "NAME", Path: "name"}, {Header: "ROLE", Path: "role"}, {Header: "ADMIN", Path: "admin"},
			{Header: "ACTIVE", Path: "active", Wide: true}, {Header: "CHANGED", Path: "modifiedAt", Format: minute, Wide: true}, {Header: "ID", Path: "id", Wide: true},
		},
		Filters: []filter{{"all", "all", "Employees, and who is not active, too"}},
	},
}

// newSCIMCommand shows what identity providers did.
func newSCIMCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "scim", GroupID: "look", Short: "What identity providers provision over SCIM",
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for i, use := range []string{"log", "members"} {
		list := newListCommand(e, scimResources[i])
		list.Use, list.GroupID = use, ""
		for _, flag := range []string{"failed", "all"} {
			if f := list.Flags().Lookup(flag); f != nil {
				f.NoOptDefVal = "true" // --failed alone is enough
			}
		}
		cmd.AddCommand(list)
	}
	return cmd
}
