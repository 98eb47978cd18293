import { sendJson, ApiError } from './api-error.ts'
import type { ApiCall } from './api-call.ts'
import type { ApiParts, Changes, Queries } from './api-parts.ts'
import { aliasChanges, aliasQueries } from './alias-operations.ts'
import type { Background } from './background.ts'
import { concurrencyChanges, concurrencyQueries } from './concurrency-operations.ts'
import { eventInvokeChanges, eventInvokeQueries } from './event-invoke-operations.ts'
import { functionChanges } from './function-changes.ts'
import { functionQueries } from './function-queries.ts'
import { readInput } from './input.ts'
import { invoke } from './invoke.ts'
import { invokeWithResponseStream } from './invoke-stream.ts'
import { layerChanges, layerQueries } from './layer-operations.ts'
import { Layers } from './layers.ts'
import { mappingChanges, mappingQueries } from './mapping-operations.ts'
import { matchOperation, STATUS, type OperationName } from './operations.ts'
import { policyChanges, policyQueries } from './policy-operations.ts'
import { tagChanges, tagQueries } from './tag-operations.ts'
import { urlChanges, urlQueries } from './url-operations.ts'
import type { Urls } from './urls.ts'
import { versionChanges } from './version-changes.ts'

/** Answers a request of Lambda's API. @throws ApiError, FlexiError: what is to be answered instead. */
export type Operations = (exchange: Pick<ApiCall, 'incoming' | 'outgoing' | 'context'>) => Promise<void>

/** A zip file of 50 MiB, in Base64, and the rest of its request. */
const CODE_BYTES_MAX = 70_167_211
const BYTES_MAX = 1024 * 1024

const WITH_CODE: ReadonlySet<OperationName> = new Set([
  'CreateFunction',
  'UpdateFunctionCode',
  'PublishLayerVersion',
])

export function openOperations(parts: ApiParts, background: Background, urls: Urls): Operations {
  const { deployments } = parts
  const layers = new Layers(deployments)
  const queries: Queries = {
    ...functionQueries(parts),
    ...aliasQueries(parts),
    ...concurrencyQueries(parts),
    ...eventInvokeQueries(parts),
    ...policyQueries(parts),
    ...tagQueries(parts),
    ...mappingQueries(parts, background),
    ...layerQueries(parts, layers),
    ...urlQueries(parts, urls),
  }
  const changes: Changes = {
    ...functionChanges(parts, layers.find, urls),
    ...versionChanges(parts),
    ...aliasChanges(parts),
    ...concurrencyChanges(parts),
    ...eventInvokeChanges(parts),
    ...policyChanges(parts),
    ...tagChanges(parts),
    ...mappingChanges(parts, background),
    ...layerChanges(parts, layers),
    ...urlChanges(parts, urls),
  }

  const perform = async (name: OperationName, call: ApiCall): Promise<void> => {
    const query = queries[name]
    const change = changes[name]
    if (name === 'Invoke') return await invoke(call, deployments, background.events)
    if (name === 'InvokeWithResponseStream') return await invokeWithResponseStream(call, deployments)
    if (query !== undefined) return send(call, name, await query(call))
    if (change === undefined) throw notThere(name)
    const bytesMax = WITH_CODE.has(name) ? CODE_BYTES_MAX : BYTES_MAX
    const input = await readInput(call, { bytesMax, operation: name })
    send(call, name, await deployments.exclusive(async () => change(call, input)))
  }

  return async (exchange) => {
    const { method, target } = exchange.context.raw
    const end = target.indexOf('?')
    const path = end === -1 ? target : target.slice(0, end)
    const matched = matchOperation(method, path)
    if (matched === undefined) throw unknownOperation(exchange, path)
    exchange.context.note({ operation: matched.name })
    const query = new URLSearchParams(end === -1 ? '' : target.slice(end + 1))
    await perform(matched.name, { ...exchange, parameters: matched.parameters, query })
  }
}

function send({ outgoing }: ApiCall, name: OperationName, body: unknown): void {
  const status = STATUS[name] ?? 200
  if (body !== undefined) sendJson(outgoing, { status, body })
  else outgoing.writeHead(status, status === 204 ? {} : { 'Content-Length': 0 }).end()
}

function notThere(name: string): ApiError {
  return new ApiError(501, 'NotImplementedException', { Type: 'User', message: `flexi has no ${name}` })
}

/** A client of another service names what it wants in a field; its path is but a slash. */
function unknownOperation(
  { incoming, context }: Pick<ApiCall, 'incoming' | 'context'>,
  path: string,
): ApiError {
  const asked = incoming.headers['x-amz-target'] ?? `${context.raw.method} ${path}`
  return new ApiError(404, 'UnknownOperationException', {
    // Where clients of services with another protocol look for the type.
    __type: 'UnknownOperationException',
    Type: 'User',
    message: `flexi has no ${String(asked)}: Lambda, SQS, SNS and EventBridge answer here`,
  })
}
