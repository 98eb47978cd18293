import type { Readable } from 'node:stream'

import type { Clock } from '../../core/clock.ts'
import type { Logger } from '../../core/log.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import type { Accounts } from '../accounts.ts'
import type { Artifacts } from '../artifacts.ts'
import type { Digest } from '../model.ts'
import type { Runtime } from '../runtime.ts'
import type { Scheduler } from '../schedules/scheduler.ts'
import type { Store } from '../store.ts'
import type { Ledger } from './ledger.ts'
import type { Lines } from './lines.ts'
import type { Switchboard } from './switchboard.ts'
import type { Tenure } from './tenure.ts'

/** Whether an artifact is signed by somebody who may. */
interface Signatures {
  readonly required: boolean
  /** Undefined for one that is not signed and need not be. @throws FlexiError FLEXI_SIGNATURE. */
  verify(
    artifact: { readonly digest: Digest; open(): Promise<Readable> },
    bundle: unknown,
  ): Promise<{ readonly key: string } | undefined>
}

export interface ControlOptions {
  readonly store: Store
  readonly artifacts: Artifacts
  readonly runtime: Runtime
  readonly accounts: Accounts
  readonly sandbox: Pick<Sandbox, 'capabilities'>
  readonly signatures: Signatures
  /** `example.com`: functions are below it, the API at it. */
  readonly domain: string
  /** Where people ask: `http://example.com:8080`. Known when the gateway listens. */
  readonly url: () => string
  /** Of flexi. */
  readonly version: string
  readonly log: Logger
  /** Milliseconds since the epoch. */
  readonly clock?: (() => number) | undefined
  /** What functions are run by, at their times. */
  readonly timer?: Clock | undefined
  /** `FunctionScope.app` of the runtime's functions. */
  readonly app?: object | undefined
  /** How long a version that no alias leads to any more keeps its `instances.min`, for a quick rollback; default 600 000. */
  readonly keepWarmMs?: number | undefined
  /** How many of the versions that deployments counted a function keeps, besides those that its aliases need; default 20. */
  readonly keepVersions?: number | undefined
  /** What a whole deployment may take; default 600 000. */
  readonly deployMs?: number | undefined
  /** Aborts when another process takes over: deployments under way are given up. */
  readonly retiring?: AbortSignal | undefined
}

/** What the parts of the control plane work with. */
export interface Parts extends Omit<ControlOptions, 'clock'> {
  readonly clock: () => number
  readonly ledger: Ledger
  readonly tenure: Tenure
  readonly switchboard: Switchboard
  readonly scheduler: Scheduler
  /** Changes of one function, or of one project's deployments, one after the other. */
  readonly lines: Lines
  /** Aborts when the daemon stops. */
  readonly closing: AbortSignal
}

/** The alias that a function's own host name leads to. */
export const LIVE = 'live'
