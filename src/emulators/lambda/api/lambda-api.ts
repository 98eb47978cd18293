import { FlexiError } from '../../../core/errors.ts'
import type { SocketFetcher } from '../../../core/fetcher.ts'
import type { ApiHost } from '../../../core/function.ts'
import { discard } from '../../../forward/request-body.ts'
import type { ApiCall } from './api-call.ts'
import { ApiError, asApiError, sendError, sendJson } from './api-error.ts'
import { EventQueue, type EventQueueOptions } from './event-queue.ts'
import { Functions } from './functions.ts'
import { invoke } from './invoke.ts'
import { invokeWithResponseStream } from './invoke-stream.ts'
import { matchOperation, type OperationName } from './operations.ts'
import { openQueries } from './queries.ts'

type Operation = (call: ApiCall) => Promise<void>

/** Lambda's own API over the functions of the project, for SDKs and command lines. Signatures are not looked at. */
export function openLambdaApi(
  host: ApiHost,
  options: Partial<EventQueueOptions> = {},
): SocketFetcher & AsyncDisposable {
  const functions = new Functions(host, process.env)
  const queue = new EventQueue(host, options)
  const invocations: Partial<Record<string, Operation>> = {
    Invoke: (call) => invoke(call, functions, queue),
    InvokeWithResponseStream: (call) => invokeWithResponseStream(call, functions),
  } satisfies Partial<Record<OperationName, Operation>>
  const queries: Partial<Record<string, (call: ApiCall) => unknown>> = openQueries(functions)

  const answer = async (name: string, call: ApiCall): Promise<void> => {
    const query = queries[name]
    const operation = invocations[name]
    if (operation !== undefined) await operation(call)
    else if (query !== undefined) sendJson(call.outgoing, { status: 200, body: query(call) })
    else throw notThere(name)
  }

  return {
    async handle(incoming, outgoing, context) {
      outgoing.setHeader('x-amzn-RequestId', context.id)
      const { method, target } = context.raw
      const end = target.indexOf('?')
      const path = end === -1 ? target : target.slice(0, end)
      try {
        const matched = matchOperation(method, path)
        if (matched === undefined) throw unknownOperation(method, path)
        const query = new URLSearchParams(end === -1 ? '' : target.slice(end + 1))
        const { parameters } = matched
        await answer(matched.name, { incoming, outgoing, context, parameters, query })
      } catch (error) {
        if (!isRefusal(error) || outgoing.headersSent) throw error
        sendError(asApiError(error), outgoing)
        discard(incoming)
      }
    },
    [Symbol.asyncDispose]() {
      queue[Symbol.dispose]()
      return Promise.resolve()
    },
  }
}

/** Everything else is a fault of ours or a client that left: the gateway knows what to do. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError || (error instanceof FlexiError && error.code !== 'FLEXI_CLIENT_GONE')
}

function notThere(name: string): ApiError {
  return new ApiError(501, 'NotImplementedException', {
    Type: 'User',
    message: `flexi has no ${name}: functions and what belongs to them come from the project's files`,
  })
}

function unknownOperation(method: string, path: string): ApiError {
  return new ApiError(404, 'UnknownOperationException', {
    // Where clients of services with another protocol look for the type.
    __type: 'UnknownOperationException',
    Type: 'User',
    message: `${method} ${path} is no operation of Lambda's API, which is all that answers here`,
  })
}
