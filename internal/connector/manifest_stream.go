// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// stream is one listing of the vendor's API.
type stream struct {
	name                string
	essential, optional bool
	enabled             *expr.Program
	covers              []string
	activityReported    bool

	parent     string // forEach.stream
	items      *expr.Program
	as         string
	parentWhen *expr.Program

	request  requestSpec
	page     pageSpec
	decode   decodeSpec
	records  *expr.Program
	filter   *expr.Program
	stopWhen *expr.Program
	key      *expr.Program
	emits    []*emit
	onError  map[ErrorClass]string

	mode       string // full, window, incremental
	timeField  *expr.Program
	start      *expr.Program
	step       time.Duration
	lag        time.Duration
	history    time.Duration
	byAbsence  bool
	perPart    bool
	maxDrop    int
	testQuery  []pair
	testExpect []expectation

	cursor    *expr.Program // sync.cursor: when the record changed
	overlap   time.Duration
	fullEvery time.Duration
	removed   *expr.Program // the record says that it is gone
	digest    string        // of the stream's part of the manifest
}

type expectation struct {
	when      *expr.Program
	otherwise string
	outcome   string // B or C
}

// emit turns one vendor record into canonical records of one type.
type emit struct {
	kind   string
	rt     recordType
	each   *expr.Program
	as     string
	when   *expr.Program
	fields []mappedField
	custom *expr.Program
}

type mappedField struct {
	name  string
	field field
	prg   *expr.Program
}
