package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// walRetry is how long opening waits for another process that opens the same new file.
const walRetry = 20 * time.Millisecond

// blockSize is how many ids share one count in list_block: a page is found by walking blocks, then at
// most one block's ids.
const blockSize = 1000

// migrations bring a file from version i to i+1 (PRAGMA user_version). Never change one that was
// released; add another.
var migrations = []string{`
CREATE TABLE request (
	id           INTEGER PRIMARY KEY,
	token        TEXT UNIQUE,          -- of Create, NULL when there is none
	created      INTEGER,              -- microseconds since 1970; NULL in old rows
	repo_name    TEXT NOT NULL,
	ref          TEXT NOT NULL,
	state        TEXT NOT NULL,
	updated      INTEGER NOT NULL,
	body         TEXT NOT NULL         -- the rest, JSON
) STRICT;
CREATE INDEX request_latest ON request (repo_name, ref, id);
CREATE INDEX request_updated ON request (state, updated);

CREATE TABLE history (
	request_id   INTEGER NOT NULL REFERENCES request (id),
	seq          INTEGER NOT NULL,     -- 1, 2, 3 ...
	state        TEXT NOT NULL,
	reason       TEXT NOT NULL,
	at           INTEGER NOT NULL,
	PRIMARY KEY (request_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE once (                    -- names of history entries that are written once
	request_id   INTEGER NOT NULL REFERENCES request (id),
	name         TEXT NOT NULL,
	PRIMARY KEY (request_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE config_file (
	request_id   INTEGER NOT NULL REFERENCES request (id),
	seq          INTEGER NOT NULL,
	path         TEXT NOT NULL,
	key          TEXT NOT NULL,
	PRIMARY KEY (request_id, path, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE list_index (              -- what lists are filtered by; filter '' holds every request
	filter       TEXT NOT NULL,
	value        TEXT NOT NULL,
	id           INTEGER NOT NULL,
	PRIMARY KEY (filter, value, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE list_block (              -- how many ids of a block are in list_index
	filter       TEXT NOT NULL,
	value        TEXT NOT NULL,
	block        INTEGER NOT NULL,     -- id / 1000
	n            INTEGER NOT NULL,
	PRIMARY KEY (filter, value, block)
) STRICT, WITHOUT ROWID;

CREATE TABLE reference (               -- blobs that requests which are not stale keep alive
	key          TEXT NOT NULL,
	request_id   INTEGER NOT NULL REFERENCES request (id),
	PRIMARY KEY (key, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_request ON reference (request_id);

CREATE TABLE metric (                  -- requests that ever finished; times in microseconds
	id           INTEGER PRIMARY KEY,
	state        TEXT NOT NULL,
	reason       TEXT NOT NULL,
	finished     INTEGER NOT NULL,
	duration     INTEGER NOT NULL,
	queued       INTEGER NOT NULL
) STRICT;
CREATE INDEX metric_finished ON metric (finished);

CREATE TABLE message (
	seq          INTEGER PRIMARY KEY AUTOINCREMENT,
	queue        TEXT NOT NULL,
	body         TEXT NOT NULL,
	sent         INTEGER NOT NULL,
	visible      INTEGER NOT NULL,     -- from when on it can be received
	receives     INTEGER NOT NULL,
	receipt      TEXT NOT NULL
) STRICT;
CREATE INDEX message_visible ON message (queue, visible);
`, `
CREATE TABLE created_block (           -- creation times in a block of ids; requests without one are in none
	block        INTEGER PRIMARY KEY,  -- id / 1000
	low          INTEGER NOT NULL,
	high         INTEGER NOT NULL,
	n            INTEGER NOT NULL
) STRICT;
INSERT INTO created_block (block, low, high, n)
	SELECT id / 1000, min(created), max(created), count(*) FROM request WHERE created IS NOT NULL GROUP BY 1;

CREATE TABLE completed (               -- one row: how many metrics are complete, and the sum of their durations
	n            INTEGER NOT NULL,
	duration     INTEGER NOT NULL
) STRICT;
INSERT INTO completed (n, duration) SELECT count(*), coalesce(sum(duration), 0) FROM metric WHERE state = 'complete';

CREATE INDEX message_receipt ON message (receipt);
`}

// migrate brings the file to our version. A file of a newer program is left alone.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	if _, err := schemaVersion(ctx, db, path); err != nil {
		return err
	}
	if err := useWAL(ctx, db); err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	defer tx.Rollback()
	version, err := schemaVersion(ctx, tx, path) // again: another process may have migrated meanwhile
	if err != nil {
		return err
	}
	for ; version < len(migrations); version++ {
		if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
			return fmt.Errorf("%s: migrating from schema version %d: %w", path, version, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, len(migrations))); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return tx.Commit()
}

// schemaVersion reads the file's version and refuses one that this program does not know.
func schemaVersion(ctx context.Context, q querier, path string) (int, error) {
	var version int
	if err := q.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return 0, fmt.Errorf("opening %s: %w", path, err)
	}
	if version > len(migrations) {
		return 0, fmt.Errorf("%s has schema version %d, and this program knows versions up to %d: it was written by a newer cachito; "+
			"use that one, or another data folder", path, version, len(migrations))
	}
	return version, nil
}

// useWAL turns the write-ahead log on, for good. Processes that open a new file at once stand in each
// other's way here, and SQLite does not wait by itself when the journal mode changes.
func useWAL(ctx context.Context, db *sql.DB) error {
	for deadline := time.Now().Add(busyTimeout); ; {
		var mode string
		err := db.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode)
		switch {
		case err == nil && mode == "wal":
			return nil
		case err == nil:
			return fmt.Errorf("the journal mode stays %s instead of wal: does the file system support shared memory?", mode)
		case !isBusy(err) || time.Now().After(deadline):
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(walRetry):
		}
	}
}

func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}
