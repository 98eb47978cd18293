import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { text as readText } from 'node:stream/consumers'
import type { Readable } from 'node:stream'

import { errorMessage } from '../../../core/errors.ts'
import { LIMITS } from '../../../core/limits.ts'
import { openControl, type ControlClient } from '../control/client.ts'
import type { MiniflareWorker } from '../miniflare.ts'
import { readRuntimeLines, type RuntimeLine } from '../runtime-log.ts'
import { openRunFolder } from '../run-folder.ts'
import { RuntimeStartError, type Runtime, type RuntimeOptions } from '../runtime.ts'
import { probeRuntime } from '../watchdog.ts'
import { workerdCommand } from '../workerd.ts'
import { SOCKETS, socketPaths, writeBareConfig } from './bare-config.ts'
import { loadRequest } from './load-request.ts'

export interface BareRuntimeOptions extends Pick<RuntimeOptions, 'state' | 'loadMs' | 'onLine'> {
  readonly worker: MiniflareWorker
}

/** A runtime whose program can be exchanged while it runs. */
export interface BareRuntime extends Runtime {
  /**
   * Loads another program beside the one that runs, and resolves with the socket that leads to it from now on. Requests under way stay
   * where they are.
   * @throws RuntimeStartError with workerd's own words when it cannot be loaded; nothing has changed then.
   */
  load(worker: MiniflareWorker): Promise<URL>
}

/**
 * workerd for one worker without anything bound to it but values, started without miniflare: in a tenth of the time, and without what
 * that needs of our own process. Resolves when it answers.
 * @throws RuntimeStartError with workerd's own words when the program cannot be loaded.
 */
export async function startBareRuntime(options: BareRuntimeOptions): Promise<BareRuntime> {
  const folder = await openRunFolder(options.state)
  const token = randomBytes(16).toString('hex')
  const paths = socketPaths(folder.path)
  const config = await writeBareConfig({ worker: options.worker, folder: folder.path, token })
  const { child, complaints, ended } = launch(config, options.onLine)
  const dispose = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
    await folder.remove()
  }
  const endLoop = async (): Promise<void> => {
    options.onLine({ kind: 'runtime', level: 'fatal', text: 'a program looped while it was loaded' })
    child.kill('SIGKILL')
    await ended
  }
  try {
    const ports = await listening(child, { complaints, limitMs: options.loadMs ?? LIMITS.initMs })
    void folder.belongsTo(child.pid)
    const control = openControl(ports.control, token)
    return {
      pid: child.pid,
      inspector: undefined,
      control,
      socketOf: () => ports.direct,
      pathBeside: (socket) => (socket === ports.loaded ? paths?.loaded : paths?.direct),
      ended: ended.then(() => void folder.remove()),
      kill: () => void child.kill('SIGKILL'),
      async load(worker) {
        const probe = (): Promise<boolean> => probeRuntime(Number(ports.direct.port))
        // What runs may loop: a process of its own does not wait for it.
        if (!(await probe())) throw new Error('the runtime does not react')
        const loading = load(control, worker)
        await withinLimits(loading, { limitMs: options.loadMs ?? LIMITS.initMs, probe, end: endLoop })
        return ports.loaded
      },
      async dispose() {
        control.close()
        await dispose()
      },
    }
  } catch (cause) {
    await dispose()
    throw new RuntimeStartError(complaints.join('\n') || errorMessage(cause), { cause })
  }
}

interface Launched {
  readonly child: ChildProcess
  readonly complaints: string[]
  /** Resolves when the process is gone and all it said was heard. */
  readonly ended: Promise<void>
}

