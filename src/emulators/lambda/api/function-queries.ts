import { pathToFileURL } from 'node:url'

import { VERSION } from '../definition.ts'
import { UNPACKED_MAX } from '../limits.ts'
import { awsNameOf } from '../service/function-settings.ts'
import { queried, type ApiCall } from './api-call.ts'
import { foundIn, type ApiParts, type Queries } from './api-parts.ts'
import type { FunctionConfiguration } from './configuration.ts'
import type { FoundFunction } from './functions.ts'
import { page } from './paging.ts'

/** What there is of functions and their versions. */
export function functionQueries(parts: ApiParts): Queries {
  const { deployments, configurations } = parts
  const { functions, codes } = deployments
  const show = (found: FoundFunction): FunctionConfiguration =>
    configurations.show(found, functions.versionOf(found), found.qualifier)
  return {
    ListFunctions: (call) => {
      const whole = functions.all().map((served): FoundFunction => {
        const name = awsNameOf(served.config)
        return { name, served, qualifier: undefined }
      })
      const all = queried(call, 'FunctionVersion') === 'ALL' ? whole.flatMap(versionsOf) : whole
      const { items, next } = page(call, all, ({ name, qualifier }) => `${name}:${qualifier}`)
      return { Functions: items.map(show), NextMarker: next }
    },
    GetFunction: (call) => {
      const found = foundIn(parts, call)
      const { name, served } = found
      const kept = functions.kept(name)
      const code = kept.versions[functions.versionOf(found)]?.code ?? kept.own?.code
      const folder = code === undefined ? served.config.directory : codes.pathOf(code)
      const reserved = deployments.reservedOf(found)
      return {
        Configuration: show(found),
        Code: { RepositoryType: 'S3', Location: pathToFileURL(folder).href },
        ...(Object.keys(kept.tags).length > 0 ? { Tags: kept.tags } : {}),
        ...(reserved === undefined ? {} : { Concurrency: { ReservedConcurrentExecutions: reserved } }),
      }
    },
    GetFunctionConfiguration: (call) => show(foundIn(parts, call)),
    ListVersionsByFunction: (call) => {
      const { items, next } = page(call, versionsOf(foundIn(parts, call)), ({ qualifier }) =>
        String(qualifier),
      )
      return { Versions: items.map(show), NextMarker: next }
    },
    GetAccountSettings: () => accountSettings(parts),
    ...defaults(parts),
  }

  /** `$LATEST` first, then in the order they were published. */
  function versionsOf(found: FoundFunction): readonly FoundFunction[] {
    const numbers = Object.keys(functions.kept(found.name).versions)
    return [VERSION, ...numbers].map((qualifier) => ({ ...found, qualifier }))
  }
}

/** Settings that are the same for every function here; tools that manage functions ask for them. */
function defaults(parts: ApiParts): Queries {
  const arn = (call: ApiCall): string => parts.deployments.functions.arn(foundIn(parts, call).served)
  return {
    GetFunctionCodeSigningConfig: (call) => ({ FunctionName: foundIn(parts, call).name }),
    GetFunctionRecursionConfig: (call) => {
      foundIn(parts, call)
      return { RecursiveLoop: 'Terminate' }
    },
    GetRuntimeManagementConfig: (call) => ({ UpdateRuntimeOn: 'Auto', FunctionArn: arn(call) }),
  }
}

/** The limits are Lambda's defaults; the rest is counted. */
function accountSettings({ deployments }: ApiParts): object {
  const { functions } = deployments
  const all = functions.all()
  const reserved = all.reduce(
    (sum, served) => sum + (deployments.reservedOf({ name: awsNameOf(served.config), served }) ?? 0),
    0,
  )
  const codes = Object.values(functions.store.state.functions).flatMap(({ own, versions }) => [
    own?.code?.bytes ?? 0,
    ...Object.values(versions).map(({ code }) => code.bytes),
  ])
  return {
    AccountLimit: {
      TotalCodeSize: 80_530_636_800,
      CodeSizeUnzipped: UNPACKED_MAX.bytesMax,
      CodeSizeZipped: 52_428_800,
      ConcurrentExecutions: ACCOUNT_CONCURRENCY,
      UnreservedConcurrentExecutions: ACCOUNT_CONCURRENCY - reserved,
    },
    AccountUsage: { TotalCodeSize: codes.reduce((sum, bytes) => sum + bytes, 0), FunctionCount: all.length },
  }
}

export const ACCOUNT_CONCURRENCY = 1_000
