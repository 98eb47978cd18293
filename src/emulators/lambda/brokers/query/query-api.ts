import type { IncomingMessage, ServerResponse } from 'node:http'

import type { RequestContext, SocketFetcher } from '../../../../core/fetcher.ts'
import { discard } from '../../../../forward/request-body.ts'
import { readBody } from '../../request-body.ts'
import { BrokerError } from '../broker-error.ts'
import { runSns, SNS_NAMESPACE } from '../sns/sns-api.ts'
import type { Topics } from '../sns/topics.ts'
import { queueUrls, runSqs, type SqsApiOptions } from '../sqs/sqs-api.ts'
import { sendQueryAnswer, sendQueryError } from './query-answer.ts'
import { parseForm, textOf, type FormNode } from './query-form.ts'
import { SQS_NAMESPACE, sqsInput, sqsResult } from './sqs-query.ts'
import { runSts, STS_NAMESPACE, STS_VERSION } from './sts.ts'
import { content } from './xml.ts'

const BODY_BYTES_MAX = 24 * 1024 * 1024
/** `Version` of SQS's requests; SNS's is 2010-03-31. */
const SQS_VERSION = '2012-11-05'

export interface QueryApiOptions extends SqsApiOptions {
  readonly topics: Topics
}

interface QueryRequest {
  readonly form: FormNode
  readonly incoming: IncomingMessage
  readonly context: RequestContext
}

/** Forms with an `Action`, answered in XML: SNS, and SQS for clients from before its JSON protocol. */
export function openQueryApi(options: QueryApiOptions): SocketFetcher {
  return {
    async handle(incoming, outgoing, context) {
      outgoing.setHeader('x-amzn-RequestId', context.id)
      const { target } = context.raw
      const [path, query] = cut(target)
      const body = await readBody(incoming, BODY_BYTES_MAX)
      const form = parseForm(body === undefined ? query : `${body.toString()}&${query}`)
      const request = { form, incoming, context }
      if (textOf(form, 'Version') === STS_VERSION) {
        answerSts(request, outgoing)
        return
      }
      const isSqs = path !== '/' || textOf(form, 'Version') === SQS_VERSION
      if (isSqs) await answerSqs(options, request, { outgoing, path })
      else answerSns(options, request, outgoing)
    },
  }
}

function cut(target: string): readonly [path: string, query: string] {
  const end = target.indexOf('?')
  return end === -1 ? [target, ''] : [target.slice(0, end), target.slice(end + 1)]
}

function answerSts(request: QueryRequest, outgoing: ServerResponse): void {
  const { form, context } = request
  try {
    const action = actionOf(form)
    context.note({ operation: action })
    const result = content(runSts(action))
    sendQueryAnswer(outgoing, { namespace: STS_NAMESPACE, requestId: context.id, action, result })
  } catch (error) {
    refuse(error, request, { outgoing, namespace: STS_NAMESPACE })
  }
}

function answerSns(
  { topics, mount }: QueryApiOptions,
  request: QueryRequest,
  outgoing: ServerResponse,
): void {
  const { form, incoming, context } = request
  const answered = { namespace: SNS_NAMESPACE, requestId: context.id }
  try {
    const action = actionOf(form)
    context.note({ operation: action })
    const endpoint = `${context.protocol}://${incoming.headers.host ?? '127.0.0.1'}${mount()}`
    const output = runSns(action, { form, topics, endpoint })
    const result = output === undefined ? undefined : content(output)
    sendQueryAnswer(outgoing, { ...answered, action, result })
  } catch (error) {
    refuse(error, request, { outgoing, namespace: SNS_NAMESPACE })
  }
}

async function answerSqs(
  { queues, polls, mount }: QueryApiOptions,
  request: QueryRequest,
  { outgoing, path }: { readonly outgoing: ServerResponse; readonly path: string },
): Promise<void> {
  const { form, incoming, context } = request
  const { signal } = context
  try {
    const action = actionOf(form)
    context.note({ operation: action })
    // The path of a queue's URL names the queue where the form does not.
    const input = { ...(path === '/' ? {} : { QueueUrl: path }), ...sqsInput(action, form) }
    const urls = queueUrls(incoming, context, mount())
    const output = await runSqs(action, { input, queues, polls, urls, signal })
    if (signal.aborted) return
    const answered = { namespace: SQS_NAMESPACE, requestId: context.id }
    sendQueryAnswer(outgoing, { ...answered, action, result: sqsResult(action, output) })
  } catch (error) {
    refuse(error, request, { outgoing, namespace: SQS_NAMESPACE })
  }
}

function actionOf(form: FormNode): string {
  const action = textOf(form, 'Action')
  if (action === undefined) {
    throw new BrokerError('MissingAction', 'The request must contain the parameter Action.')
  }
  return action
}

function refuse(
  error: unknown,
  { incoming, context }: QueryRequest,
  { outgoing, namespace }: { readonly outgoing: ServerResponse; readonly namespace: string },
): void {
  if (!(error instanceof BrokerError)) throw error
  sendQueryError(outgoing, { error, message: content(error.message), namespace, requestId: context.id })
  discard(incoming)
}
