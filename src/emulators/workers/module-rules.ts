import type { Config } from './configuration.ts'

/** What a rule can make of a file. */
export type ModuleType = 'ESModule' | 'CommonJS' | 'Text' | 'Data' | 'CompiledWasm'

export interface ModuleRule {
  readonly type: string
  readonly globs: readonly string[]
  readonly fallthrough?: boolean | undefined
}

/** What wrangler treats as data without being told. */
const DEFAULT_RULES: readonly ModuleRule[] = [
  { type: 'Text', globs: ['**/*.txt', '**/*.html', '**/*.sql'] },
  { type: 'Data', globs: ['**/*.bin'] },
  { type: 'CompiledWasm', globs: ['**/*.wasm', '**/*.wasm?module'] },
]

const TYPES: readonly ModuleType[] = ['ESModule', 'CommonJS', 'Text', 'Data', 'CompiledWasm']

export interface ModuleRules {
  readonly rules: readonly ModuleRule[]
  /** Out of force because an earlier rule of their type has no `fallthrough`; a file that one of them means is an error. */
  readonly removed: readonly ModuleRule[]
  readonly warnings: readonly string[]
}

/** The file's rules and then the default ones, of which a rule without `fallthrough` removes its type. */
export function moduleRules(own: Config['rules']): ModuleRules {
  const closing = new Map<string, ModuleRule>()
  const rules: ModuleRule[] = []
  const removed: ModuleRule[] = []
  const silenced = new Set<string>()
  for (const rule of [...own, ...DEFAULT_RULES]) {
    const closed = closing.get(rule.type)
    if (closed === undefined) {
      rules.push(rule)
      if (rule.fallthrough !== true) closing.set(rule.type, rule)
      if (rule.fallthrough === false) silenced.add(rule.type)
    } else removed.push(rule)
  }
  return { rules, removed, warnings: warningsOf({ own, removed, silenced }) }
}

function warningsOf({
  own,
  removed,
  silenced,
}: {
  own: readonly ModuleRule[]
  removed: readonly ModuleRule[]
  silenced: ReadonlySet<string>
}): readonly string[] {
  const shadowed = [...new Set(removed.map(({ type }) => type))].filter((type) => !silenced.has(type))
  const lost = (type: string): string =>
    removed
      .filter((rule) => rule.type === type)
      .flatMap(({ globs }) => globs)
      .join(', ')
  const unknown = own.map(({ type }) => type).filter((type) => !TYPES.some((known) => known === type))
  return [
    ...shadowed.map(
      (type) =>
        `the first rule of type ${type} has no "fallthrough", so ${lost(type)} is an error when it is imported: write "fallthrough": true to keep it, or false to be told no more`,
    ),
    ...unknown.map((type) => `rules of type ${type} have no effect: Python Workers are not run here`),
  ]
}

/** A rule's pattern, ready to be asked. */
export interface Matcher {
  readonly rule: ModuleRule
  /** Undefined for a type that nothing here can load. */
  readonly type: ModuleType | undefined
  readonly pattern: RegExp
}

/** For import specifiers, in which a `*` crosses slashes, as wrangler has it; and for paths of files, in which it does not. */
export function matchers(rules: readonly ModuleRule[], of: 'specifiers' | 'paths'): readonly Matcher[] {
  return rules.flatMap((rule) => {
    const type = TYPES.find((name) => name === rule.type)
    return rule.globs.map((glob) => ({ rule, type, pattern: globPattern(glob, of) }))
  })
}

/** Each of `**` with its slash, `*`, `?` before `module` literally, and `{a,b}`. */
export function globPattern(glob: string, of: 'specifiers' | 'paths' = 'paths'): RegExp {
  const source = glob.replace(/\*\*\/|\*\*|\*|\{[^}]*\}|[.+^$()|[\]\\?{}]/g, (part) => {
    if (part === '**/') return '(?:.*/)?'
    if (part === '**') return '.*'
    if (part === '*') return of === 'specifiers' ? '.*' : '[^/]*'
    if (part.length > 1) return `(?:${part.slice(1, -1).split(',').map(escapeLiteral).join('|')})`
    return `\\${part}`
  })
  return new RegExp(`^${source}$`)
}

function escapeLiteral(text: string): string {
  return text.replace(/[.*+?^$()|[\]\\{}]/g, '\\$&')
}
