/**
 * Runs inside of what confines a function: starts its programs, and joins their own loopback network with the Unix sockets that alone lead
 * out. It ends with its channel, and everything in there with it.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { connect, createServer, Socket } from 'node:net'
import type { Duplex, Readable } from 'node:stream'

import { accepts, LOOPBACKS } from '../accepts.ts'
import { CHANNEL_FD, openChannel, type Frame } from '../channel.ts'
import { FROM_GUEST, TO_GUEST, type GuestExit, type GuestProgram, type Way } from './protocol.ts'

/** Between two looks whether a program listens: the first ones come fast, for those that start fast. */
const LOOK_MS_MIN = 2
const LOOK_MS_MAX = 50

const programs = new Map<number, ChildProcess>()
const channel = openChannel(new Socket({ fd: CHANNEL_FD }), receive)
void channel.closed.then(() => process.exit())

function receive({ kind, id, payload }: Frame): void {
  if (kind === TO_GUEST.signal) signal(id, payload.toString() as NodeJS.Signals)
  else if (kind === TO_GUEST.data) channelOf(id)?.write(payload)
  else if (kind === TO_GUEST.start) start(id, JSON.parse(payload.toString()) as GuestProgram)
  else if (kind === TO_GUEST.lead) lead(id, JSON.parse(payload.toString()) as Way)
  else if (kind === TO_GUEST.open) void open(id, JSON.parse(payload.toString()) as Way & { port: number })
}

function start(id: number, { command, args, cwd, environment, isChannelled }: GuestProgram): void {
  const program = spawn(command, args, {
    cwd,
    env: environment,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', isChannelled ? 'pipe' : 'ignore'],
  })
  programs.set(id, program)
  const own = channelOf(id)
  own?.on('error', () => undefined)
  tellOutput(own, FROM_GUEST.data, id)
  tellOutput(program.stdout, FROM_GUEST.stdout, id)
  tellOutput(program.stderr, FROM_GUEST.stderr, id)
  program.once('error', (error: NodeJS.ErrnoException) => {
    const { message, code } = error
    if (program.pid === undefined) tellExit(id, { code: null, signal: null, error: { message, code } })
  })
  program.once('exit', (code, ended) => {
    // What it started may hold its output open: the group goes, and then the pipes end.
    signal(id, 'SIGKILL')
    const done = (): void => tellExit(id, { code, signal: ended })
    program.once('close', done)
    setTimeout(done, 200).unref()
  })
  if (program.pid !== undefined) channel.send(FROM_GUEST.started, id, String(program.pid))
}

/** A 'pipe' beyond stderr is a socket pair. */
function channelOf(id: number): Duplex | undefined {
  return (programs.get(id)?.stdio[CHANNEL_FD] ?? undefined) as Duplex | undefined
}

/** Who writes more than flexi reads is held back. */
function tellOutput(output: Readable | null | undefined, kind: number, id: number): void {
  output?.on('data', (bytes: Buffer) => {
    if (channel.send(kind, id, bytes)) return
    output.pause()
    void channel.drained().then(() => output.resume())
  })
}

function tellExit(id: number, exit: GuestExit): void {
  if (programs.delete(id)) channel.send(FROM_GUEST.exited, id, JSON.stringify(exit))
}

function signal(id: number, name: NodeJS.Signals): void {
  const pid = programs.get(id)?.pid
  if (pid === undefined) return
  try {
    process.kill(-pid, name)
  } catch {
    // ESRCH: the group is gone.
  }
}

function lead(id: number, { socketPath }: Way): void {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (inside) =>
    join(inside, connect({ path: socketPath, allowHalfOpen: true })),
  )
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    channel.send(FROM_GUEST.port, id, String(port))
  })
}

async function open(id: number, { socketPath, port }: Way & { readonly port: number }): Promise<void> {
  const host = await listening(port)
  const server = createServer({ allowHalfOpen: true }, (outside) =>
    join(outside, connect({ host, port, allowHalfOpen: true, noDelay: true })),
  )
  server.listen(socketPath, () => channel.send(FROM_GUEST.opened, id))
}

/** Waits until something listens on a port: there is no event for that. */
async function listening(port: number): Promise<string> {
  for (let ms = LOOK_MS_MIN; ; ms = Math.min(LOOK_MS_MAX, ms * 1.5)) {
    for (const host of LOOPBACKS) if (await accepts({ host, port })) return host
    await new Promise((resolve) => setTimeout(resolve, ms))
  }
}

/** Until both are closed: an end is passed on, a failure ends both. */
function join(one: Socket, other: Socket): void {
  const fail = (): void => {
    one.destroy()
    other.destroy()
  }
  one.on('error', fail).on('close', () => other.end())
  other.on('error', fail).on('close', () => one.end())
  one.pipe(other)
  other.pipe(one)
}
