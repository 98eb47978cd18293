import { FlexiError } from './core/errors.ts'
import { requestEvent, type DevEvent, type FunctionSummary, type RouteSummary } from './core/events.ts'
import { silentLogger, type LogLevel } from './core/log.ts'
import type { AbsolutePath } from './core/place.ts'
import type { Project } from './core/project.ts'
import { openFunctionPorts, type FunctionPorts } from './app/function-ports.ts'
import { openHttps, type AppHttps } from './app/https.ts'
import { listening } from './app/listening.ts'
import { LiveProject } from './app/live-project.ts'
import { openMetricsPage } from './app/metrics-page.ts'
import { checkFunctions } from './app/project-faults.ts'
import { openProviderApis, type ProviderApis } from './app/provider-apis.ts'
import { controlOf, eventLogger } from './app/scope.ts'
import { announceServer, warnOfTwin } from './app/running.ts'
import { restartReminder } from './app/server-changes.ts'
import { errorEvent } from './app/served-function.ts'
import { readProject, type ReadProjectOptions } from './config/project.ts'
import { readServerSettings } from './config/settings.ts'
import { emulators } from './emulators/registry.ts'
import { openGateway, type Gateway, type GatewayOptions } from './gateway/gateway.ts'

export { flexilibLine } from './gateway/access-log.ts'
export { buildProject, invokeFunction, type InvokeOptions } from './app/one-shot.ts'

export interface AppOptions {
  readonly directory: AbsolutePath
  /** `dev` explains faults to browsers and rebuilds; `serve` does neither. */
  readonly mode: 'dev' | 'serve'
  readonly port?: number | undefined
  readonly host?: string | undefined
  /** True speaks HTTPS, false does not, whatever the configuration says. */
  readonly https?: boolean | undefined
  /** A taken port is an error even when nobody named one; otherwise the next free one is used in place of the default. */
  readonly portIsFixed: boolean
  readonly configFile?: AbsolutePath | undefined
  readonly envFile?: AbsolutePath | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** `code` leaves configuration files alone: those are read on demand. */
  readonly watch: boolean | 'code'
  readonly inspectPort?: number | undefined
  /** Instances wait for a debugger, and stop at the first line of the user's code. */
  readonly breakAtStart?: boolean | undefined
  /** Functions have the cloud credentials of `environment`. */
  readonly passCredentials?: boolean | undefined
  /** Serves a folder with nothing in it: its functions come through a provider's API. */
  readonly mayBeEmpty?: boolean | undefined
  /** Default `/_flexi`; false reserves no path and no host name. */
  readonly controlPrefix?: string | false | undefined
  readonly logLevel?: LogLevel | undefined
  /** Read this file alone, and do as FlexiLib does: libraries are loaded when first asked for, and errors are its plain 500. */
  readonly only?: 'proxy.ini' | undefined
  /** What a call may take where its function does not say; default `LIMITS.requestMs`. */
  readonly timeoutMs?: number | undefined
  /** A bound socket to listen on, in place of host and port. */
  readonly fd?: number | undefined
  /** What was served before, by a process that crashed: served again when the files are at fault now. */
  readonly lastGood?: Project | undefined
  /** When the command began, on the clock of `performance.timeOrigin + performance.now()`, in ms. */
  readonly startedAt: number
  readonly onEvent: (event: DevEvent) => void
}

export interface App extends AsyncDisposable {
  readonly url: string
  readonly project: Project
  readonly functions: readonly FunctionSummary[]
  readonly routes: readonly RouteSummary[]
  /** Reads the project again and rebuilds every function. Never rejects: what is wrong is an event, and the old serves on. */
  restart(): Promise<void>
}

/**
 * Serves everything a directory holds, and resolves once every function was built or has said why not.
 * @throws FlexiError FLEXI_CONFIG, FLEXI_NO_INPUT, FLEXI_PORT_TAKEN.
 */
export async function startApp(options: AppOptions): Promise<App> {
  const readAt = Date.now()
  const project = await readFirst(options)
  const settings = settingsOf(options, project)
  const controlPrefix = options.controlPrefix ?? '/_flexi'
  const { onEvent, ...metrics } = openMetricsPage(controlPrefix, options.onEvent)
  const log = eventLogger(options.logLevel ?? 'info', onEvent)
  let origin: string | undefined
  const https = await openHttps(project, { ...options, flag: options.https, host: settings.host, onEvent })
  const remind = restartReminder(project.server, (message) => onEvent({ event: 'warning', message }))
  const live = await LiveProject.open(project, {
    ...functionSettings(options, settings),
    controlPrefix,
    log,
    readAt,
    origin: () => origin,
    read: () => readAgain(options, https, remind),
    onEvent,
  })
  const control = (): string | undefined => controlOf(origin, controlPrefix)
  const apis = openProviderApis({ ...options, emulators, live, log, control })
  const serving: Omit<GatewayOptions, 'table'> = {
    ...listening(options, { settings, server: project.server, log }),
    portFallback: mayTakeNextPort(options, settings),
    controlPrefix,
    tls: https?.certificates,
    log,
    onAccess: (record) => onEvent(requestEvent(record)),
  }
  const ports = openFunctionPorts({ live, log, gateway: serving })
  let gateway: Gateway | undefined
  try {
    gateway = await openGateway({ ...serving, mounts: apis.mounts, table: await live.bind() })
    origin = gateway.url
    live.attach(gateway)
    metrics.serve(gateway, live)
    await startServing(options, live, { apis, ports })
    const note = await announceServer(options.directory, control(), warnOfTwin(project, onEvent))
    warnOfOtherPort(options, settings, gateway.url)
    onEvent(readyEvent(live, gateway.url, { ...options, api: apiUrl(options, apis, control()) }))
    await https?.introduce(gateway.url)
    return appOf(live, gateway, onEvent, { apis, https, ports, note })
  } catch (error) {
    await Promise.all([ports[Symbol.asyncDispose](), gateway?.[Symbol.asyncDispose]()])
    await apis[Symbol.asyncDispose]()
    await live[Symbol.asyncDispose]()
    https?.[Symbol.dispose]()
    throw error
  }
}

