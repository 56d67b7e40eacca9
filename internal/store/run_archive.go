// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
)

// A run that has ended is read by people now and then and by nothing else, so
// that its cursor and variables are kept as DEFLATE (RFC 1951) in one column.
// The first byte names the dictionary; one that was released never changes.
const archiveFormat = 1

// archiveWords is what most cursors and variables have, the most frequent last.
const archiveWords = `{"failure":{"message":"","reason":"","step":""},"decision":{"answer":"Keep","kind":"","by":""},"result":"skipped","firstName":"","lastName":"",` +
	`"email":"","department":"","manager":"","title":"","location":"","employeeID":"","startDate":"2026-01-01","endDate":"","status":"active","type":"","name":"",` +
	`"createdAt":"","updatedAt":"","person":{"id":"","displayName":""},"since":"2026-01-01T00:00:00.000Z"}{"event":{"data":{},"kind":"Webhook"},"input":{},` +
	`"org":{"displayName":"","domains":[],"timeZone":""},"start":{"by":"","why":"a webhook was received"},"steps":{"":{"at":"2026-01-01T00:00:00Z","id":"",` +
	`"n":2,"path":"[0]/","result":"case 0"},"":{"at":"2026-01-01T00:00:00Z","n":1,"path":"","result":"done","status":200}}}`

// archiveLevel is where more time begins to save next to nothing.
const archiveLevel = 5

// archivers keeps those that are not in use: one takes longer to make than it
// takes to pack a hundred runs.
var archivers = make(chan *flate.Writer, 2)

func archiver(into io.Writer) *flate.Writer {
	select {
	case w := <-archivers:
		w.Reset(into)
		return w
	default:
	}
	w, err := flate.NewWriterDict(into, archiveLevel, []byte(archiveWords))
	if err != nil {
		panic(err) // the level is one that there is
	}
	return w
}

// archive returns what the columns cursor, vars and archive of a run are to
// hold. What is sealed stays where the rotation of keys looks for it.
func archive(r Run) (cursor, vars string, packed any) {
	if mark := []byte(SealedMark); !r.State.Ended() || bytes.Contains(r.Cursor, mark) || bytes.Contains(r.Vars, mark) {
		return orEmptyObject(r.Cursor), orEmptyObject(r.Vars), nil
	}
	parts := [][]byte{r.Cursor, r.Vars}
	for i, p := range parts {
		if len(p) == 0 {
			parts[i] = []byte("{}")
		}
	}
	b := bytes.NewBuffer(make([]byte, 0, 512))
	b.WriteByte(archiveFormat)
	b.Write(binary.AppendUvarint(nil, uint64(len(parts[0]))))
	w := archiver(b)
	for _, p := range parts {
		_, _ = w.Write(p) // to memory
	}
	_ = w.Close()
	select {
	case archivers <- w:
	default:
	}
	return "{}", "{}", b.Bytes()
}

// unarchive returns the cursor and the variables of a run that has ended.
func unarchive(packed []byte) (cursor, vars []byte, err error) {
	if len(packed) == 0 {
		return nil, nil, io.ErrUnexpectedEOF
	}
	if packed[0] != archiveFormat {
		return nil, nil, fmt.Errorf("what it kept has format %d; this version knows %d", packed[0], archiveFormat)
	}
	split, n := binary.Uvarint(packed[1:])
	if n <= 0 {
		return nil, nil, io.ErrUnexpectedEOF
	}
	all, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(packed[1+n:]), []byte(archiveWords)))
	if err == nil && split > uint64(len(all)) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read what it kept: %w", err)
	}
	return all[:split:split], all[split:], nil
}
