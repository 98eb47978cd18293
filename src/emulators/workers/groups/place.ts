import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import type { RequestContext } from '../../../core/fetcher.ts'
import type { Instance } from '../../../core/function.ts'
import { LIMITS } from '../../../core/limits.ts'
import { answerWith, upgradeAnswer } from '../answers.ts'
import type { Part } from './composition.ts'
import type { GroupRuntime } from './group-runtime.ts'
import type { BuiltWorker, Member } from './groups.ts'
import type { RunningWorker } from './running-worker.ts'

/** A worker where it runs now. */
export interface Seated {
  readonly runtime: GroupRuntime
  readonly worker: RunningWorker
  readonly part: Part
}

/**
 * A function's place among the groups. It outlives sources, revisions and runtimes: instances of it are handed out, and lead to wherever
 * it runs at the moment. While it runs nowhere, because its runtime is being exchanged, their requests wait.
 */
export class Place {
  /** Of the function's sources the newest is last. */
  readonly members: Member[] = []
  readonly #instances = new Set<() => void>()
  #seated: Seated | undefined
  #lastBuilt: BuiltWorker | undefined
  #closing: Error | undefined
  #waiting: ((seated: Seated | undefined) => void)[] = []

  get member(): Member {
    const member = this.members.at(-1)
    if (member === undefined) throw new Error('a place without a member is none')
    return member
  }

  get runtime(): GroupRuntime | undefined {
    return this.#seated?.runtime
  }

  /** What is in force. */
  get part(): Part | undefined {
    return this.#seated?.part
  }

  /** What was in force last, over crashes: a newer build may be one that could not be loaded. */
  get lastBuilt(): BuiltWorker | undefined {
    return this.#lastBuilt
  }

  /** True when this very build is in force, and not what stands in for it. */
  runs(built: BuiltWorker): boolean {
    return this.#seated?.part.built === built
  }

  get isUsed(): boolean {
    return this.#instances.size > 0
  }

  /** From now on requests go there. */
  seat(seated: Seated): void {
    this.#seated = seated
    this.#lastBuilt = seated.part.built ?? this.#lastBuilt
    for (const resolve of this.#waiting.splice(0)) resolve(seated)
  }

  /** From now on requests wait. */
  unseat(): void {
    this.#seated = undefined
  }

  /** Its runtime is gone and none has come: instances are closed, so that their pool starts another. */
  abandon(error: Error): void {
    this.unseat()
    const closing = [...this.#instances]
    this.#instances.clear()
    this.#closing = error
    for (const close of closing) close()
    this.#closing = undefined
    for (const resolve of this.#waiting.splice(0)) resolve(undefined)
  }

  /** An instance that leads here. `onUnused` runs when it is disposed and no other is left. */
  open(onUnused: () => Promise<void>): Instance {
    let close: () => void = () => undefined
    const closed = new Promise<Error | undefined>((resolve) => {
      close = () => resolve(this.#closing)
    })
    this.#instances.add(close)
    return {
      closed,
      handle: (incoming, outgoing, context) => this.#handle(incoming, outgoing, context),
      upgrade: (incoming, socket, head, context) => this.#upgrade({ incoming, socket, head, context }),
      [Symbol.asyncDispose]: async () => {
        if (!this.#instances.delete(close)) return
        close()
        if (!this.isUsed) await onUnused()
      },
    }
  }

  #handle(incoming: IncomingMessage, outgoing: ServerResponse, context: RequestContext): Promise<void> {
    const { worker } = this.#seated ?? {}
    if (worker !== undefined) return worker.handle(incoming, outgoing, context)
    return this.#handleLater(incoming, outgoing, context)
  }

  async #handleLater(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    context: RequestContext,
  ): Promise<void> {
    const seated = await this.arrival()
    if (seated === undefined) answerWith('ended', outgoing)
    else await seated.worker.handle(incoming, outgoing, context)
  }

  #upgrade(exchange: {
    readonly incoming: IncomingMessage
    readonly socket: Duplex
    readonly head: Buffer
    readonly context: RequestContext
  }): void {
    const { incoming, socket, head, context } = exchange
    const { worker } = this.#seated ?? {}
    if (worker !== undefined) {
      worker.upgrade(incoming, socket, head, context)
      return
    }
    void this.arrival().then((seated) => {
      if (socket.destroyed) return
      if (seated === undefined) socket.end(upgradeAnswer('ended'))
      else seated.worker.upgrade(incoming, socket, head, context)
    })
  }

  /** Where it runs, as soon as it runs anywhere; undefined when that takes longer than a request may wait. */
  arrival(): Promise<Seated | undefined> {
    if (this.#seated !== undefined) return Promise.resolve(this.#seated)
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== settle)
        resolve(undefined)
      }, LIMITS.queueWaitMs)
      const settle = (seated: Seated | undefined): void => {
        clearTimeout(timer)
        resolve(seated)
      }
      this.#waiting.push(settle)
    })
  }
}
