// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	workflowctl "github.com/seatkeeper/seatkeeper/controllers/workflow"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/version"
	"github.com/seatkeeper/seatkeeper/internal/workflow/httpstep"
)

// requester sends what no connector describes, within the operator's bounds.
func (w *wiring) requester() *connector.Requester {
	o := w.options
	return connector.NewRequester(connector.RequesterOptions{
		Endpoints: o.ConnectorEndpoints, AllowedNetworks: o.AllowedNetworks, Clock: o.Clock, UserAgent: "seatkeeper/" + version.Version,
	})
}

func (w *wiring) secretReader() secretReader {
	return secretReader{reader: w.GetAPIReader(), serviceAccount: w.options.ServiceAccount}
}

// httpSender sends the requests of http steps.
func (w *wiring) httpSender() *httpstep.Sender {
	return &httpstep.Sender{Requester: w.requester(), Secrets: w.secretReader(), Namespace: w.spaces.of, Clock: w.options.Clock}
}

// requestRules tell the Workflow controller what requests may be.
type requestRules struct {
	*connector.Requester
	secrets syncer.SecretReader
}

var _ workflowctl.Requests = requestRules{}

// TakesHeader implements the Workflow controller's Requests.
func (requestRules) TakesHeader(name string) bool { return connector.TakesHeader(name) }

// Changes implements the Workflow controller's Requests.
func (requestRules) Changes(document string) bool { return connector.GraphQLChanges(document) }

// Secret implements the Workflow controller's Requests.
func (q requestRules) Secret(ctx context.Context, namespace, name, auth string) (reason, message string, err error) {
	s, err := q.secrets.ReadSecret(ctx, namespace, name)
	var absent *syncer.SecretNotFoundError
	var denied *syncer.SecretDeniedError
	switch {
	case errors.As(err, &absent):
		return v1alpha1.ReasonSecretNotFound, absent.Error(), nil
	case errors.As(err, &denied):
		return v1alpha1.ReasonSecretAccessDenied, denied.Error(), nil
	case err != nil:
		return "", "", err
	}
	var lacks []string
	for _, key := range connector.WebAuthType(auth).SecretKeys() {
		if s.Data[key] == "" {
			lacks = append(lacks, key)
		}
	}
	if len(lacks) > 0 {
		return v1alpha1.ReasonSecretKeyMissing, fmt.Sprintf("Secret %q lacks %s, which type %s needs", name, strings.Join(lacks, " and "), auth), nil
	}
	return "", "", nil
}
