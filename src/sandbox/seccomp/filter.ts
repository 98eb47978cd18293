import type { SystemCallPolicy } from '../sandbox.ts'
import { isCallName, type CallTable } from './call-names.ts'
import { ALLOW_GROUPS, DENIED, DENY_GROUPS, INDISPENSABLE, TESTED, UNKNOWABLE } from './call-rules.ts'
import {
  assemble,
  encode,
  ERRNO,
  VERDICT,
  type ArgumentTest,
  type CallRule,
  type Instruction,
} from './program.ts'

/**
 * The filter of system calls for a policy, as bwrap's `--seccomp` reads it. Undefined is the default deny list, which is under every
 * policy: no list of a function's own lets it do what none may.
 */
export function compileFilter(policy: SystemCallPolicy | undefined, table: CallTable): Uint8Array {
  return encode(filterProgram(policy, table))
}

export function filterProgram(policy: SystemCallPolicy | undefined, table: CallTable): Instruction[] {
  const rules = policy?.mode === 'allow' ? allowRules(policy.names) : denyRules(policy?.names ?? [])
  return assemble({
    ...table,
    rules: numbered(rules, table),
    verdict: policy?.mode === 'allow' ? refusal(ERRNO.EPERM) : VERDICT.allow,
  })
}

/** What is wrong with the names of a policy. Nothing of it is guessed: a function with such a policy does not start. */
export function policyFaults(policy: SystemCallPolicy | undefined): string[] {
  if (policy === undefined) return []
  return policy.names.flatMap((name) => nameFault(name, policy.mode) ?? [])
}

function nameFault(name: string, mode: SystemCallPolicy['mode']): string | undefined {
  const groups = mode === 'allow' ? ALLOW_GROUPS : DENY_GROUPS
  if (!groups.has(name) && !isCallName(name)) {
    return `"${name}" is no system call, and no group of them (${groupNames(groups)})`
  }
  if (mode === 'allow' && DENIED.includes(name)) return `the system call "${name}" is never allowed`
  if (mode === 'deny' && INDISPENSABLE.includes(name))
    return `without the system call "${name}" nothing starts`
  return undefined
}

function groupNames(groups: ReadonlyMap<string, unknown>): string {
  return [...groups.keys()].filter((name) => name.startsWith('@')).join(', ')
}

/** By name: what is asked first, and the verdict after it. */
interface NamedRule {
  readonly tests: readonly ArgumentTest[]
  readonly verdict: number
}

function defaultRules(): Map<string, NamedRule> {
  const rules = new Map<string, NamedRule>()
  for (const name of DENIED) rules.set(name, { tests: [], verdict: refusal(ERRNO.EPERM) })
  for (const name of UNKNOWABLE) rules.set(name, { tests: [], verdict: refusal(ERRNO.ENOSYS) })
  for (const [name, tests] of Object.entries(TESTED)) rules.set(name, { tests, verdict: VERDICT.allow })
  return rules
}

function denyRules(names: readonly string[]): Map<string, NamedRule> {
  const rules = defaultRules()
  for (const name of names) {
    const { calls, tests } = DENY_GROUPS.get(name) ?? { calls: [name], tests: {} }
    for (const call of calls) refuse(rules, call)
    for (const [call, more] of Object.entries(tests)) refuseWhere(rules, call, more)
  }
  return rules
}

function refuse(rules: Map<string, NamedRule>, call: string): void {
  // What "does not exist" stays so: a C library has another way then.
  if (!UNKNOWABLE.includes(call)) rules.set(call, { tests: [], verdict: refusal(ERRNO.EPERM) })
}

function refuseWhere(rules: Map<string, NamedRule>, call: string, tests: readonly ArgumentTest[]): void {
  const { tests: before, verdict } = rules.get(call) ?? { tests: [], verdict: VERDICT.allow }
  rules.set(call, { tests: [...before, ...tests], verdict })
}

function allowRules(names: readonly string[]): Map<string, NamedRule> {
  const allowed = new Set([...INDISPENSABLE, ...names.flatMap((name) => ALLOW_GROUPS.get(name) ?? [name])])
  const rules = new Map<string, NamedRule>()
  for (const [name, rule] of defaultRules()) {
    // A call that is tested is one of many, and has to be named as those.
    if (!(name in TESTED) || allowed.has(name)) rules.set(name, rule)
  }
  for (const name of allowed) {
    if (!rules.has(name)) rules.set(name, { tests: [], verdict: VERDICT.allow })
  }
  return rules
}

/** Calls that this architecture does not have need no rule. */
function numbered(rules: ReadonlyMap<string, NamedRule>, table: CallTable): CallRule[] {
  return [...rules].flatMap(([name, rule]) => {
    const number = table.numbers.get(name)
    return number === undefined ? [] : [{ number, ...rule }]
  })
}

function refusal(errno: number): number {
  return VERDICT.errno | errno
}
