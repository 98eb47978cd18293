import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import koffi from 'koffi'

import type { SystemCallPolicy } from '../../src/sandbox/sandbox.ts'
import type { CallTable } from '../../src/sandbox/seccomp/call-names.ts'
import { ALLOW_GROUPS, DENIED, INDISPENSABLE } from '../../src/sandbox/seccomp/call-rules.ts'
import type { Instruction } from '../../src/sandbox/seccomp/program.ts'
import { decode } from './filter-machine.ts'

const ALLOW = 0x7fff_0000
const EPERM = 0x0005_0001
const ENOSYS = 0x0005_0026
const EAFNOSUPPORT = 0x0005_0061
const GREATER = 6
const EQUAL = 4
const MASKED_EQUAL = 7
const CLONE_THREAD = 0x1_0000

/** `struct scmp_arg_cmp` */
interface Comparison {
  readonly arg: number
  readonly op: number
  readonly datum_a: number
  readonly datum_b: number
}

/** The same policies in libseccomp's words: all but `personality` and an `ioctl` that is allowed, which it cannot say. */
export function openOracle(
  library: string,
  policy: SystemCallPolicy | undefined,
  table: CallTable,
): Instruction[] {
  const lib = koffi.load(library)
  koffi.struct('scmp_arg_cmp', { arg: 'uint32', op: 'int32', datum_a: 'uint64', datum_b: 'uint64' })
  try {
    const init = lib.func('void *seccomp_init(uint32 action)')
    const add = lib.func(
      'int seccomp_rule_add_array(void *ctx, uint32 action, int call, uint32 count, scmp_arg_cmp *args)',
    )
    const exportBpf = lib.func('int seccomp_export_bpf(void *ctx, int fd)')
    const release = lib.func('void seccomp_release(void *ctx)')
    const isAllow = policy?.mode === 'allow'
    const context: unknown = init(isAllow ? EPERM : ALLOW)
    const rule = (action: number, name: string, args: readonly Comparison[] = []): void => {
      const number = table.numbers.get(name)
      // The library refuses a rule that says what is said of everything else.
      if (number === undefined || action === (isAllow ? EPERM : ALLOW)) return
      const code = Number(add(context, action, number, args.length, args))
      if (code !== 0) throw new Error(`libseccomp refuses a rule for ${name}: ${code}`)
    }
    if (isAllow) allowRules(policy.names, rule)
    else denyRules(policy?.names ?? [], rule)
    const program = exported((fd) => exportBpf(context, fd))
    release(context)
    return program
  } finally {
    koffi.reset()
  }
}

/** Numbers as the library knows them, negative for calls it does not. `architecture` is AUDIT_ARCH_…. */
export function callNumber(library: string, architecture: number, name: string): number {
  const lib = koffi.load(library)
  return Number(
    lib.func('int seccomp_syscall_resolve_name_arch(uint32 architecture, const char *name)')(
      architecture,
      name,
    ),
  )
}

type AddRule = (action: number, name: string, args?: readonly Comparison[]) => void

function compare(arg: number, op: number, a: number, b = 0): Comparison {
  return { arg, op, datum_a: a, datum_b: b }
}

/** libseccomp compares 64 bits, so the upper half is masked away where the kernel does not look at it. */
function low(arg: number, value: number): Comparison {
  return compare(arg, MASKED_EQUAL, 0xffff_ffff, value)
}

const NAMESPACE_BITS = [17, 25, 26, 27, 28, 29, 30].map((bit) => 2 ** bit)

function denyRules(names: readonly string[], rule: AddRule): void {
  for (const name of DENIED) rule(EPERM, name)
  rule(ENOSYS, 'clone3')
  for (const bit of NAMESPACE_BITS) rule(EPERM, 'clone', [compare(0, MASKED_EQUAL, bit, bit)])
  rule(EPERM, 'ioctl', [low(1, 0x5412)])
  rule(EPERM, 'ioctl', [low(1, 0x541c)])
  if (names.includes('@network')) {
    for (const family of [2, 10, 16]) rule(EPERM, 'socket', [low(0, family)])
  }
  unknownFamilies(rule)
  if (names.includes('fork')) {
    for (const name of ['fork', 'vfork']) rule(EPERM, name)
    rule(EPERM, 'clone', [compare(0, MASKED_EQUAL, CLONE_THREAD, 0)])
  }
  for (const name of names) if (/^(?!fork)\w+$/.test(name)) rule(EPERM, name)
}

function allowRules(names: readonly string[], rule: AddRule): void {
  const all = new Set([...INDISPENSABLE, ...names.flatMap((name) => ALLOW_GROUPS.get(name) ?? [name])])
  rule(ENOSYS, 'clone3')
  const tested = ['clone', 'ioctl', 'socket', 'personality']
  for (const name of all) if (!tested.includes(name)) rule(ALLOW, name)
  // Only those without any of the bits: the library's default, EPERM, is for the others.
  const bits = NAMESPACE_BITS.reduce((sum, bit) => sum + bit, 0)
  if (all.has('clone')) rule(ALLOW, 'clone', [compare(0, MASKED_EQUAL, bits, 0)])
  if (!all.has('socket')) return
  for (const family of [1, 2, 10, 16]) rule(ALLOW, 'socket', [compare(0, EQUAL, family)])
  unknownFamilies(rule)
}

/** One comparison for an argument is all that the library takes in a rule. */
function unknownFamilies(rule: AddRule): void {
  for (const family of [0, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15]) {
    rule(EAFNOSUPPORT, 'socket', [compare(0, EQUAL, family)])
  }
  rule(EAFNOSUPPORT, 'socket', [compare(0, GREATER, 16)])
}

function exported(write: (fd: number) => unknown): Instruction[] {
  const folder = mkdtempSync(join(tmpdir(), 'flexi-bpf-'))
  try {
    const file = join(folder, 'filter')
    const fd = openSync(file, 'w')
    write(fd)
    closeSync(fd)
    return decode(readFileSync(file))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
