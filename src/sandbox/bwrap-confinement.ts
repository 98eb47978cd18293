import { existsSync, realpathSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { isAbsolute } from 'node:path'

import type { Launch, LaunchedProcess, ProcessSpec, ReachedLimit } from '../core/confinement.ts'
import { errorMessage, FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import { FDS, launchArguments, type Bind } from './launch-arguments.ts'
import { heard, openGate, readStatus } from './launches.ts'
import { watchDisk } from './limits/disk-watch.ts'
import type { LaunchLimits } from './limits/limiter.ts'
import type { Machine } from './machine.ts'
import type { JoinedNetwork } from './network/egress.ts'
import { giveFolder, type Owner } from './ownership.ts'
import { unmountAll } from './place.ts'
import { readOnlyFaults, realPath } from './policy-faults.ts'
import type { OpenConfinement, SandboxPolicy } from './sandbox.ts'
import { stagedCommand } from './staged-command.ts'
import type { Staged } from './staging.ts'
import { ETC } from './system-files.ts'
import { SYSTEM_PATH } from './tools.ts'

const END_WAIT_MS = 5000
const STATE_MB = 1024
/** Of 1000. */
const OOM_SCORE = '500'

export interface ConfinementParts {
  readonly machine: Machine
  readonly policy: SandboxPolicy
  /** Undefined where functions run as the daemon's own user. */
  readonly owner: Owner | undefined
  readonly filter: Uint8Array
  readonly runDirectory: AbsolutePath
  /** For the names of control groups: unique in the sandbox. */
  readonly label: string
  /** Called when nothing is left of it. */
  readonly onClosed: (closed: OpenConfinement) => void
}

/** Launches the processes of one function through bwrap. */
export class BwrapConfinement implements OpenConfinement {
  readonly runDirectory: AbsolutePath
  readonly sharesLoopback: boolean
  readonly #parts: ConfinementParts
  readonly #running = new Map<number, Promise<void>>()
  #launches = 0

  constructor(parts: ConfinementParts) {
    this.#parts = parts
    this.runDirectory = parts.runDirectory
    this.sharesLoopback = parts.policy.network === 'host'
  }

  launch(spec: ProcessSpec): Launch {
    const { machine, policy, owner, filter, label } = this.#parts
    const { tools, limiter, systemFiles } = machine
    const [fault] = readOnlyFaults(policy, machine.hidden)
    if (fault !== undefined)
      throw new FlexiError('FLEXI_SANDBOX', `${policy.name} cannot be confined: ${fault}`)
    const { binds, staged } = this.#stage(this.#bindsOf(spec))
    const args = launchArguments({
      policy,
      systemArgs: systemFiles.args(policy.network),
      binds,
      environment: spec.environment,
      cwd: spec.cwd ?? policy.contents,
    })
    this.#launches += 1
    const group = `${label}-${this.#launches}`
    const command = [
      tools.prlimit,
      ...machine.rlimits(policy.limits),
      tools.bwrap,
      ...fdArgs(),
      '--',
      ...(isJoined(policy) ? WAITING : []),
      ...limiter.prefix(policy.limits),
      spec.command,
      ...spec.args,
    ]
    const limits = laterLimits(() => limiter.limit(group, policy.limits))
    return {
      ...stagedCommand(command, { staged, owner, tools }),
      environment: { PATH: SYSTEM_PATH },
      cwd: '/',
      inputs: new Map([
        [FDS.args, Buffer.from(`${args.join('\0')}\0`)],
        [FDS.filter, filter],
      ]),
      outputs: isJoined(policy) ? [FDS.status, FDS.ready] : [FDS.status],
      gates: isJoined(policy) ? [FDS.gate, FDS.go] : [FDS.gate],
      started: (process_) => this.#start(process_, limits, this.#watchedFolders(spec)),
      reached: () => limits.reached(),
    }
  }

  #bindsOf(spec: ProcessSpec): Bind[] {
    const { policy, owner, machine } = this.#parts
    const writable = [this.runDirectory, ...(policy.state === undefined ? [] : [policy.state])]
    for (const path of spec.writable ?? []) giveFolder(path, owner)
    const readable = [policy.contents, ...(spec.readable ?? [])]
    if (isAbsolute(spec.command)) readable.push(spec.command)
    const own = [
      ...readable.map((path) => ({ source: path, target: path, writable: false })),
      ...[...writable, ...(spec.writable ?? [])].map((path) => ({
        source: path,
        target: path,
        writable: true,
      })),
    ]
    return [{ source: machine.systemFiles.etc, target: ETC, writable: false }, ...distinct(own)]
  }

  /** What the user's configuration asks for is reached with the function's rights, or not at all. */
  #stage(binds: readonly Bind[]): { binds: Bind[]; staged: Staged[] } {
    const { machine, policy, owner } = this.#parts
    const staged: Staged[] = []
    const seen = binds
      .filter(({ source }) => existsSync(source))
      .map((bind) => {
        const source = realpathSync(bind.source)
        const stage = owner === undefined ? undefined : machine.staging.stage(source)
        if (stage !== undefined) staged.push(stage)
        return { ...bind, source: stage?.point ?? source }
      })
    const asked = Object.entries(policy.readOnly ?? {}).map(([source, target]) => ({
      source: realPath(source),
      target: target ?? source,
      writable: false,
      optional: true,
    }))
    return { binds: [...seen, ...asked], staged }
  }

  /** On a disk of the machine: the run folder is in memory, and bounded, where we may mount. */
  #watchedFolders({ writable = [] }: ProcessSpec): readonly string[] {
    const { policy, owner } = this.#parts
    const own = owner === undefined ? [this.runDirectory] : []
    return [...own, ...(policy.state === undefined ? [] : [policy.state]), ...writable]
  }

  async #start(process_: LaunchedProcess, limits: LaterLimits, folders: readonly string[]): Promise<void> {
    const { policy } = this.#parts
    const output = process_.outputs.get(FDS.status)
    if (output === undefined) throw new TypeError('the descriptor of its status is missing')
    const status = readStatus(output)
    let network: JoinedNetwork | undefined
    let isOver = false
    let first: number | undefined
    const disk = watchDisk({
      folders,
      mibMax: policy.limits.stateMb ?? STATE_MB,
      pid: () => first,
      onFull() {
        limits.full()
        endProcess(process_.pid)
      },
    })
    const ended = status.ended.then(async () => {
      isOver = true
      disk.stop()
      await network?.leave()
      await limits.remove()
      this.#running.delete(process_.pid)
    })
    this.#running.set(process_.pid, ended)
    try {
      limits.add(process_.pid)
      const child = await status.child
      first = child
      limits.add(child)
      // Where the machine itself runs out of memory, functions end before the daemon does. Their children inherit it.
      writeFileSync(`/proc/${child}/oom_score_adj`, OOM_SCORE)
      openGate(process_, FDS.gate)
      network = await this.#join(process_, child)
      if (isOver) await network?.leave()
    } catch (cause) {
      throw new FlexiError('FLEXI_SANDBOX', `${policy.name} cannot be confined: ${errorMessage(cause)}`, {
        cause,
      })
    }
  }

  async #join(process_: LaunchedProcess, child: number): Promise<JoinedNetwork | undefined> {
    const { machine, policy } = this.#parts
    if (!isJoined(policy)) return undefined
    await heard(process_, FDS.ready)
    const network = await machine.egress?.join(child)
    openGate(process_, FDS.go)
    return network
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { machine } = this.#parts
    const running = [...this.#running]
    for (const [pid] of running) endProcess(pid)
    const limit = AbortSignal.timeout(END_WAIT_MS)
    await Promise.race([
      Promise.all(running.map(([, ended]) => ended)),
      new Promise((resolve) => limit.addEventListener('abort', resolve, { once: true })),
    ])
    await unmountAll(this.runDirectory, machine.tools.umount)
    await rm(this.runDirectory, { recursive: true, force: true })
    this.#parts.onClosed(this)
  }
}

