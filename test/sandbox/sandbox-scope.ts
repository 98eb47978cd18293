import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { onTestFinished } from 'vitest'

import type { ProcessSpec } from '../../src/core/confinement.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { startChild, type ChildExit } from '../../src/instances/child.ts'
import { openSandbox } from '../../src/sandbox/open-sandbox.ts'
import type { OpenConfinement, Sandbox, SandboxLimits, SandboxPolicy } from '../../src/sandbox/sandbox.ts'

export const LIMITS: SandboxLimits = { memoryMb: 256, processes: 64, files: 256, temporaryMb: 8 }

/** A machine's folder for a test: the sandbox's, and what functions are made of. */
export interface Place {
  /** 0700, as a home is. */
  readonly root: AbsolutePath
  readonly sandbox: Sandbox
  readonly contents: AbsolutePath
}

export async function openPlace(options: { hidden?: boolean } = {}): Promise<Place> {
  const root = (await mkdtemp(join(tmpdir(), 'flexi-sb-'))) as AbsolutePath
  onTestFinished(() => rm(root, { recursive: true }))
  const contents = await makeContents(root, 'contents')
  const sandbox = await openSandbox({
    kind: 'bwrap',
    directory: join(root, 's') as AbsolutePath,
    hidden: options.hidden === true ? [root] : [],
  })
  onTestFinished(() => sandbox[Symbol.asyncDispose]())
  return { root, sandbox, contents }
}

/** As an artifact is unpacked: everybody may read it. */
export async function makeContents(root: string, name: string): Promise<AbsolutePath> {
  const path = join(root, name) as AbsolutePath
  await mkdir(path)
  await chmod(path, 0o755)
  return path
}

export function openFunction(place: Place, policy: Partial<SandboxPolicy> = {}): Promise<OpenConfinement> {
  return place.sandbox.open({
    name: 'hello@v1',
    number: 7,
    contents: place.contents,
    network: 'none',
    limits: LIMITS,
    ...policy,
  })
}

export interface Run {
  readonly stdout: string
  readonly stderr: string
  readonly exit: ChildExit
}

/** Runs a program in a confinement to its end. */
export async function run(
  confinement: OpenConfinement,
  command: string,
  args: readonly string[],
  more: Partial<ProcessSpec> = {},
): Promise<Run> {
  const lines = { stdout: [] as string[], stderr: [] as string[] }
  const child = startChild({
    command,
    args,
    environment: { PATH: '/usr/bin:/bin' },
    ...more,
    confinement,
    onLine: (stream, text) => lines[stream].push(text),
  })
  const exit = await child.exited
  return { stdout: lines.stdout.join('\n'), stderr: lines.stderr.join('\n'), exit }
}

/** Runs a shell's commands in a confinement. */
export function shell(
  confinement: OpenConfinement,
  script: string,
  more?: Partial<ProcessSpec>,
): Promise<Run> {
  return run(confinement, '/bin/sh', ['-c', script], more)
}

/** Runs JavaScript in a confinement. */
export function node(
  confinement: OpenConfinement,
  script: string,
  more?: Partial<ProcessSpec>,
): Promise<Run> {
  return run(confinement, process.execPath, ['-e', script], more)
}
