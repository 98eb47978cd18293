import { setImmediate as nextTurn } from 'node:timers/promises'

import { FlexiError } from '../../../core/errors.ts'
import type { Instance } from '../../../core/function.ts'
import { LIMITS } from '../../../core/limits.ts'
import type { Control } from '../control/control.ts'
import { inspectorOf } from '../inspect/inspector.ts'
import { workerName } from './composition.ts'
import { exchange, type Wish } from './exchange.ts'
import type { GroupRuntime } from './group-runtime.ts'
import type { BuiltWorker, Groups, Member } from './groups.ts'
import { connected, type Linked } from './links.ts'
import { Place } from './place.ts'

export function createRegister(): Groups {
  return new Register()
}

const RETIREMENT = { requestMs: LIMITS.drainMs, answerMs: LIMITS.drainMs, sockets: true } as const

interface Waiting extends Wish {
  /** What is in force already is to be started in another runtime than this one. */
  readonly insteadOf?: GroupRuntime | undefined
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Decides which places are exchanged together. Those that have nothing to do with each other are exchanged at the same time. */
class Register implements Groups {
  /** By the functions' names. */
  readonly #places = new Map<string, Place>()
  readonly #busy = new Set<Place>()
  readonly #exchanges = new Set<Promise<void>>()
  /** Runtimes that finish what they hold, with the places they served. */
  readonly #retiring = new Map<GroupRuntime, readonly Place[]>()
  #waiting: Waiting[] = []

  members(): readonly Member[] {
    return [...this.#places.values()].map(({ member }) => member)
  }

  join(member: Member): Disposable {
    const { name } = member.config
    const place = this.#places.get(name) ?? new Place()
    this.#places.set(name, place)
    place.members.push(member)
    const inspected = openForDebuggers(member)
    return {
      [Symbol.dispose]: () => {
        inspected?.[Symbol.dispose]()
        this.#leave(place, member)
      },
    }
  }

  async start(member: Member, built: BuiltWorker): Promise<Instance> {
    const place = this.#placeOf(member.config.name)
    // It holds the runtime, which is let go when nobody uses it.
    const instance = place.open(() => this.#letGo(place))
    try {
      await this.#put(place, built)
      return instance
    } catch (error) {
      await instance[Symbol.asyncDispose]()
      throw error
    }
  }

  async control(name: string): Promise<Control> {
    const place = this.#placeOf(name)
    await this.#run(place)
    return {
      ask: async (request) => {
        await this.#run(place)
        const seated = await place.arrival()
        if (seated === undefined) throw new Error(`the runtime of ${name} does not answer`)
        return seated.runtime.control.ask(request)
      },
    }
  }

  async #run(place: Place): Promise<void> {
    if (place.runtime === undefined) await this.#put(place, await place.member.built())
  }

  #placeOf(name: string): Place {
    const place = this.#places.get(name)
    if (place !== undefined) return place
    throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `there is no worker ${name}`, {
      hint: 'See "flexi check" for the names.',
    })
  }

