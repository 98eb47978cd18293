import { createHash } from 'node:crypto'

import type { ApiFunction } from '../../../core/function.ts'
import { ACCOUNT_ID } from '../definition.ts'
import { DEFAULT_MEMORY_MB, DEFAULT_TIMEOUT_MS } from '../limits.ts'
import { settingsOf } from '../service/function-settings.ts'
import { logGroup } from '../variables.ts'
import type { FoundFunction, Functions } from './functions.ts'
import type { CodeState, Details, StoredConfig } from './state.ts'

export type FunctionConfiguration = Readonly<Record<string, unknown>> & {
  readonly FunctionName: string
  readonly CodeSha256: string
  readonly RevisionId: string
}

/** What the API says of functions. */
export interface Configurations {
  /** Of a version that is there. `asked` is what the ARN ends in; undefined for none. */
  show(found: FoundFunction, version: string, asked?: string): FunctionConfiguration
  /** ms since the epoch. Of what files say it is when the revision in force was first asked about: what came before nobody has noted. */
  modifiedAt(found: Pick<FoundFunction, 'name' | 'served'>): number
}

export function openConfigurations(functions: Functions): Configurations {
  const seen = new Map<string, { readonly revision: string | undefined; readonly at: number }>()
  const modifiedAt = ({ name, served }: Pick<FoundFunction, 'name' | 'served'>): number => {
    const { own } = functions.kept(name)
    if (own !== undefined) return own.modifiedAt
    const known = seen.get(name)
    if (known !== undefined && known.revision === served.revision) return known.at
    const at = Date.now()
    seen.set(name, { revision: served.revision, at })
    return at
  }
  const latest = (
    found: FoundFunction,
    shown: Pick<Shown, 'name' | 'arn' | 'version'>,
  ): FunctionConfiguration => {
    const { name, served } = found
    const { own } = functions.kept(name)
    if (own !== undefined) return configurationOf({ ...shown, ...own, code: own.code ?? projectCode(served) })
    const { environment, timeoutMs, memoryMb, options } = served.config
    const configuration = configurationOf({
      ...shown,
      config: { environment, timeoutMs, memoryMb, options },
      code: projectCode(served),
      details: {},
      modifiedAt: modifiedAt(found),
      revisionId: revisionIdOf(served),
    })
    return served.revision === undefined ? { ...configuration, ...CREATING } : configuration
  }
  return {
    modifiedAt,
    show(found, version, asked) {
      const { name, served } = found
      const arn = functions.arn(served)
      const shown = { name, arn: asked === undefined ? arn : `${arn}:${asked}`, version }
      const published = functions.kept(name).versions[version]
      return published === undefined ? latest(found, shown) : configurationOf({ ...shown, ...published })
    },
  }
}

/** Nothing is packed to be run here; the revision stands for the code. */
export function projectCode({ revision }: ApiFunction): CodeState {
  const sha256 = createHash('sha256')
    .update(revision ?? '')
    .digest('base64')
  return { folder: '', sha256, bytes: 0 }
}

/** Another one whenever anything of the function is other. */
function revisionIdOf({ config, revision }: ApiFunction): string {
  const hash = createHash('sha256').update(JSON.stringify([config, revision ?? '']))
  return uuidOf(hash.digest('hex'))
}

function uuidOf(hex: string): string {
  return hex.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

interface Shown {
  readonly name: string
  readonly arn: string
  readonly version: string
  readonly config: StoredConfig
  readonly code: CodeState
  readonly details: Details
  readonly modifiedAt: number
  readonly revisionId: string
}

/** Lambda's FunctionConfiguration. */
function configurationOf(shown: Shown): FunctionConfiguration {
  const { name, arn, version, config, code, details, modifiedAt, revisionId } = shown
  const { environment, timeoutMs = DEFAULT_TIMEOUT_MS, memoryMb = DEFAULT_MEMORY_MB, options } = config
  const { runtime = `nodejs${process.versions.node.split('.')[0]}.x`, handler } = options
  const architectures = details['Architectures'] ?? [process.arch === 'arm64' ? 'arm64' : 'x86_64']
  const { deadLetter } = settingsOf({ options })
  return {
    FunctionName: name,
    FunctionArn: arn,
    Runtime: runtime,
    Role: `arn:aws:iam::${ACCOUNT_ID}:role/flexi`,
    Handler: handler ?? 'bootstrap',
    CodeSize: code.bytes,
    Description: '',
    Timeout: Math.ceil(timeoutMs / 1000),
    MemorySize: memoryMb,
    LastModified: new Date(modifiedAt).toISOString().replace('Z', '+0000'),
    CodeSha256: code.sha256,
    Version: version,
    ...(Object.keys(environment).length > 0 ? { Environment: { Variables: environment } } : {}),
    ...(deadLetter === undefined ? {} : { DeadLetterConfig: { TargetArn: deadLetter } }),
    TracingConfig: { Mode: 'PassThrough' },
    RevisionId: revisionId,
    State: 'Active',
    LastUpdateStatus: 'Successful',
    PackageType: 'Zip',
    Architectures: architectures,
    EphemeralStorage: { Size: 512 },
    SnapStart: { ApplyOn: 'None', OptimizationStatus: 'Off' },
    RuntimeVersionConfig: {
      RuntimeVersionArn: runtimeArn(arn, JSON.stringify([runtime, architectures])),
    },
    ...details,
    LoggingConfig: { LogFormat: 'Text', LogGroup: logGroup(name), ...Object(details['LoggingConfig']) },
  }
}

/** Lambda's name of the runtime's build: here there is one for each runtime. */
function runtimeArn(functionArn: string, runtime: string): string {
  const [, , , region] = functionArn.split(':')
  return `arn:aws:lambda:${region}::runtime:${createHash('sha256').update(runtime).digest('hex')}`
}

/** How an answer says that a function is on its way; the next question finds it there. */
export const CREATING = {
  State: 'Pending',
  StateReason: 'The function is being created.',
  StateReasonCode: 'Creating',
  LastUpdateStatus: undefined,
} as const

export const UPDATING = {
  LastUpdateStatus: 'InProgress',
  LastUpdateStatusReason: 'The function is being created.',
  LastUpdateStatusReasonCode: 'Creating',
} as const
