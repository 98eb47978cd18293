import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import { errorMessage, FlexiError } from '../../core/errors.ts'
import type { RequestContext } from '../../core/fetcher.ts'
import type { FieldRules } from '../../forward/fields.ts'
import { forwardHttp1, type FaultRule, type Http1Target } from '../../forward/http1-forward.ts'
import { Http1Pool } from '../../forward/http1-pool.ts'
import { forwardUpgrade } from '../../forward/upgrade.ts'
import { WaitingList, type Waiting } from '../../forward/waiting-list.ts'
import type { Reached } from './reach.ts'

export interface Relay {
  /** @throws UpstreamError; FlexiError FLEXI_FUNCTION_TIMEOUT when no head comes in time. */
  handle(incoming: IncomingMessage, outgoing: ServerResponse, context: RequestContext): Promise<void>
  upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer, context: RequestContext): void
  /** Breaks what is under way. */
  close(): void
}

export interface RelayOptions {
  readonly name: string
  readonly reached: Reached
  /** Until the head of an answer. */
  readonly timeoutMs: number
  /** A request has no head after that long. What it returns is awaited before the request is given up. */
  readonly onLate: () => Promise<void>
}

/** The client's own fields, and who it is: as any proxy says it. */
const RULES: FieldRules = { host: 'keep', forwarded: true }

/** Every answer of a program is its client's. */
const NO_FAULTS: FaultRule = {
  markOf: () => undefined,
  read: () => new Error('no answer is a fault'),
}

const LOOK_MS_MIN = 20
const LOOKS = 20

/** The way of requests to a program, by its port or its Unix socket. */
export function openRelay({ name, reached, timeoutMs, onLate }: RelayOptions): Relay {
  const { host, port, socketPath } = reached
  const server = { host, port, socketPath }
  const waiting = new WaitingList()
  const pool = new Http1Pool(server)
  const target: Http1Target = { ...RULES, pool, origin: `process ${name}`, waiting, faults: NO_FAULTS }
  const timer = setInterval(look, Math.max(LOOK_MS_MIN, timeoutMs / LOOKS))
  timer.unref()
  let isLooking = false
  function look(): void {
    const late = lateOnes(waiting, timeoutMs)
    if (late.length === 0 || isLooking) return
    isLooking = true
    void onLate().finally(() => {
      isLooking = false
      for (const one of late) one.abort(tooLate(timeoutMs))
    })
  }
  return {
    handle: (incoming, outgoing, context) => forwardHttp1(target, { incoming, outgoing, context, lines: '' }),
    upgrade(incoming, socket, head, context) {
      forwardUpgrade(server, { incoming, socket, head, context }, RULES).catch((error: unknown) => {
        context.log.warn('upgrade.fail', { error: errorMessage(error) })
        if (!socket.destroyed) socket.end(BAD_GATEWAY)
      })
    },
    close() {
      clearInterval(timer)
      pool.close()
    },
  }
}

const BAD_GATEWAY = 'HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

/** The oldest come first: the first that has time left is the last one to look at. */
function lateOnes(waiting: WaitingList, timeoutMs: number): readonly Waiting[] {
  const limit = performance.now() - timeoutMs
  const late: Waiting[] = []
  for (const one of waiting) {
    if (one.since > limit) return late
    late.push(one)
  }
  return late
}

export function tooLate(timeoutMs: number): FlexiError {
  return new FlexiError('FLEXI_FUNCTION_TIMEOUT', `no answer within ${timeoutMs / 1000} s`)
}
