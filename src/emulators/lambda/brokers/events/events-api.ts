import type { SocketFetcher } from '../../../../core/fetcher.ts'
import { discard } from '../../../../forward/request-body.ts'
import { readBody } from '../../request-body.ts'
import { sendJson, sendJsonError } from '../answer.ts'
import { BrokerError } from '../broker-error.ts'
import { parsedInput } from '../json-input.ts'
import type { Buses } from './buses.ts'
import { EVENTS_ACTIONS } from './events-actions.ts'

const JSON_TYPE = 'application/x-amz-json-1.1'
/** Ten entries of 1 MiB, with what JSON in JSON adds. */
const BODY_BYTES_MAX = 24 * 1024 * 1024

/** EventBridge: the action is in `X-Amz-Target`. */
export function openEventsJson(buses: Buses, now: () => number): SocketFetcher {
  return {
    async handle(incoming, outgoing, context) {
      outgoing.setHeader('x-amzn-RequestId', context.id)
      try {
        const body = await readBody(incoming, BODY_BYTES_MAX)
        const target = String(incoming.headers['x-amz-target'])
        const name = target.slice(target.indexOf('.') + 1)
        context.note({ operation: name })
        const action = Object.hasOwn(EVENTS_ACTIONS, name) ? EVENTS_ACTIONS[name] : undefined
        if (action === undefined) throw unknownOperation(name)
        sendJson(outgoing, JSON_TYPE, action({ input: parsedInput(body), buses, now: now() }))
      } catch (error) {
        if (!(error instanceof BrokerError)) throw error
        sendJsonError(outgoing, JSON_TYPE, { error, shapes: 'com.amazonaws.eventbridge' })
        discard(incoming)
      }
    },
  }
}

function unknownOperation(name: string): BrokerError {
  return new BrokerError('UnknownOperationException', `flexi's buses have no action ${name}.`)
}
