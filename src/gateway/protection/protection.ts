import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import { openAddressList } from '../../core/addresses.ts'
import { asFlexiError, FlexiError } from '../../core/errors.ts'
import type { Fetcher, RequestContext, SocketFetcher } from '../../core/fetcher.ts'
import type { RouteProtection } from '../../core/route.ts'
import type { Asked } from '../../forward/client-fields.ts'
import { problemText } from '../../forward/problem.ts'
import { answerRaw } from '../../forward/raw-answer.ts'
import { REQUEST_ID, toldRequestId } from '../../forward/request-id.ts'
import { overSockets } from '../web.ts'
import { checkAnnounced, countContent, hasUnknownLength } from './body-limit.ts'
import { openRateLimiter } from './rate-limit.ts'
import { rateKey } from './request-key.ts'

/** What stands before a route; it keeps its counts for as long as it is used, whatever answers behind it. */
export interface Protection {
  protect(fetcher: Fetcher): SocketFetcher
}

type Check = (context: RequestContext) => void
type Compress = (incoming: IncomingMessage, outgoing: ServerResponse) => void

/** Builds all that the requests of a route are asked for, once. */
export async function openProtection(settings: RouteProtection): Promise<Protection> {
  const checks = checksOf(settings)
  const { bodyBytesMax, compress } = settings
  const compression = compress === true ? (await import('./compression.ts')).compressAnswer : undefined
  return {
    protect: (fetcher) => decorate(fetcher, { checks, bodyBytesMax, compression }),
  }
}

interface Parts {
  readonly checks: readonly Check[]
  readonly bodyBytesMax: number | undefined
  readonly compression: Compress | undefined
}

function decorate(fetcher: Fetcher, { checks, bodyBytesMax, compression }: Parts): SocketFetcher {
  const inner = fetcher.handle === undefined ? overSockets(fetcher) : fetcher
  const { upgrade } = fetcher
  const protectedFetcher: SocketFetcher = {
    // Async, so that a refusal is a rejection.
    async handle(incoming, outgoing, context) {
      for (const check of checks) check(context)
      if (bodyBytesMax !== undefined) checkAnnounced(incoming, bodyBytesMax)
      compression?.(incoming, outgoing)
      if (bodyBytesMax === undefined || !hasUnknownLength(incoming)) {
        await inner.handle(incoming, outgoing, context)
        return
      }
      const tooLarge = countContent(incoming, outgoing, bodyBytesMax)
      await Promise.race([inner.handle(incoming, outgoing, context), tooLarge])
    },
  }
  if (upgrade === undefined) return protectedFetcher
  return {
    ...protectedFetcher,
    upgrade(incoming, socket, head, context) {
      try {
        for (const check of checks) check(context)
      } catch (error) {
        refuseUpgrade(socket, { incoming, context }, asFlexiError(error))
        return
      }
      upgrade.call(fetcher, incoming, socket, head, context)
    },
  }
}

function refuseUpgrade(socket: Duplex, { incoming, context }: Asked, error: FlexiError): void {
  const { status, code, retryAfterSeconds, answerFields } = error
  context.note({ status })
  const retry = retryAfterSeconds === undefined ? [] : ['Retry-After', String(retryAfterSeconds)]
  answerRaw(socket, {
    status,
    contentType: 'application/problem+json',
    text: problemText({ status, detail: error.message, code, requestId: context.id }),
    fields: [
      REQUEST_ID,
      toldRequestId(incoming.headers, context.id),
      ...retry,
      ...Object.entries(answerFields).flat(),
    ],
  })
}

/** In this order: the cheap ones first, and nobody who may not ask uses up a limit. */
function checksOf({ allow, deny, fieldBytesMax, rate }: RouteProtection): readonly Check[] {
  const checks: Check[] = []
  if (allow !== undefined || deny !== undefined) checks.push(addressCheck(allow, deny))
  if (fieldBytesMax !== undefined) checks.push(fieldCheck(fieldBytesMax))
  if (rate !== undefined) {
    const limiter = openRateLimiter(rate)
    checks.push((context) => limiter.admit(rateKey(rate.key, context)))
  }
  return checks
}

function addressCheck(allow: readonly string[] | undefined, deny: readonly string[] = []): Check {
  const allowed = allow === undefined ? undefined : openAddressList(allow)
  const denied = openAddressList(deny)
  return ({ clientAddress }) => {
    if (!denied.has(clientAddress) && allowed?.has(clientAddress) !== false) return
    throw new FlexiError('FLEXI_FORBIDDEN', `${clientAddress} may not ask this route`)
  }
}

/** Counts names and values; how they are separated depends on the version of HTTP. */
function fieldCheck(bytesMax: number): Check {
  return ({ raw }) => {
    let bytes = 0
    for (const part of raw.fields) bytes += part.length
    if (bytes <= bytesMax) return
    const message = `the fields are larger than the ${bytesMax} bytes they may have`
    throw new FlexiError('FLEXI_FIELDS_TOO_LARGE', message)
  }
}
