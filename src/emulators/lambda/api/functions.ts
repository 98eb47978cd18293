import type { ApiFunction, ApiHost } from '../../../core/function.ts'
import { ACCOUNT_ID, functionArn, functionRegion, region, VERSION } from '../definition.ts'
import { awsNameOf, settingsOf } from '../service/function-settings.ts'
import { notFound } from './api-error.ts'
import { parseFunctionName } from './function-name.ts'
import { entryOf, NOTHING_KEPT, type AliasState, type FunctionState } from './state.ts'
import type { StateStore } from './state-store.ts'

export interface FoundFunction {
  /** As AWS calls it. */
  readonly name: string
  /** As the caller named it; undefined when it did not. It is there. */
  readonly qualifier: string | undefined
  /** `$LATEST`. */
  readonly served: ApiFunction
}

export interface FunctionsOptions {
  readonly host: ApiHost
  readonly store: StateStore
  /** The server's own: where nothing else says it, the region is there. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** 0 to 1: which version of an alias is taken. */
  readonly random: () => number
}

/** The functions that are served, with their versions and aliases, as the API finds them. */
export class Functions {
  readonly host: ApiHost
  readonly store: StateStore
  readonly #random: () => number
  readonly #environment: Readonly<Record<string, string | undefined>>

  constructor({ host, store, environment, random }: FunctionsOptions) {
    this.host = host
    this.store = store
    this.#random = random
    const { AWS_REGION, AWS_DEFAULT_REGION } = environment
    this.#environment = { AWS_REGION, AWS_DEFAULT_REGION }
  }

  /** Without published versions, which are served beside. */
  all(): readonly ApiFunction[] {
    return this.host.functions().filter(({ config }) => !config.name.includes(':'))
  }

  /** Without qualifier. */
  arn(served: ApiFunction): string {
    const { config } = served
    return functionArn(awsNameOf(config), functionRegion(config, this.#environment))
  }

  /** Of something that is no function: `layer:name`, or of another service. */
  arnOf(rest: string, service = 'lambda'): string {
    return `arn:aws:${service}:${region(this.#environment)}:${ACCOUNT_ID}:${rest}`
  }

  /** By AWS's name, else by the project's. */
  served(name: string): ApiFunction | undefined {
    const direct = this.host.find(name)
    if (direct !== undefined && awsNameOf(direct.config) === name) return direct
    return this.all().find(({ config }) => awsNameOf(config) === name) ?? direct
  }

  kept(name: string): FunctionState {
    return entryOf(this.store.state.functions, name) ?? NOTHING_KEPT
  }

  /** Counts at once; resolves when it is kept. */
  keep(name: string, change: (kept: FunctionState) => FunctionState): Promise<void> {
    return this.store.change((state) => ({
      ...state,
      functions: { ...state.functions, [name]: change(entryOf(state.functions, name) ?? NOTHING_KEPT) },
    }))
  }

  /**
   * `implied` is the qualifier that the message names when the caller gave none: invocations always mean a version.
   * @throws ApiError ResourceNotFoundException, or what `parseFunctionName` throws.
   */
  find(text: string, qualifier?: string, implied?: typeof VERSION): FoundFunction {
    const reference = parseFunctionName(text, qualifier)
    const served = this.served(reference.name)
    if (served !== undefined) {
      const name = awsNameOf(served.config)
      const found = { name, qualifier: reference.qualifier, served }
      if (this.#has(found)) return found
    }
    const asked = reference.qualifier ?? implied
    const arn =
      served === undefined ? functionArn(reference.name, region(this.#environment)) : this.arn(served)
    throw notFound(`Function not found: ${asked === undefined ? arn : `${arn}:${asked}`}`)
  }

  /** An alias has its versions by turns, as their weights say; so each call may tell another one. */
  versionOf({ name, qualifier, served }: FoundFunction): string {
    if (qualifier === undefined || qualifier === VERSION) return VERSION
    if (isVersion(qualifier)) return qualifier
    const alias = this.alias(name, qualifier, served)
    const additional = alias?.additional
    if (additional !== undefined && this.#random() < additional.weight) return additional.version
    return alias?.version ?? VERSION
  }

  /** Environments of a published version that are to be there, for itself and for the aliases that lead to it. */
  provisionedOf(name: string, version: string): number {
    const { provisioned, aliases } = this.kept(name)
    const of = Object.entries(provisioned).filter(
      ([qualifier]) => qualifier === version || aliases[qualifier]?.version === version,
    )
    return of.reduce((sum, [, { requested }]) => sum + requested, 0)
  }

  /** The alias that the function's own settings name is there without being made: it follows `$LATEST`. */
  alias(name: string, alias: string, served: ApiFunction): AliasState | undefined {
    const kept = entryOf(this.kept(name).aliases, alias)
    if (kept !== undefined || settingsOf(served.config).alias !== alias) return kept
    return {
      version: VERSION,
      description: 'Follows $LATEST until a version is published.',
      revisionId: ROOT_ID,
    }
  }

  #has({ name, qualifier, served }: FoundFunction): boolean {
    if (qualifier === undefined || qualifier === VERSION) return true
    return isVersion(qualifier)
      ? this.kept(name).versions[qualifier] !== undefined
      : this.alias(name, qualifier, served) !== undefined
  }
}

const ROOT_ID = '00000000-0000-4000-8000-000000000000'

export function isVersion(qualifier: string): boolean {
  return /^\d+$/.test(qualifier)
}
