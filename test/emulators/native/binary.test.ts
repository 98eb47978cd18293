import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { inspectBinary, type Binary, type HostMachine } from '../../../src/emulators/native/binary.ts'
import { compileC, FIXTURES, NO_CC, temporaryFolder } from './compile.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => void (folder = await temporaryFolder()))
afterAll(async () => folder?.[Symbol.asyncDispose]())

async function inspect(bytes: Uint8Array, machine?: HostMachine): Promise<Binary> {
  const path = join(folder.path, 'library')
  await writeFile(path, bytes)
  const file = await open(path)
  try {
    return await inspectBinary(file, bytes.length, machine)
  } finally {
    await file.close()
  }
}

const suite = NO_CC === undefined && process.platform === 'linux' ? describe : describe.skip

suite(`an ELF library (${NO_CC ?? 'Linux'})`, () => {
  let good: Buffer
  beforeAll(async () => {
    await compileC(join(FIXTURES, 'sample.c'), join(folder.path, 'good.so'))
    good = await readFile(join(folder.path, 'good.so'))
  })

  test('names its exports, and not what it imports', async () => {
    const binary = await inspect(good)
    expect(binary).toMatchObject({ kind: 'library', exports: ['handle_request'] })
  })

  test('cut anywhere is incomplete', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: good.length - 1 }), async (length) => {
        expect((await inspect(good.subarray(0, length))).kind).toBe('incomplete')
      }),
      { numRuns: 60 },
    )
  })

  test('whose header is not written yet is incomplete', async () => {
    const late = Buffer.from(good)
    late.fill(0, 0, 64)
    expect((await inspect(late)).kind).toBe('incomplete')
  })

  test('with any byte of its header changed is judged without failing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 63 }),
        fc.integer({ min: 0, max: 255 }),
        async (at, byte) => {
          const damaged = Buffer.from(good)
          damaged[at] = byte
          expect(['incomplete', 'foreign', 'library']).toContain((await inspect(damaged)).kind)
        },
      ),
      { numRuns: 200 },
    )
  })

  test('with a damaged section table is judged without failing', async () => {
    const table = Number(good.readBigUInt64LE(40))
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: table, max: good.length - 1 }),
        fc.integer({ min: 0, max: 255 }),
        async (at, byte) => {
          const damaged = Buffer.from(good)
          damaged[at] = byte
          expect(['incomplete', 'foreign', 'library']).toContain((await inspect(damaged)).kind)
        },
      ),
      { numRuns: 200 },
    )
  })

  test('is foreign on a Mac', async () => {
    const binary = await inspect(good, { platform: 'darwin', arch: process.arch })
    expect(binary).toMatchObject({ kind: 'foreign', message: 'it is built for Linux' })
  })
})

describe('a Mac library', () => {
  const head = Buffer.alloc(64)
  head.writeUInt32LE(0xfeed_facf, 0)
  head.writeUInt32LE(0x0100_000c, 4)

  test('is taken on a Mac of its architecture, and its exports are left to the loader', async () => {
    expect(await inspect(head, { platform: 'darwin', arch: 'arm64' })).toEqual({
      kind: 'library',
      exports: undefined,
    })
  })
  test('is foreign elsewhere', async () => {
    expect(await inspect(head, { platform: 'darwin', arch: 'x64' })).toMatchObject({ kind: 'foreign' })
    expect(await inspect(head, { platform: 'linux', arch: 'arm64' })).toMatchObject({ kind: 'foreign' })
  })
})
