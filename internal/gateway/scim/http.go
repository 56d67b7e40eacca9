// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seatkeeper/seatkeeper/internal/scim"
)

const mediaType = "application/scim+json"

var outcomes = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "seatkeeper_scim_requests_total", Help: "Requests of identity providers, by outcome: ok, refused, unauthorized, throttled or error.",
}, []string{"outcome"})

func init() { metrics.Registry.MustRegister(outcomes) }

// outcome is what the metric calls a status.
func outcome(status int) string {
	switch {
	case status < 400:
		return "ok"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "unauthorized"
	case status == http.StatusTooManyRequests:
		return "throttled"
	case status >= 500 && status != http.StatusNotImplemented:
		return "error"
	}
	return "refused"
}

func errorBody(e *scim.Error) scim.ErrorDocument {
	return scim.ErrorDocument{Schemas: []string{scim.ErrorURN}, Status: strconv.Itoa(e.Status), ScimType: e.Type, Detail: e.Detail}
}

// write writes a result or an error.
func (a *API) write(w http.ResponseWriter, c *call, out answer) {
	for name, value := range out.header {
		w.Header().Set(name, value)
	}
	if out.body == nil {
		w.WriteHeader(out.status)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(out.status)
	if c.request.Method == http.MethodHead {
		return
	}
	long, ok := out.body.(interface{ WriteJSON(to io.Writer) error })
	if !ok || len(c.streamed) == 0 {
		_ = json.NewEncoder(w).Encode(out.body) // an error here is a caller that has gone
		return
	}
	if err := long.WriteJSON(w); err != nil {
		if c.request.Context().Err() == nil {
			a.Log.Warn("An answer over SCIM was cut off", "route", c.route, "error", err)
		}
		panic(http.ErrAbortHandler) // or half of it would pass for all
	}
}

// reader returns what reads the body, within its limit.
func (a *API) reader(c *call, w http.ResponseWriter) func() (map[string]any, error) {
	return func() (map[string]any, error) {
		limit := int64(maxBody)
		if c.route == "/Bulk" {
			limit = maxBulkBody
		}
		sent := c.request.Header.Get("Content-Type")
		kind, _, err := mime.ParseMediaType(sent)
		if err != nil || !strings.EqualFold(kind, mediaType) && !strings.EqualFold(kind, "application/json") {
			return nil, &scim.Error{Status: http.StatusUnsupportedMediaType, Detail: "Send a body of type application/scim+json or application/json."}
		}
		data, err := c.read(http.MaxBytesReader(w, c.request.Body, limit))
		if err != nil {
			return nil, err
		}
		return scim.ParseJSON(data)
	}
}

// read reads a body. What is read of a large one takes many times its size until
// it is answered, so large ones take turns.
func (c *call) read(body io.Reader) ([]byte, error) {
	var data bytes.Buffer
	if _, err := io.CopyN(&data, body, largeBody+1); errors.Is(err, io.EOF) {
		return data.Bytes(), nil
	} else if err != nil {
		return nil, bodyError(err)
	}
	err := c.hold(c.api.turns.largeComing)
	if err == nil {
		if _, err := data.ReadFrom(body); err != nil {
			return nil, bodyError(err)
		}
		// A sender who is slow holds up nobody else: here all has come.
		err = c.hold(c.api.turns.large)
	}
	if err != nil {
		// A client that is still sending would not read the answer.
		_, _ = io.Copy(io.Discard, body)
		return nil, err
	}
	return data.Bytes(), nil
}

// bodyError keeps a body that is too large from one that ended early.
func bodyError(err error) error {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return err
	}
	return &scim.Error{Status: http.StatusBadRequest, Type: scim.InvalidSyntax, Detail: "The body ended before its end."}
}

// methodError is a 405, with what is allowed.
type methodError struct {
	scim  *scim.Error
	allow []string
}

func (e *methodError) Error() string { return e.scim.Error() }

func (e *methodError) Unwrap() error { return e.scim }

func wrongMethod(allow ...string) error {
	return &methodError{&scim.Error{Status: http.StatusMethodNotAllowed, Detail: "This endpoint takes " + strings.Join(allow, ", ") + "."}, allow}
}
