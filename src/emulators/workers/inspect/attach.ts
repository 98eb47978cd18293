import type { ComposedPart } from '../groups/composition.ts'
import { inspectorOf } from './inspector.ts'
import type { Attachment, RunningScript } from './target.ts'

/** Leads debuggers to the workers of a runtime that has started, until disposed of. `inspector` is where workerd listens for them. */
export function attachInspector(
  inspector: URL | undefined,
  parts: readonly ComposedPart[],
): Attachment | undefined {
  const [first] = parts
  if (inspector === undefined || first === undefined) return undefined
  const running = parts
    .filter(({ built }) => built !== undefined)
    .map(({ member, name, script, names }): readonly [string, RunningScript] => [
      member.config.name,
      { url: new URL(`/core:user:${name}`, inspector).href, script, token: names.console.token },
    ])
  return inspectorOf(first.member.scope.app).attach(new Map(running))
}
