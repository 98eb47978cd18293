import { asFlexiError, FlexiError } from '../../core/errors.ts'
import type {
  AliasRecord,
  Caller,
  DeploymentEvent,
  DeploymentRecord,
  DeploymentRequest,
  DeploymentState,
  VersionRecord,
} from '../model.ts'
import { leadsAlike } from './aliases.ts'
import { atOnce, STARTS_AT_ONCE } from './at-once.ts'
import { bindRoutes, writePins, type Pins } from './bind-routes.ts'
import { checkFree, checkRequest, frontOf, planParts, type PlannedPart } from './deploy-plan.ts'
import { keyText } from './keys.ts'
import type { Act } from './ledger.ts'
import { throwIfAborted } from './lines.ts'
import { LIVE, type Parts } from './parts.ts'
import { ownGroup } from './permissions.ts'
import { Printed } from './printed.ts'
import type { Running } from './running.ts'
import { ROUTES } from './switchboard.ts'
import { urlsOf } from './urls.ts'
import { verifyPart } from './verify-part.ts'

export interface DeploymentOptions {
  readonly id: string
  readonly caller: Caller
  readonly request: DeploymentRequest
  readonly signal: AbortSignal
  tell(event: DeploymentEvent): void
}

/**
 * One deployment: verified → unpacked → starting → ready → switched. Until the switch nothing that serves is touched, and what failed
 * leaves nothing behind; the switch is one transaction, and then one turn of the event loop.
 */
export class Deployment {
  readonly #parts: Parts
  readonly #running: Running
  readonly #options: DeploymentOptions
  readonly #act: Act
  readonly #startedAt: number
  readonly #began = performance.now()
  readonly #printed = new Printed()
  /** What was brought up, and is taken down when the rest fails. */
  readonly #raised: VersionRecord[] = []
  readonly #newFunctions: string[] = []
  /** Of the functions it is about: one that was removed and made again meanwhile is another. */
  readonly #numbers = new Map<string, number>()
  /** Whose signature each function's artifact has. */
  readonly #signers = new Map<string, string>()
  /** Ends the start of the other functions when one fails. */
  readonly #others = new AbortController()
  readonly #signal: AbortSignal
  #plan: readonly PlannedPart[] = []
  #state: DeploymentState = 'received'
  #at: string | undefined

  constructor(parts: Parts, running: Running, options: DeploymentOptions) {
    const { request, caller } = options
    this.#parts = parts
    this.#running = running
    this.#options = options
    this.#act = { caller, action: 'deploy', object: `${request.project}@${request.alias}` }
    this.#signal = AbortSignal.any([options.signal, this.#others.signal])
    this.#startedAt = parts.clock()
    if (request.dryRun !== true) this.#put()
  }

  /** The functions that have a new version. Never rejects: what is wrong is told as the last event. */
  async run(): Promise<readonly string[]> {
    try {
      await this.#steps()
    } catch (error) {
      await this.#fail(error)
    }
    return this.#state === 'switched' ? this.#plan.map(({ part }) => part.name) : []
  }

