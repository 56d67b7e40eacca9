// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"io/fs"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
	"github.com/seatkeeper/seatkeeper/internal/cli/up"
	"github.com/seatkeeper/seatkeeper/internal/connector/csvfile"
)

// ErrorCode is one kind of failure of the command line. Its code never changes
// its meaning; docs/errors.md is made from this list.
type ErrorCode struct {
	Code  string
	Exit  int
	Title string
	Mend  string
	is    func(error) bool
}

// ErrorCodes lists every kind; the first that applies is the error's.
var ErrorCodes = []ErrorCode{
	{"SK9001", exitUsage, "The command line is wrong; nothing was tried.", "Correct it; `--help` shows what is possible.", as[usageError]},
	{"SK9002", exitRefused, "The gateway or the API server does not know who you are.", "Sign in: the kubeconfig needs a bearer token or a client certificate that they know.", unauthenticated},
	{"SK9003", exitRefused, "You may not do this in that namespace.", "Have a role bound there; see [Security](security.md#roles).", status(http.StatusForbidden)},
	{"SK9004", exitFailure, "There is no such thing, or the namespace has no Seatkeeper resources yet.", "Check `-n` and the name, or apply an Integration there.", status(http.StatusNotFound)},
	{"SK9017", exitFailure, "Another push or sync of the Integration is running, and nothing was changed.", "Try again in a moment, or give `--wait` more time.", is(errBusy)},
	{"SK9005", exitFailure, "What you looked at has changed meanwhile.", "List it again, and act on what you see then.", status(http.StatusConflict)},
	{"SK9006", exitFailure, "The gateway refuses the request as it is.", "Correct what the message names.", status(http.StatusBadRequest)},
	{"SK9007", exitFailure, "The store or the API server does not answer the gateway.", "Try again. If it stays, look at the gateway's log.", status(http.StatusServiceUnavailable)},
	{"SK9008", exitFailure, "The file was refused, and nothing was changed.", "Correct the cell in the source and export again; see [Import](import.md).", as[*csvfile.RefusedError]},
	{"SK9009", exitFailure, "The import is held, and nothing was removed.", "Look at `seatkeeper guards`, then release the set or correct the file.", is(errHeld)},
	{"SK9010", exitFailure, "The manager refused the file, and nothing was changed.", "Correct what the message names, and import again.", is(errRefused)},
	{"SK9011", exitFailure, "A step of `seatkeeper up` failed.", "Run the command that the message names as next; the log is named as well.", as[*up.StepError]},
	{"SK9012", exitFailure, "The gateway cannot be found or reached.", "Check the kubeconfig's context, or name the gateway with `--server https://HOST:PORT`.", as[*queryclient.UnreachableError]},
	{"SK9013", exitFailure, "A manifest, its README or its fixtures are not as a connector must be.", "Correct each line that is listed; [Writing a connector](writing-a-connector.md) walks through one.", is(errManifest)},
	{"SK9014", exitFailure, "A manifest makes something else of its fixtures than they say.", "Correct the manifest or the fixtures; write the golden file anew with `--update` if the new records are right.", is(errDisagree)},
	{"SK9015", exitPartial, "The connect test passed in part (outcome B).", "Do what the column FIX says, or connect with `acceptPartial` and without those data types.", is(errOutcomeB)},
	{"SK9016", exitFailure, "The connect test failed (outcome C), or could not come to a verdict.", "Do what the message says; the connector's README says what each outcome means.", is(errOutcomeC)},
	{"SK9018", exitFailure, "A line was refused, and nothing was changed.", "Correct the lines that the message names; see [Push](push.md).", status(http.StatusUnprocessableEntity)},
	{"SK9019", exitFailure, "A file cannot be read or written.", "Correct the path, or who may read it; the message names the file.", as[*fs.PathError]},
	{"SK9020", exitFailure, "The run that was waited for did not succeed.", "Look at it with `seatkeeper runs ID`; its steps say what happened.", is(errRunFailed)},
	{"SK9021", exitFailure, "A test of a Workflow failed.", "Look at what differs: correct the Workflow, or what the test expects; `-v` shows every step and request.", is(errFlowFailed)},
	{"SK9022", exitFailure, "A Workflow or a file of its tests is not as it must be.", "Correct the line that the message names; see [Workflows](workflows.md#test-it-before-it-runs).", is(errFlowFile)},
	{"SK9023", exitFailure, "Expressions of a Workflow read what its webhook never received.", "Correct the paths that are listed, or send a test with them; see [Webhooks](webhooks.md#what-was-received).", is(errUnreceived)},
	{"SK9099", exitFailure, "Something else; the message says what.", "Do what the message says. If it says nothing useful, that is a defect: report it.", func(error) bool { return true }},
}

var (
	errHeld    = errors.New("held, and nothing was removed")
	errRefused = errors.New("refused, and nothing was changed")
	errBusy    = errors.New("busy, and nothing was changed")
)

func codeOf(err error) ErrorCode {
	for _, c := range ErrorCodes {
		if c.is(err) {
			return c
		}
	}
	return ErrorCodes[len(ErrorCodes)-1]
}

func as[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// unauthenticated is told of by the gateway, or before by the API server when it
// is asked where the gateway is.
func unauthenticated(err error) bool {
	return status(http.StatusUnauthorized)(err) || apierrors.IsUnauthorized(err)
}

func status(code int32) func(error) bool {
	return func(err error) bool {
		var e *queryclient.Error
		if errors.As(err, &e) {
			return e.Status.Code == code
		}
		var direct apierrors.APIStatus // of the API server, where it is asked itself
		return errors.As(err, &direct) && direct.Status().Code == code
	}
}
