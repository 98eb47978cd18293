import { existsSync } from 'node:fs'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { SystemCallPolicy } from '../../src/sandbox/sandbox.ts'
import { callTable, type CallTable } from '../../src/sandbox/seccomp/call-names.ts'
import { DENIED } from '../../src/sandbox/seccomp/call-rules.ts'
import { compileFilter, filterProgram, policyFaults } from '../../src/sandbox/seccomp/filter.ts'
import { VERDICT } from '../../src/sandbox/seccomp/program.ts'
import { runFilter, type Call } from './filter-machine.ts'
import { callNumber, openOracle } from './libseccomp.ts'

const X64 = tableOf('x64')
const ARM64 = tableOf('arm64')
const EPERM = VERDICT.errno | 1
const ENOSYS = VERDICT.errno | 38
const CLONE_THREAD = 0x1_0000
const CLONE_NEWUSER = 0x1000_0000

function tableOf(architecture: string): CallTable {
  const table = callTable(architecture)
  if (table === undefined) throw new Error(`no table for ${architecture}`)
  return table
}

/** What a policy says about a call. */
function verdict(
  policy: SystemCallPolicy | undefined,
  name: string,
  { table = X64, args = [] }: { table?: CallTable; args?: readonly number[] } = {},
): number {
  const number = table.numbers.get(name)
  if (number === undefined) throw new Error(`${name} has no number`)
  return runFilter(filterProgram(policy, table), { number, architecture: table.architecture, args })
}

function deny(...names: string[]): SystemCallPolicy {
  return { mode: 'deny', names }
}

function allow(...names: string[]): SystemCallPolicy {
  return { mode: 'allow', names }
}

describe('tables', () => {
  test.each([
    ['x64', { read: 0, clone: 56, execve: 59, ptrace: 101, mount: 165, clone3: 435, mseal: 462 }],
    ['arm64', { read: 63, clone: 220, execve: 221, ptrace: 117, mount: 40, clone3: 435, mseal: 462 }],
  ])('know the calls of %s by their numbers', (architecture, numbers) => {
    const table = tableOf(architecture)
    for (const [name, number] of Object.entries(numbers)) expect(table.numbers.get(name)).toBe(number)
  })

  test('have no call twice, and every call that is denied', () => {
    for (const table of [X64, ARM64]) {
      expect(new Set(table.numbers.values()).size).toBe(table.numbers.size)
    }
    expect(DENIED.filter((name) => !X64.numbers.has(name) && !ARM64.numbers.has(name))).toEqual([])
  })

  test('are not there for an architecture that nobody made one for', () => {
    expect(callTable('riscv64')).toBeUndefined()
  })
})

describe.each([
  ['x86_64', X64],
  ['aarch64', ARM64],
])('the default filter on %s', (_name, table) => {
  test('denies what leads out of sandboxes, and lets programs run', () => {
    for (const name of [
      'ptrace',
      'mount',
      'unshare',
      'setns',
      'bpf',
      'io_uring_setup',
      'keyctl',
      'kexec_load',
    ]) {
      expect([name, verdict(undefined, name, { table })]).toEqual([name, EPERM])
    }
    for (const name of ['read', 'execve', 'socket', 'clone', 'futex', 'openat']) {
      const args = name === 'socket' ? [1] : []
      expect([name, verdict(undefined, name, { table, args })]).toEqual([name, VERDICT.allow])
    }
  })

  test('lets clone make threads and processes, and no namespaces', () => {
    expect(verdict(undefined, 'clone', { table, args: [CLONE_THREAD] })).toBe(VERDICT.allow)
    expect(verdict(undefined, 'clone', { table, args: [17] })).toBe(VERDICT.allow)
    expect(verdict(undefined, 'clone', { table, args: [CLONE_NEWUSER | 17] })).toBe(EPERM)
  })

  test('says that clone3 does not exist, because its flags cannot be seen', () => {
    expect(verdict(undefined, 'clone3', { table })).toBe(ENOSYS)
  })

  test('ends a process that calls for another architecture', () => {
    const program = filterProgram(undefined, table)
    expect(runFilter(program, { number: 0, architecture: 0x4000_0003, args: [] })).toBe(VERDICT.killProcess)
  })

  test('says that calls which came after its table do not exist', () => {
    const { architecture, numberMax } = table
    const program = filterProgram(undefined, table)
    expect(runFilter(program, { number: numberMax + 1, architecture, args: [] })).toBe(ENOSYS)
    expect(runFilter(program, { number: numberMax, architecture, args: [] })).toBe(VERDICT.allow)
  })
})

test('ends a process that calls by the x32 numbers of x86_64', () => {
  const call = { number: 0x4000_0000, architecture: X64.architecture, args: [] }
  expect(runFilter(filterProgram(undefined, X64), call)).toBe(VERDICT.killProcess)
})

test.each([
  ['unix', 1, VERDICT.allow],
  ['inet', 2, VERDICT.allow],
  ['inet6', 10, VERDICT.allow],
  ['netlink', 16, VERDICT.allow],
  ['packet', 17, VERDICT.errno | 97],
  ['alg', 38, VERDICT.errno | 97],
  ['vsock', 40, VERDICT.errno | 97],
])('knows sockets of the family %s', (_name, family, expected) => {
  expect(verdict(undefined, 'socket', { args: [family] })).toBe(expected)
})

test('keeps TIOCSTI from a terminal, also with something in the upper half that the kernel does not look at', () => {
  expect(verdict(undefined, 'ioctl', { args: [0, 0x5412] })).toBe(EPERM)
  expect(verdict(undefined, 'ioctl', { args: [0, 0x1_0000_5412] })).toBe(EPERM)
  expect(verdict(undefined, 'ioctl', { args: [0, 0x5413] })).toBe(VERDICT.allow)
})

