import { Duplex, PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'

import type { Confinement } from '../../core/confinement.ts'
import { openChannel, type Channel, type Frame } from '../channel.ts'
import { startChild, type Child, type ChildExit, type ChildOptions } from '../child.ts'
import { hostFiles } from '../host-files.ts'
import { readLines } from '../lines.ts'
import { numberedBelow } from '../process-tree.ts'
import { FROM_GUEST, TO_GUEST, type GuestExit, type GuestProgram } from './protocol.ts'

export interface GuestOptions {
  readonly confinement: Confinement
  readonly cwd: string
  readonly readable: readonly string[]
  readonly writable?: readonly string[] | undefined
  /** What our own process in there has to say: why it cannot start. */
  readonly onLine: (stream: 'stdout' | 'stderr', text: string) => void
}

type ProgramOptions = Pick<ChildOptions, 'command' | 'args' | 'cwd' | 'environment' | 'onLine' | 'onFrame'>

/** A process of ours beside the programs of a function, where these share no network with us. */
export interface Guest extends AsyncDisposable {
  /** Resolves when it is gone, and everything in there with it. */
  readonly exited: Promise<ChildExit>
  /** Starts one of the programs. */
  start(options: ProgramOptions): Child
  /** A port of 127.0.0.1 inside that leads to this Unix socket of ours, which is in the run directory. Never resolves once the guest is gone. */
  lead(socketPath: string): Promise<number>
  /** Makes a Unix socket in the run directory that leads to a port inside; resolves once something listens there. */
  open(socketPath: string, port: number): Promise<void>
}

/** V8 holds as little as it can: what it holds is taken from the function's own memory. */
const SMALL = ['--max-old-space-size=64', '--max-semi-space-size=1', '--single-threaded-gc']

export function openGuest(options: GuestOptions): Guest {
  const { confinement, cwd, readable, writable, onLine } = options
  const host = fileURLToPath(import.meta.resolve('#guest'))
  const programs = new Map<number, GuestedProgram>()
  const answers = new Map<number, (payload: string) => void>()
  const child = startChild({
    command: process.execPath,
    args: [...SMALL, host],
    cwd,
    environment: {},
    confinement,
    readable: [...readable, ...hostFiles(host)],
    writable,
    onLine,
    onFrame: (frame) => (programs.get(frame.id) ?? NOBODY).receive(frame, answers),
  })
  let number = 0
  const ask = (kind: number, request: object): Promise<string> =>
    new Promise((resolve) => {
      number += 1
      answers.set(number, resolve)
      child.channel?.send(kind, number, JSON.stringify(request))
    })
  void child.exited.then((exit) => {
    for (const program of programs.values()) program.lost(exit)
  })
  return {
    exited: child.exited,
    start(program) {
      number += 1
      const guested = startGuested(child, number, program)
      programs.set(number, guested)
      return guested.asChild(child, number)
    },
    lead: async (socketPath) => Number(await ask(TO_GUEST.lead, { socketPath })),
    async open(socketPath, port) {
      await ask(TO_GUEST.open, { socketPath, port })
    },
    async [Symbol.asyncDispose]() {
      child.kill()
      await child.exited
    },
  }
}

function startGuested(guest: Child, id: number, program: ProgramOptions): GuestedProgram {
  const { command, args, cwd, environment } = program
  const isChannelled = program.onFrame !== undefined
  const request: GuestProgram = { command, args, cwd, environment, isChannelled }
  guest.channel?.send(TO_GUEST.start, id, JSON.stringify(request))
  return new GuestedProgram(program, (bytes) => void guest.channel?.send(TO_GUEST.data, id, bytes))
}

/** The number outside of a process that has this one inside. */
function hostNumber(guest: Child, inside: number | undefined): number | undefined {
  const pid = guest.programPid()
  return pid === undefined || inside === undefined ? undefined : numberedBelow(pid, inside)
}

/** What is known out here of a program in there. */
class GuestedProgram {
  readonly exited: Promise<ChildExit>
  /** Its number inside, once it runs. */
  number: number | undefined
  readonly channel: Channel | undefined
  readonly #stdout = new PassThrough()
  readonly #stderr = new PassThrough()
  readonly #pipe: Duplex | undefined
  #settle: (exit: ChildExit) => void = () => undefined

  constructor(program: Pick<ProgramOptions, 'onLine' | 'onFrame'>, send: (bytes: Buffer) => void) {
    this.exited = new Promise((resolve) => (this.#settle = resolve))
    readLines(this.#stdout, (text) => program.onLine('stdout', text))
    readLines(this.#stderr, (text) => program.onLine('stderr', text))
    if (program.onFrame === undefined) return
    this.#pipe = pipeTo(send)
    this.channel = openChannel(this.#pipe, (frame) => program.onFrame?.(frame))
  }

  asChild(guest: Child, id: number): Child {
    return {
      pid: undefined,
      programPid: () => hostNumber(guest, this.number),
      channel: this.channel,
      reached: () => guest.reached(),
      exited: this.exited.then((exit) =>
        exit.signal === 'SIGKILL' ? { ...exit, reached: guest.reached() } : exit,
      ),
      kill: (signal = 'SIGKILL') => void guest.channel?.send(TO_GUEST.signal, id, signal),
    }
  }

  receive({ kind, id, payload }: Frame, answers: Map<number, (payload: string) => void>): void {
    if (kind === FROM_GUEST.stdout) this.#stdout.write(payload)
    else if (kind === FROM_GUEST.stderr) this.#stderr.write(payload)
    else if (kind === FROM_GUEST.data) this.#pipe?.push(payload)
    else if (kind === FROM_GUEST.started) this.number = Number(payload.toString())
    else if (kind === FROM_GUEST.exited) this.#ended(JSON.parse(payload.toString()) as GuestExit)
    else answers.get(id)?.(payload.toString())
  }

  /** The whole of it is gone. */
  lost({ error }: ChildExit): void {
    this.#end({ code: null, signal: error === undefined ? 'SIGKILL' : null, error })
  }

  #ended({ code, signal, error }: GuestExit): void {
    const own =
      error === undefined ? undefined : Object.assign(new Error(error.message), { code: error.code })
    this.#end({ code, signal, error: own })
  }

  /** What was written before is told before. */
  #end(exit: ChildExit): void {
    this.#stdout.end()
    this.#stderr.end()
    this.#pipe?.destroy()
    setImmediate(() => this.#settle(exit))
  }
}

const NOBODY = new GuestedProgram({ onLine: () => undefined }, () => undefined)

/** Our end of a program's channel, whose bytes go another way. */
function pipeTo(send: (bytes: Buffer) => void): Duplex {
  return new Duplex({
    read: () => undefined,
    write(bytes: Buffer, _encoding, done) {
      send(bytes)
      done()
    },
  })
}
