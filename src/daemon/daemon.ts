import { chmod, mkdir } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'

import type { AccessRecord } from '../core/events.ts'
import type { Fetcher } from '../core/fetcher.ts'
import { LIMITS } from '../core/limits.ts'
import type { Logger } from '../core/log.ts'
import type { AbsolutePath } from '../core/place.ts'
import type { CertificateFiles } from '../core/project.ts'
import { openGateway, type Gateway } from '../gateway/gateway.ts'
import { openSandbox } from '../sandbox/open-sandbox.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import type { Certificates } from '../tls/certificates.ts'
import { openAccounts } from './accounts/open-accounts.ts'
import { openApi } from './api/open-api.ts'
import { openArtifacts } from './artifacts/open-artifacts.ts'
import { openControlPlane, type OpenControlPlane } from './control/open-control-plane.ts'
import { takenOver } from './control/tenure.ts'
import { openRuntime } from './functions/open-runtime.ts'
import { ownPaths } from './own-paths.ts'
import { listenToOperator, type OperatorSocket } from './operator-socket.ts'
import { placeOf, type DaemonPlace } from './place.ts'
import { readKeyFile } from './signing/key-file.ts'
import { openSignaturePolicy } from './signing/signature-policy.ts'
import { openStore } from './store/open-store.ts'

export interface DaemonOptions {
  readonly directory: AbsolutePath
  /** Of flexi. */
  readonly version: string
  readonly host: string
  /** 0 takes any free port; without meaning when `fd` is given. */
  readonly port: number
  /** A bound socket to listen on. */
  readonly fd?: number | undefined
  readonly domain: string
  readonly sandbox: 'bwrap' | 'none'
  readonly firstUid?: number | undefined
  /** PEM files, or folders of them. */
  readonly trustKeys: readonly AbsolutePath[]
  readonly requireSignature: boolean
  readonly certificate?: CertificateFiles | undefined
  readonly log: Logger
  readonly onAccess?: ((record: AccessRecord) => void) | undefined
}

/** A daemon that serves. Disposing it finishes what it has, at most `LIMITS.drainMs`. */
export interface Daemon extends AsyncDisposable {
  /** `https://fn.example.com:8443`: where the API is. */
  readonly url: string
  /** The operator's Unix socket. */
  readonly socket: AbsolutePath
  readonly functions: number
  /** What this machine enforces, and what not: a sentence each. */
  readonly notes: readonly string[]
  /** Of the very first start. */
  readonly rootToken: string | undefined
  /** Another process serves from now on: finishes what it has, at most `LIMITS.retireMs`. */
  retire(): Promise<void>
}

/**
 * Opens everything a daemon consists of and resolves when it serves what was deployed.
 * @throws FlexiError FLEXI_SANDBOX when functions cannot be kept apart here, FLEXI_CONFIG for certificates, FLEXI_PORT_TAKEN.
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  // What was opened is closed the other way round, also when the rest cannot be opened.
  await using opened = new AsyncStack()
  const place = placeOf(options.directory)
  const served: Served = { port: options.port, inFlight: () => 0 }
  const retiring = new AbortController()
  const url = (): string => urlOf(options, served.port)
  const parts = await openParts(place, opened, { ...options, url, retiring: retiring.signal })
  const certificates = opened.use(await certificatesOf(options))
  const closing = new AbortController()
  const own = openOwn(parts, options, { served, closing: closing.signal })
  await parts.control.restore()
  const gateway = await openGateway({
    host: options.host,
    port: options.port,
    fd: options.fd,
    mode: 'serve',
    controlPrefix: false,
    drainsUpgraded: true,
    tls: certificates,
    table: { routes: [], functions: new Map<string, Fetcher>() },
    hosts: (host, context) => parts.control.hosts(host, context) ?? own.fetcher,
    log: options.log,
    onAccess: (record) => {
      own.observe(record)
      options.onAccess?.(record)
    },
  })
  served.port = gateway.port
  parts.control.startSchedules()
  served.inFlight = () => gateway.inFlight
  const operator = opened.use(await listenToOperator(place.run, own.operator))
  return daemonOf(
    { gateway, operator, control: parts.control, closing, retiring, rest: opened.move() },
    {
      url: parts.url(),
      socket: operator.path,
      functions: parts.control.functions().length,
      notes: parts.sandbox.capabilities.notes,
      rootToken: parts.accounts.firstRootToken(),
    },
  )
}

/** What is known only once the gateway listens. */
interface Served {
  port: number
  inFlight: () => number
}

interface PartsOptions extends DaemonOptions {
  /** Where the API is. */
  readonly url: () => string
  readonly retiring: AbortSignal
}