describe('a deny list', () => {
  test('adds to the default one', () => {
    expect(verdict(deny('getcwd'), 'getcwd')).toBe(EPERM)
    expect(verdict(deny('getcwd'), 'ptrace')).toBe(EPERM)
    expect(verdict(deny('getcwd'), 'read')).toBe(VERDICT.allow)
  })

  test.each(['fork', 'vfork', '@fork'])(
    'means every way to a new process by %s, and leaves threads, because a C library forks by clone',
    (name) => {
      expect(verdict(deny(name), 'fork')).toBe(EPERM)
      expect(verdict(deny(name), 'vfork')).toBe(EPERM)
      expect(verdict(deny(name), 'clone', { args: [17] })).toBe(EPERM)
      expect(verdict(deny(name), 'clone', { args: [CLONE_THREAD] })).toBe(VERDICT.allow)
      expect(verdict(deny(name), 'clone', { args: [CLONE_THREAD | CLONE_NEWUSER] })).toBe(EPERM)
      expect(verdict(deny(name), 'clone', { table: ARM64, args: [17] })).toBe(EPERM)
    },
  )

  test('leaves a function its Unix socket when it names @network', () => {
    expect(verdict(deny('@network'), 'socket', { args: [1] })).toBe(VERDICT.allow)
    expect(verdict(deny('@network'), 'socket', { args: [2] })).toBe(EPERM)
  })
})

describe('an allow list', () => {
  test('lets nothing else through, and what nothing starts without', () => {
    expect(verdict(allow('read'), 'read')).toBe(VERDICT.allow)
    expect(verdict(allow('read'), 'write')).toBe(EPERM)
    expect(verdict(allow('read'), 'execve')).toBe(VERDICT.allow)
  })

  test('allows clone without namespaces', () => {
    expect(verdict(allow('clone'), 'clone', { args: [17] })).toBe(VERDICT.allow)
    expect(verdict(allow('clone'), 'clone', { args: [CLONE_NEWUSER] })).toBe(EPERM)
    expect(verdict(allow('read'), 'clone', { args: [17] })).toBe(EPERM)
  })

  test('takes groups', () => {
    expect(verdict(allow('@network'), 'connect')).toBe(VERDICT.allow)
    expect(verdict(allow('@network'), 'socket', { args: [17] })).toBe(VERDICT.errno | 97)
  })
})

describe('names', () => {
  test.each([
    [deny('ptrace', 'fork', '@network'), []],
    [deny('ptarce'), ['"ptarce" is no system call, and no group of them (@fork, @network)']],
    [deny('execve'), ['without the system call "execve" nothing starts']],
    [allow('read', '@basic'), []],
    [allow('mount'), ['the system call "mount" is never allowed']],
    [
      allow('toString'),
      ['"toString" is no system call, and no group of them (@fork, @network, @files, @basic)'],
    ],
  ])('are checked: %j', (policy, faults) => {
    expect(policyFaults(policy)).toEqual(faults)
  })

  test('of another architecture are names: a list is the same everywhere', () => {
    expect(policyFaults(deny('fork'))).toEqual([])
    expect(() => compileFilter(deny('fork', 'open'), ARM64)).not.toThrow()
  })
})

const PERSONALITY = 135
const LIBRARY = '/usr/lib/x86_64-linux-gnu/libseccomp.so.2'
const hasLibrary = existsSync(LIBRARY) && process.arch === 'x64'

describe.skipIf(!hasLibrary)('against libseccomp (needs libseccomp2 on x86_64)', () => {
  const numbers = [...X64.numbers.values()]
  const anyCall: fc.Arbitrary<Call> = fc.record({
    number: fc.oneof(fc.constantFrom(...numbers), fc.integer({ min: 0, max: 470 })),
    architecture: fc.constant(X64.architecture),
    args: fc.array(
      fc.oneof(
        fc.integer({ min: 0, max: 64 }),
        fc.constantFrom(0x5412, 0x541c, CLONE_THREAD, CLONE_NEWUSER, 17, 0xffff_ffff, 0x2_0008),
        fc.integer({ min: 0, max: 0xffff_ffff }),
      ),
      { minLength: 6, maxLength: 6 },
    ),
  })
  // Calls that its version knows: which numbers exist at all is another question.
  const known = ({ number }: Call): boolean => numbers.includes(number) && number !== PERSONALITY

  test.each([
    ['x86_64', X64],
    ['aarch64', ARM64],
  ])('knows the calls of %s by the same numbers', (_name, table) => {
    const differing = [...table.numbers].filter(([name, number]) => {
      const theirs = callNumber(LIBRARY, table.architecture, name)
      return theirs >= 0 && theirs !== number
    })
    expect(differing).toEqual([])
    expect(
      [...table.numbers.keys()].filter((name) => callNumber(LIBRARY, table.architecture, name) >= 0).length,
    ).toBeGreaterThan(290)
  })

  test.each([
    ['the default', undefined],
    ['a deny list', deny('getcwd', 'fork', '@network')],
    ['an allow list', allow('read', 'write', 'clone', 'poll', '@network')],
  ])('says the same about every call: %s', (_name, policy) => {
    const oracle = openOracle(LIBRARY, policy, X64)
    const ours = filterProgram(policy, X64)
    fc.assert(
      fc.property(anyCall.filter(known), (call) => {
        expect(runFilter(ours, call)).toBe(runFilter(oracle, call))
      }),
      { numRuns: 3000 },
    )
  })
})
