import { asFlexiError, errorMessage } from '../../../core/errors.ts'
import type { FlexiError } from '../../../core/errors.ts'
import { RuntimeStartError } from '../start-error.ts'
import { workerName, type Part } from './composition.ts'
import type { GroupRuntime } from './group-runtime.ts'
import type { BuiltWorker } from './groups.ts'
import { ownsData, sharesCache } from './owned-data.ts'
import type { Place } from './place.ts'
import { explain, startPlan, type Plan, type Started } from './plan.ts'

/** A place that is to run something else. */
export interface Wish {
  readonly place: Place
  readonly built: BuiltWorker
}

export interface ExchangeOptions {
  /** Places that share a runtime from now on; all whose runtimes are concerned. */
  readonly sets: readonly (readonly Place[])[]
  readonly wishes: ReadonlyMap<Place, BuiltWorker>
  /** Nobody is led there any more. */
  readonly retire: (runtime: GroupRuntime) => void
}

/** An exclusive runtime is waited for so long, because everybody else waits for its end. */
const HANDOVER = { requestMs: 5_000, answerMs: 1_000, sockets: false } as const

/**
 * Starts new runtimes for the sets, leads requests to them and lets the old ones finish. Where two may not live at a time, requests wait
 * while one ends and the other starts. What cannot be started is told, and what ran before runs on.
 */
export async function exchange({
  sets,
  wishes,
  retire,
}: ExchangeOptions): Promise<ReadonlyMap<Place, FlexiError>> {
  const places = sets.flat()
  const before = new Map(places.map((place) => [place, place.part]))
  const old = new Set(places.flatMap(({ runtime }) => runtime ?? []))
  const plans = await Promise.all(
    sets.filter((set) => isWanted(set, wishes)).map((set) => planOf(set, wishes)),
  )
  const exclusive = old.size > 0 && isExclusive([...before.values(), ...plans.flat().map(({ part }) => part)])
  if (exclusive) await endAll(old, places)
  const outcomes = await Promise.all(
    plans.map((plan) => settle(plan, { wishes, replaces: exclusive ? undefined : old, before })),
  )
  const unused = exclusive
    ? []
    : [...old].filter((runtime) => !places.some((place) => place.runtime === runtime))
  for (const runtime of unused) retire(runtime)
  return new Map(outcomes.flatMap((failures) => [...failures]))
}

function isWanted(set: readonly Place[], wishes: ExchangeOptions['wishes']): boolean {
  return set.some((place) => wishes.has(place) || place.runtime !== undefined)
}

/**
 * Every kind of stored data is a database of SQLite that a process locks while it writes: two of them would fail each other's requests,
 * and run every Durable Object twice.
 */
function isExclusive(parts: readonly (Part | undefined)[]): boolean {
  return parts.some((part) => part?.built !== undefined && (ownsData(part.built) || sharesCache(part.built)))
}

/** What each place is to run: what it asks for, what it runs, what it was built to, or a word about why it cannot. */
async function planOf(set: readonly Place[], wishes: ExchangeOptions['wishes']): Promise<Plan> {
  const names = new Set<string>()
  const plan: { place: Place; part: Part }[] = []
  for (const place of set) {
    const { member, lastBuilt } = place
    const { built, reason } = await buildOf(place, wishes.get(place) ?? lastBuilt)
    const wanted = workerName(member, built?.settings ?? member.settings())
    const name = names.has(wanted) ? `${wanted}--${member.config.name}` : wanted
    names.add(name)
    plan.push({ place, part: { member, name, built, reason } })
  }
  return plan
}

async function buildOf(
  { member }: Place,
  known: BuiltWorker | undefined,
): Promise<Pick<Part, 'built' | 'reason'>> {
  try {
    return { built: known ?? (await member.built()) }
  } catch (error) {
    return { built: undefined, reason: errorMessage(error) }
  }
}

/** Nothing new reaches the runtimes; what is under way may end, but not for long. */
async function endAll(runtimes: ReadonlySet<GroupRuntime>, places: readonly Place[]): Promise<void> {
  for (const place of places) place.unseat()
  await Promise.all(
    [...runtimes].map(async (runtime) => {
      await runtime.idle(HANDOVER)
      runtime.closeSockets()
      await runtime.end()
    }),
  )
}

interface Situation {
  readonly wishes: ExchangeOptions['wishes']
  /** What serves on when a plan fails; undefined when it was ended. */
  readonly replaces: ReadonlySet<GroupRuntime> | undefined
  readonly before: ReadonlyMap<Place, Part | undefined>
}

/** Starts one plan and seats its places; or says why not, having put back what was there. */
async function settle(plan: Plan, situation: Situation): Promise<ReadonlyMap<Place, FlexiError>> {
  const { wishes, replaces, before } = situation
  const isServed = replaces !== undefined && plan.some(({ place }) => place.runtime !== undefined)
  try {
    if (await swapped(plan)) return new Map()
    const started = await startPlan(plan, { before, wished: new Set(wishes.keys()), isServed })
    seatAll(started)
    return started.failures
  } catch (error) {
    const failure = asFlexiError(error, 'FLEXI_FUNCTION_INIT')
    if (replaces === undefined) await restore(plan, before, failure)
    return new Map(plan.filter(({ place }) => wishes.has(place)).map(({ place }) => [place, failure]))
  }
}

/** A worker by itself, without anything stored, is exchanged inside the running process. */
async function swapped(plan: Plan): Promise<boolean> {
  const [planned, ...others] = plan
  if (planned === undefined || others.length > 0) return false
  const { place, part } = planned
  const { runtime } = place
  if (runtime === undefined || !canSwap(runtime) || place.part?.built === part.built) return false
  try {
    const worker = await runtime.swap(part)
    if (worker !== undefined) place.seat({ runtime, worker, part })
    return worker !== undefined
  } catch (error) {
    // Whatever else went wrong with the process, a fresh one does not have.
    if (!(error instanceof RuntimeStartError)) return false
    throw explain(error, part)
  }
}

function canSwap({ isWorn, workers }: GroupRuntime): boolean {
  return !isWorn && workers.length === 1
}

/** The composition from before, which did start once. */
async function restore(plan: Plan, before: Situation['before'], failure: Error): Promise<void> {
  const previous = plan.flatMap(({ place }) => {
    const part = before.get(place)
    return part === undefined ? [] : [{ place, part }]
  })
  try {
    if (previous.length > 0)
      seatAll(await startPlan(previous, { before, wished: new Set(), isServed: false }))
  } catch {
    // What is told is why the new one does not start.
  }
  for (const { place } of plan) if (place.runtime === undefined) place.abandon(failure)
}

function seatAll({ runtime, plan }: Started): void {
  plan.forEach(({ place, part }, index) => {
    const worker = runtime.workers[index]
    if (worker !== undefined) place.seat({ runtime, worker, part })
  })
  void runtime.ended.then(() => {
    const error = new Error('workerd ended')
    for (const { place } of plan) if (place.runtime === runtime) place.abandon(error)
  })
}
