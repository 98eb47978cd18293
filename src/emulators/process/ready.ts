import { request } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'

import { FlexiError } from '../../core/errors.ts'
import type { ChildExit } from '../../instances/child.ts'
import type { Launched } from './launch.ts'
import type { ListenPlace } from './place.ts'
import type { ProcessOptions } from './options.ts'
import type { Reached } from './reach.ts'

export interface ReadyOptions {
  readonly options: ProcessOptions
  readonly place: ListenPlace
  /** `node server.js`, for messages. */
  readonly label: string
}

/**
 * Resolves when a program can be asked, with where.
 * @throws FlexiError FLEXI_FUNCTION_INIT when it ends before, or takes longer than `ready.timeout`.
 */
export async function becomeReady(
  launched: Launched,
  { options, place, label }: ReadyOptions,
): Promise<Reached> {
  const over = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let status: number | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(tooLate(label, { options, place, status })), options.readyMs)
  })
  const died = launched.child.exited.then((exit) => {
    throw ended(label, exit)
  })
  let found: Reached | undefined
  const ready = launched.listens(over.signal).then(async (reached) => {
    found = reached
    const { readyPath: path } = options
    if (path !== undefined)
      await answersWell({ reached, path, signal: over.signal, onStatus: (last) => (status = last) })
    return reached
  })
  try {
    return await Promise.race([ready, late, died])
  } catch (error) {
    found?.close()
    throw error
  } finally {
    clearTimeout(timer)
    over.abort()
    died.catch(() => undefined)
    ready.catch(() => undefined)
  }
}

interface Question {
  readonly reached: Reached
  readonly path: string
  readonly signal: AbortSignal
  onStatus(status: number | undefined): void
}

const ASK_AGAIN_MS = 50
const ANSWER_MS = 5_000

async function answersWell(question: Question): Promise<void> {
  while (!question.signal.aborted) {
    const status = await ask(question)
    question.onStatus(status)
    if (status !== undefined && status < 500) return
    await wait(ASK_AGAIN_MS)
  }
}

/** Undefined when no answer came. */
function ask({ reached, path, signal }: Question): Promise<number | undefined> {
  const { socketPath, host, port } = reached
  const to = socketPath === undefined ? { host, port } : { socketPath }
  return new Promise((resolve) => {
    const asked = request({
      ...to,
      path,
      agent: false,
      signal,
      timeout: ANSWER_MS,
      headers: { host: 'localhost' },
    })
    asked.once('response', (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    asked.once('timeout', () => asked.destroy())
    asked.once('error', () => resolve(undefined))
    asked.end()
  })
}

function tooLate(
  label: string,
  {
    options,
    place,
    status,
  }: Pick<ReadyOptions, 'options' | 'place'> & { readonly status: number | undefined },
): FlexiError {
  const seconds = options.readyMs / 1000
  const { readyPath } = options
  if (readyPath !== undefined && status !== undefined)
    return initError(
      `${label} answered ${readyPath} with ${status} for ${seconds} s`,
      'Mend it, or "ready.path".',
    )
  const where = place.port === undefined ? 'the socket that SOCKET names' : `port ${place.port}`
  const hint =
    options.listen === undefined
      ? 'It has to listen on the port that PORT tells it; or name the one it has: "listen".'
      : 'Correct "listen", or give it more time: "ready": { "timeout": 60 }.'
  return initError(`${label} did not listen on ${where} within ${seconds} s`, hint)
}

function ended(label: string, exit: ChildExit): FlexiError {
  // What keeps it apart could not be made: that is none of its own doing.
  if (exit.error instanceof FlexiError) return exit.error
  return initError(`${label} ended before it could be asked: ${describeExit(exit)}`, 'Read what it printed.')
}

function initError(message: string, hint: string): FlexiError {
  return new FlexiError('FLEXI_FUNCTION_INIT', message, { hint })
}

/** `SIGSEGV`, `exit code 3`, or why it could not be started. */
export function describeExit({ signal, code, error, reached }: ChildExit): string {
  if (reached === 'disk') return 'it keeps more on the disk than it may'
  return signal ?? (code === null ? (error?.message ?? 'unknown end') : `exit code ${code}`)
}
