// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Bounds of an answer that is read as it arrives: it may be of any length, but
// neither one record nor what surrounds them.
const (
	maxItemBytes   = 16 << 20
	batchItems     = 1000
	batchBytes     = 4 << 20
	maxOtherBytes  = 4 << 20 // of the members beside a streamed array
	maxXMLDepth    = 64
	maxCSVColumns  = 2000
	maxXMLChildren = 100_000
)

// decodeSpec says how an answer is read record by record. The zero value
// decodes the answer as a whole.
type decodeSpec struct {
	kind      string // json, ndjson, csv, xml
	path      []string
	delimiter rune
	record    string
}

func (d *decodeSpec) streams() bool { return d.kind != "" }

// items yields the records of a body as they are decoded. other, where it is
// not nil, gets the members of a JSON object that surround the records; it is
// whole when the sequence has ended without error.
func (d *decodeSpec) items(r io.Reader, other map[string]any) iter.Seq2[any, error] {
	b := &boundedReader{r: r, left: maxItemBytes}
	switch d.kind {
	case "ndjson":
		return ndjsonItems(b)
	case "csv":
		return csvItems(b, d.delimiter)
	case "xml":
		return xmlItems(b, d.record)
	}
	return jsonItems(b, d.path, other)
}

var errItemTooLong = fmt.Errorf("one record has more than %d MiB", maxItemBytes>>20)

// boundedReader bounds what is read for one record. A network failure keeps
// its own error, so that it can be told from a fault of the text.
type boundedReader struct {
	r    io.Reader
	left int
	read int64
	err  error // of the underlying reader
}

// next begins another record.
func (b *boundedReader) next() { b.left = maxItemBytes }

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errItemTooLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	b.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// errEnough ends the reading of a body early.
var errEnough = errors.New("enough was read")

// halted is an error of who takes the records: no fault of the answer, and no
// reason to ask for it again.
type halted struct{ err error }

func (h *halted) Error() string { return h.err.Error() }
func (h *halted) Unwrap() error { return h.err }

// page is one answered page.
type page struct {
	ans     *answer
	records []any // nil where they were handed on already
	count   int
	stop    bool // who takes them had enough
}

// fetch asks for one page. Where the manifest says so, its records are handed
// to each in batches while the body is still read.
func (rd *reader) fetch(ctx context.Context, st *stream, x exchange, each func([]any) (bool, error)) (pg page, err error) {
	if !st.decode.streams() {
		if pg.ans, err = rd.s.do(ctx, x); err != nil {
			return pg, err
		}
		pg.records, err = recordsOf(ctx, st, answerVars(x.vars, pg.ans))
		pg.count = len(pg.records)
		return pg, err
	}
	start, edit := rd.mark(), x.edit
	x.edit = func(w *wire) error {
		w.header.Set("Accept", st.decode.accepts())
		if edit != nil {
			return edit(w)
		}
		return nil
	}
	counts := st == rd.st && slices.ContainsFunc(st.emits, func(e *emit) bool { return e.rt.dataType == model.DataUsage })
	x.consume = func(a *answer, body io.Reader) error {
		if counts && rd.counted {
			// Events have no key by which the stage would know them again: it would
			// count them twice. The next sync reads them anew.
			return &halted{&Error{Class: ClassTransient, Stream: st.name, Message: "the answer broke off"}}
		}
		rd.rewind(start) // a repeated request begins anew
		pg.count = 0
		return rd.s.consume(ctx, st, x.vars, a, body, func(records []any) (bool, error) {
			pg.count, rd.counted = pg.count+len(records), counts
			return each(records)
		})
	}
	pg.ans, err = rd.s.do(ctx, x)
	var h *halted
	if errors.As(err, &h) {
		pg.stop, err = true, h.err
		if errors.Is(err, errEnough) {
			err = nil
		}
		return pg, err
	}
	if err == nil {
		answerVars(x.vars, pg.ans)
	}
	return pg, err
}

func (d *decodeSpec) accepts() string {
	switch d.kind {
	case "csv":
		return "text/csv, */*;q=0.1"
	case "xml":
		return "application/xml, text/xml, */*;q=0.1"
	case "ndjson":
		return "application/x-ndjson, application/jsonl, application/json, */*;q=0.1"
	}
	return "application/json"
}

// progress is what a repeated request takes back.
type progress struct {
	res            ReadResult
	oldest, newest time.Time
}

