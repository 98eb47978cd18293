import type { IncomingMessage } from 'node:http'

import type { RequestContext, SocketFetcher } from '../../../../core/fetcher.ts'
import { discard } from '../../../../forward/request-body.ts'
import { ACCOUNT_ID } from '../../definition.ts'
import { readBody } from '../../request-body.ts'
import { sendJson, sendJsonError } from '../answer.ts'
import { BrokerError } from '../broker-error.ts'
import { parsedInput, type Input } from '../json-input.ts'
import { MESSAGE_ACTIONS } from './message-actions.ts'
import { QUEUE_ACTIONS } from './queue-actions.ts'
import type { Polls } from './polls.ts'
import type { QueueRegistry } from './queues.ts'
import type { SqsCall } from './sqs-call.ts'
import { required } from './sqs-input.ts'

const JSON_TYPE = 'application/x-amz-json-1.0'
/** A batch at its longest, with what JSON adds: every byte may be written as `\u0000`. */
const BODY_BYTES_MAX = 8 * 1024 * 1024

const ACTIONS: Readonly<Record<string, (call: SqsCall) => Input | Promise<Input>>> = {
  ...QUEUE_ACTIONS,
  ...MESSAGE_ACTIONS,
}

export interface SqsApiOptions {
  readonly queues: QueueRegistry
  readonly polls: Polls
  /** Path of all this: `/_flexi/aws`. */
  readonly mount: () => string
}

/** SQS over JSON, as current SDKs and command lines speak it: the action is in `X-Amz-Target`. */
export function openSqsJson({ queues, polls, mount }: SqsApiOptions): SocketFetcher {
  return {
    async handle(incoming, outgoing, context) {
      outgoing.setHeader('x-amzn-RequestId', context.id)
      try {
        const body = await readBody(incoming, BODY_BYTES_MAX)
        const target = String(incoming.headers['x-amz-target'])
        const operation = target.slice(target.indexOf('.') + 1)
        context.note({ operation })
        const output = await runSqs(operation, {
          input: parsedInput(body),
          queues,
          polls,
          urls: queueUrls(incoming, context, mount()),
          signal: context.signal,
        })
        if (!context.signal.aborted) sendJson(outgoing, JSON_TYPE, output)
      } catch (error) {
        if (!(error instanceof BrokerError)) throw error
        sendJsonError(outgoing, JSON_TYPE, { error, shapes: 'com.amazonaws.sqs' })
        discard(incoming)
      }
    },
  }
}

export interface SqsRequest {
  readonly input: Input
  readonly queues: QueueRegistry
  readonly polls: Polls
  /** What a queue's name is put after. */
  readonly urls: string
  readonly signal: AbortSignal
}

/** @throws BrokerError. */
export async function runSqs(
  name: string,
  { input, queues, polls, urls, signal }: SqsRequest,
): Promise<Input> {
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
  if (action === undefined) {
    throw new BrokerError('InvalidAction', `flexi's queues have no action ${name}.`, {
      code: 'InvalidAction',
    })
  }
  const queue: SqsCall['queue'] = () => queues.get(required(input, 'QueueUrl'))
  const call = { input, queues, queue, urlOf: (of: string) => `${urls}${of}`, signal }
  if (name !== 'ReceiveMessage') return await action(call)
  return await polls.during(signal, (both) => action({ ...call, signal: both }))
}

/**
 * Below the address that the client asked, because some clients send requests for a queue to the host of its URL:
 * `http://localhost:8069/_flexi/aws/123456789012/`.
 */
export function queueUrls({ headers }: IncomingMessage, { protocol }: RequestContext, mount: string): string {
  return `${protocol}://${headers.host ?? '127.0.0.1'}${mount}/${ACCOUNT_ID}/`
}
