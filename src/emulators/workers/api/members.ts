import type { Member } from '../groups/groups.ts'

/** What the runtime calls it, and what others bind to. */
export function runtimeName(member: Member): string {
  return member.settings().config.name ?? member.config.name
}

/** What fires by the clock; nothing where the function's `crons` option is false. */
export function cronsOf(member: Member): readonly string[] {
  if (member.config.options['crons'] === false) return []
  return member.settings().config.triggers.crons ?? []
}
