import type { FileHandle } from 'node:fs/promises'

/** What a file is, as far as loading it goes. */
export type Binary =
  /** The format's own header says that more must follow. */
  | { readonly kind: 'incomplete'; readonly missing: string }
  /** It can never be loaded here. */
  | { readonly kind: 'foreign'; readonly message: string; readonly hint: string }
  /** `exports` is undefined where the format is not read that far: the loader will tell. */
  | { readonly kind: 'library'; readonly exports: readonly string[] | undefined }

const ELF_HEAD_BYTES = 64
const PROGRAM_LOAD = 1
const SECTION_DYNSYM = 11
const SEGMENT_BYTES = 56
const SECTION_BYTES = 64
const SYMBOL_BYTES = 24

/** `e_machine` by Node's name of the architecture. */
const MACHINES: Readonly<Record<string, number>> = {
  x64: 62, arm64: 183, ia32: 3, arm: 40, riscv64: 243, ppc64: 21, s390x: 22, loong64: 258,
} // prettier-ignore

const MACHINE_NAMES: Readonly<Record<number, string>> = {
  3: 'x86 (32-bit)', 8: 'MIPS', 21: 'PowerPC 64', 22: 's390x', 40: 'ARM (32-bit)', 62: 'x86-64', 183: 'AArch64',
  243: 'RISC-V', 247: 'BPF', 258: 'LoongArch',
} // prettier-ignore

/** Mach-O `cputype` by Node's name of the architecture. */
const MAC_MACHINES: Readonly<Record<string, number>> = { x64: 0x0100_0007, arm64: 0x0100_000c }

export interface HostMachine {
  readonly platform: NodeJS.Platform
  readonly arch: string
}

/** Looks at a library without loading it. Sources: System V ABI, ELF-64; Mach-O's loader.h. */
export async function inspectBinary(
  file: FileHandle,
  size: number,
  machine: HostMachine = process,
): Promise<Binary> {
  const head = await readAt(file, 0, Math.min(size, ELF_HEAD_BYTES))
  const magic = head.toString('latin1', 0, 4)
  if (size < 4 || /^\0+$/.test(magic)) return { kind: 'incomplete', missing: 'its header' }
  if (magic === '\x7fELF') return inspectElf({ file, size, head }, machine)
  if (magic === '\xcf\xfa\xed\xfe') return inspectMachO(head, machine)
  if (magic === '\xca\xfe\xba\xbe' && machine.platform === 'darwin')
    return { kind: 'library', exports: undefined }
  return foreign(`it is ${describeMagic(magic)}, not a shared library`, rebuildHint(machine))
}

function describeMagic(magic: string): string {
  if (magic.startsWith('MZ')) return 'a Windows library'
  if (magic === '!<ar') return 'a static archive'
  if (magic === '\0asm') return 'WebAssembly'
  if (magic === '\xca\xfe\xba\xbe') return 'a macOS library'
  if (magic.startsWith('#!')) return 'a script'
  return `a file that starts with ${JSON.stringify(magic)}`
}

function foreign(message: string, hint: string): Binary {
  return { kind: 'foreign', message, hint }
}

function rebuildHint({ platform, arch }: HostMachine): string {
  const name = MACHINE_NAMES[MACHINES[arch] ?? 0] ?? arch
  return `Build a shared library for ${platform} on ${name}, for example with "cc -shared -fPIC".`
}

interface ElfFile {
  readonly file: FileHandle
  readonly size: number
  readonly head: Buffer
}

