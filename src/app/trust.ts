import { spawn } from 'node:child_process'

import { asFlexiError, FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import { openAuthority } from '../tls/authority.ts'
import { authorityDirectory } from '../tls/place.ts'
import { trustHints, trustStores, type Command, type TrustHint, type TrustStore } from '../tls/trust.ts'

export { commandLine, type Command, type TrustStore } from '../tls/trust.ts'

export interface Trust {
  /** The certificate to trust; made when there was none. */
  readonly file: AbsolutePath
  readonly fingerprint: string
  readonly stores: readonly TrustStore[]
  readonly hints: readonly TrustHint[]
}

/** What `flexi trust` tells. A file of its own: nothing else of the application is needed. @throws FlexiError FLEXI_CONFIG. */
export async function readTrust(environment: Readonly<Record<string, string | undefined>>): Promise<Trust> {
  const authority = await openAuthority(authorityDirectory(environment))
  const { file, fingerprint } = authority
  return { file, fingerprint, stores: trustStores(authority), hints: trustHints(file) }
}

/**
 * Runs the commands of all stores one after the other, each announced before. One that fails stops its own store alone.
 * @throws FlexiError FLEXI_TOOL_MISSING at the end, when a program was not there or failed.
 */
export async function runTrustCommands(
  stores: readonly (readonly Command[])[],
  announce: (command: Command) => void,
): Promise<void> {
  const failures: FlexiError[] = []
  for (const commands of stores) {
    try {
      for (const command of commands) {
        announce(command)
        await run(command)
      }
    } catch (error) {
      failures.push(asFlexiError(error))
    }
  }
  const [first, ...others] = failures
  if (first === undefined) return
  if (others.length === 0) throw first
  const messages = failures.map(({ message }) => message)
  throw new FlexiError('FLEXI_TOOL_MISSING', messages.join('; '), {
    hint: failures.map(({ hint }) => hint).join(' '),
  })
}

/** With this terminal, so that `sudo` can ask for its password; stdout is kept for results. */
async function run([program, ...words]: Command): Promise<void> {
  const child = spawn(program, words, { stdio: ['inherit', process.stderr, 'inherit'] })
  const exit = await new Promise<number | string | null>((resolve, reject) => {
    child.once('error', (error) => reject(toolMissing(program, error)))
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  if (exit === 0) return
  throw new FlexiError('FLEXI_TOOL_MISSING', `${program} failed (${exit})`, {
    hint: 'Look at what it printed above, and run "flexi trust" for the commands.',
  })
}

function toolMissing(program: string, cause: Error): FlexiError {
  const hint =
    program === 'certutil'
      ? 'Install libnss3-tools (Debian), nss-tools (Fedora) or nss (Arch, Homebrew).'
      : `Install ${program}, or trust the file by hand.`
  return new FlexiError('FLEXI_TOOL_MISSING', `${program} cannot be started: ${cause.message}`, {
    hint,
    cause,
  })
}
