// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
)

// pushOptions are the flags of `seatkeeper push`.
type pushOptions struct {
	complete bool
	key      string
	wait     time.Duration
}

// pushed is what the gateway answers to a push.
type pushed struct {
	State     string `json:"state"`
	Records   int64  `json:"records"`
	DataTypes []item `json:"dataTypes"`
}

func newPushCommand(e *env) *cobra.Command {
	o := pushOptions{wait: time.Minute}
	cmd := &cobra.Command{
		Use: "push INTEGRATION FILE", GroupID: "act",
		Short: "Send records of your own to an Integration with the connector push",
		Long: `Send records of your own to an Integration with the connector push: one JSON
object a line, of the types that docs/push.md lists. FILE is - for the standard
input. A wrong line is named and nothing changes. What is not sent stays, unless
the records are complete; then it goes, within what the guard allows.`,
		Example: `  seatkeeper push badge-system accounts.ndjson --complete -n acme
  ./collect | seatkeeper push usage-agent - -n acme`,
		Args: usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !nameRule.MatchString(args[0]) {
				return usageError{fmt.Errorf("%q: want the name of an Integration", args[0])}
			}
			return runPush(cmd.Context(), e, cmd.InOrStdin(), args[0], args[1], o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.complete, "complete", false, "these are all the records of their types: what is missing is gone")
	f.StringVar(&o.key, "idempotency-key", "", "a name for this push: sending it again answers as before (default: a new one)")
	f.DurationVar(&o.wait, "wait", o.wait, "how long to wait for another push of the same Integration to end; 0 does not wait")
	return cmd
}

func runPush(ctx context.Context, e *env, stdin io.Reader, integration, path string, o pushOptions) error {
	records, size, err := openRecords(stdin, path)
	if err != nil {
		return err
	}
	defer func() { _ = records.Close() }()
	if o.key == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		o.key = id.String()
	}
	c, namespace, err := e.client(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	query := url.Values{}
	if o.complete {
		query.Set("complete", "true")
	}
	var out pushed
	if err := sendRecords(ctx, c, listPath(namespace, "integrations")+"/"+integration+"/records", query, o, records, size, &out); err != nil {
		return err
	}
	for i := range out.DataTypes {
		if out.DataTypes[i]["held"] != nil {
			out.DataTypes[i]["state"] = "Held"
		}
	}
	if err := printTable(e.out, out.DataTypes, []column{{Header: "TYPE", Path: "name"}, {Header: "RECEIVED", Path: "received"}, {Header: "ADDED", Path: "added"},
		{Header: "CHANGED", Path: "changed"}, {Header: "REMOVED", Path: "removed"}, {Header: "KNOWN", Path: "known"}, {Header: "STATE", Path: "state"}}, 0); err != nil {
		return err
	}
	if out.State == "Held" {
		return fmt.Errorf("%w: look at `seatkeeper guards -n %s`; if it is right, release the set and push again", errHeld, namespace)
	}
	e.say("Pushed %s to %s.", counted(int(out.Records), "record"), integration)
	return nil
}

// openRecords opens the file; size is -1 for what can be read once only.
func openRecords(stdin io.Reader, path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(stdin), -1, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("it is a folder; want a file of records")}
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return file, -1, nil
	}
	return file, info.Size(), nil
}

// sendRecords waits its turn where the records can be read again.
func sendRecords(ctx context.Context, c *queryclient.Client, path string, query url.Values, o pushOptions, records io.Reader, size int64, out *pushed) error {
	again, seekable := records.(io.Seeker)
	for deadline := time.Now().Add(o.wait); ; {
		err := c.Push(ctx, path, query, o.key, records, out)
		var answer *queryclient.Error
		if err == nil || !errors.As(err, &answer) || answer.Status.Code != http.StatusConflict || answer.RetryAfter == 0 {
			return err
		}
		if size < 0 || !seekable || time.Now().Add(answer.RetryAfter).After(deadline) {
			return fmt.Errorf("%w: %w", errBusy, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(answer.RetryAfter):
		}
		if _, err := again.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
}
