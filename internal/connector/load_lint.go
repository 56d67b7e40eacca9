// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import "context"

// noAnswers are answers with status 200 that list nothing: an empty body, and
// what vendors say of an error. None of them may read as an empty list, since a
// complete list proves who is gone.
var noAnswers = []any{
	nil,
	map[string]any{"ok": false, "error": "failed", "message": "failed", "code": "failed", "errors": []any{map[string]any{"message": "failed"}}},
}

// lintRecords plays them to the expression that finds the records. It must
// fail, or yield something that is no list; where it cannot be evaluated without
// the rest of an answer, it fails.
func (l *loader) lintRecords(s *stream, n node) {
	if s.records == nil || s.decode.streams() {
		return
	}
	for _, resp := range noAnswers {
		vars := map[string]any{
			"resp": resp, "status": int64(200), "headers": map[string]string{}, "config": map[string]any{}, "state": map[string]any{},
			"window": map[string]any{}, "input": map[string]any{}, "vars": map[string]any{}, "secretNames": map[string]bool{},
			"r": nil, "p": nil, s.as: nil,
		}
		v, err := s.records.Eval(context.Background(), vars)
		if list, ok := v.([]any); err == nil && ok && len(list) == 0 {
			n.get("records").problem(n.get("records").kind()+", which makes an empty list of an error with status 200", "an expression that fails where the answer has no list, such as resp.users",
				"where the vendor leaves an empty list out, ask for what a good answer has: get(resp, 'kind') == 'users' ? list(get(resp, 'users')) : resp.users")
			return
		}
	}
}
