// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"strconv"
	"strings"
)

// WeakETag is the entity tag of a version of a resource (RFC 7644 section 3.14).
func WeakETag(version int64) string {
	return `W/"` + strconv.FormatInt(version, 10) + `"`
}

// ETagMatches reports whether the value of an If-Match or If-None-Match header
// names the version, by weak comparison (RFC 9110 section 8.8.3.2). A star names
// every version.
func ETagMatches(header string, version int64) bool {
	if strings.TrimSpace(header) == "*" {
		return true
	}
	want := strings.TrimPrefix(WeakETag(version), "W/")
	for tag := range strings.SplitSeq(header, ",") {
		if strings.TrimPrefix(strings.TrimSpace(tag), "W/") == want {
			return true
		}
	}
	return false
}
