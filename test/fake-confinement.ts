import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Confinement, ProcessSpec } from '../src/core/confinement.ts'
import type { AbsolutePath } from '../src/core/place.ts'

export interface FakeConfinement extends Confinement, AsyncDisposable {
  /** What was launched, oldest first. */
  readonly launches: readonly ProcessSpec[]
}

/** Why the tests that need one cannot run here; empty where they can. */
export const WITHOUT_BWRAP =
  process.platform === 'linux' &&
  spawnSync('bwrap', ['--ro-bind', '/', '/', '--unshare-net', '--unshare-pid', '--unshare-user', 'true'])
    .status === 0
    ? ''
    : ' (bwrap is not here, or may not make namespaces)'

const SYSTEM = ['/usr', '/bin', '/lib', '/lib64', '/etc']

/** The least that keeps processes apart: they see the system's programs, their folder, and what they ask for; and no network of ours. */
export async function fakeConfinement(contents?: string): Promise<FakeConfinement> {
  const runDirectory = (await mkdtemp(join(tmpdir(), 'fr-'))) as AbsolutePath
  const launches: ProcessSpec[] = []
  const shown = (flag: string, paths: readonly string[]): string[] =>
    paths.filter((path) => existsSync(path)).flatMap((path) => [flag, path, path])
  return {
    runDirectory,
    sharesLoopback: false,
    launches,
    launch(spec) {
      launches.push(spec)
      const folder = contents ?? spec.cwd ?? '/usr'
      const args = [
        '--unshare-all', '--die-with-parent', '--new-session', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp',
        ...shown('--ro-bind', [...SYSTEM, folder, ...(spec.readable ?? [])]),
        ...shown('--bind', [runDirectory, ...(spec.writable ?? [])]),
        '--chdir', spec.cwd ?? folder, '--', spec.command, ...spec.args,
      ] // prettier-ignore
      return {
        command: 'bwrap',
        args,
        environment: { PATH: '/usr/bin:/bin', ...spec.environment },
        inputs: new Map(),
        outputs: [],
        gates: [],
        started: () => Promise.resolve(),
      }
    },
    [Symbol.asyncDispose]: () => rm(runDirectory, { recursive: true, force: true }),
  }
}