  async #steps(): Promise<void> {
    const { caller, request, signal } = this.#options
    throwIfAborted(signal)
    this.#plan = this.#parts.store.transaction(() => planParts(this.#parts, caller, request))
    this.#reach('received')
    await this.#each(async ({ part }) => {
      const signer = await verifyPart(this.#parts, caller, { part, request })
      if (signer !== undefined) this.#signers.set(part.name, signer)
    })
    this.#reach('verified')
    if (request.dryRun === true) {
      this.#done()
      return
    }
    await this.#each(({ part }) => this.#parts.artifacts.unpack(part.artifact))
    this.#reach('unpacked')
    this.#addFunctions()
    this.#reach('starting')
    await this.#each((planned) => this.#start(planned))
    this.#reach('ready')
    throwIfAborted(signal)
    this.#switch()
    this.#done()
  }

  /** One step for all parts; the first that fails is what is told, and ends the others. */
  async #each(step: (planned: PlannedPart) => Promise<unknown>): Promise<void> {
    const failures: unknown[] = []
    await atOnce(this.#plan, STARTS_AT_ONCE, async (planned) => {
      try {
        throwIfAborted(this.#signal)
        await step(planned)
      } catch (error) {
        if (failures.push(error) > 1) return
        this.#at = planned.part.name
        this.#others.abort(error)
      }
    })
    if (failures.length === 0) return
    // Who gave it up did not make it fail.
    throwIfAborted(this.#options.signal)
    throw failures[0]
  }

  /** Before its versions: a function's number and its variables are needed when it starts. */
  #addFunctions(): void {
    const { store } = this.#parts
    const { caller, request } = this.#options
    store.transaction(() => {
      // Others may have taken the names while it waited: what runs from here on is given what belongs to the function.
      checkRequest(this.#parts, caller, request)
      for (const { part } of this.#plan) {
        const known = store.functions.get(part.name)
        const group = part.config.group ?? ownGroup(caller)
        const made = { createdAt: this.#parts.clock(), createdBy: caller.user }
        const row =
          known ?? store.functions.add({ name: part.name, project: request.project, group, ...made })
        if (known === undefined) this.#newFunctions.push(part.name)
        this.#numbers.set(part.name, row.number)
      }
    })
  }

  async #start({ part, record, changed }: PlannedPart): Promise<void> {
    const { request } = this.#options
    const signal = this.#signal
    if (changed || this.#parts.switchboard.admitted(record) === undefined) this.#raised.push(record)
    if (record.config.provider === ROUTES) {
      const pending = new Map(this.#plan.map((planned) => [planned.part.name, planned.record] as const))
      const routes = { record, project: request.project, pending }
      await bindRoutes(this.#parts, { ...routes, alias: request.alias, strict: true })
      await bindRoutes(this.#parts, { ...routes, alias: undefined, pins: this.#pins() })
      await this.#parts.switchboard.admit(record, { led: true })
    } else {
      const onLog = (text: string): void => {
        this.#printed.add(part.name, text)
        this.#options.tell({ event: 'log', function: part.name, text })
      }
      await this.#running.bringUp(record, request.alias, { onLog, signal })
    }
    this.#options.tell({ event: 'state', state: 'ready', function: part.name })
  }

  /** Durable first, then in force. */
  #switch(): void {
    const { store, ledger, switchboard } = this.#parts
    const { request } = this.#options
    store.transaction(() => {
      for (const planned of this.#plan) this.#store(planned)
      if (request.alias === LIVE && request.domains !== undefined) {
        const domains = switchboard.domains.check(request.project, request.domains)
        const front = domains.length === 0 ? '' : frontOf(request)
        switchboard.domains.claim(request.project, front, domains)
      }
      this.#state = 'switched'
      this.#put()
      const versions = this.#plan.map(({ part: { name, artifact }, record }) => {
        const signedBy = this.#signers.get(name)
        return { version: keyText(record), artifact, ...(signedBy === undefined ? {} : { signedBy }) }
      })
      ledger.done(this.#act, { id: this.#options.id, versions })
    })
    switchboard.domains.adopt()
    for (const { part } of this.#plan) switchboard.publish(part.name)
    for (const { part } of this.#plan) this.#running.settle(part.name)
    this.#options.tell({ event: 'state', state: 'switched' })
  }

  #store({ part, record, changed }: PlannedPart): void {
    const { store } = this.#parts
    const { caller, request } = this.#options
    const isGone = !changed && store.versions.get(record) === undefined
    const isUp = this.#parts.switchboard.admitted(record) !== undefined
    if (isGone || !isUp || !this.#isOurs(part.name))
      throw new FlexiError('FLEXI_CONFLICT', `${keyText(record)} was stopped or removed meanwhile`)
    checkFree(store, record, request.alias)
    if (changed) store.versions.add(record)
    else store.versions.setWanted(record, 'running')
    if (part.config.group !== undefined) store.functions.setGroup(part.name, part.config.group)
    if (record.config.provider === ROUTES) writePins(store, record, this.#pins())
    const alias: AliasRecord = {
      function: part.name,
      alias: request.alias,
      version: record.version,
      movedAt: this.#parts.clock(),
      movedBy: caller.user,
    }
    if (!leadsAlike(alias, store.aliases.get(part.name, request.alias))) store.aliases.set(alias)
  }

  #isOurs(name: string): boolean {
    const known = this.#parts.store.functions.get(name)
    return known !== undefined && known.number === this.#numbers.get(name)
  }

  #pins(): Pins {
    return Object.fromEntries(this.#plan.map(({ record }) => [record.name, record.version]))
  }

  #done(): void {
    const { id, request } = this.#options
    const functions = this.#plan.map(({ record: { name, version }, changed }) => ({
      name,
      version,
      changed,
      urls: urlsOf(this.#parts, { name, version }, request.alias),
    }))
    const durationMs = Math.round(performance.now() - this.#began)
    this.#options.tell({ event: 'done', id, functions, durationMs })
  }

  async #fail(cause: unknown): Promise<void> {
    const { store, ledger, log } = this.#parts
    const { id, request } = this.#options
    const error = asFlexiError(cause)
    await Promise.allSettled(this.#raised.map((record) => this.#running.takeDown(record)))
    if (request.dryRun !== true) {
      // Versions that were there already may be warmer now than what leads to them asks for.
      for (const { part } of this.#plan) this.#running.settle(part.name)
      try {
        store.transaction(() => {
          for (const name of this.#newFunctions) this.#forget(name)
          this.#state = 'failed'
          this.#put(error.message)
        })
      } catch (unwritten) {
        log.error('deployment.unwritten', { id, message: String(unwritten) })
      }
      ledger.failed(this.#act, error)
      const gone = this.#newFunctions.filter((name) => store.functions.get(name) === undefined)
      await Promise.all(gone.map((name) => this.#running.forget(name)))
    }
    const { code, message, hint } = error
    const stack = cause instanceof Error ? cause.stack : undefined
    if (code === 'FLEXI_BUG') log.error('deployment.bug', { id, message, stack })
    const part = this.#at === undefined ? {} : { function: this.#at }
    this.#options.tell({
      event: 'failed',
      id,
      code,
      message,
      hint,
      ...part,
      log: this.#printed.tail(cause, this.#at),
    })
  }

  /** A function that was added for this deployment, and has nothing. */
  #forget(name: string): void {
    const { store } = this.#parts
    const isBare = store.versions.of(name).length === 0 && store.variables.of(name).length === 0
    if (isBare && this.#isOurs(name)) store.functions.remove(name)
  }

  #reach(state: DeploymentState): void {
    this.#state = state
    if (this.#options.request.dryRun !== true) this.#put()
    this.#options.tell({ event: 'state', state })
  }

  #put(error?: string): void {
    const { id, request, caller } = this.#options
    const ended = this.#state === 'switched' || this.#state === 'failed'
    const record: DeploymentRecord = {
      id,
      project: request.project,
      alias: request.alias,
      state: this.#state,
      keys: this.#plan.map(({ record: { name, version } }) => ({ name, version })),
      startedAt: this.#startedAt,
      by: caller.user,
      ...(ended ? { endedAt: this.#parts.clock() } : {}),
      ...(error === undefined ? {} : { error }),
    }
    this.#parts.store.deployments.put(record)
  }
}
