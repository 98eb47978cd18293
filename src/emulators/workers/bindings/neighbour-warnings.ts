import type { FunctionScope } from '../../../core/function.ts'
import type { Bindings } from '../bindings.ts'

const told = new WeakMap<FunctionScope, Set<string>>()

/** Says what is only known since the other workers are: who is not there, whose messages nobody takes. Each sentence once. */
export function tellOfNeighbours(
  scope: FunctionScope,
  { alone, bound }: { readonly alone: Bindings; readonly bound: Bindings },
): void {
  const before = told.get(scope) ?? new Set(alone.warnings)
  told.set(scope, before)
  for (const text of bound.warnings) {
    if (before.has(text) || alone.warnings.includes(text)) continue
    before.add(text)
    scope.output({ stream: 'platform', level: 'warn', text })
  }
}
