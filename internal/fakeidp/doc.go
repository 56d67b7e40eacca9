// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fakeidp plays the identity providers that provision over SCIM: it
// keeps a directory and sends what Entra ID and Okta send when something in it
// changes, in their dialects and with their deviations from RFC 7644.
//
// Sources: Microsoft Learn, "Develop and plan provisioning for a SCIM endpoint",
// "How provisioning works" and "Quarantine"; Okta, "SCIM 2.0 reference".
package fakeidp
