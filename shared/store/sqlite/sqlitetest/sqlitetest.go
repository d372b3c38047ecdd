// Package sqlitetest fills embedded databases with very many requests in moments, for tests and benchmarks
// of long lists.
package sqlitetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

const (
	// Repositories and Refs are how many repositories and commits copies are spread over.
	Repositories = 200
	Refs         = 2000
	// blockSize is store/sqlite's.
	blockSize = 1000
)

// RepoURL is the repository of a copy, Ref its commit.
func RepoURL(id int64) string {
	return fmt.Sprintf("https://git.example/team/project%d.git", id%Repositories)
}

// Ref is the commit of a copy.
func Ref(id int64) string { return fmt.Sprintf("%040x", id%Refs) }

// DB is the database of a store/sqlite.
type DB interface {
	Conn(ctx context.Context) (*sql.Conn, error)
}

// Copy makes n requests of the k that the database holds (ids 1 to k): each further id is a copy of one of
// them, in turns, with a repository and commit by its id, and one second newer than the one before; the
// last is as new as what it is a copy of. Nothing is synced on the way: it is no way to store what matters.
//
// db is the database of an open store/sqlite (its DB). Every table says what the store would have said, had
// the requests been made one by one; the store's tests hold that.
func Copy(ctx context.Context, db DB, n int64) (err error) {
	conn, err := db.Conn(ctx) // pragmas and temporary tables belong to a connection
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var k int64
	if err := conn.QueryRowContext(ctx, `SELECT count(*) FROM request`).Scan(&k); err != nil {
		return err
	}
	if k == 0 || n < k {
		return fmt.Errorf("%d requests cannot become %d copies", k, n)
	}
	if _, err := conn.ExecContext(ctx, `PRAGMA synchronous = OFF; BEGIN IMMEDIATE`); err != nil {
		return err
	}
	for _, statement := range copying {
		if _, err := conn.ExecContext(ctx, statement, k, n, Repositories, blockSize, Refs); err != nil {
			_, undo := conn.ExecContext(ctx, `ROLLBACK; PRAGMA synchronous = FULL`)
			return errors.Join(fmt.Errorf("%.60s...: %w", statement, err), undo)
		}
	}
	// The checkpoint leaves everything in the file itself, synced.
	_, err = conn.ExecContext(ctx, `COMMIT; PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE)`)
	return err
}

// copying is run in this order with ?1 = k, ?2 = n, ?3 = Repositories, ?4 = blockSize, ?5 = Refs. Rows are inserted in
// the order of their keys, which is what makes it quick.
var copying = []string{
	`CREATE TEMP TABLE ids (id INTEGER PRIMARY KEY, of INTEGER NOT NULL, earlier INTEGER NOT NULL) STRICT`,
	`WITH RECURSIVE ids (id) AS (SELECT ?1 + 1 WHERE ?1 < ?2 UNION ALL SELECT id + 1 FROM ids WHERE id < ?2)
		INSERT INTO temp.ids SELECT id, (id - 1) % ?1 + 1, (?2 - id) * 1000000 FROM ids`,
	`CREATE TEMP TABLE value (filter TEXT NOT NULL, value TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (filter, value, id)) STRICT, WITHOUT ROWID`,
	`INSERT INTO temp.value SELECT * FROM list_index`,

	`WITH copy (id, created, updated, body, repo, ref) AS (
			SELECT i.id, r.created - earlier, r.updated - earlier, body,
				'https://git.example/team/project' || (i.id % ?3) || '.git', printf('%040x', i.id % ?5)
			FROM temp.ids i JOIN request r ON r.id = i.of)
		INSERT INTO request (id, created, repo_name, ref, state, updated, body)
		SELECT id, created, 'team/project' || (id % ?3), ref, body ->> '$.State', updated,
			json_set(body, '$.ID', id, '$.Repo', repo, '$.Ref', ref,
				'$.Created', strftime('%Y-%m-%dT%H:%M:%S', created / 1000000, 'unixepoch') || printf('.%06dZ', created % 1000000),
				'$.Updated', strftime('%Y-%m-%dT%H:%M:%S', updated / 1000000, 'unixepoch') || printf('.%06dZ', updated % 1000000))
		FROM copy`,
	`INSERT INTO history (request_id, seq, state, reason, at)
		SELECT i.id, seq, state, reason, at - earlier FROM temp.ids i JOIN history h ON h.request_id = i.of`,
	`INSERT INTO once (request_id, name) SELECT i.id, name FROM temp.ids i JOIN once o ON o.request_id = i.of`,
	`INSERT INTO config_file (request_id, seq, path, key)
		SELECT i.id, seq, path, key FROM temp.ids i JOIN config_file f ON f.request_id = i.of`,
	`INSERT INTO metric (id, state, reason, finished, duration, queued)
		SELECT i.id, state, reason, finished - earlier, duration, queued FROM temp.ids i JOIN metric m ON m.id = i.of`,
	`UPDATE completed SET (n, duration) = (SELECT count(*), coalesce(sum(duration), 0) FROM metric WHERE state = 'complete')`,
	`INSERT INTO reference (key, request_id)
		SELECT key, i.id FROM reference r JOIN temp.ids i ON i.of = r.request_id ORDER BY key, i.id`,

	`INSERT INTO list_index (filter, value, id) SELECT 'ref', printf('%040x', id % ?5) AS ref, id FROM temp.ids ORDER BY ref, id`,
	`INSERT INTO list_index (filter, value, id)
		SELECT 'repo', 'https://git.example/team/project' || (id % ?3) || '.git' AS repo, id FROM temp.ids ORDER BY repo, id`,
	`INSERT INTO list_index (filter, value, id)
		SELECT filter, value, i.id FROM temp.value v JOIN temp.ids i ON i.of = v.id WHERE filter NOT IN ('ref', 'repo') ORDER BY filter, value, i.id`,
	`DELETE FROM list_block`,
	`INSERT INTO list_block (filter, value, block, n) SELECT filter, value, id / ?4, count(*) FROM list_index GROUP BY 1, 2, 3`,
	`DELETE FROM created_block`,
	`INSERT INTO created_block (block, low, high, n)
		SELECT id / ?4, min(created), max(created), count(*) FROM request WHERE created IS NOT NULL GROUP BY 1`,
	`DROP TABLE temp.ids`,
	`DROP TABLE temp.value`,
}