  #leave(place: Place, member: Member): void {
    place.members.splice(place.members.indexOf(member), 1)
    if (place.members.length > 0) return
    this.#places.delete(member.config.name)
    if (place.isUsed) return
    const { runtime } = place
    void this.#letGo(place)
    if (runtime !== undefined) void this.#forget(runtime)
  }

  /** Somebody left for good: the others go on without that worker, its consumers and what they are bound to of it. */
  async #forget(runtime: GroupRuntime): Promise<void> {
    // They may be leaving too.
    await nextTurn()
    const mates = [...this.#places.values()].filter((place) => place.runtime === runtime)
    if (!mates.some(({ isUsed }) => isUsed)) return
    this.#renew(mates)
    this.#tend()
  }

  /** Ends a runtime that no instance leads to any more. */
  async #letGo(place: Place): Promise<void> {
    // An exchange that is under way would leave a runtime behind.
    while (this.#busy.has(place)) await Promise.race(this.#exchanges)
    const { runtime } = place
    const mates = [...this.#places.values()].filter((other) => other.runtime === runtime)
    const leaving = [...this.#retiring].filter(([, places]) => !places.some(({ isUsed }) => isUsed))
    const ending = leaving.map(([retired]) => retired.dispose())
    if (runtime !== undefined && !place.isUsed && !mates.some(({ isUsed }) => isUsed)) {
      for (const mate of [place, ...mates]) mate.unseat()
      ending.push(runtime.dispose())
    }
    await Promise.all(ending)
  }

  /** Nobody is led there any more: it ends when it has answered what it holds, or with the last of those it served. */
  #retire(runtime: GroupRuntime, places: readonly Place[]): void {
    this.#retiring.set(runtime, places)
    const end = async (): Promise<void> => {
      await runtime.idle(RETIREMENT)
      await runtime.dispose()
      this.#retiring.delete(runtime)
    }
    void end()
  }

  /** Resolves when this build is in force. */
  async #put(place: Place, built: BuiltWorker): Promise<void> {
    if (place.runs(built)) return
    const mates = this.#connectedTo(place, new Map([[place, built]]))
    const unknown = mates.filter((mate) => mate !== place && mate.part === undefined)
    await Promise.all(unknown.map((mate) => mate.member.built().catch(() => undefined)))
    // Those that were built together are started together.
    if (unknown.length > 0) await nextTurn()
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ place, built, resolve, reject })
      this.#tend()
    })
  }

  #tend(): void {
    for (const wish of this.#waiting.slice()) {
      if (!this.#waiting.includes(wish)) continue
      if (this.#isIdle(wish)) {
        this.#waiting.splice(this.#waiting.indexOf(wish), 1)
        wish.resolve()
        continue
      }
      const places = this.#reachOf(wish.place)
      if (places.some((place) => this.#busy.has(place))) continue
      const exchanging = this.#exchange(places)
      this.#exchanges.add(exchanging)
      void exchanging.finally(() => this.#exchanges.delete(exchanging))
    }
  }

  #isIdle({ place, built, insteadOf }: Waiting): boolean {
    if (place.members.length === 0) return true
    return insteadOf === undefined ? place.runs(built) : place.runtime !== insteadOf
  }

  async #exchange(places: readonly Place[]): Promise<void> {
    const taken = this.#waiting.filter(({ place }) => places.includes(place))
    this.#waiting = this.#waiting.filter((wish) => !taken.includes(wish))
    // What somebody asks for comes after what is only to be renewed.
    const ordered = taken.toSorted((a, b) => Number(isRenewal(b)) - Number(isRenewal(a)))
    const wishes = new Map(ordered.map(({ place, built }) => [place, built]))
    const sets = connected(places, (place) => linkedOf(place, wishes.get(place)))
    for (const place of places) this.#busy.add(place)
    try {
      const failures = await exchange({ sets, wishes, retire: (runtime) => this.#retire(runtime, places) })
      for (const { place, resolve, reject } of taken) {
        const failure = failures.get(place)
        if (failure === undefined) resolve()
        else reject(failure)
      }
    } catch (error) {
      for (const { reject } of taken) reject(error)
    } finally {
      for (const place of places) this.#busy.delete(place)
      // A process that keeps too much of what it once ran is replaced behind the requests' back.
      if (!taken.every(isRenewal)) this.#renew(places.filter(({ runtime }) => runtime?.isWorn === true))
      this.#tend()
    }
  }

  /** What these run is to run in a fresh process. */
  #renew(places: readonly Place[]): void {
    const nobody = (): void => undefined
    for (const place of places) {
      const built = place.part?.built
      if (built !== undefined)
        this.#waiting.push({ place, built, insteadOf: place.runtime, resolve: nobody, reject: nobody })
    }
  }

  /** Everybody whom an exchange of this place concerns: whom it will share a runtime with, whom it shares one with now, and so on. */
  #reachOf(start: Place): readonly Place[] {
    const wishes = new Map(this.#waiting.map(({ place, built }) => [place, built]))
    const reached = new Set([start])
    for (const place of reached) {
      for (const mate of this.#connectedTo(place, wishes)) reached.add(mate)
      for (const mate of this.#places.values())
        if (place.runtime !== undefined && mate.runtime === place.runtime) reached.add(mate)
    }
    // In the project's order: the first one of a runtime speaks for it, whoever was built first.
    return [...this.#places.values()].filter((place) => reached.has(place))
  }

  #connectedTo(place: Place, wishes: ReadonlyMap<Place, BuiltWorker>): readonly Place[] {
    const sets = connected([...this.#places.values()], (other) => linkedOf(other, wishes.get(other)))
    return sets.find((set) => set.includes(place)) ?? [place]
  }
}

function isRenewal({ insteadOf }: Waiting): boolean {
  return insteadOf !== undefined
}

/** Where a debugger finds this function, whatever runs it. */
function openForDebuggers({ config, scope }: Member): Disposable | undefined {
  if (scope.inspectPort === undefined) return undefined
  return inspectorOf(scope.app).open({
    name: config.name,
    port: scope.inspectPort,
    breakAtStart: scope.breakAtStart === true,
    tell: (level, text) => scope.output({ stream: 'platform', level, text }),
  })
}

function linkedOf(place: Place, wished: BuiltWorker | undefined): Linked {
  const settings = (wished ?? place.part?.built)?.settings ?? place.member.settings()
  const { config, bindings } = settings
  return { name: workerName(place.member, settings), config, options: bindings.options }
}
