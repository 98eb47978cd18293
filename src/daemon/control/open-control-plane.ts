import { systemClock } from '../../core/clock.ts'
import { errorMessage, FlexiError } from '../../core/errors.ts'
import type { RequestContext } from '../../core/fetcher.ts'
import type { ControlPlane, DaemonInfo } from '../control-plane.ts'
import type { Served } from '../routing/host-table.ts'
import { Aliases } from './aliases.ts'
import { Deployments } from './deployments.ts'
import { Functions } from './functions.ts'
import { functionOf } from './keys.ts'
import { Scheduler } from '../schedules/scheduler.ts'
import { Ledger } from './ledger.ts'
import { Lines } from './lines.ts'
import { LIVE, type ControlOptions, type Parts } from './parts.ts'
import { restore } from './restore.ts'
import { Running } from './running.ts'
import { Switchboard } from './switchboard.ts'
import { Tenure } from './tenure.ts'
import { Variables } from './variables.ts'
import { hasContent } from './verify-part.ts'
import { Versions } from './versions.ts'

export type { ControlOptions } from './parts.ts'

/** The control plane, and what the gateway asks it. Disposing it ends deployments under way; it disposes nothing that it was given. */
export interface OpenControlPlane extends ControlPlane, AsyncDisposable {
  /** Who answers at this host: `GatewayOptions.hosts`. Undefined for the API's own names. */
  hosts(host: string, context: RequestContext | undefined): Served | undefined
  /** To be called once, before anything else: puts in force what the store says. */
  restore(): Promise<void>
  /** Functions run at their times from now on. To be called when requests are answered. */
  startSchedules(): void
  /** Nothing is due any more; resolves when what was due has run, or at the limit. */
  drainSchedules(limitMs: number): Promise<void>
}

const COLLECT_MS = 3_600_000

/** All that can be done to deployed functions, over the store, the artifacts and the runtime. */
export function openControlPlane(options: ControlOptions): OpenControlPlane {
  const { store, artifacts } = options
  const closing = new AbortController()
  const parts = partsOf(options, closing.signal)
  const running = new Running(parts)
  const deployments = new Deployments(parts, running)
  const collect = (): void => {
    const named = new Set([...store.versions.artifacts(), ...deployments.artifacts()])
    artifacts.collect(named).catch((error: unknown) => {
      options.log.error('artifacts.collect', { message: errorMessage(error) })
    })
  }
  const collecting = setInterval(collect, COLLECT_MS)
  collecting.unref()
  return {
    ...versionVerbs(parts, running),
    ...deploymentVerbs(parts, deployments),
    ...functionVerbs(parts, running),
    hosts: (host, context) => parts.switchboard.hosts(host, context),
    async restore() {
      await restore(parts, running)
      collect()
    },
    startSchedules: () => parts.scheduler.start(),
    drainSchedules: (limitMs) => parts.scheduler.drain(limitMs),
    async [Symbol.asyncDispose]() {
      clearInterval(collecting)
      parts.scheduler.stop()
      closing.abort(new FlexiError('FLEXI_SHUTTING_DOWN', 'the daemon stops', { retryAfterSeconds: 1 }))
      await deployments.idle()
      running[Symbol.dispose]()
      await parts.switchboard[Symbol.asyncDispose]()
    },
  }
}

type VersionVerb = 'upload' | 'get' | 'override' | 'alias' | 'remove' | 'start' | 'stop' | 'status'
type AliasVerb = 'setAlias' | 'removeAlias' | 'rollback' | 'aliasHistory'
type DeploymentVerb = 'info' | 'hasArtifact' | 'putArtifact' | 'deploy' | 'deployments' | 'logs' | 'audit'

function versionVerbs(parts: Parts, running: Running): Pick<ControlPlane, VersionVerb | AliasVerb> {
  const versions = new Versions(parts, running)
  const aliases = new Aliases(parts, running)
  return {
    upload: (caller, key, content) => versions.upload(caller, key, content),
    get: (reference) => versions.get(reference),
    override: (caller, reference, config) => versions.override(caller, reference, config),
    alias: (caller, reference, alias) => aliases.replace(caller, reference, alias),
    remove: (caller, reference) => versions.remove(caller, reference),
    start: (caller, reference) => versions.start(caller, reference),
    stop: (caller, reference) => versions.stop(caller, reference),
    status: (reference) => versions.status(reference),
    setAlias: (caller, name, alias, to) => aliases.set(caller, name, alias, to),
    removeAlias: (caller, name, alias) => aliases.remove(caller, name, alias),
    rollback: (caller, name, alias, to) => aliases.rollback(caller, name, alias, to),
    aliasHistory: (name, alias) => aliases.history(name, alias),
  }
}

function deploymentVerbs(parts: Parts, deployments: Deployments): Pick<ControlPlane, DeploymentVerb> {
  const { store, artifacts, runtime } = parts
  const startedAt = parts.clock()
  return {
    info: () => infoOf(parts, startedAt),
    hasArtifact: (caller, digest) => hasContent(parts, caller, digest),
    async putArtifact(caller, digest, content) {
      await artifacts.receive(content, { expected: digest, user: caller.user })
    },
    deploy: (caller, request, signal) => deployments.deploy(caller, request, signal),
    deployments: ({ limit, project }) => store.deployments.recent(limit, project),
    logs(filter) {
      functionOf(store, filter.function)
      return runtime.logs.read(filter)
    },
    audit: (filter) => store.audit.recent(filter),
  }
}

function functionVerbs(
  parts: Parts,
  running: Running,
): Omit<ControlPlane, VersionVerb | AliasVerb | DeploymentVerb> {
  const functions = new Functions(parts, running)
  const variables = new Variables(parts)
  return {
    functions: (filter) => functions.list(filter),
    function: (name) => functions.detail(name),
    setGroup: (caller, name, group) => functions.setGroup(caller, name, group),
    removeFunction: (caller, name) => functions.remove(caller, name),
    variables: (name) => variables.of(name),
    setVariables: (caller, name, changes) => variables.set(caller, name, changes),
  }
}

function partsOf(options: ControlOptions, closing: AbortSignal): Parts {
  const { store, runtime, log, domain, app = {} } = options
  const clock = options.clock ?? Date.now
  const tenure = new Tenure(store)
  const onPublish = (name: string): void => scheduler.changed(name)
  const switchboard = new Switchboard({ store, runtime, log, domain, app, closing, onPublish })
  const scheduler = new Scheduler({
    store,
    runtime,
    log,
    admitted: (key) => switchboard.admitted(key),
    alias: LIVE,
    clock: options.timer ?? systemClock,
  })
  return {
    ...options,
    clock,
    closing,
    ledger: new Ledger({ store, tenure, clock, log }),
    tenure,
    switchboard,
    scheduler,
    lines: new Lines(),
  }
}

function infoOf(options: Parts, startedAt: number): DaemonInfo {
  const { version, domain, url, sandbox, signatures, store } = options
  return {
    version,
    domain,
    url: url(),
    startedAt,
    sandbox: sandbox.capabilities,
    requiresSignature: signatures.required,
    functions: store.functions.all().length,
  }
}
