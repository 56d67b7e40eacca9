// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
	"github.com/seatkeeper/seatkeeper/internal/cli/up"
	"github.com/seatkeeper/seatkeeper/internal/connector/csvfile"
)

func TestErrorsHaveTheirCode(t *testing.T) {
	gateway := func(code int32) error {
		e := &queryclient.Error{}
		e.Status.Code, e.Status.Message = code, "as the gateway says"
		return e
	}
	for want, err := range map[string]error{
		"SK9001": usageError{errors.New("unknown flag")},
		"SK9002": gateway(401), "SK9003": gateway(403), "SK9004": gateway(404), "SK9005": gateway(409), "SK9006": gateway(400), "SK9007": gateway(503),
		"SK9008": &csvfile.RefusedError{Row: 2, Reason: "no key"}, "SK9009": errHeld, "SK9010": errRefused,
		"SK9011": &up.StepError{Step: "x", Err: errors.New("y")}, "SK9012": &queryclient.UnreachableError{Err: errors.New("refused")},
		"SK9013": errManifest, "SK9014": errDisagree, "SK9015": errOutcomeB, "SK9016": errOutcomeC,
		"SK9017": fmt.Errorf("%w: %w", errBusy, gateway(409)), "SK9018": gateway(422),
		"SK9019": &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist},
		"SK9099": errors.New("anything"),
	} {
		if got := codeOf(fmt.Errorf("wrapped: %w", err)).Code; got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

// An expired token is met first where the cluster is asked for the gateway.
func TestAnUnknownUserIsNotAnUnreachableGateway(t *testing.T) {
	err := &queryclient.UnreachableError{Err: fmt.Errorf("ask the cluster where the gateway is: %w", apierrors.NewUnauthorized("Unauthorized"))}
	if got := codeOf(err); got.Code != "SK9002" || got.Exit != exitRefused {
		t.Errorf("got %s with exit code %d, want SK9002 with %d", got.Code, got.Exit, exitRefused)
	}
}

func TestErrorCodesAreUniqueAndExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range ErrorCodes {
		if seen[c.Code] || !strings.HasPrefix(c.Code, "SK9") || c.Title == "" || c.Mend == "" || c.Exit == exitOK {
			t.Errorf("%+v is repeated or incomplete", c)
		}
		seen[c.Code] = true
	}
}
