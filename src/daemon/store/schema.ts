import { FlexiError } from '../../core/errors.ts'
import type { Driver } from './driver.ts'

/**
 * One step a version of the file; the file's `user_version` says how many it has had. A step that was published never changes: what
 * comes later is a step of its own. Times are milliseconds since the epoch; columns that hold records are JSON.
 */
const STEPS: readonly string[] = [
  `
  CREATE TABLE internal (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  -- AUTOINCREMENT, so that no number is ever given again.
  CREATE TABLE functions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, project TEXT, owners TEXT,
    created_at INTEGER NOT NULL, created_by TEXT NOT NULL) STRICT;
  CREATE TABLE versions (
    function TEXT NOT NULL REFERENCES functions (name) ON DELETE CASCADE, version TEXT NOT NULL,
    artifact TEXT NOT NULL, config TEXT NOT NULL, created_at INTEGER NOT NULL, created_by TEXT NOT NULL,
    wanted TEXT NOT NULL, sequence INTEGER PRIMARY KEY AUTOINCREMENT, UNIQUE (function, version)) STRICT;
  CREATE TABLE aliases (
    function TEXT NOT NULL REFERENCES functions (name) ON DELETE CASCADE, alias TEXT NOT NULL,
    version TEXT NOT NULL, second TEXT, moved_at INTEGER NOT NULL, moved_by TEXT NOT NULL,
    PRIMARY KEY (function, alias)) STRICT, WITHOUT ROWID;
  CREATE TABLE alias_moves (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    function TEXT NOT NULL REFERENCES functions (name) ON DELETE CASCADE, alias TEXT NOT NULL,
    version TEXT NOT NULL, second TEXT, at INTEGER NOT NULL, by TEXT NOT NULL) STRICT;
  CREATE INDEX alias_moves_of ON alias_moves (function, alias, sequence);
  CREATE TABLE deployments (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, project TEXT NOT NULL,
    alias TEXT NOT NULL, state TEXT NOT NULL, keys TEXT NOT NULL, started_at INTEGER NOT NULL,
    ended_at INTEGER, by TEXT NOT NULL, error TEXT) STRICT;
  CREATE INDEX deployments_of ON deployments (project, sequence);
  CREATE TABLE users (name TEXT PRIMARY KEY, groups TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT;
  CREATE TABLE tokens (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, label TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, scopes TEXT,
    created_at INTEGER NOT NULL, expires_at INTEGER, used_at INTEGER) STRICT;
  CREATE INDEX tokens_of ON tokens (user);
  -- Not below functions: a secret may be there before the first deployment.
  CREATE TABLE variables (
    function TEXT NOT NULL, name TEXT NOT NULL, secret INTEGER NOT NULL, value TEXT NOT NULL,
    set_at INTEGER NOT NULL, set_by TEXT NOT NULL, PRIMARY KEY (function, name)) STRICT, WITHOUT ROWID;
  CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, user TEXT NOT NULL, token TEXT NOT NULL,
    source TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL, outcome TEXT NOT NULL,
    detail TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
  `,
]

/** Brings a file to what this flexi writes, whole or not at all. @throws FlexiError FLEXI_DAEMON for a file of a newer flexi. */
export function migrate(driver: Driver, file: string): void {
  if (stepsOf(driver) === STEPS.length) return
  driver.script('BEGIN IMMEDIATE')
  try {
    // Asked again, because another process may just have done it.
    const had = stepsOf(driver)
    if (had > STEPS.length)
      throw new FlexiError(
        'FLEXI_DAEMON',
        `${file} was written by a newer flexi (format ${had}, this one knows ${STEPS.length})`,
        { hint: 'Install the flexi that wrote it, or restore a copy from before.' },
      )
    driver.script(STEPS.slice(had).join(';'))
    driver.script(`PRAGMA user_version = ${STEPS.length}; COMMIT`)
  } catch (error) {
    driver.script('ROLLBACK')
    throw error
  }
}

function stepsOf(driver: Driver): number {
  return Number(driver.get('PRAGMA user_version')?.['user_version'] ?? 0)
}
