import type { DevEvent, FunctionSummary, RouteSummary } from './core/events.ts'
import { silentLogger, type LogLevel } from './core/log.ts'
import type { AbsolutePath } from './core/place.ts'
import type { Project } from './core/project.ts'
import { LiveProject } from './app/live-project.ts'
import { eventLogger } from './app/scope.ts'
import { readProject, type ReadProjectOptions } from './config/project.ts'
import { readServerSettings } from './config/settings.ts'
import { emulators } from './emulators/registry.ts'
import { openGateway, type Gateway } from './gateway/gateway.ts'

export { flexilibLine } from './gateway/access-log.ts'
export { buildProject, invokeFunction, type InvokeOptions } from './app/one-shot.ts'

export interface AppOptions {
  readonly directory: AbsolutePath
  /** `dev` explains faults to browsers and rebuilds; `serve` does neither. */
  readonly mode: 'dev' | 'serve'
  readonly port?: number | undefined
  readonly host?: string | undefined
  /** A taken port is an error when fixed; otherwise the next free one is used. */
  readonly portIsFixed: boolean
  readonly configFile?: AbsolutePath | undefined
  readonly envFile?: AbsolutePath | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly watch: boolean
  readonly inspectPort?: number | undefined
  readonly controlPrefix?: string | undefined
  readonly logLevel?: LogLevel | undefined
  /** Read this file alone, as FlexiLib does. */
  readonly only?: 'proxy.ini' | undefined
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
  const project = await readProject(projectOptions(options))
  const settings = readServerSettings({
    flags: { port: options.port, host: options.host },
    environment: options.environment,
    project: project.server,
  })
  const log = eventLogger(options.logLevel ?? 'info', options.onEvent)
  let origin: string | undefined
  const live = await LiveProject.open(project, {
    directory: options.directory,
    mode: options.mode,
    threads: settings.threads,
    preallocationKb: settings.responsePreallocationKb,
    controlPrefix: options.controlPrefix ?? '/_flexi',
    inspectPort: options.inspectPort,
    log,
    readAt,
    origin: () => origin,
    read: () => readProject(projectOptions(options)),
    onEvent: options.onEvent,
  })
  let gateway: Gateway | undefined
  try {
    gateway = await openGateway({
      host: settings.host,
      port: settings.port,
      portFallback: !options.portIsFixed && settings.port !== 0,
      mode: options.mode,
      directory: options.directory,
      table: await live.bind(),
      log,
      controlPrefix: options.controlPrefix,
      onAccess: (record) => options.onEvent({ event: 'request', ...record }),
    })
    origin = gateway.url
    live.attach(gateway)
    await live.start()
    // Watched before it says ready: whoever saves from then on is heard.
    if (options.watch) await live.watch()
    options.onEvent(readyEvent(live, gateway.url, options.startedAt))
    return appOf(live, gateway, options.onEvent)
  } catch (error) {
    await gateway?.[Symbol.asyncDispose]()
    await live[Symbol.asyncDispose]()
    throw error
  }
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
  return { project, routes: live.routes }
}

function projectOptions(
  options: Pick<AppOptions, 'directory' | 'configFile' | 'envFile' | 'environment' | 'only'>,
): ReadProjectOptions {
  const { directory, configFile, envFile, environment, only } = options
  return { directory, emulators, environment, configFile, envFile, only }
}

function readyEvent(live: LiveProject, url: string, startedAt: number): DevEvent {
  return {
    event: 'ready',
    url,
    functions: live.functions(url),
    routes: live.routes,
    durationMs: performance.timeOrigin + performance.now() - startedAt,
  }
}

function appOf(live: LiveProject, gateway: Gateway, onEvent: AppOptions['onEvent']): App {
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
      // The gateway first: it drains what the pools still serve.
      await gateway[Symbol.asyncDispose]()
      await live[Symbol.asyncDispose]()
    },
  }
}