/** Everything below the gateway and the API. */
async function openParts(place: DaemonPlace, opened: AsyncStack, options: PartsOptions) {
  const { log, domain, version, url, retiring } = options
  await makeFolders(place)
  const key = await readKeyFile(place.key)
  const store = opened.use(await openStore({ file: place.database, key }))
  const sandbox = opened.use(await openSandboxOf(place, options))
  const artifacts = await openArtifacts({ directory: place.artifacts })
  const accounts = openAccounts({ store, key })
  const runtime = opened.use(
    openRuntime({
      artifacts,
      sandbox,
      variables: (name) => store.variables.environment(name),
      logsDirectory: place.logs,
      stateDirectory: place.state,
      functionNumber: (name) => store.functions.get(name)?.number,
      log,
    }),
  )
  const { requireSignature, trustKeys } = options
  const signatures = await openSignaturePolicy({ required: requireSignature, keys: trustKeys })
  const control = opened.use(
    openControlPlane({
      store,
      artifacts,
      runtime,
      accounts,
      signatures,
      sandbox,
      domain,
      url,
      version,
      log,
      retiring,
    }),
  )
  return { accounts, sandbox, runtime, control, url }
}

function openOwn(
  { control, accounts, url }: Awaited<ReturnType<typeof openParts>>,
  { version, log }: DaemonOptions,
  { served, closing }: { readonly served: Served; readonly closing: AbortSignal },
) {
  const api = openApi({ control, accounts, url, version, log, closing })
  const own = ownPaths({
    api,
    accounts,
    isDraining: () => closing.aborted,
    inFlight: () => served.inFlight(),
  })
  const operator = (incoming: IncomingMessage, outgoing: ServerResponse): void =>
    api.operator(incoming, outgoing)
  return { ...own, operator }
}

interface Parts {
  readonly gateway: Gateway
  readonly operator: OperatorSocket
  readonly control: Pick<OpenControlPlane, 'drainSchedules'>
  readonly rest: AsyncDisposable
  /** Ends what follows logs. */
  readonly closing: AbortController
  /** Ends deployments. */
  readonly retiring: AbortController
}

function daemonOf(
  { gateway, operator, control, rest, closing, retiring }: Parts,
  facts: Omit<Daemon, 'retire' | keyof AsyncDisposable>,
): Daemon {
  let ended: Promise<void> | undefined
  const end = async (limitMs: number): Promise<void> => {
    closing.abort()
    // Called again, the shorter limit counts.
    const drains = [gateway, operator].map((one) => one.drain(limitMs))
    const drained = Promise.all([...drains, control.drainSchedules(limitMs)])
    ended ??= drained.then(() => rest[Symbol.asyncDispose]())
    await Promise.all([drained, ended])
  }
  return {
    ...facts,
    retire() {
      retiring.abort(takenOver())
      return end(LIMITS.retireMs)
    },
    [Symbol.asyncDispose]: () => end(LIMITS.drainMs),
  }
}

/** Users of the sandbox pass through to what they are shown; what is secret has a mode of its own. */
async function makeFolders({ directory, artifacts, state, logs, run }: DaemonPlace): Promise<void> {
  for (const folder of [directory, artifacts, state, run]) {
    await mkdir(folder, { recursive: true })
    await chmod(folder, 0o711)
  }
  await mkdir(logs, { recursive: true, mode: 0o700 })
}

function openSandboxOf(
  { run, directory }: DaemonPlace,
  { sandbox, firstUid }: DaemonOptions,
): Promise<Sandbox> {
  return openSandbox({ kind: sandbox, directory: `${run}/s` as AbsolutePath, firstUid, hidden: [directory] })
}

async function certificatesOf({ certificate, host, log }: DaemonOptions): Promise<Certificates | undefined> {
  if (certificate === undefined) return undefined
  const { openCertificates } = await import('../tls/certificates.ts')
  return openCertificates(
    { certificates: [certificate] },
    { host, environment: process.env, onWarning: (message) => log.warn('certificate', { message }) },
  )
}

function urlOf({ certificate, domain }: DaemonOptions, port: number): string {
  const [scheme, usual] = certificate === undefined ? ['http', 80] : ['https', 443]
  return `${scheme}://${domain}${port === usual ? '' : `:${port}`}`
}

/** Disposes what it was given, last first. */
class AsyncStack implements AsyncDisposable {
  #held: (AsyncDisposable | Disposable)[] = []

  use<Held extends AsyncDisposable | Disposable | undefined>(held: Held): Held {
    if (held !== undefined) this.#held.push(held)
    return held
  }

  /** Everything it holds, in another; disposing this one does nothing then. */
  move(): AsyncStack {
    const other = new AsyncStack()
    other.#held = this.#held.splice(0)
    return other
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#held.splice(0).reverse()) {
      if (Symbol.asyncDispose in one) await one[Symbol.asyncDispose]()
      else one[Symbol.dispose]()
    }
  }
}
