import type {
  AliasMove,
  AliasRecord,
  AuditRecord,
  DeploymentRecord,
  Digest,
  FunctionKey,
  FunctionRecord,
  TokenRecord,
  UserRecord,
  VariableRecord,
  VersionConfig,
  VersionRecord,
} from './model.ts'

/**
 * What the daemon remembers. One file; whatever a method or a transaction has done is on the disk when it returns. Synchronous: a write
 * takes a tenth of a millisecond. Nothing of a request's path reads it.
 */
export interface Store extends Disposable {
  /** All of it or, when it throws, nothing. Nested ones are one. */
  transaction<T>(task: () => T): T
  readonly functions: FunctionTable
  readonly versions: VersionTable
  readonly aliases: AliasTable
  readonly deployments: DeploymentTable
  readonly users: UserTable
  readonly tokens: TokenTable
  readonly variables: VariableTable
  readonly audit: AuditTable
  /** Small things with a name: the sealed root token's hash, the project's domains. */
  readonly settings: SettingTable
}

export interface FunctionTable {
  all(): readonly FunctionRecord[]
  get(name: string): FunctionRecord | undefined
  /** Gives it the next number. @throws FlexiError FLEXI_CONFLICT when it is there. */
  add(record: Omit<FunctionRecord, 'number'>): FunctionRecord
  setGroup(name: string, group: FunctionRecord['group']): void
  /** With its versions, aliases, their history, and variables. */
  remove(name: string): boolean
}

export interface VersionTable {
  all(): readonly VersionRecord[]
  of(name: string): readonly VersionRecord[]
  get(key: FunctionKey): VersionRecord | undefined
  /** @throws FlexiError FLEXI_CONFLICT when it is there: versions are immutable. */
  add(record: VersionRecord): void
  /** For YFASS's `override` alone. False when there is none. */
  setConfig(key: FunctionKey, config: VersionConfig): boolean
  setWanted(key: FunctionKey, wanted: VersionRecord['wanted']): void
  remove(key: FunctionKey): boolean
  /** The artifacts that are still named. */
  artifacts(): ReadonlySet<Digest>
}

export interface AliasTable {
  all(): readonly AliasRecord[]
  of(name: string): readonly AliasRecord[]
  get(name: string, alias: string): AliasRecord | undefined
  /** Points it elsewhere, and remembers where it pointed. */
  set(record: AliasRecord): void
  remove(name: string, alias: string): boolean
  /** Newest first. */
  history(name: string, alias: string, limit?: number): readonly AliasMove[]
}

export interface DeploymentTable {
  put(record: DeploymentRecord): void
  get(id: string): DeploymentRecord | undefined
  /** Newest first. */
  recent(limit: number, project?: string): readonly DeploymentRecord[]
}

export interface UserTable {
  all(): readonly UserRecord[]
  get(name: string): UserRecord | undefined
  /** @throws FlexiError FLEXI_CONFLICT. */
  add(record: UserRecord): void
  setGroups(name: string, groups: UserRecord['groups']): boolean
  /** With their tokens. */
  remove(name: string): boolean
}

export interface TokenTable {
  of(user?: string): readonly TokenRecord[]
  byHash(hash: string): TokenRecord | undefined
  add(record: TokenRecord): void
  /** Written seldom: once a minute a token at most. */
  used(id: string, at: number): void
  remove(id: string): boolean
  removeExpired(now: number): number
}

export interface VariableTable {
  /** With values, the sealed ones opened: for the function's environment alone. */
  environment(name: string): Readonly<Record<string, string>>
  /** Secrets without their values. */
  of(name: string): readonly VariableRecord[]
  set(record: VariableRecord & { readonly value: string }): void
  remove(name: string, variable: string): boolean
}

export interface AuditTable {
  add(record: Omit<AuditRecord, 'id'>): void
  /** Newest first. */
  recent(filter: {
    readonly limit: number
    readonly since?: number | undefined
    readonly user?: string | undefined
    readonly object?: string | undefined
  }): readonly AuditRecord[]
  /** Whether no line was changed or taken out; the id of the first that was. */
  verify(): { readonly intact: true } | { readonly intact: false; readonly from: number }
}

export interface SettingTable {
  get(name: string): string | undefined
  set(name: string, value: string): void
  remove(name: string): void
}