async function inspectElf(elf: ElfFile, machine: HostMachine): Promise<Binary> {
  const { file, size, head } = elf
  if (size < ELF_HEAD_BYTES) return { kind: 'incomplete', missing: 'the rest of its header' }
  const problem = elfMismatch(head, machine)
  if (problem !== undefined) return problem
  const segments = {
    at: Number(head.readBigUInt64LE(32)),
    bytes: head.readUInt16LE(54),
    count: head.readUInt16LE(56),
    expected: SEGMENT_BYTES,
  }
  const sections = {
    at: Number(head.readBigUInt64LE(40)),
    bytes: head.readUInt16LE(58),
    count: head.readUInt16LE(60),
    expected: SECTION_BYTES,
  }
  for (const table of [segments, sections]) {
    if (table.count > 0 && table.bytes !== table.expected)
      return foreign('its header is damaged', 'Build it again.')
    const end = table.at + table.bytes * table.count
    if (end > size) return { kind: 'incomplete', missing: `${end - size} bytes` }
  }
  const segmentTable = await readAt(file, segments.at, segments.bytes * segments.count)
  for (let at = 0; at < segmentTable.length; at += segments.bytes) {
    if (segmentTable.readUInt32LE(at) !== PROGRAM_LOAD) continue
    const end = Number(segmentTable.readBigUInt64LE(at + 8)) + Number(segmentTable.readBigUInt64LE(at + 32))
    if (end > size) return { kind: 'incomplete', missing: `${end - size} bytes` }
  }
  return { kind: 'library', exports: await readExports(elf, sections) }
}

function elfMismatch(head: Buffer, machine: HostMachine): Binary | undefined {
  if (machine.platform === 'darwin') return foreign('it is built for Linux', rebuildHint(machine))
  const type = head.readUInt16LE(16)
  const target = head.readUInt16LE(18)
  const own = MACHINES[machine.arch]
  const is64 = head[4] === 2
  if (own !== undefined && (target !== own || !is64)) {
    const name = MACHINE_NAMES[target] ?? `machine ${target}`
    const message = `it is built for ${name}, and this machine is ${MACHINE_NAMES[own] ?? machine.arch}`
    return foreign(message, rebuildHint(machine))
  }
  if (type === 1) return foreign('it is an object file', 'Link it: cc -shared -o lib.so file.o.')
  if (type === 2) return foreign('it is a program', 'Link it with -shared.')
  return undefined
}

interface Table {
  readonly at: number
  readonly bytes: number
  readonly count: number
}

/** Names of defined global symbols; undefined when the file has no section table to find them by. */
async function readExports({ file, size }: ElfFile, sections: Table): Promise<string[] | undefined> {
  const table = await readAt(file, sections.at, sections.bytes * sections.count)
  const section = (index: number): Table & { readonly link: number } => {
    const at = index * sections.bytes
    const bytes = Number(table.readBigUInt64LE(at + 32))
    return { at: Number(table.readBigUInt64LE(at + 24)), bytes, count: 1, link: table.readUInt32LE(at + 40) }
  }
  for (let index = 0; index < sections.count; index += 1) {
    if (table.readUInt32LE(index * sections.bytes + 4) !== SECTION_DYNSYM) continue
    const symbols = section(index)
    if (symbols.link >= sections.count) return undefined
    const names = section(symbols.link)
    if (symbols.at + symbols.bytes > size || names.at + names.bytes > size) return undefined
    return definedNames(
      await readAt(file, symbols.at, symbols.bytes),
      await readAt(file, names.at, names.bytes),
    )
  }
  return undefined
}

function definedNames(symbols: Buffer, names: Buffer): string[] {
  const found: string[] = []
  for (let at = 0; at + SYMBOL_BYTES <= symbols.length; at += SYMBOL_BYTES) {
    const binding = (symbols[at + 4] ?? 0) >> 4
    const nameAt = symbols.readUInt32LE(at)
    // Local symbols and those the library itself wants from elsewhere (section 0) are no exports.
    if (binding === 0 || symbols.readUInt16LE(at + 6) === 0 || nameAt === 0) continue
    found.push(names.toString('latin1', nameAt, names.indexOf(0, nameAt)))
  }
  return found
}

function inspectMachO(head: Buffer, machine: HostMachine): Binary {
  if (machine.platform !== 'darwin') return foreign('it is built for macOS', rebuildHint(machine))
  if (head.length < 32) return { kind: 'incomplete', missing: 'the rest of its header' }
  const own = MAC_MACHINES[machine.arch]
  if (own !== undefined && head.readUInt32LE(4) !== own)
    return foreign(`it is not built for ${machine.arch}`, rebuildHint(machine))
  return { kind: 'library', exports: undefined }
}

async function readAt(file: FileHandle, position: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes)
  const { bytesRead } = await file.read(buffer, 0, bytes, position)
  return buffer.subarray(0, bytesRead)
}
