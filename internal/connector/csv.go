// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/connector/csvfile"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// csvBatch is how many records go to the sink at once.
const csvBatch = 500

// csvSource is the csv connector: a file that was uploaded, or one at a URL.
type csvSource struct {
	s    *Session
	url  *url.URL
	opts csvfile.Options
}

func openCSV(s *Session) (source, error) {
	text := func(k string) string { v, _ := s.config[k].(string); return v }
	words := func(k string) map[string]string {
		out := map[string]string{}
		m, _ := s.config[k].(map[string]any)
		for h, t := range m {
			out[h], _ = t.(string)
		}
		return out
	}
	c := &csvSource{s: s, opts: csvfile.Options{
		Format: text("format"), Columns: words("columns"), DateFormat: text("dateFormat"), Statuses: map[string]string{},
		Delimiter: map[string]string{"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}[text("delimiter")],
	}}
	for w, st := range words("statuses") {
		c.opts.Statuses[strings.ToLower(w)] = st
	}
	if c.opts.Format == "auto" {
		c.opts.Format = ""
	}
	if raw := text("url"); raw != "" {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, Problems{{Path: "spec.config.url", Got: "an unreadable URL", Want: "an https URL"}}
		}
		u.Host = strings.ToLower(u.Host)
		c.url = u
		s.declared[u.Host] = true
	}
	return c, nil
}

// open returns the file's bytes.
func (c *csvSource) open(ctx context.Context) (io.ReadCloser, error) {
	if c.s.o.Upload != nil {
		f, err := c.s.o.Upload()
		if err != nil {
			return nil, &Error{Class: ClassConfig, Message: "the uploaded file cannot be opened: " + err.Error(), Err: err}
		}
		return f, nil
	}
	if c.url == nil {
		return nil, &Error{Class: ClassConfig, Message: "there is no file", Fix: "upload one with seatkeeper import, or set config.url"}
	}
	for try := 0; ; try++ {
		body, failure := c.fetch(ctx)
		if failure == nil {
			return body, nil
		}
		if failure.Class != ClassTransient || try == maxTransientTries-1 || c.s.sleep(ctx, firstBackoff<<try) != nil {
			return nil, failure
		}
	}
}

func (c *csvSource) fetch(ctx context.Context) (io.ReadCloser, *Error) {
	s := c.s
	if err := s.refuse(c.url); err != nil {
		return nil, classifyNetwork(ctx, c.url.Host, err)
	}
	w := &wire{method: http.MethodGet, url: c.url, header: http.Header{}}
	w.header.Set("User-Agent", userAgent(s.o.UserAgent))
	w.header.Set("Accept", "text/csv, */*;q=0.1")
	if s.auth != nil {
		if _, err := s.authorize(ctx, w, s.vars()); err != nil {
			return nil, asError(err)
		}
	}
	if err := s.spend(ctx, w, true); err != nil {
		return nil, asError(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.sentURL(), nil)
	if err != nil {
		return nil, &Error{Class: ClassConfig, Message: "config.url is no URL that can be fetched"}
	}
	req.Header = w.header
	res, err := s.client.Do(req)
	if err != nil {
		return nil, classifyNetwork(ctx, c.url.Host, err)
	}
	if class := classOfStatus(res.StatusCode); class != "" {
		_ = res.Body.Close()
		e := s.explain(&Error{Class: class, Status: res.StatusCode}, &answer{status: res.StatusCode})
		if class == ClassRateLimit {
			e.RetryAfter, _ = parseRetryAfter(res.Header.Get("Retry-After"), s.clock.Now())
			e.RetryAfter = cmp.Or(e.RetryAfter, defaultPause)
		}
		return nil, e
	}
	return res.Body, nil
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Class: ClassTransient, Message: err.Error(), Err: err}
}

func (c *csvSource) parse(ctx context.Context) (*csvfile.Result, error) {
	body, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	res, err := csvfile.Parse(body, c.opts)
	var refused *csvfile.RefusedError
	switch {
	case err == nil:
		return res, nil
	case errors.As(err, &refused):
		short := *refused
		short.Hint = ""
		return nil, &Error{Class: ClassRefusedFile, Message: short.Error(), Fix: refused.Hint, Err: refused}
	case ctx.Err() != nil:
		return nil, &Error{Class: ClassCanceled, Message: "the time for this work ran out while the file was read", Err: err}
	case c.s.o.Upload == nil && c.url != nil:
		return nil, classifyNetwork(ctx, c.url.Host, err)
	}
	return nil, &Error{Class: ClassConfig, Message: err.Error(), Err: err}
}

func (c *csvSource) test(ctx context.Context) TestReport {
	var rep TestReport
	st := c.s.m.streams[0]
	t := StreamTest{Stream: st.name, DataTypes: st.dataTypes(), Essential: true, State: TestPassed}
	res, err := c.parse(ctx)
	if err != nil {
		t.failed(err)
	} else {
		t.DataTypes, t.Message = res.DataTypes, fmt.Sprintf("%d rows, format %s, %s", res.Rows, res.Format, res.Encoding)
		err = res.Close()
	}
	if err != nil && t.State == TestPassed {
		t.failed(err)
	}
	// A file has no remote account; where it comes from stands for it.
	rep.Account = RemoteAccount{ID: "file", Name: "uploaded file"}
	if c.url != nil {
		rep.Account = RemoteAccount{ID: c.url.Host + c.url.Path, Name: c.url.Host}
	}
	rep.Streams = []StreamTest{t}
	rep.conclude()
	return rep
}

func (c *csvSource) read(ctx context.Context, stream string, sink Sink) (res ReadResult, err error) {
	res.Stream = stream
	st := c.s.m.stream(stream)
	if st == nil {
		return res, &Error{Class: ClassConfig, Stream: stream, Message: "the connector has no such stream"}
	}
	file, err := c.parse(ctx)
	if err != nil {
		return res, withStream(err, stream)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	res.Requests = 1
	res.Notes = append([]string{fmt.Sprintf("%d rows, format %s, %s", file.Rows, file.Format, file.Encoding)}, file.Notes...)
	for _, col := range file.Columns {
		res.Notes = append(res.Notes, fmt.Sprintf("column %q → %s (%s)", col.Header, cmp.Or(col.Target, "dropped"), col.As))
	}
	res.Items = file.Rows
	batch := make([]model.Record, 0, csvBatch)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return &Error{Class: ClassCanceled, Stream: stream, Message: "the time for this work ran out", Err: err}
		}
		res.Records += len(batch)
		err := sink(ctx, "", batch)
		batch = batch[:0:0] // the sink may keep what it was given
		batch = slices.Grow(batch, csvBatch)
		return err
	}
	for rec, err := range file.Records() {
		if err != nil {
			return res, &Error{Class: ClassRefusedFile, Stream: stream, Message: err.Error(), Err: err}
		}
		if !c.s.wants(rec.Type()) {
			continue
		}
		batch = append(batch, rec)
		if len(batch) == csvBatch {
			if err := flush(); err != nil {
				return res, err
			}
		}
	}
	if err := flush(); err != nil {
		return res, err
	}
	res.Complete = true
	return res, nil
}
