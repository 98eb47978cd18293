import { AARCH64, X86_64 } from './tables.ts'

/** System calls of one architecture. */
export interface CallTable {
  /** AUDIT_ARCH_… of linux/audit.h. */
  readonly architecture: number
  readonly hasX32: boolean
  readonly numbers: ReadonlyMap<string, number>
  readonly numberMax: number
}

const AUDIT_ARCH = { x86_64: 0xc000_003e, aarch64: 0xc000_00b7 } as const

/** Undefined for an architecture we have no table of: no filter can be made there. `architecture` is Node's name (`x64`, `arm64`). */
export function callTable(architecture: string): CallTable | undefined {
  if (architecture === 'x64') return parsed(X86_64, AUDIT_ARCH.x86_64, true)
  if (architecture === 'arm64') return parsed(AARCH64, AUDIT_ARCH.aarch64, false)
  return undefined
}

/** Whether any architecture has such a call: `fork` is one, though aarch64 has none. */
export function isCallName(name: string): boolean {
  allNames ??= new Set(
    [...wordsOf(X86_64), ...wordsOf(AARCH64)].map((word) => word.slice(0, word.indexOf(':'))),
  )
  return allNames.has(name)
}

let allNames: ReadonlySet<string> | undefined

function parsed(text: string, architecture: number, hasX32: boolean): CallTable {
  const numbers = new Map(
    wordsOf(text).map((word) => {
      const [name = '', number] = word.split(':')
      return [name, Number(number)]
    }),
  )
  return { architecture, hasX32, numbers, numberMax: Math.max(...numbers.values()) }
}

function wordsOf(text: string): string[] {
  return text.trim().split(/\s+/)
}
