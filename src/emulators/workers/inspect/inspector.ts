import { setTimeout as wait } from 'node:timers/promises'

import type * as serverModule from './server.ts'
import type * as targetModule from './target.ts'
import type { Attachment, RunningScript } from './target.ts'

/** How long a new runtime waits for what a debugger sets in it. */
const READY_MS = 2_000

/** A function that can be debugged. */
export interface Inspected {
  readonly name: string
  readonly port: number
  readonly breakAtStart: boolean
  /** What the person at the keyboard should know. */
  tell(level: 'info' | 'warn', text: string): void
}

interface Opened {
  readonly inspected: Inspected
  readonly target: targetModule.Target
  users: number
}

/**
 * The debuggers' ports of one application. They stay, with all who are attached, while the runtimes behind them come and go. Nothing of it is
 * loaded without `--inspect`.
 */
export class Inspector {
  /** By the functions' names. */
  readonly #opened = new Map<string, Opened>()
  readonly #servers = new Map<number, serverModule.InspectServer>()
  /** Functions whose workers share a runtime. */
  #groups: (readonly string[])[] = []
  #loading: ReturnType<typeof loadServer> | undefined

  /** Opens the port of a function, until all who asked for it are gone. */
  open(inspected: Inspected): Disposable {
    const opening = this.#open(inspected)
    let isDisposed = false
    return {
      [Symbol.dispose]: () => {
        if (isDisposed) return
        isDisposed = true
        void opening.then((opened) => this.#close(opened))
      },
    }
  }

  /** Workers that share a runtime from now on; disposing tells that it is gone. */
  attach(running: ReadonlyMap<string, RunningScript>): Attachment {
    const names = [...running.keys()]
    this.#groups = [...this.#groups.filter((group) => !group.some((name) => running.has(name))), names]
    const runs = [...running].flatMap(([name, script]) => this.#opened.get(name)?.target.run(script) ?? [])
    return {
      ready: Promise.race([
        Promise.all(runs.map(({ ready }) => ready)),
        wait(READY_MS, undefined, { ref: false }),
      ]),
      [Symbol.dispose]: () => {
        for (const run of runs) run[Symbol.dispose]()
      },
    }
  }

  /** Whether a debugger is attached to this function, or to one that shares its runtime: a breakpoint stops all of them. */
  isAttached(name: string): boolean {
    const group = this.#groups.find((names) => names.includes(name)) ?? [name]
    return group.some((mate) => this.#opened.get(mate)?.target.isAttached === true)
  }

  /** Resolves when a debugger has come to this function, or nobody waits for one any more. */
  async debugger(name: string): Promise<void> {
    await this.#opened.get(name)?.target.attached
  }

  async #open(inspected: Inspected): Promise<Opened> {
    const { InspectServer, Target } = await (this.#loading ??= loadServer())
    const { name, port } = inspected
    const known = this.#opened.get(name)
    if (known !== undefined) {
      known.users++
      return known
    }
    const opened = { inspected, target: new Target(inspected), users: 1 }
    this.#opened.set(name, opened)
    if (!this.#servers.has(port))
      this.#servers.set(
        port,
        new InspectServer({
          port,
          tell: (level, text) => inspected.tell(level, text),
          targets: () => this.#targetsAt(port),
        }),
      )
    return opened
  }

  #close(opened: Opened): void {
    opened.users--
    if (opened.users > 0) return
    const { name, port } = opened.inspected
    this.#opened.delete(name)
    opened.target.close()
    if ([...this.#opened.values()].some(({ inspected }) => inspected.port === port)) return
    this.#servers.get(port)?.[Symbol.dispose]()
    this.#servers.delete(port)
  }

  /** The function of this port first, then those that it shares a runtime with. */
  #targetsAt(port: number): readonly targetModule.Target[] {
    const own = [...this.#opened.values()].filter(({ inspected }) => inspected.port === port)
    const mates = own.flatMap(
      ({ inspected: { name } }) => this.#groups.find((group) => group.includes(name)) ?? [],
    )
    const names = new Set([...own.map(({ inspected }) => inspected.name), ...mates])
    return [...names].flatMap((name) => this.#opened.get(name)?.target ?? [])
  }
}

/** Loaded when the first port is opened. */
async function loadServer(): Promise<
  Pick<typeof serverModule, 'InspectServer'> & Pick<typeof targetModule, 'Target'>
> {
  const [{ InspectServer }, { Target }] = await Promise.all([import('./server.ts'), import('./target.ts')])
  return { InspectServer, Target }
}

const all = new WeakMap<object, Inspector>()

/** `app` is `FunctionScope.app`. */
export function inspectorOf(app: object): Inspector {
  const found = all.get(app)
  if (found !== undefined) return found
  const inspector = new Inspector()
  all.set(app, inspector)
  return inspector
}
