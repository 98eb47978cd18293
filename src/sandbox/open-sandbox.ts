import { chmod, mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import { BwrapConfinement } from './bwrap-confinement.ts'
import { openMachine, type OpenMachine } from './open-machine.ts'
import { giveFolder, type Owner } from './ownership.ts'
import { policyFaultsHere } from './policy-faults.ts'
import { runTool } from './tools.ts'
import type { OpenConfinement, Sandbox, SandboxOptions, SandboxPolicy } from './sandbox.ts'
import { compileFilter } from './seccomp/filter.ts'
import { openUnprotected } from './unprotected.ts'

/** A socket's address holds 107 bytes, and 41 of them are for its name below a run folder. */
const RUN_DIRECTORY_LENGTH_MAX = 66

/** What the memory file system of a run folder takes: sockets, and little else. */
const RUN_OPTIONS = 'size=8m,nr_inodes=1024,nosuid,nodev,noexec'

/** Links in it lead nowhere: a function cannot have the daemon open what it could not. Kernels before 5.10 do not know it. */
const NO_LINKS = 'nosymfollow'

/**
 * Finds out what this machine can enforce, and opens confinements by it. A machine that can enforce nothing opens a sandbox that refuses
 * everything, unless its operator asked for none: `capabilities.notes` says what is missing.
 */
export async function openSandbox(options: SandboxOptions): Promise<Sandbox> {
  if (options.kind === 'none') return openUnprotected(options)
  const machine = await openMachine(options)
  return new BwrapSandbox(machine)
}

class BwrapSandbox implements Sandbox {
  readonly #machine: OpenMachine
  readonly #open = new Set<OpenConfinement>()
  #opened = 0

  constructor(machine: OpenMachine) {
    this.#machine = machine
  }

  get capabilities(): Sandbox['capabilities'] {
    return this.#machine.capabilities
  }

  check(policy: SandboxPolicy): readonly string[] {
    return policyFaultsHere(policy, this.#machine)
  }

  async open(policy: SandboxPolicy): Promise<OpenConfinement> {
    const [fault] = this.check(policy)
    const calls = this.#machine.calls
    if (fault !== undefined || calls === undefined) {
      throw new FlexiError(
        'FLEXI_SANDBOX',
        `${policy.name} cannot be confined: ${fault ?? 'no system calls'}`,
      )
    }
    this.#opened += 1
    const name = this.#opened.toString(36)
    const label = `${policy.name.replaceAll(/[^\w@-]/g, '-').slice(0, 100)}.${name}`
    const owner = this.#ownerOf(policy)
    if (owner !== undefined) await demandReadable(policy.contents)
    if (policy.state !== undefined) giveFolder(policy.state, owner)
    const confinement = new BwrapConfinement({
      machine: this.#machine,
      policy,
      owner,
      label,
      filter: compileFilter(policy.systemCalls, calls),
      runDirectory: await this.#makeRunDirectory(name, owner),
      onClosed: (closed) => this.#open.delete(closed),
    })
    this.#open.add(confinement)
    return confinement
  }

  #ownerOf({ number }: SandboxPolicy): Owner | undefined {
    const { firstUid } = this.#machine
    return firstUid === undefined ? undefined : { uid: firstUid + number, gid: firstUid + number }
  }

  /** In memory and bounded, where we may mount: what a function writes there fills no disk of the machine. */
  async #makeRunDirectory(name: string, owner: Owner | undefined): Promise<AbsolutePath> {
    const { place, tools } = this.#machine
    const path = join(place.directory, name) as AbsolutePath
    if (Buffer.byteLength(path) > RUN_DIRECTORY_LENGTH_MAX) {
      throw new FlexiError('FLEXI_SANDBOX', `sockets below ${path} would have too long a name`, {
        hint: 'Give the daemon a data directory with a shorter path, as /var/lib/flexi.',
      })
    }
    await mkdir(path, { mode: 0o700 })
    if (owner === undefined) {
      await chmod(path, 0o700)
      return path
    }
    const user = `mode=0700,uid=${owner.uid},gid=${owner.gid}`
    const mount = (options: string): Promise<unknown> =>
      runTool(tools.mount ?? 'mount', ['-t', 'tmpfs', '-o', `${options},${user}`, 'flexi', path])
    await mount(`${RUN_OPTIONS},${NO_LINKS}`)
      .catch(() => mount(RUN_OPTIONS))
      // Without the right to mount: on disk then.
      .catch(() => giveFolder(path, owner))
    return path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#open].map((confinement) => confinement[Symbol.asyncDispose]()))
    await this.#machine[Symbol.asyncDispose]()
    await rm(this.#machine.place.directory, { recursive: true, force: true })
  }
}

/** A function with a user of its own is one of all the others there. */
async function demandReadable(contents: AbsolutePath): Promise<void> {
  const mode = (await stat(contents)).mode & 0o777
  if ((mode & 0o005) === 0o005) return
  throw new FlexiError(
    'FLEXI_SANDBOX',
    `${contents} cannot be read by functions: its mode is ${mode.toString(8)}`,
    { hint: `Make it 755: chmod 755 ${contents}` },
  )
}
