import type { FlexiError } from '../../../core/errors.ts'
import { startError } from '../faults.ts'
import { RuntimeStartError } from '../start-error.ts'
import { createStackReader } from '../stack.ts'
import { scriptOf, type Part } from './composition.ts'
import { startGroupRuntime, type GroupRuntime } from './group-runtime.ts'
import type { Place } from './place.ts'

export type Plan = readonly { readonly place: Place; readonly part: Part }[]

export interface Started {
  readonly runtime: GroupRuntime
  /** What runs now: parts that failed have been replaced. */
  readonly plan: Plan
  readonly failures: ReadonlyMap<Place, FlexiError>
}

export interface PlanOptions {
  /** What each place ran before. */
  readonly before: ReadonlyMap<Place, Part | undefined>
  /** The places for whose sake it is started. */
  readonly wished: ReadonlySet<Place>
  /** A runtime serves these places meanwhile: one that brings nothing new is not worth starting. */
  readonly isServed: boolean
}

/**
 * Starts the runtime. A program that cannot be loaded takes no other one down with it: what ran before is started in its place, or a
 * worker that says why.
 * @throws FlexiError FLEXI_FUNCTION_INIT when nothing that was wished for can be started.
 */
export async function startPlan(plan: Plan, options: PlanOptions): Promise<Started> {
  const failures = new Map<Place, FlexiError>()
  for (let current = plan; ;) {
    const [first, ...others] = current.map(({ part }) => part)
    if (first === undefined) throw new Error('a runtime without workers is none')
    try {
      return { runtime: await startGroupRuntime([first, ...others]), plan: current, failures }
    } catch (error) {
      const failed = failedIn(error, current).filter(({ place }) => !failures.has(place))
      if (failed.length === 0) throw explain(error, first)
      for (const { place, part } of failed) failures.set(place, explain(wordsAbout(error, part.name), part))
      const [cause] = failures.values()
      if (isHopeless(plan, failures, options)) throw cause
      current = current.map((planned) => replaced(planned, { failures, before: options.before }))
    }
  }
}

/** `service core:user:NAME: Uncaught Error: …` */
function failedIn(error: unknown, plan: Plan): Plan {
  if (!(error instanceof RuntimeStartError)) return []
  return plan.filter(
    ({ part }) => part.built !== undefined && error.message.includes(`service core:user:${part.name}: `),
  )
}

function wordsAbout(error: unknown, name: string): unknown {
  if (!(error instanceof RuntimeStartError)) return error
  const own = error.message
    .split(/^(?=service )/m)
    .filter((words) => words.startsWith(`service core:user:${name}: `))
  return new RuntimeStartError(own.join('').trimEnd(), { cause: error.cause })
}

/** Why this part keeps its runtime from starting, at its place in the source. */
export function explain(error: unknown, part: Part): FlexiError {
  return startError(error, part.member.config.name, createStackReader(scriptOf(part)))
}

function isHopeless(
  plan: Plan,
  failures: ReadonlyMap<Place, FlexiError>,
  { wished, isServed }: PlanOptions,
): boolean {
  const wishes = plan.filter(({ place }) => wished.has(place))
  if (plan.every(({ place }) => failures.has(place))) return true
  return isServed && wishes.every(({ place }) => failures.has(place))
}

function replaced(
  planned: Plan[number],
  {
    failures,
    before,
  }: { readonly failures: ReadonlyMap<Place, FlexiError>; readonly before: PlanOptions['before'] },
): Plan[number] {
  const { place, part } = planned
  const failure = failures.get(place)
  if (failure === undefined) return planned
  const previous = before.get(place)
  const usable = previous !== undefined && previous.built !== part.built
  if (usable) return { place, part: previous }
  return { place, part: { ...part, built: undefined, reason: failure.message } }
}
