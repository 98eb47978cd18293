import { CODE, type Instruction } from '../../src/sandbox/seccomp/program.ts'

/** `struct seccomp_data`, without the instruction pointer. */
export interface Call {
  readonly number: number
  readonly architecture: number
  /** 64 bits each, as far as doubles hold them. */
  readonly args: readonly number[]
}

/** What the kernel's machine for classic BPF makes of a call. Steps are bounded by the length, for no jump leads back. */
export function runFilter(program: readonly Instruction[], call: Call): number {
  let accumulator = 0
  for (let index = 0; index < program.length; index += 1) {
    const { code, jt, jf, k } = program[index] ?? { code: -1, jt: 0, jf: 0, k: 0 }
    if (code === CODE.give) return k
    if (code === CODE.loadWord) accumulator = word(call, k)
    else if (code === MASK) accumulator = (accumulator & k) >>> 0
    else if (code === JUMP) index += k
    else index += holds(code, accumulator, k) ? jt : jf
  }
  throw new Error('the filter ends without a verdict')
}

// libseccomp's filters use these too.
const MASK = 0x54
const JUMP = 0x05
const JUMP_FROM = 0x35

function holds(code: number, accumulator: number, k: number): boolean {
  switch (code) {
    case CODE.jumpEqual:
      return accumulator === k
    case CODE.jumpAbove:
      return accumulator > k
    case JUMP_FROM:
      return accumulator >= k
    case CODE.jumpAnyBit:
      return (accumulator & k) !== 0
    default:
      throw new Error(`an instruction ${code} that nobody knows`)
  }
}

function word({ number, architecture, args }: Call, offset: number): number {
  if (offset === 0) return number
  if (offset === 4) return architecture
  const value = args[Math.floor((offset - 16) / 8)] ?? 0
  return offset % 8 === 0 ? value % 0x1_0000_0000 : Math.floor(value / 0x1_0000_0000)
}

/** `struct sock_filter[]` */
export function decode(bytes: Uint8Array): Instruction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.byteLength / 8 }, (_, index) => ({
    code: view.getUint16(index * 8, true),
    jt: view.getUint8(index * 8 + 2),
    jf: view.getUint8(index * 8 + 3),
    k: view.getUint32(index * 8 + 4, true),
  }))
}