func (rd *reader) mark() progress { return progress{rd.res, rd.oldest, rd.newest} }

func (rd *reader) rewind(p progress) { rd.res, rd.oldest, rd.newest = p.res, p.oldest, p.newest }

// consume reads the records of a body in batches. Afterwards the answer's body
// is what surrounded them.
func (s *Session) consume(ctx context.Context, st *stream, vars map[string]any, ans *answer, body io.Reader, each func([]any) (bool, error)) error {
	if kind, _, err := mime.ParseMediaType(ans.header.Get("Content-Type")); err == nil && kind == "text/html" {
		return &Error{Class: ClassMapping, Status: ans.status, Message: "the answer is a web page",
			Fix: "check that the address is the API's and not a sign-in page or a proxy's"}
	}
	var hash maphash.Hash
	hash.SetSeed(hashSeed)
	raw := &boundedReader{r: io.TeeReader(body, &hash), left: int(^uint(0) >> 1)}
	other := map[string]any{}
	answerVars(vars, ans)
	var list []any
	flushed := int64(0)
	flush := func() error {
		records, err := recordsOfBatch(ctx, st, vars, list)
		if err != nil {
			return err
		}
		list, flushed = nil, raw.read
		if len(records) == 0 {
			return nil
		}
		goOn, err := each(records)
		if err == nil && !goOn {
			err = errEnough
		}
		if err != nil {
			return &halted{err}
		}
		return nil
	}
	for item, err := range st.decode.items(raw, other) {
		if err == nil {
			list = append(list, item)
			if len(list) < batchItems && raw.read-flushed < batchBytes {
				continue
			}
			err = flush()
		} else if raw.err != nil {
			return raw.err // the connection, not the text
		} else {
			err = &Error{Class: ClassMapping, Status: ans.status, Message: "the answer cannot be read as " + st.decode.kind + ": " + err.Error(),
				Fix: "the vendor's answer differs from what the manifest expects"}
		}
		if err != nil {
			return err
		}
	}
	// JSON and XML say themselves where they end; lines do not.
	if ans.unbounded && (st.decode.kind == "csv" || st.decode.kind == "ndjson") {
		return &Error{Class: ClassMapping, Status: ans.status, Message: "the answer has neither a length nor chunks, so that nothing tells whether it is whole",
			Fix: "let the vendor, or the proxy in front of it, answer with Content-Length or Transfer-Encoding: chunked"}
	}
	if err := flush(); err != nil {
		return err
	}
	ans.hash, ans.body = hash.Sum64(), other
	return nil
}

// recordsOfBatch applies the stream's records expression, if it has one, to
// what has been decoded.
func recordsOfBatch(ctx context.Context, st *stream, vars map[string]any, list []any) ([]any, error) {
	if st.records == nil || len(list) == 0 {
		return list, nil
	}
	vars["records"] = list
	return recordsOf(ctx, st, vars)
}

// streaming returns a client and a context for an answer of any length: what is
// bounded is not the whole exchange but each wait for more of it.
func (s *Session) streaming(ctx context.Context) (*http.Client, context.Context, *patience) {
	client := *s.client
	limit := client.Timeout
	client.Timeout = 0
	ctx, cancel := context.WithCancelCause(ctx)
	p := &patience{limit: limit, cancel: cancel}
	p.timer = time.AfterFunc(limit, func() { cancel(errIdle) })
	return &client, ctx, p
}

var errIdle = errors.New("the vendor's answer stopped arriving")

// patience cancels an exchange whose next bytes take too long.
type patience struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
	body   io.Reader
}

func (p *patience) Read(b []byte) (int, error) {
	p.timer.Reset(p.limit)
	defer p.timer.Stop() // what is done with the bytes may take its time
	return p.body.Read(b)
}

// consume lets the request's consumer read a good answer.
func (p *patience) consume(ctx context.Context, w *wire, ans *answer, body io.Reader) *Error {
	p.body = body
	err := w.consume(ans, p)
	var (
		stop *halted
		e    *Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &stop):
		return &Error{Class: ClassCanceled, Message: "the reading was stopped", Err: stop}
	case errors.As(err, &e):
		return e
	}
	return classifyNetwork(ctx, w.url.Host, err)
}

func (p *patience) end() {
	p.timer.Stop()
	p.cancel(nil)
}
