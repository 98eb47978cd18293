import type { IncomingMessage, ServerResponse } from 'node:http'

import type { RequestContext } from '../../core/fetcher.ts'
import type { Instance } from '../../core/function.ts'
import { answerOutcome, contentOf, type Answerer } from './answer.ts'
import { createCaller, type Caller } from './caller.ts'
import type { Outcome } from './dispatcher.ts'
import type { Isolation, IsolationOptions } from './isolation.ts'
import { loadError } from './load-error.ts'
import { unbufferStdout } from './memory.ts'
import { libraryLabel } from './options.ts'
import { JOINED_BYTES_MAX, type Exchange } from './respond.ts'
import { decodeResult, FROM_CHILD, HEAD_BYTES, prepareCall, writeCallHead, writeContent } from './wire.ts'

/** A call this long is felt by every other client. */
const BLOCKING_MS = 100

/**
 * Every library there was: one that has been called is never closed, because its threads, its exit handlers and its thread-local
 * data may still be in use; and koffi closes what is collected.
 */
const loaded: unknown[] = []

/** The library runs in the server's own process, on its only thread: no hand-over, and no protection. */
export function runInline({ config, scope, options }: IsolationOptions): Isolation {
  const { library, zig, preallocationKb } = options
  const label = libraryLabel(options)
  let warned = false
  const load = (path: string): Caller => {
    const caller = createCaller({ library: path, zig, preallocationKb, ownFrameBytes: JOINED_BYTES_MAX })
    loaded.push(caller.library)
    return caller
  }
  return {
    concurrency: Infinity,
    prepare: () => undefined,
    endLoad: () => undefined,
    async start({ path }) {
      if (!warned) scope.log.warn('native.inline', { message: riskOf(label) })
      warned = true
      unbufferStdout()
      try {
        return openInline(load(path), { config, scope, library: label })
      } catch (cause) {
        throw loadError(cause, { library, copy: path })
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function riskOf(library: string): string {
  return `${library} runs in flexi's own process ("isolation": "none"): a crash of it ends flexi, and while a call lasts nothing else is answered. "threads", "timeout", "memory" and "environment" have no effect.`
}

function openInline(caller: Caller, answerer: Answerer): Instance {
  let end: (error: undefined) => void
  const closed = new Promise<undefined>((resolve) => void (end = resolve))
  let blocking = false
  const onLongCall = (ms: number): void => {
    if (blocking) return
    blocking = true
    const message = `${answerer.library} held up everything for ${Math.round(ms)} ms: it runs in flexi's own process.`
    answerer.scope.log.warn('native.blocks', { message })
  }
  const serve = (exchange: Exchange, content: readonly Buffer[]): void => {
    const callMs = callAndAnswer(caller, { exchange, content, answerer })
    if (callMs > BLOCKING_MS) onLongCall(callMs)
  }
  return {
    handle(incoming: IncomingMessage, outgoing: ServerResponse, context: RequestContext): Promise<void> {
      const exchange: Exchange = { incoming, outgoing, context }
      const content = contentOf(incoming, context)
      if (content instanceof Promise) return content.then((chunks) => serve(exchange, chunks))
      serve(exchange, content)
      return DONE
    },
    closed,
    [Symbol.asyncDispose]() {
      caller.close()
      end(undefined)
      return Promise.resolve()
    },
  }
}

const DONE = Promise.resolve()

interface InlineCall {
  readonly exchange: Exchange
  readonly content: readonly Buffer[]
  readonly answerer: Answerer
}

/** The whole sequence in one go: nothing of this process runs between `zigInit` and `request_deinit`. Gives what the call took, in ms. */
function callAndAnswer(caller: Caller, { exchange, content, answerer }: InlineCall): number {
  const call = prepareCall(exchange.context.raw, content)
  const { bytes, at } = caller.room(call.headBytes + call.contentBytes)
  writeContent(call, bytes, writeCallHead(call, bytes, at))
  try {
    const outcome = outcomeOf(caller.call(0))
    answerOutcome(exchange, outcome, answerer)
    return outcome.kind === 'result' ? outcome.result.callMicros / 1000 : 0
  } finally {
    caller.release()
  }
}

function outcomeOf(frame: Buffer): Outcome {
  switch (frame.readUInt32LE(4)) {
    case FROM_CHILD.result:
      return { kind: 'result', result: decodeResult(frame, HEAD_BYTES) }
    case FROM_CHILD.nothing:
      return { kind: 'nothing' }
    default:
      return { kind: 'invalid', message: frame.toString('utf8', HEAD_BYTES) }
  }
}
