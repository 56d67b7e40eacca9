// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
	"github.com/seatkeeper/seatkeeper/internal/connector/csvfile"
)

const (
	maxImportBytes = 64 << 20
	importWait     = 5 * time.Minute
	importPoll     = 500 * time.Millisecond
	// newNamespaceWait is how long a manager may take to see a new namespace.
	newNamespaceWait = 30 * time.Second
	importSayEvery   = 10 * time.Second
)

// importOptions are the flags of `seatkeeper import`.
type importOptions struct {
	as, name, dateFormat, delimiter string
	columns                         map[string]string
	dryRun                          bool
}

func newImportCommand(e *env) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use: "import FILE", GroupID: "act",
		Short: "Import a member export that you downloaded from an admin console",
		Long: `Import a member export that you downloaded from an admin console: of Slack,
Google Workspace, Okta or Zoom, or any CSV file with --column. No token is
needed. It first says how it understood each column. A file that is refused
(row, column and reason are named) changes nothing, and one that lost many rows
since the last import is held until you release it.

The import needs an Integration with the connector csv; it makes one if there is
none and prints it, for your git repository.`,
		Example: `  seatkeeper import slack-members.csv -n my-company
  seatkeeper import staff.csv --as generic --name hris \
      --column 'E-Mail=person.email' --column 'Nr=person.employeeId' --dry-run`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImport(cmd.Context(), e, args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.as, "as", "", "slack, google-workspace, okta, zoom or generic (default: found out from the header)")
	f.StringVar(&o.name, "name", "", "Integration to import into (default: the format's name with -import)")
	f.StringToStringVar(&o.columns, "column", nil, "HEADER=TARGET, such as 'Mail=account.email'; - drops a column; may be repeated")
	f.StringVar(&o.dateFormat, "date-format", "", "DMY, MDY or YMD, where the file leaves it open")
	f.StringVar(&o.delimiter, "delimiter", "", "field separator (default: found out from the file)")
	f.BoolVar(&o.dryRun, "dry-run", false, "say how the file is understood, and change nothing")
	return cmd
}

func runImport(ctx context.Context, e *env, path string, o importOptions) error {
	file, err := openImport(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	parsed, err := csvfile.Parse(file, csvfile.Options{Format: o.as, Columns: o.columns, DateFormat: o.dateFormat, Delimiter: o.delimiter})
	if err != nil {
		var refused *csvfile.RefusedError
		if errors.As(err, &refused) {
			return fmt.Errorf("%s: %w; nothing was changed", path, err)
		}
		return err
	}
	defer func() { _ = parsed.Close() }()
	explain(e.out, path, parsed)
	if o.dryRun {
		e.say("Dry run: nothing was changed.")
		return nil
	}
	if o.name == "" {
		o.name = parsed.Format + "-import"
	}
	if !nameRule.MatchString(o.name) {
		return usageError{fmt.Errorf("--name %q: want lower-case letters, digits and '-'", o.name)}
	}
	c, namespace, err := e.client(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := ensureImportTarget(ctx, e, namespace, o, parsed); err != nil {
		return err
	}
	query := url.Values{"integration": {o.name}, "filename": {filepath.Base(path)}}
	upload, err := sendImport(ctx, c, namespace, query, file)
	if err != nil {
		return err
	}
	return awaitImport(ctx, e, c, namespace, o.name, upload)
}

// sendImport uploads the file. A namespace that was made a moment ago is
// unknown to the gateway until the manager has seen its first resource.
func sendImport(ctx context.Context, c *queryclient.Client, namespace string, query url.Values, file io.ReadSeeker) (string, error) {
	for deadline := time.Now().Add(newNamespaceWait); ; {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return "", err
		}
		var accepted struct {
			Upload string `json:"upload"`
		}
		err := c.Upload(ctx, listPath(namespace, "imports"), query, file, &accepted)
		var answer *queryclient.Error
		if err == nil || !errors.As(err, &answer) || answer.Status.Code != http.StatusNotFound || time.Now().After(deadline) {
			return accepted.Upload, err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(importPoll):
		}
	}
}

var nameRule = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func openImport(path string) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = fmt.Errorf("%s is a folder; want a CSV file", path)
	case info.Size() == 0:
		err = fmt.Errorf("%s is empty; nothing was changed", path)
	case info.Size() > maxImportBytes:
		err = fmt.Errorf("%s has %d MiB; at most %d MiB can be imported at once", path, info.Size()>>20, maxImportBytes>>20)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// explain says how each column was understood.
func explain(out io.Writer, path string, r *csvfile.Result) {
	delimiter := map[string]string{"\t": "tab", ",": "comma", ";": "semicolon"}[r.Delimiter]
	_, _ = fmt.Fprintf(out, "%s: %d rows of a %s export (%s, %s)\n", filepath.Base(path), r.Rows, r.Format, r.Encoding, delimiter)
	items := make([]item, 0, len(r.Columns))
	for _, c := range r.Columns {
		target := c.Target
		switch target {
		case "":
			target = "(dropped)"
		case "custom":
			target = "(kept as a custom field)"
		}
		items = append(items, item{"column": c.Header, "target": target, "as": c.As})
	}
	_ = printTable(out, items, []column{{Header: "COLUMN", Path: "column"}, {Header: "UNDERSTOOD AS", Path: "target"}, {Header: "READ AS", Path: "as"}}, 0)
	for _, n := range r.Notes {
		_, _ = fmt.Fprintln(out, "note:", n)
	}
}

// awaitImport follows the upload until it was synced, refused or held.
func awaitImport(ctx context.Context, e *env, c *queryclient.Client, namespace, name, upload string) error {
	ctx, cancel := context.WithTimeout(ctx, importWait)
	defer cancel()
	said := time.Now()
	for {
		var st struct {
			State   string `json:"state"` // Pending, Imported, Held, Refused
			Message string `json:"message"`
			Records int64  `json:"records"`
		}
		if err := c.Get(ctx, listPath(namespace, "imports")+"/"+url.PathEscape(upload), nil, &st); err != nil {
			return err
		}
		switch st.State {
		case "Imported":
			e.say("Imported into %s: %d records. Look with `seatkeeper accounts -n %s --integration %s`.", name, st.Records, namespace, name)
			return nil
		case "Held":
			return fmt.Errorf("%w: %s", errHeld, st.Message)
		case "Refused":
			return fmt.Errorf("%w: %s", errRefused, st.Message)
		}
		if time.Since(said) >= importSayEvery {
			said = time.Now()
			e.say("Waiting for the manager to import into %s … %s", name, strings.TrimSpace(st.Message))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the upload is stored but was not imported within %s: look at `seatkeeper integrations %s -n %s`", importWait, name, namespace)
		case <-time.After(importPoll):
		}
	}
}
