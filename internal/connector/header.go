// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// parseLink returns the target of the first link of relation rel in the Link
// headers (RFC 8288), or "".
func parseLink(headers []string, rel string) string {
	for _, h := range headers {
		for h != "" {
			open := strings.IndexByte(h, '<')
			if open < 0 {
				break
			}
			end := strings.IndexByte(h[open:], '>')
			if end < 0 {
				break
			}
			target := strings.TrimSpace(h[open+1 : open+end])
			params, rest := cutLink(h[open+end+1:])
			if hasRel(params, rel) {
				return target
			}
			h = rest
		}
	}
	return ""
}

// cutLink splits after the parameters of one link: at a comma outside quotes.
func cutLink(s string) (params, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func hasRel(params, rel string) bool {
	for params != "" {
		params = strings.TrimLeft(params, "; \t")
		name, value, found := strings.Cut(params, "=")
		if !found {
			return false
		}
		var word string
		if strings.HasPrefix(strings.TrimLeft(value, " \t"), `"`) {
			word, params = unquote(strings.TrimLeft(value, " \t")[1:])
		} else {
			word, params, _ = strings.Cut(value, ";")
		}
		if strings.EqualFold(strings.TrimSpace(name), "rel") {
			for _, r := range strings.Fields(word) {
				if strings.EqualFold(r, rel) {
					return true
				}
			}
			return false // RFC 8288, 3.3: later rel parameters are ignored
		}
	}
	return false
}

// unquote reads a quoted string (RFC 9110, 5.6.4) after its opening quote.
func unquote(s string) (text, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

// maxPause bounds what a vendor's header can ask for.
const maxPause = 31 * 24 * time.Hour

// RetryAfter is how long an answer with this header Retry-After asks to wait; 0: it
// does not.
func RetryAfter(value string, now time.Time) time.Duration {
	d, _ := parseRetryAfter(value, now)
	return d
}

// parseRetryAfter reads Retry-After (RFC 9110, 10.2.3): seconds or a date in
// any of HTTP's three forms. ok is false for anything else.
func parseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0, false
	}
	if secs, ok := seconds(value); ok {
		return secs, true
	}
	t, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return min(max(0, t.Sub(now)), maxPause), true
}

// parseReset reads a reset header in its declared format, as the time to wait.
func parseReset(value, format string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	switch format {
	case "seconds":
		return seconds(value)
	case "http_date":
		t, err := http.ParseTime(value)
		if err != nil {
			return 0, false
		}
		return min(max(0, t.Sub(now)), maxPause), true
	case "epoch_s", "epoch_ms":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n <= 0 {
			return 0, false
		}
		t := time.Unix(n, 0)
		if format == "epoch_ms" {
			t = time.UnixMilli(n)
		}
		return min(max(0, t.Sub(now)), maxPause), true
	}
	return 0, false
}

func seconds(value string) (time.Duration, bool) {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || f < 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, false
	}
	if f > maxPause.Seconds() {
		return maxPause, true
	}
	return time.Duration(math.Ceil(f*1000)) * time.Millisecond, true
}
