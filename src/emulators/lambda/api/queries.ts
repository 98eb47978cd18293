import { pathToFileURL } from 'node:url'

import type { ApiFunction } from '../../../core/function.ts'
import { VERSION } from '../definition.ts'
import { queried, type ApiCall } from './api-call.ts'
import { ApiError, invalidParameter, invalidValue, notFound } from './api-error.ts'
import { configurationOf } from './configuration.ts'
import { eventOptionsOf, hasEventOptions } from './event-options.ts'
import type { FoundFunction, Functions } from './functions.ts'
import type { OperationName } from './operations.ts'

export type Query = (call: ApiCall) => unknown

/** Items of a page when the caller does not say, and at most. */
const PAGE_ITEMS = 50

/** The operations that only tell what the project says. Each gives the JSON of its answer. */
export function openQueries(functions: Functions): Partial<Record<OperationName, Query>> {
  const show = openConfigurations(functions)
  const find = (call: ApiCall): FoundFunction =>
    functions.find(call.parameters[0] ?? '', queried(call, 'Qualifier'))
  return {
    ...absences(find, ({ served }) => functions.arn(served)),
    ListFunctions: (call) => {
      const all = functions.host.functions()
      const { items, next } = page(call, all, ({ config }) => config.name)
      const version = queried(call, 'FunctionVersion') === 'ALL' ? VERSION : undefined
      return { Functions: items.map((served) => show.configuration(served, version)), NextMarker: next }
    },
    GetFunction: (call) => {
      const { served, qualifier } = find(call)
      const { href } = pathToFileURL(served.config.directory)
      return {
        Configuration: show.configuration(served, qualifier),
        Code: { RepositoryType: 'S3', Location: href },
        Tags: {},
      }
    },
    GetFunctionConfiguration: (call) => {
      const { served, qualifier } = find(call)
      return show.configuration(served, qualifier)
    },
    ListVersionsByFunction: (call) => ({ Versions: [show.configuration(find(call).served, VERSION)] }),
    GetFunctionUrlConfig: (call) => show.url(find(call)),
    ListFunctionUrlConfigs: (call) => ({ FunctionUrlConfigs: [show.url(find(call))] }),
    GetFunctionEventInvokeConfig: (call) => {
      const { served } = find(call)
      if (hasEventOptions(served.config)) return show.eventInvoke(served)
      throw notFound(`The function ${functions.arn(served)}:${VERSION} doesn't have an EventInvokeConfig`)
    },
    ListFunctionEventInvokeConfigs: (call) => {
      const { served } = find(call)
      return { FunctionEventInvokeConfigs: hasEventOptions(served.config) ? [show.eventInvoke(served)] : [] }
    },
    GetAccountSettings: () => accountSettings(functions.host.functions().length),
  }
}

/** What a project has none of. */
function absences(
  find: (call: ApiCall) => FoundFunction,
  arn: (found: FoundFunction) => string,
): Partial<Record<OperationName, Query>> {
  const none =
    (answer: object): Query =>
    (call) => {
      find(call)
      return answer
    }
  return {
    ListAliases: none({ Aliases: [] }),
    GetAlias: (call) => {
      throw notFound(`Cannot find alias arn: ${arn(find(call))}:${call.parameters[1]}`)
    },
    GetPolicy: (call) => {
      find(call)
      throw notFound('The resource you requested does not exist.')
    },
    GetFunctionConcurrency: none({}),
    GetProvisionedConcurrencyConfig: (call) => {
      find(call)
      if (call.query.has('List')) return { ProvisionedConcurrencyConfigs: [] }
      throw new ApiError(404, 'ProvisionedConcurrencyConfigNotFoundException', {
        Type: 'User',
        message: 'No Provisioned Concurrency Config found for this function',
      })
    },
    ListTags: none({ Tags: {} }),
    ListLayers: () => ({ Layers: [] }),
    ListLayerVersions: () => ({ LayerVersions: [] }),
    ListEventSourceMappings: () => ({ EventSourceMappings: [] }),
  }
}

/** How functions are shown. Their time is when the revision in force was first asked about: what came before nobody has noted. */
function openConfigurations(functions: Functions) {
  const seen = new Map<string, { readonly revision: string | undefined; readonly at: number }>()
  const modifiedAt = ({ config: { name }, revision }: ApiFunction): number => {
    const known = seen.get(name)
    if (known !== undefined && known.revision === revision) return known.at
    const at = Date.now()
    seen.set(name, { revision, at })
    return at
  }
  return {
    configuration(served: ApiFunction, qualifier?: string): Readonly<Record<string, unknown>> {
      const arn = functions.arn(served)
      return configurationOf(served, {
        arn: qualifier === undefined ? arn : `${arn}:${qualifier}`,
        modifiedAt: modifiedAt(served),
      })
    },
    eventInvoke(served: ApiFunction): object {
      const { maximumRetryAttempts, maximumEventAge } = eventOptionsOf(served.config)
      return {
        FunctionArn: `${functions.arn(served)}:${VERSION}`,
        // Seconds, where every other operation has a text.
        LastModified: modifiedAt(served) / 1000,
        MaximumRetryAttempts: maximumRetryAttempts,
        MaximumEventAgeInSeconds: maximumEventAge,
        DestinationConfig: { OnSuccess: {}, OnFailure: {} },
      }
    },
    url: ({ served }: FoundFunction): object => urlConfig(served, functions.arn(served), modifiedAt(served)),
  }
}

/** A function's own address answers everyone, and streams when the handler does. */
function urlConfig(served: ApiFunction, arn: string, modifiedAt: number): object {
  const time = new Date(modifiedAt).toISOString()
  return {
    FunctionUrl: served.url,
    FunctionArn: arn,
    AuthType: 'NONE',
    InvokeMode: 'RESPONSE_STREAM',
    CreationTime: time,
    LastModifiedTime: time,
  }
}

/** Lambda's own defaults. */
function accountSettings(functionCount: number): object {
  return {
    AccountLimit: {
      TotalCodeSize: 80_530_636_800,
      CodeSizeUnzipped: 262_144_000,
      CodeSizeZipped: 52_428_800,
      ConcurrentExecutions: 1_000,
      UnreservedConcurrentExecutions: 1_000,
    },
    AccountUsage: { TotalCodeSize: 0, FunctionCount: functionCount },
  }
}

/** A marker is the name of the last item of the page before. @throws ApiError for one that names none, and for a size that cannot be. */
function page<T>(
  call: ApiCall,
  all: readonly T[],
  nameOf: (item: T) => string,
): { readonly items: readonly T[]; readonly next: string | undefined } {
  const marker = queried(call, 'Marker')
  const size = queried(call, 'MaxItems') ?? String(PAGE_ITEMS)
  if (!/^[1-9]\d{0,4}$/.test(size))
    throw invalidValue(size, 'maxItems', 'Member must have value between 1 and 10000')
  const last = marker === undefined ? undefined : Buffer.from(marker, 'base64url').toString()
  const before = last === undefined ? -1 : all.findIndex((item) => nameOf(item) === last)
  if (last !== undefined && before === -1) throw invalidParameter('The pagination token is invalid.')
  const end = before + 1 + Math.min(Number(size), PAGE_ITEMS)
  const items = all.slice(before + 1, end)
  const final = items.at(-1)
  const more = end < all.length && final !== undefined
  return { items, next: more ? Buffer.from(nameOf(final)).toString('base64url') : undefined }
}
