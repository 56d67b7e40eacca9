// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Labelled by the route's pattern, never by the path, which may hold a
// credential and is without bound.
var (
	requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seatkeeper_gateway_requests_total", Help: "Requests answered, by route and status code.",
	}, []string{"route", "code"})
	latency = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "seatkeeper_gateway_request_duration_seconds", Help: "Time to answer a request, by route.",
		Buckets: []float64{.005, .02, .1, .5, 1, 3, 10},
	}, []string{"route"})
)

func init() {
	metrics.Registry.MustRegister(requests, latency)
}

// measure counts what the handler answers.
func measure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, rec := time.Now(), &recorder{ResponseWriter: w, code: http.StatusOK}
		defer func() {
			route := r.Pattern // set by the mux
			if route == "" {
				route = "none"
			}
			requests.WithLabelValues(route, strconv.Itoa(rec.code)).Inc()
			latency.WithLabelValues(route).Observe(time.Since(start).Seconds())
		}()
		next.ServeHTTP(rec, r)
	})
}

// recorder remembers the status code.
type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