function launch(config: string, onLine: (line: RuntimeLine) => void): Launched {
  const [command, ...prefix] = workerdCommand()
  const complaints: string[] = []
  const child = spawn(command, [...prefix, 'serve', '--experimental', '--control-fd=3', config], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    // Signals of the terminal are for us: what runs is drained before it ends.
    detached: true,
    env: { ...process.env, FORCE_COLOR: '0' },
  })
  const heard = (line: RuntimeLine): void => {
    if (line.kind === 'runtime' && line.level !== 'info') complaints.push(line.text)
    onLine(line)
  }
  const gone = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      complaints.push(error.message)
      resolve()
    })
    child.once('exit', () => resolve())
  })
  const streams = [child.stdout, child.stderr].map((stream) =>
    stream === null ? Promise.resolve() : readRuntimeLines(stream, heard),
  )
  return { child, complaints, ended: Promise.all([gone, ...streams]).then(() => undefined) }
}

type Ports = Readonly<Record<keyof typeof SOCKETS, URL>>

/** Reads workerd's own news until every socket listens. @throws Error when it ends before, or takes too long. */
function listening(
  child: ChildProcess,
  { complaints, limitMs }: { readonly complaints: string[]; readonly limitMs: number },
): Promise<Ports> {
  return new Promise((resolve, reject) => {
    const found = new Map<string, URL>()
    const timer = setTimeout(() => {
      complaints.push(`the program was not loaded within ${limitMs} ms`)
      child.kill('SIGKILL')
    }, limitMs)
    child.once('close', () => {
      clearTimeout(timer)
      reject(new Error('workerd ended before it listened'))
    })
    const news = child.stdio[3]
    if (news === null || news === undefined) return
    createInterface(news as Readable).on('line', (line) => {
      const { event, socket, port } = JSON.parse(line) as { event: string; socket: string; port: number }
      if (event !== 'listen') return
      found.set(socket, new URL(`http://127.0.0.1:${port}`))
      const ports = Object.values(SOCKETS).map((name) => found.get(name))
      const [direct, loaded, control] = ports
      if (direct === undefined || loaded === undefined || control === undefined) return
      clearTimeout(timer)
      resolve({ direct, loaded, control })
    })
  })
}

/** What the loader says of a program that it cannot start, before workerd's own words. */
const START_FAILURE = /^Failed to start Worker:\n/

async function load(control: ControlClient, worker: MiniflareWorker): Promise<void> {
  const body = Buffer.from(JSON.stringify(loadRequest(worker)))
  const answer = await control.ask({ method: 'POST', target: '/load', body })
  const said = await readText(answer.body)
  if (answer.status === 204) return
  const { message } = JSON.parse(said) as { message: string }
  const prefix = `service core:user:${worker.name}: `
  throw new RuntimeStartError(`${prefix}${message.replace(START_FAILURE, '')}`)
}

interface LoadWatch {
  readonly limitMs: number
  /** Does the runtime still react? */
  readonly probe: () => Promise<boolean>
  /** Ends the runtime; resolves when it is gone. */
  readonly end: () => Promise<void>
}

/** Nothing else in the process is served while a program computes: one that still does after this time, and cannot be probed, loops. */
const LOOP_MS = 3_000

/** Waits for a program to be loaded, but not for ever. @throws RuntimeStartError at a limit. */
async function withinLimits(loading: Promise<void>, { limitMs, probe, end }: LoadWatch): Promise<void> {
  const timers: NodeJS.Timeout[] = []
  let isOver = false
  let isStuck = false
  const late = new Promise<never>((_, reject) => {
    const giveUp = (ms: number): void =>
      reject(new RuntimeStartError(`the program was not loaded within ${ms} ms`))
    const look = async (): Promise<void> => {
      if ((await probe()) || isOver) return
      isStuck = true
      await end()
      giveUp(LOOP_MS)
    }
    timers.push(
      setTimeout(() => void look(), LOOP_MS),
      setTimeout(() => giveUp(limitMs), limitMs),
    )
  })
  // Of a process that is ended, the broken connection tells first.
  const told = loading.catch((error: unknown) => (isStuck ? late : Promise.reject(error)))
  try {
    await Promise.race([told, late])
  } finally {
    isOver = true
    for (const timer of timers) clearTimeout(timer)
  }
}
