import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { ProcessSpec } from '../../core/confinement.ts'
import { FlexiError } from '../../core/errors.ts'
import type { AbsolutePath } from '../../core/place.ts'

const require = createRequire(import.meta.url)

export interface Workerd {
  readonly path: string
  /** The newest date its behaviour is defined for: `2026-10-23`. */
  readonly compatibilityDate: string
}

let workerd: Workerd | undefined

/** The newest workerd that is installed, which is not the one miniflare came with. @throws FlexiError FLEXI_TOOL_MISSING. */
export function findWorkerd(): Workerd {
  if (workerd !== undefined) return workerd
  try {
    const found = require('workerd') as { default: string; compatibilityDate: string }
    workerd = { path: found.default, compatibilityDate: found.compatibilityDate }
    return workerd
  } catch (cause) {
    throw new FlexiError('FLEXI_TOOL_MISSING', 'workerd, the Workers runtime, is not installed', {
      hint: `Run "npm install workerd"; there are builds for Linux, macOS and Windows on x64 and arm64, and this is ${process.platform} on ${process.arch}.`,
      cause,
    })
  }
}

/** Where data of this runtime lives. An older workerd cannot read what a newer one wrote, so each has its own folder. */
export function stateFolder(stateDirectory: AbsolutePath): AbsolutePath {
  return join(stateDirectory, 'workers', findWorkerd().compatibilityDate) as AbsolutePath
}

let preparing: Promise<void> = Promise.resolve()

/**
 * Points miniflare at a script that becomes workerd: it tells its process id, which miniflare keeps to itself, and on Linux asks the
 * kernel to end workerd with us, whatever ends us.
 */
export function prepareWorkerd(state: AbsolutePath): Promise<void> {
  const next = preparing.then(() => writeLauncher(state))
  preparing = next.catch(() => undefined)
  return next
}

async function writeLauncher(state: AbsolutePath): Promise<void> {
  const file = join(state, 'run-workerd.sh')
  const command = workerdCommand().map((word) => `'${word.replaceAll("'", "'\\''")}'`)
  const script = `#!/bin/sh\necho "{\\"flexiPid\\":$$}"\ntrap '' INT\nexec ${ownSession()}${command.join(' ')} "$@"\n`
  if ((await readFile(file, 'utf8').catch(() => undefined)) !== script) {
    await mkdir(state, { recursive: true })
    const fresh = `${file}.${randomUUID()}`
    await writeFile(fresh, script, { mode: 0o755 })
    await rename(fresh, file)
  }
  process.env['MINIFLARE_WORKERD_PATH'] = file
}

let sessionPrefix: string | undefined

/** Signals of the terminal are for us: what runs is drained before it ends. */
function ownSession(): string {
  sessionPrefix ??=
    process.platform === 'linux' && spawnSync('setsid', ['true']).status === 0 ? 'setsid ' : ''
  return sessionPrefix
}

/** The command that becomes workerd, its arguments to follow. On Linux the kernel ends it with us, whatever ends us. */
export function workerdCommand(): readonly [string, ...string[]] {
  const { path } = findWorkerd()
  return endsWithUs() ? ['setpriv', '--pdeathsig', 'KILL', path] : [path]
}

/** workerd as a confinement starts it: it sees nothing of our environment. */
export function workerdProcess(
  args: readonly string[],
  { readable = [], writable = [] }: Pick<ProcessSpec, 'readable' | 'writable'>,
): ProcessSpec {
  const { path } = findWorkerd()
  const certificates = certificateFiles()
  return {
    command: path,
    args,
    environment: { FORCE_COLOR: '0', TMPDIR: '/tmp', ...certificates },
    readable: [path, ...Object.values(certificates), ...readable],
    writable,
  }
}

/** Where a person has put the certificates that workerd trusts. */
function certificateFiles(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    ['SSL_CERT_FILE', 'SSL_CERT_DIR'].flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

let hasDeathSignal: boolean | undefined

function endsWithUs(): boolean {
  hasDeathSignal ??=
    process.platform === 'linux' && spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0
  return hasDeathSignal
}
