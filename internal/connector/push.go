// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import "context"

// NativePush is the native name of the connector whose records are sent to
// Seatkeeper: nothing is ever read.
const NativePush = "push"

// PushedAccount is the remote account that the push connector gives; each
// Integration is an account of its own.
const PushedAccount = "push"

// pushSource has nothing to test and nothing to read.
type pushSource struct{ s *Session }

func openPush(s *Session) (source, error) { return pushSource{s}, nil }

func (p pushSource) test(context.Context) TestReport {
	rep := TestReport{Outcome: AllPassed, Account: RemoteAccount{ID: PushedAccount, Name: "pushed records"}}
	for _, st := range p.s.m.streams {
		if on, err := p.s.active(st); err != nil || !on {
			continue
		}
		rep.Streams = append(rep.Streams, StreamTest{Stream: st.name, DataTypes: st.dataTypes(), Essential: st.essential, State: TestPassed})
	}
	rep.conclude()
	return rep
}

func (p pushSource) read(_ context.Context, stream string, _ Sink) (ReadResult, error) {
	return ReadResult{Stream: stream}, &Error{Class: ClassConfig, Stream: stream, Message: "the records of this connector are sent, not read"}
}
