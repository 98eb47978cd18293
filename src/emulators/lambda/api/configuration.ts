import { createHash } from 'node:crypto'

import type { ApiFunction } from '../../../core/function.ts'
import { ACCOUNT_ID, VERSION } from '../definition.ts'
import { DEFAULT_MEMORY_MB, DEFAULT_TIMEOUT_MS } from '../limits.ts'
import { logGroup } from '../variables.ts'

/** Lambda's FunctionConfiguration of a function. `modifiedAt` is in ms since the epoch. */
export function configurationOf(
  { config, revision }: ApiFunction,
  { arn, modifiedAt }: { readonly arn: string; readonly modifiedAt: number },
): Readonly<Record<string, unknown>> {
  const { name, environment, timeoutMs = DEFAULT_TIMEOUT_MS, memoryMb = DEFAULT_MEMORY_MB } = config
  const { runtime, handler } = config.options
  const hash = createHash('sha256').update(JSON.stringify([config, revision ?? '']))
  const variables = Object.keys(environment).length > 0
  return {
    FunctionName: name,
    FunctionArn: arn,
    Runtime: runtime ?? `nodejs${process.versions.node.split('.')[0]}.x`,
    Role: `arn:aws:iam::${ACCOUNT_ID}:role/flexi`,
    Handler: handler ?? 'bootstrap',
    // Nothing is packed to be run here.
    CodeSize: 0,
    Description: '',
    Timeout: Math.ceil(timeoutMs / 1000),
    MemorySize: memoryMb,
    LastModified: new Date(modifiedAt).toISOString().replace('Z', '+0000'),
    CodeSha256: createHash('sha256')
      .update(revision ?? '')
      .digest('base64'),
    Version: VERSION,
    ...(variables ? { Environment: { Variables: environment } } : {}),
    TracingConfig: { Mode: 'PassThrough' },
    RevisionId: uuidOf(hash.digest('hex')),
    ...(revision === undefined ? PENDING : { State: 'Active', LastUpdateStatus: 'Successful' }),
    PackageType: 'Zip',
    Architectures: [process.arch === 'arm64' ? 'arm64' : 'x86_64'],
    EphemeralStorage: { Size: 512 },
    SnapStart: { ApplyOn: 'None', OptimizationStatus: 'Off' },
    LoggingConfig: { LogFormat: 'Text', LogGroup: logGroup(name) },
  }
}

const PENDING = {
  State: 'Pending',
  StateReason: 'The function is being created.',
  StateReasonCode: 'Creating',
} as const

function uuidOf(hex: string): string {
  return hex.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
