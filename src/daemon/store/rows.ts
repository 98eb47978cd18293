import type {
  AliasMove,
  AliasRecord,
  AuditRecord,
  DeploymentRecord,
  FunctionRecord,
  TokenRecord,
  UserRecord,
  VariableRecord,
  VersionRecord,
} from '../model.ts'
import type { Row, SqlValue } from './driver.ts'

// Rows → records. Nobody but the store writes the file, in the form that is read here: the `as` are at this edge alone.

export function functionOf(row: Row): FunctionRecord {
  return {
    name: text(row, 'name'),
    project: maybeText(row, 'project'),
    number: number(row, 'number'),
    group: maybeText(row, 'owners') as FunctionRecord['group'],
    createdAt: number(row, 'created_at'),
    createdBy: text(row, 'created_by'),
  }
}

export function versionOf(row: Row): VersionRecord {
  return {
    name: text(row, 'function'),
    version: text(row, 'version'),
    artifact: text(row, 'artifact') as VersionRecord['artifact'],
    config: JSON.parse(text(row, 'config')) as VersionRecord['config'],
    createdAt: number(row, 'created_at'),
    createdBy: text(row, 'created_by'),
    wanted: text(row, 'wanted') as VersionRecord['wanted'],
  }
}

export function aliasOf(row: Row): AliasRecord {
  return {
    function: text(row, 'function'),
    alias: text(row, 'alias'),
    version: text(row, 'version'),
    second: maybeJson(row, 'second') as AliasRecord['second'],
    movedAt: number(row, 'moved_at'),
    movedBy: text(row, 'moved_by'),
  }
}

export function moveOf(row: Row): AliasMove {
  return {
    function: text(row, 'function'),
    alias: text(row, 'alias'),
    version: text(row, 'version'),
    second: maybeJson(row, 'second') as AliasMove['second'],
    at: number(row, 'at'),
    by: text(row, 'by'),
  }
}

export function deploymentOf(row: Row): DeploymentRecord {
  return {
    id: text(row, 'id'),
    project: text(row, 'project'),
    alias: text(row, 'alias'),
    state: text(row, 'state') as DeploymentRecord['state'],
    keys: JSON.parse(text(row, 'keys')) as DeploymentRecord['keys'],
    startedAt: number(row, 'started_at'),
    endedAt: maybeNumber(row, 'ended_at'),
    by: text(row, 'by'),
    error: maybeText(row, 'error'),
  }
}

export function userOf(row: Row): UserRecord {
  return {
    name: text(row, 'name'),
    groups: JSON.parse(text(row, 'groups')) as UserRecord['groups'],
    createdAt: number(row, 'created_at'),
  }
}

export function tokenOf(row: Row): TokenRecord {
  return {
    id: text(row, 'id'),
    user: text(row, 'user'),
    label: text(row, 'label'),
    hash: text(row, 'hash'),
    scopes: maybeJson(row, 'scopes') as TokenRecord['scopes'],
    createdAt: number(row, 'created_at'),
    expiresAt: maybeNumber(row, 'expires_at'),
    usedAt: maybeNumber(row, 'used_at'),
  }
}

/** The value of a secret stays where it is. */
export function variableOf(row: Row): VariableRecord {
  const secret = number(row, 'secret') === 1
  return {
    function: text(row, 'function'),
    name: text(row, 'name'),
    secret,
    value: secret ? undefined : text(row, 'value'),
    setAt: number(row, 'set_at'),
    setBy: text(row, 'set_by'),
  }
}

export function auditOf(row: Row): AuditRecord {
  return {
    id: number(row, 'id'),
    at: number(row, 'at'),
    user: text(row, 'user'),
    token: text(row, 'token'),
    from: text(row, 'source'),
    action: text(row, 'action'),
    object: text(row, 'object'),
    outcome: text(row, 'outcome') as AuditRecord['outcome'],
    detail: JSON.parse(text(row, 'detail')) as AuditRecord['detail'],
  }
}

export function text(row: Row, column: string): string {
  return String(row[column])
}

export function number(row: Row, column: string): number {
  return Number(row[column])
}

/** A record as a column holds it. */
export function json(value: unknown): SqlValue {
  return value === undefined ? null : JSON.stringify(value)
}

function maybeText(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : text(row, column)
}

function maybeNumber(row: Row, column: string): number | undefined {
  return row[column] === null ? undefined : number(row, column)
}

function maybeJson(row: Row, column: string): unknown {
  return row[column] === null ? undefined : JSON.parse(text(row, column))
}