async function startServing(
  { watch }: AppOptions,
  live: LiveProject,
  { apis, ports }: { readonly apis: ProviderApis; readonly ports: FunctionPorts },
): Promise<void> {
  await live.start()
  live.onAdopted(() => void ports.update())
  await Promise.all([apis.start(), ports.update()])
  // Watched before it says ready: whoever saves from then on is heard.
  if (watch !== false) await live.watch({ configuration: watch === true })
}

type Settings = ReturnType<typeof readServerSettings>

function settingsOf({ port, host, environment }: AppOptions, project: Project): Settings {
  return readServerSettings({ flags: { port, host }, environment, project: project.server })
}

/** What functions are told by flags and environment. */
function functionSettings(options: AppOptions, { threads, responsePreallocationKb }: Settings) {
  const { directory, mode, inspectPort, breakAtStart, passCredentials, only } = options
  return {
    directory,
    mode,
    inspectPort,
    breakAtStart,
    passCredentials,
    lazy: only !== undefined,
    threads,
    preallocationKb: responsePreallocationKb,
  }
}

/** A port that a flag, the environment or a file names is meant; only the default is as good as another. */
function mayTakeNextPort(options: AppOptions, settings: Settings): boolean {
  return !options.portIsFixed && settings.portIsDefault
}

function warnOfOtherPort(options: AppOptions, settings: Settings, url: string): void {
  const { port } = new URL(url)
  if (!mayTakeNextPort(options, settings) || port === String(settings.port)) return
  options.onEvent({ event: 'warning', message: `port ${settings.port} is taken, so this is ${port}` })
}

/** Certificates belong to the configuration: broken ones leave everything as it is. */
async function readAgain(
  options: AppOptions,
  https: AppHttps | undefined,
  remind: (server: Project['server']) => void,
): Promise<Project> {
  const project = await readProject(projectOptions(options))
  await https?.adopt(project)
  remind(project.server)
  return project
}

/**
 * Reads and validates every configuration file, the providers' own options included.
 * @throws FlexiError FLEXI_CONFIG with all faults at once.
 */
export async function checkProject(
  options: Pick<AppOptions, 'directory' | 'configFile' | 'environment' | 'only'>,
): Promise<{ project: Project; routes: readonly RouteSummary[] }> {
  const project = await readProject(projectOptions(options))
  await using live = await LiveProject.open(project, {
    directory: options.directory,
    mode: 'serve',
    threads: 1,
    preallocationKb: 0,
    controlPrefix: '/_flexi',
    log: silentLogger,
    readAt: 0,
    origin: () => undefined,
    read: () => Promise.resolve(project),
    onEvent: () => undefined,
  })
  const faults = [...project.faults, ...(await checkFunctions(project.functions))]
  return { project: { ...project, faults }, routes: live.routes }
}

async function readFirst({ lastGood, ...options }: AppOptions): Promise<Project> {
  try {
    return await readProject(projectOptions(options))
  } catch (error) {
    if (lastGood === undefined || !(error instanceof FlexiError)) throw error
    options.onEvent(errorEvent(error))
    return lastGood
  }
}

function projectOptions(
  options: Pick<AppOptions, keyof Omit<ReadProjectOptions, 'emulators'>>,
): ReadProjectOptions {
  const { directory, configFile, envFile, environment, only, timeoutMs, mayBeEmpty } = options
  return { directory, emulators, environment, configFile, envFile, only, timeoutMs, mayBeEmpty }
}

/** Only where a folder may be empty: elsewhere functions come from files. */
function apiUrl({ mayBeEmpty }: AppOptions, { mounts }: ProviderApis, control?: string): string | undefined {
  const [mount] = mounts.keys()
  return mayBeEmpty === true && control !== undefined && mount !== undefined
    ? `${control}/${mount}`
    : undefined
}

function readyEvent(
  live: LiveProject,
  url: string,
  { startedAt, api }: { readonly startedAt: number; readonly api: string | undefined },
): DevEvent {
  return {
    event: 'ready',
    url,
    functions: live.functions(url),
    routes: live.routes,
    durationMs: performance.timeOrigin + performance.now() - startedAt,
    ...(api === undefined ? {} : { api }),
  }
}

interface Around {
  readonly apis: ProviderApis
  readonly https: AppHttps | undefined
  readonly ports: FunctionPorts
  /** By which other commands find this server. */
  readonly note: AsyncDisposable
}

function appOf(
  live: LiveProject,
  gateway: Gateway,
  onEvent: AppOptions['onEvent'],
  { apis, https, ports, note }: Around,
): App {
  return {
    url: gateway.url,
    get project() {
      return live.project
    },
    get functions() {
      return live.functions(gateway.url)
    },
    get routes() {
      return live.routes
    },
    restart: () => live.restart(),
    async [Symbol.asyncDispose]() {
      onEvent({ event: 'closing' })
      live.announceClosing()
      apis.announceClosing()
      await note[Symbol.asyncDispose]()
      // The gateway first: it drains what the pools still serve.
      await Promise.all([gateway[Symbol.asyncDispose](), ports[Symbol.asyncDispose]()])
      await apis[Symbol.asyncDispose]()
      await live[Symbol.asyncDispose]()
      https?.[Symbol.dispose]()
    },
  }
}
