/** One instruction of classic BPF, as linux/filter.h has it. */
export interface Instruction {
  readonly code: number
  /** Instructions to skip when a comparison holds, and when not. */
  readonly jt: number
  readonly jf: number
  readonly k: number
}

// Of linux/bpf_common.h, in the combinations that are used here.
export const CODE = {
  loadWord: 0x20,
  jumpEqual: 0x15,
  jumpAbove: 0x25,
  jumpAnyBit: 0x45,
  give: 0x06,
} as const satisfies Record<string, number>

/** What a filter says about a call. Of linux/seccomp.h. */
export const VERDICT = {
  allow: 0x7fff_0000,
  killProcess: 0x8000_0000,
  errno: 0x0005_0000,
} as const satisfies Record<string, number>

/** Errors of asm-generic/errno.h that a filter answers with. */
export const ERRNO = { EPERM: 1, ENOSYS: 38, EAFNOSUPPORT: 97 } as const satisfies Record<string, number>

/** Offsets in `struct seccomp_data`. */
const OFFSET = { number: 0, architecture: 4, args: 16 } as const

/** x86_64 alone: calls of the x32 ABI carry this bit. */
const X32_BIT = 0x4000_0000

/** More of the kernel's than this is refused by it (BPF_MAXINSNS). */
const INSTRUCTIONS_MAX = 4096

/**
 * One question about an argument, answered in the low 32 bits: those that the kernel itself looks at, so nothing in the upper half gets
 * past. The first that holds decides.
 */
export interface ArgumentTest {
  readonly argument: 0 | 1 | 2 | 3 | 4 | 5
  /** `anyBit`: one of the bits is set; `noBit`: none is; `equal`, `unequal`: to one, to none of the values. */
  readonly is: 'anyBit' | 'noBit' | 'equal' | 'unequal'
  readonly values: readonly number[]
  readonly errno: number
}

/** What becomes of one call, by number: its tests, and the verdict when none of them holds. */
export interface CallRule {
  readonly number: number
  readonly tests: readonly ArgumentTest[]
  readonly verdict: number
}

export interface FilterPlan {
  /** AUDIT_ARCH_… of linux/audit.h. A call of another architecture (int 0x80) ends the process. */
  readonly architecture: number
  readonly hasX32: boolean
  /** Higher numbers are calls that nobody here knows: they are said not to exist. */
  readonly numberMax: number
  readonly rules: readonly CallRule[]
  /** For calls without a rule. */
  readonly verdict: number
}

/** @throws RangeError when it is longer than the kernel takes. */
export function assemble(plan: FilterPlan): Instruction[] {
  const program = [
    load(OFFSET.architecture),
    jump(CODE.jumpEqual, plan.architecture, { skip: 1 }),
    give(VERDICT.killProcess),
    load(OFFSET.number),
  ]
  // Before the numbers are compared: an x32 number is a huge one.
  if (plan.hasX32) program.push(jump(CODE.jumpAnyBit, X32_BIT, { skipElse: 1 }), give(VERDICT.killProcess))
  program.push(
    jump(CODE.jumpAbove, plan.numberMax, { skipElse: 1 }),
    give(VERDICT.errno | ERRNO.ENOSYS),
    ...plan.rules.flatMap(ruleProgram),
    give(plan.verdict),
  )
  if (program.length > INSTRUCTIONS_MAX) throw new RangeError(`a filter of ${program.length} instructions`)
  return program
}

function ruleProgram({ number, tests, verdict }: CallRule): Instruction[] {
  const body = [...tests.flatMap(testProgram), give(verdict)]
  return [jump(CODE.jumpEqual, number, { skipElse: body.length }), ...body]
}

function testProgram({ argument, is, values, errno }: ArgumentTest): Instruction[] {
  const refuse = give(VERDICT.errno | errno)
  const word = load(OFFSET.args + 8 * argument)
  switch (is) {
    case 'anyBit':
      return [word, jump(CODE.jumpAnyBit, bits(values), { skipElse: 1 }), refuse]
    case 'noBit':
      return [word, jump(CODE.jumpAnyBit, bits(values), { skip: 1 }), refuse]
    case 'equal':
      return [word, ...values.flatMap((value) => [jump(CODE.jumpEqual, value, { skipElse: 1 }), refuse])]
    case 'unequal':
      return [
        word,
        // Any that is equal jumps over those that follow, and over the refusal.
        ...values.map((value, index) => jump(CODE.jumpEqual, value, { skip: values.length - index })),
        refuse,
      ]
  }
}

function bits(values: readonly number[]): number {
  return values.reduce((all, value) => all | value, 0) >>> 0
}

function load(offset: number): Instruction {
  return { code: CODE.loadWord, jt: 0, jf: 0, k: offset }
}

function give(verdict: number): Instruction {
  return { code: CODE.give, jt: 0, jf: 0, k: verdict >>> 0 }
}

function jump(code: number, k: number, by: { skip?: number; skipElse?: number }): Instruction {
  return { code, jt: by.skip ?? 0, jf: by.skipElse ?? 0, k: k >>> 0 }
}

/** As `struct sock_filter[]`, little-endian, as both architectures are. */
export function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8)
  const view = new DataView(bytes.buffer)
  for (const [index, { code, jt, jf, k }] of program.entries()) {
    view.setUint16(index * 8, code, true)
    view.setUint8(index * 8 + 2, jt)
    view.setUint8(index * 8 + 3, jf)
    view.setUint32(index * 8 + 4, k, true)
  }
  return bytes
}
