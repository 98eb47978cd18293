// Writes src/sandbox/seccomp/tables.ts from the headers of the machine's kernel: node scripts/syscalls.js
// Needs gcc and the kernel's user headers (Debian: linux-libc-dev).
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

// Released after the headers of long-lived distributions. From number 424 on all architectures count alike.
const LATER = {
  cachestat: 451,
  fchmodat2: 452,
  map_shadow_stack: 453,
  futex_wake: 454,
  futex_wait: 455,
  futex_requeue: 456,
  statmount: 457,
  listmount: 458,
  lsm_get_self_attr: 459,
  lsm_set_self_attr: 460,
  lsm_list_modules: 461,
  mseal: 462,
  setxattrat: 463,
  getxattrat: 464,
  listxattrat: 465,
  removexattrat: 466,
  open_tree_attr: 467,
  file_getattr: 468,
  file_setattr: 469,
}

// What arch/arm64 asks of the generic header.
const AARCH64 = [
  '__ARCH_WANT_RENAMEAT',
  '__ARCH_WANT_NEW_STAT',
  '__ARCH_WANT_SET_GET_RLIMIT',
  '__ARCH_WANT_TIME32_SYSCALLS',
  '__ARCH_WANT_SYS_CLONE3',
  '__ARCH_WANT_MEMFD_SECRET',
]

function numbersOf(header, defines) {
  const source = `#include <${header}>\n`
  const flags = ['-E', '-dM', '-x', 'c', '-', ...defines.map((name) => `-D${name}`)]
  const macros = new Map()
  for (const line of execFileSync('gcc', flags, { input: source, encoding: 'utf8' }).split('\n')) {
    const match = /^#define (__NR\w*) (\w+)$/.exec(line)
    if (match !== null) macros.set(match[1], match[2])
  }
  const numbers = {}
  for (const [macro, value] of macros) {
    const name = /^__NR_(\w+)$/.exec(macro)?.[1]
    const number = Number(macros.get(value) ?? value)
    if (name === undefined || name === 'syscalls' || name === 'arch_specific_syscall') continue
    if (!Number.isInteger(number)) throw new Error(`${macro} is ${value}`)
    numbers[name] = number
  }
  return { ...LATER, ...numbers }
}

function wrapped(numbers) {
  const words = Object.entries(numbers)
    .sort((a, b) => a[1] - b[1])
    .map(([name, number]) => `${name}:${number}`)
  const lines = ['']
  for (const word of words) {
    if (`${lines.at(-1)} ${word}`.length > 100) lines.push('')
    lines[lines.length - 1] = `${lines.at(-1)} ${word}`.trim()
  }
  return lines.map((line) => `  ${line}`).join('\n')
}

const x86 = numbersOf('asm/unistd_64.h', [])
const arm = numbersOf('asm-generic/unistd.h', AARCH64)
const file = join(import.meta.dirname, '..', 'src', 'sandbox', 'seccomp', 'tables.ts')
writeFileSync(
  file,
  `// Written by scripts/syscalls.js: change that.

/** Names and numbers of the system calls of x86_64. */
export const X86_64 = \`
${wrapped(x86)}
\`

/** Names and numbers of the system calls of aarch64. */
export const AARCH64 = \`
${wrapped(arm)}
\`
`,
)
