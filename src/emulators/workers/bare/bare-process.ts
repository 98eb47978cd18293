import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'

import type { Confinement } from '../../../core/confinement.ts'
import { share, type ConfinedFolder } from '../confined/folder.ts'
import { spawnConfined } from '../confined/spawn.ts'
import { readRuntimeLines, type RuntimeLine } from '../runtime-log.ts'
import { complain, type Complaints } from '../start-error.ts'
import { workerdCommand, workerdProcess } from '../workerd.ts'
import { SOCKETS } from './bare-config.ts'

/** workerd with a configuration of ours. */
export interface BareProcess {
  readonly child: ChildProcess
  readonly complaints: Complaints
  /** Whether the system ended it for the memory that it held. */
  readonly ranOut: () => boolean
  /** Resolves when the process is gone and all it said was heard. */
  readonly ended: Promise<void>
}

export function startBareProcess(
  config: string,
  { kept, complaints, onLine }: BareProcessOptions,
): BareProcess {
  const args = ['serve', '--experimental', '--control-fd=3', config]
  const { child, ranOut } = kept === undefined ? spawnFree(args) : spawnKept(args, { ...kept, complaints })
  const heard = (line: RuntimeLine): void => {
    complain(complaints, line)
    onLine(line)
  }
  const gone = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      complaints.words.push(error.message)
      resolve()
    })
    child.once('exit', () => resolve())
  })
  const streams = [child.stdout, child.stderr].map((stream) =>
    stream === null ? Promise.resolve() : readRuntimeLines(stream, heard),
  )
  return { child, complaints, ranOut, ended: heardOut(gone, streams) }
}

/** How long somebody else may hold what the process wrote to, once it is gone. */
const LAST_WORDS_MS = 1_000

async function heardOut(gone: Promise<void>, streams: readonly Promise<void>[]): Promise<void> {
  await gone
  await Promise.race([Promise.all(streams), pause(LAST_WORDS_MS, undefined, { ref: false })])
}

export interface BareProcessOptions {
  /** Where it is kept apart, and its own folder there, which its user gets. */
  readonly kept: Pick<Keeping, 'confinement' | 'folder'> | undefined
  readonly complaints: Complaints
  readonly onLine: (line: RuntimeLine) => void
}

type Spawned = Pick<BareProcess, 'child' | 'ranOut'>

function spawnFree(args: readonly string[]): Spawned {
  const [command, ...prefix] = workerdCommand()
  const child = spawn(command, [...prefix, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    // Signals of the terminal are for us: what runs is drained before it ends.
    detached: true,
    env: { ...process.env, FORCE_COLOR: '0' },
  })
  return { child, ranOut: () => false }
}

interface Keeping {
  readonly confinement: Confinement
  readonly folder: ConfinedFolder
  readonly complaints: Complaints
}

function spawnKept(args: readonly string[], { confinement, folder, complaints }: Keeping): Spawned {
  share(folder.path, confinement)
  const launch = confinement.launch(workerdProcess(args, { readable: [folder.path] }))
  const { child, started, ranOut } = spawnConfined(launch, 'ignore')
  complaints.admitted = started
  return { child, ranOut }
}

/** A port of 0 is a path. */
export type Origins = Readonly<Record<keyof typeof SOCKETS, URL>>

/** Reads workerd's own news until every socket listens. @throws Error when it ends before, or takes too long. */
export function listening({ child, complaints }: BareProcess, limitMs: number): Promise<Origins> {
  return new Promise((resolve, reject) => {
    const found = new Map<string, URL>()
    const timer = setTimeout(() => {
      complaints.words.push(`the program was not loaded within ${limitMs} ms`)
      child.kill('SIGKILL')
    }, limitMs)
    child.once('close', () => {
      clearTimeout(timer)
      reject(new Error('workerd ended before it listened'))
    })
    const news = child.stdio[3] as Readable | null | undefined
    if (news === null || news === undefined) return
    const lines = createInterface(news)
    lines.on('line', (line) => {
      const heard = listenEvent(line)
      if (heard === undefined) return
      found.set(heard.socket, new URL(`http://127.0.0.1:${heard.port}`))
      const ports = Object.values(SOCKETS).map((name) => found.get(name))
      const [direct, loaded, control] = ports
      if (direct === undefined || loaded === undefined || control === undefined) return
      clearTimeout(timer)
      // Nothing more is expected, and whatever comes is not kept.
      lines.close()
      news.resume()
      resolve({ direct, loaded, control })
    })
  })
}

/** `{"event":"listen","socket":"direct","port":35717}`; a line may be anything that a program in a confinement makes of it. */
function listenEvent(line: string): { readonly socket: string; readonly port: number } | undefined {
  const [, socket, port] = /^\{"event":"listen","socket":"([a-z-]+)","port":(\d{1,5})\}$/.exec(line) ?? []
  return socket === undefined || port === undefined ? undefined : { socket, port: Number(port) }
}
