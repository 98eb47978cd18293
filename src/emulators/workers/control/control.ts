import type { Readable } from 'node:stream'

/**
 * What flexi itself asks of a running runtime: a worker of flexi's own in it, which is bound to every worker and to all stored data of its
 * group. It is reached over a socket of its own, with a token, and never by clients.
 */
export interface Control {
  /** `target` is `/trigger/…` (triggers.ts) or `/state/…` (state.ts). @throws Error when the runtime ended before its answer. */
  ask(request: ControlRequest): Promise<ControlAnswer>
}

export interface ControlRequest {
  readonly method: string
  readonly target: string
  readonly fields?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | Readable | undefined
}

export interface ControlAnswer {
  readonly status: number
  readonly fields: Readonly<Record<string, string>>
  /** To be read to its end, or destroyed. */
  readonly body: Readable
}

export const CONTROL_NAME = 'flexi-control'
/** The entrypoint whose socket takes ControlRequests; the default one serves what was loaded in the running process. */
export const CONTROL_ENTRYPOINT = 'Control'
export const TOKEN_FIELD = 'flexi-token'

/** What the control worker is bound to; names as `env` of the control worker has them. */
export interface ControlBindings {
  /** `worker:NAME` → that worker itself, not its assets. By the workers' own names. */
  readonly workers: readonly string[]
  /** `kv:ID`, `r2:BUCKET`, `d1:ID`, `queue:NAME`: everything that the members of the group are bound to. */
  readonly kv: readonly string[]
  readonly r2: readonly string[]
  readonly d1: readonly string[]
  readonly queues: readonly string[]
  /** `secret:STORE/NAME` */
  readonly secrets: readonly { readonly store: string; readonly name: string }[]
}

/** As `env` of the control worker names things. */
export const bindingName = {
  worker: (name: string): string => `worker:${name}`,
  kv: (id: string): string => `kv:${id}`,
  r2: (bucket: string): string => `r2:${bucket}`,
  d1: (id: string): string => `d1:${id}`,
  queue: (name: string): string => `queue:${name}`,
  secret: (store: string, name: string): string => `secret:${store}/${name}`,
}
