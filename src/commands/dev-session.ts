import { networkInterfaces } from 'node:os'

import type { AccessRecord, DevEvent } from '../core/events.ts'
import type { LogLevel } from '../core/log.ts'
import { reachableUrls } from '../terminal/banner.ts'
import { openBrowser } from '../terminal/browser.ts'
import { DevScreen } from '../terminal/dev-screen.ts'
import { duration } from '../terminal/duration.ts'
import { JsonEvents } from '../terminal/json-events.ts'
import { listenToKeys } from '../terminal/keys.ts'
import { paintFor } from '../terminal/paint.ts'
import { failureOf } from './failure.ts'

/** How a session of `flexi dev` shows itself. */
export interface DevOutput {
  readonly json: boolean
  /** Undefined is the coloured line for people on stderr; any other is for programs, on stdout. */
  readonly accessFormat: ((record: AccessRecord, time: Date) => string) | undefined
  readonly level: LogLevel
  readonly version: string
  readonly directory: string
  readonly open: boolean
}

/** What of a running app a session touches. */
export interface Served extends AsyncDisposable {
  readonly url: string
  restart(): Promise<void>
}

export type StartServing = (onEvent: (event: DevEvent) => void) => Promise<Served>

/** How long a drain may last before we say that we wait for it. */
const SAY_DRAINING_AFTER_MS = 200
const EXIT_INTERRUPTED = 130

/**
 * Serves until somebody asks for the end, and returns the exit code.
 * Ctrl-C, SIGTERM and `q` finish what is running; a second Ctrl-C quits at once; SIGHUP reads everything again.
 */
export async function serveUntilStopped(start: StartServing, output: DevOutput): Promise<number> {
  const view = viewOf(output)
  const session: Session = { app: undefined, view, output, stop: new Stop(view) }
  try {
    // Before the start: who reads "ready" may press a key in the same moment.
    using _signals = listenToSignals(session)
    using _keys = isInteractive(output) ? listenToKeys(process.stdin, keysOf(session)) : undefined
    session.app = await start((event) => {
      if (event.event === 'ready') session.stop.serving = true
      view.show(event)
    })
    if (output.open) openInBrowser(session)
    await session.stop.asked
    await session.app[Symbol.asyncDispose]()
    return 0
  } catch (error) {
    if (!output.json) throw error
    return showFailure(error, view)
  } finally {
    view.flush()
  }
}

type View = DevScreen | JsonEvents

interface Session {
  /** Undefined until it serves. */
  app: Served | undefined
  readonly view: View
  readonly output: DevOutput
  readonly stop: Stop
}

/** The wish to end: the first one is granted in peace, the second at once, and any at once that comes before the server does. */
class Stop {
  readonly asked: Promise<void>
  serving = false
  readonly #view: View
  #grant: (() => void) | undefined

  constructor(view: View) {
    this.#view = view
    this.asked = new Promise((resolve) => {
      this.#grant = resolve
    })
  }

  readonly ask = (): void => {
    if (this.#grant === undefined || !this.serving) {
      this.#view.flush()
      process.exit(EXIT_INTERRUPTED)
    }
    this.#grant()
    this.#grant = undefined
    setTimeout(() => {
      say(this.#view, 'finishing what is running; press Ctrl-C again to quit now')
    }, SAY_DRAINING_AFTER_MS).unref()
  }

  /** Once: its repetition is no impatience. */
  readonly askOnce = (): void => {
    if (this.#grant !== undefined) this.ask()
  }
}

function listenToSignals(session: Session): Disposable {
  const { stop } = session
  const restart = (): void => restartApp(session)
  process.on('SIGINT', stop.ask).on('SIGTERM', stop.askOnce).on('SIGHUP', restart)
  // EPIPE: the program that read our events is gone, so nobody wants the server any more. EIO: the terminal is.
  process.stdout.on('error', stop.askOnce)
  process.stderr.on('error', stop.askOnce)
  return {
    [Symbol.dispose]: () => {
      process.off('SIGINT', stop.ask).off('SIGTERM', stop.askOnce).off('SIGHUP', restart)
    },
  }
}

/** A line for people; programs have the events. */
function say(view: View, line: string): void {
  if (view instanceof DevScreen) view.say(line)
}

function restartApp({ app, view }: Session): void {
  const from = performance.now()
  app?.restart().then(
    () => say(view, `↻ everything  ${duration(performance.now() - from)}`),
    (error: unknown) => showFailure(error, view),
  )
}

/** A failure as an event of the stream, for who reads nothing else. Our bugs end the process. */
function showFailure(error: unknown, view: View): number {
  const failure = failureOf(error)
  if (failure.kind !== 'report') throw error
  view.show({ event: 'error', ...failure.report })
  return failure.exit
}

function keysOf(session: Session): Parameters<typeof listenToKeys>[1] {
  const { stop, view } = session
  return {
    interrupt: stop.ask,
    gone: stop.askOnce,
    actions: {
      r: () => restartApp(session),
      o: () => openInBrowser(session),
      c: () => {
        if (view instanceof DevScreen) view.clear()
      },
      q: stop.ask,
      h: () => say(view, '  r restart   o open the browser   c clear   q quit   h this help'),
      '\r': () => say(view, ''),
    },
  }
}

function openInBrowser({ app, view }: Session): void {
  if (app === undefined) return
  openBrowser(reachableUrls(app.url, [])[0] ?? app.url, (reason) => say(view, reason))
}

function isInteractive(output: DevOutput): boolean {
  return !output.json && process.stdin.isTTY && process.stderr.isTTY
}

function viewOf(output: DevOutput): View {
  if (output.json) return new JsonEvents(process.stdout)
  return new DevScreen({
    ...output,
    log: process.stderr,
    results: process.stdout,
    paint: paintFor(process.stderr, process.env),
    networkAddresses: networkAddresses(),
    keys: isInteractive(output),
  })
}

function networkAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).filter((one) => !one.internal && one.family === 'IPv4').map((one) => one.address),
  )
}
