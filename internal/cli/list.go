// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
)

// resource is one thing that can be listed. Its endpoint is
// /apis/v1/namespaces/NS/NAME.
type resource struct {
	Name    string
	Aliases []string
	Short   string
	Long    string
	Example string
	Columns []column
	Filters []filter
	// Views are the columns of other views, by the value of --view.
	Views map[string][]column
	// Empty is what it means that a view has nothing, with %s for the namespace.
	Empty map[string]string
	// One says that NAME/ID can be read alone and shows it as a document.
	One bool
	// Show prints one thing for people; nil prints YAML.
	Show func(out io.Writer, doc item) error
	// Watch says that --watch shows changes as they come. Over tells of one thing
	// that nothing will change it any more.
	Watch bool
	Over  func(doc item) bool
}

// none says that there is nothing to show.
func (r resource) none(view, namespace string) string {
	if text, ok := r.Empty[view]; ok {
		return fmt.Sprintf(text, namespace)
	}
	return fmt.Sprintf("No %s found in namespace %s.", r.Name, namespace)
}

// filter is a flag that becomes a query parameter.
type filter struct{ Flag, Param, Usage string }

const pageSize = 500

func newListCommand(e *env, r resource) *cobra.Command {
	format, limit, watch := formatTable, 0, false
	values := map[string]*string{}
	use := r.Name
	args := cobra.NoArgs
	if r.One {
		use, args = r.Name+" [ID]", cobra.MaximumNArgs(1)
	}
	cmd := &cobra.Command{
		Use: use, Aliases: r.Aliases, Short: r.Short, Long: r.Long, Example: r.Example, GroupID: "look",
		Args: func(cmd *cobra.Command, a []string) error {
			if err := args(cmd, a); err != nil {
				return usageError{err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := validFormat(format); err != nil {
				return usageError{err}
			}
			if limit < 0 {
				return usageError{fmt.Errorf("--limit %d: want 0 (all) or more", limit)}
			}
			if watch && format != formatTable && format != formatWide {
				return usageError{fmt.Errorf("--watch shows tables: leave out -o %s", format)}
			}
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			path := listPath(namespace, r.Name)
			if len(args) == 1 {
				return showThing(cmd.Context(), e, c, r, path+"/"+url.PathEscape(args[0]), format, watch)
			}
			query := url.Values{}
			for _, f := range r.Filters {
				if v := *values[f.Flag]; v != "" {
					query.Set(f.Param, v)
				}
			}
			if watch {
				return e.watchList(cmd.Context(), c, r, path, query, limit, format)
			}
			l, err := fetchAll(cmd.Context(), c, path, query, limit)
			if err != nil {
				return err
			}
			if c := l.Metadata.Coverage; c != nil && (format == formatTable || format == formatWide) {
				e.say("%s", coverageText(*c))
			}
			if len(l.Items) == 0 && (format == formatTable || format == formatWide) {
				e.say("%s", r.none(query.Get("view"), namespace))
				return nil
			}
			if l.Metadata.Continue != "" {
				e.say("Showing the first %d; more follow (--limit 0 shows all).", len(l.Items))
			}
			columns := r.Columns
			if of, ok := r.Views[query.Get("view")]; ok {
				columns = of
			}
			return printList(e.out, format, l, columns)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&format, "output", "o", formatTable, "table, wide, json, yaml, csv or name")
	flags.IntVar(&limit, "limit", 0, "show at most this many; 0 shows all")
	if r.Watch {
		flags.BoolVarP(&watch, "watch", "w", false, "show changes as they come, until interrupted")
	}
	for _, f := range r.Filters {
		values[f.Flag] = flags.String(f.Flag, "", f.Usage)
	}
	return cmd
}

// watchList prints what is there, and then what changes.
func (e *env) watchList(ctx context.Context, c *queryclient.Client, r resource, path string, query url.Values, limit int, format string) error {
	shown := changes{columns: visible(r.Columns), width: tableWidth}
	if format == formatWide {
		shown.columns, shown.width = r.Columns, 0
	}
	return repeat(ctx, func() (bool, error) {
		query.Del("continue")
		l, err := fetchAll(ctx, c, path, query, limit)
		if err != nil {
			return false, err
		}
		return false, shown.print(e.out, l)
	})
}

func listPath(namespace, resource string) string {
	return "/apis/v1/namespaces/" + url.PathEscape(namespace) + "/" + resource
}

// fetchAll follows pages until limit items are there; 0 is all of them.
func fetchAll(ctx context.Context, c *queryclient.Client, path string, query url.Values, limit int) (list, error) {
	all := list{Items: []item{}} // no item is an empty list, not null
	for {
		size := pageSize
		if limit > 0 {
			size = min(size, limit-len(all.Items))
		}
		query.Set("limit", strconv.Itoa(size))
		var page list
		if err := c.Get(ctx, path, query, &page); err != nil {
			return all, err
		}
		page.Items = append(all.Items, page.Items...)
		all = page
		if all.Metadata.Continue == "" || limit > 0 && len(all.Items) >= limit {
			return all, nil
		}
		query.Set("continue", all.Metadata.Continue)
	}
}

// showOne prints one thing as a document; a table of one row would hide most
// of it.
func showOne(ctx context.Context, e *env, c *queryclient.Client, path, format string) error {
	return showThing(ctx, e, c, resource{}, path, format, false)
}

// showThing is showOne, the way that the resource shows itself.
func showThing(ctx context.Context, e *env, c *queryclient.Client, r resource, path, format string, watch bool) error {
	if watch {
		var shown watchOne
		return repeat(ctx, func() (bool, error) {
			var doc item
			if err := c.Get(ctx, path, nil, &doc); err != nil {
				return false, err
			}
			var b strings.Builder
			if err := r.Show(&b, doc); err != nil {
				return false, err
			}
			return r.Over(doc), shown.print(e.out, b.String())
		})
	}
	var doc item
	if err := c.Get(ctx, path, nil, &doc); err != nil {
		return err
	}
	if r.Show != nil && (format == formatTable || format == formatWide) {
		return r.Show(e.out, doc)
	}
	switch format {
	case formatJSON:
	case formatTable, formatWide, formatYAML:
		format = formatYAML
	default:
		return usageError{fmt.Errorf("-o %s shows lists; for one use -o json or yaml", strings.ToLower(format))}
	}
	return printDocument(e.out, format, doc)
}