/**
 * Becomes the program when its network is there. It cannot be joined while bwrap waits at its own gate: nobody tells when bwrap has
 * finished the loopback interface, and two who set up one network disturb each other.
 */
const WAITING = [
  '/bin/sh',
  '-c',
  `echo >&${FDS.ready}; read -r _ <&${FDS.go} || exit 125; exec ${FDS.ready}>&- ${FDS.go}<&-; exec "$@"`,
  'join',
]

function isJoined({ network }: SandboxPolicy): boolean {
  return network === 'egress'
}

function fdArgs(): string[] {
  const { args, status, gate } = FDS
  return ['--args', String(args), '--json-status-fd', String(status), '--block-fd', String(gate)]
}

interface LaterLimits extends Omit<LaunchLimits, 'reached'> {
  /** There is more on the disk than may be. */
  full(): void
  reached(): ReachedLimit | undefined
}

/** They are made with the first process, for not every launch is started, and can be asked after they were removed. */
function laterLimits(make: () => LaunchLimits): LaterLimits {
  let limits: LaunchLimits | undefined
  let reached: ReachedLimit | undefined
  return {
    add(pid) {
      limits ??= make()
      limits.add(pid)
    },
    full() {
      reached ??= 'disk'
    },
    reached: () => (reached ??= limits?.reached()),
    async remove() {
      reached ??= limits?.reached()
      await limits?.remove()
    },
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // ESRCH: it is gone.
  }
}

/** The same folder twice, once to be changed: it may be changed. What is part of /usr is there already. */
function distinct(binds: readonly Bind[]): Bind[] {
  const byTarget = new Map<string, Bind>()
  for (const bind of binds) {
    if (!bind.writable && bind.target.startsWith('/usr/')) continue
    byTarget.set(bind.target, bind)
  }
  return [...byTarget.values()]
}
