import { randomBytes } from 'node:crypto'

import { errorMessage, FlexiError } from '../../core/errors.ts'
import type { Caller, DeploymentEvent, DeploymentRequest, Digest } from '../model.ts'
import { checkRequest } from './deploy-plan.ts'
import { Deployment } from './deployment.ts'
import { EventStream } from './event-stream.ts'
import type { Parts } from './parts.ts'
import { prune } from './prune.ts'
import type { Running } from './running.ts'

const DEPLOY_MS = 600_000

/** Deployments: one of a project at a time. */
export class Deployments {
  readonly #parts: Parts
  readonly #running: Running
  readonly #under = new Map<string, { readonly request: DeploymentRequest; readonly over: Promise<void> }>()

  constructor(parts: Parts, running: Running) {
    this.#parts = parts
    this.#running = running
  }

  /** Begins at once, whoever reads the events. @throws FlexiError for what is wrong with the request. */
  deploy(caller: Caller, request: DeploymentRequest, signal: AbortSignal): AsyncIterable<DeploymentEvent> {
    try {
      checkRequest(this.#parts, caller, request)
    } catch (error) {
      this.#parts.ledger.failed(
        { caller, action: 'deploy', object: `${request.project}@${request.alias}` },
        error,
      )
      throw error
    }
    const id = randomBytes(8).toString('hex')
    const events = new EventStream<DeploymentEvent>((event) =>
      event.event === 'log' ? event.text.length : 0,
    )
    const deadline = this.#deadline()
    const { closing, retiring } = this.#parts
    const ends = [signal, closing, deadline.signal, ...(retiring === undefined ? [] : [retiring])]
    const deployment = new Deployment(this.#parts, this.#running, {
      id,
      caller,
      request,
      signal: AbortSignal.any(ends),
      tell: (event) => events.push(event),
    })
    const over = this.#parts.lines
      .take(`project ${request.project}`, () => deployment.run())
      .then((names) => this.#prune(caller, names))
      .catch((error: unknown) => {
        // It has nobody to tell, and one that cannot even fail must not end the daemon.
        this.#parts.log.error('deployment.bug', { id, message: errorMessage(error) })
      })
      .finally(() => {
        deadline[Symbol.dispose]()
        this.#under.delete(id)
        events.end()
      })
    this.#under.set(id, { request, over })
    return events
  }

  /** What deployments under way need besides what is stored. */
  artifacts(): readonly Digest[] {
    return [...this.#under.values()].flatMap(({ request }) => request.parts.map(({ artifact }) => artifact))
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    await Promise.all([...this.#under.values()].map(({ over }) => over))
  }

  /** Nobody waits for it. */
  #prune(caller: Caller, names: readonly string[]): void {
    const { lines, closing, log } = this.#parts
    for (const name of names)
      lines
        .take(name, () => prune(this.#parts, this.#running, { name, caller }), closing)
        .catch((error: unknown) => log.debug('version.prune', { name, message: errorMessage(error) }))
  }

  #deadline(): Disposable & { readonly signal: AbortSignal } {
    const limitMs = this.#parts.deployMs ?? DEPLOY_MS
    const controller = new AbortController()
    const late = new FlexiError('FLEXI_DEPLOY', `the deployment took longer than ${limitMs} ms`)
    const timer = setTimeout(() => controller.abort(late), limitMs)
    timer.unref()
    return { signal: controller.signal, [Symbol.dispose]: () => clearTimeout(timer) }
  }
}
