// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// DirectoryGroups returns the groups of an Integration that have this id or,
// however it is capitalised, this name, and how many groups it lists in all.
func (s *Store) DirectoryGroups(ctx context.Context, tenant model.TenantID, integration, ref string) (found []model.DirectoryGroup, listed int64, err error) {
	found, err = collect(ctx, s.reads, func(r *sql.Rows) (g model.DirectoryGroup, err error) {
		return g, r.Scan(&g.ExternalID, &g.Name)
	}, `SELECT g.external_id, min(g.name) FROM directory_group g`+connected("g")+`
		WHERE g.tenant=$1 AND i.name=$2 AND g.removed_at IS NULL AND (g.external_id=$3 OR g.name=$4 OR lower(g.name)=lower($5))
		GROUP BY g.external_id ORDER BY g.external_id LIMIT 20`, tenant, integration, ref, ref, ref)
	if err == nil {
		err = s.reads.QueryRowContext(ctx, `SELECT count(DISTINCT g.external_id) FROM directory_group g`+connected("g")+`
			WHERE g.tenant=$1 AND i.name=$2 AND g.removed_at IS NULL`, tenant, integration).Scan(&listed)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("find group in the directory of %q: %w", integration, err)
	}
	return found, listed, nil
}

// DirectoryAccounts returns the accounts of people in an Integration, by person,
// and whether each is in the group of that id. Empty person: of everybody.
func (s *Store) DirectoryAccounts(ctx context.Context, tenant model.TenantID, integration, groupID, person string) (map[string][]model.DirectoryAccount, error) {
	c := where(tenant, "a.tenant = $1 AND a.app_external_id = '' AND a.removed_at IS NULL AND a.person_id <> ''")
	c.add("i.name = ?", integration)
	c.equal("a.person_id", person)
	args := append(c.args, groupID)
	out := map[string][]model.DirectoryAccount{}
	// Where two streams list the same account, the first by name counts.
	_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
		var person string
		var a model.DirectoryAccount
		err := r.Scan(&person, &a.ExternalID, &a.Username, &a.DisplayName, &a.Status, &a.Kind, &a.IsAdmin, &a.Member)
		out[person] = append(out[person], a)
		return struct{}{}, err
	}, `SELECT a.person_id, a.external_id, a.username, a.display_name, a.status, a.kind, a.is_admin,
		EXISTS (SELECT 1 FROM membership m WHERE m.tenant=a.tenant AND m.source=a.source AND m.account_external_id=a.external_id
			AND m.group_external_id=`+fmt.Sprintf("$%d", len(args))+` AND m.removed_at IS NULL)
		FROM account a`+connected("a")+`WHERE `+c.String()+`
		AND NOT EXISTS (SELECT 1 FROM account b WHERE b.tenant=a.tenant AND b.source=a.source AND b.app_external_id='' AND b.external_id=a.external_id
			AND b.removed_at IS NULL AND b.stream < a.stream)
		ORDER BY a.person_id, a.external_id`, args...)
	if err != nil {
		return nil, fmt.Errorf("list accounts of %q for a group: %w", integration, err)
	}
	return out, nil
}
