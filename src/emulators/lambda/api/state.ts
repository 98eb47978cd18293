/** What the API keeps over a restart, as its file has it. Nothing is changed in place. */
export interface State {
  readonly format: typeof STATE_FORMAT
  /** By the name that AWS knows them by. */
  readonly functions: Readonly<Record<string, FunctionState>>
  /** By their UUID. */
  readonly mappings: Readonly<Record<string, MappingState>>
  /** By name; the index of a version is its number minus one. */
  readonly layers: Readonly<Record<string, readonly (LayerState | null)[]>>
}

export const STATE_FORMAT = 1

export const NO_STATE: State = { format: STATE_FORMAT, functions: {}, mappings: {}, layers: {} }

/** What a record has under a name that somebody chose: `constructor` is no more there than any other. */
export function entryOf<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}

export interface FunctionState {
  /** No file of the project names it. */
  readonly created?: boolean | undefined
  /** What the API says of `$LATEST`; undefined where the project's files alone do. */
  readonly own?: OwnConfiguration | undefined
  /** Numbers are not given twice. */
  readonly lastVersion: number
  readonly versions: Readonly<Record<string, VersionState>>
  readonly aliases: Readonly<Record<string, AliasState>>
  /** By alias, or `$LATEST`. */
  readonly urls: Readonly<Record<string, UrlState>>
  /** Null: the function's own settings have a number, and it was taken away. */
  readonly reserved?: number | null | undefined
  /** By version or alias. */
  readonly provisioned: Readonly<Record<string, ProvisionedState>>
  /** By `$LATEST`, version or alias. */
  readonly eventInvoke: Readonly<Record<string, EventInvokeState>>
  readonly tags: Readonly<Record<string, string>>
  /** By `$LATEST`, version or alias. */
  readonly policies: Readonly<Record<string, PolicyState>>
}

export const NOTHING_KEPT: FunctionState = {
  lastVersion: 0,
  versions: {},
  aliases: {},
  urls: {},
  provisioned: {},
  eventInvoke: {},
  tags: {},
  policies: {},
}

/** A version or an alias goes, with all that was said of it. */
export function withoutQualifier(kept: FunctionState, gone: string): FunctionState {
  return {
    ...kept,
    versions: others(kept.versions, gone),
    aliases: others(kept.aliases, gone),
    urls: others(kept.urls, gone),
    provisioned: others(kept.provisioned, gone),
    eventInvoke: others(kept.eventInvoke, gone),
    policies: others(kept.policies, gone),
  }
}

function others<T>(record: Readonly<Record<string, T>>, gone: string): Readonly<Record<string, T>> {
  const { [gone]: _gone, ...rest } = record
  return rest
}

/** What of a FunctionConfig does not follow from where its code is. */
export interface StoredConfig {
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutMs?: number | undefined
  readonly memoryMb?: number | undefined
  readonly options: Readonly<Record<string, unknown>>
}

/** Members of Lambda's FunctionConfiguration that change nothing here: they are kept and shown. */
export type Details = Readonly<Record<string, unknown>>

interface Stored {
  readonly config: StoredConfig
  readonly details: Details
  /** ms since the epoch. */
  readonly modifiedAt: number
  readonly revisionId: string
}

export interface OwnConfiguration extends Stored {
  /** What the files said of it when it was changed, as JSON: once they say something else, they count again. */
  readonly over?: string | undefined
  /** Undefined where the code is the project's. */
  readonly code?: CodeState | undefined
}

export interface VersionState extends Stored {
  readonly code: CodeState
  /** Of the `$LATEST` that it was made of: to tell whether there is anything new. */
  readonly source: string
}

export interface CodeState {
  /** Below `code/`: its SHA-256 in hexadecimal. */
  readonly folder: string
  /** What the API calls CodeSha256: Base64. */
  readonly sha256: string
  readonly bytes: number
}

export interface AliasState {
  readonly version: string
  readonly description: string
  /** A second version, and its part of the invocations: 0 to 1. */
  readonly additional?: { readonly version: string; readonly weight: number } | undefined
  readonly revisionId: string
}

export interface UrlState {
  readonly authType: string
  /** Undefined where none was told: `BUFFERED`. */
  readonly invokeMode?: string | undefined
  /** As the API has it: `{ AllowOrigins: [...] }` */
  readonly cors?: Readonly<Record<string, unknown>> | undefined
  readonly createdAt: number
  readonly modifiedAt: number
}

export interface ProvisionedState {
  readonly requested: number
  readonly modifiedAt: number
}

export interface EventInvokeState {
  readonly maximumRetryAttempts?: number | undefined
  /** Seconds. */
  readonly maximumEventAge?: number | undefined
  readonly onSuccess?: string | undefined
  readonly onFailure?: string | undefined
  readonly modifiedAt: number
}

export interface PolicyState {
  readonly revisionId: string
  readonly statements: readonly Readonly<Record<string, unknown>>[]
}

export interface MappingState {
  /** Name, with the qualifier where there is one. */
  readonly function: string
  /** As the request had it: what is shown, and what an EventSource is made of. */
  readonly members: Readonly<Record<string, unknown>>
  readonly enabled: boolean
  readonly modifiedAt: number
}

export interface LayerState {
  readonly code: CodeState
  readonly description: string
  readonly createdAt: number
  readonly runtimes: readonly string[]
  readonly architectures: readonly string[]
  readonly license?: string | undefined
}
