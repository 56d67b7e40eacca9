// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scim is the protocol of SCIM 2.0 (RFC 7643, RFC 7644) without its
// transport and without its storage: the schemas and their discovery documents,
// strict decoding into a canonical Resource, filters, sorting, projection and
// one PATCH engine. Everything here is a pure function over what it is given.
//
// A request passes through it in this order:
//
//	doc, err := scim.ParseJSON(body)                      // limits, duplicate keys
//	doc = compat.Resource(scim.User, doc)                 // only where identity providers may call
//	res, err := scim.Decode(scim.User, doc, dialect)      // POST and PUT
//	res, changed, err := scim.Replace(stored, res)        // PUT
//
//	doc = compat.Patch(scim.User, id, doc)
//	patch, err := scim.ParsePatch(scim.User, doc, dialect)
//	result, err := patch.Apply(stored, members)           // PATCH
//
//	filter, err := scim.ParseFilter(scim.User, text, dialect)
//	ok := scim.Match(filter, res)                         // the store compiles the same tree to SQL
//
// Choices where the RFCs are silent:
//   - "eq null" is "not pr"; "ne" is exactly "not eq", so it holds for an absent
//     attribute and, for a multi-valued one, where no element is equal.
//   - An empty string is a value that is kept, but it is not present for "pr".
//   - Strings compare byte by byte; those that are not case exact are folded
//     with Fold first. U+0000 is in no value and no literal.
//   - Sorting breaks ties by id, ascending in both orders.
//   - attributes and excludedAttributes together are refused.
//   - A remove whose filter selects nothing changes nothing.
package scim
