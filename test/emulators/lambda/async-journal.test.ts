import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { createLogger, type Logger } from '../../../src/core/log.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { Journal, type Codec } from '../../../src/emulators/lambda/async/journal.ts'
import {
  addLine,
  endLine,
  HEADER,
  noteLine,
  replay,
} from '../../../src/emulators/lambda/async/journal-lines.ts'

const texts: Codec<string> = {
  write: (value) => value,
  read: (json) => (typeof json === 'string' ? json : undefined),
}

let directory: AbsolutePath
let said: string[]
let log: Logger

beforeEach(async () => {
  directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
  said = []
  log = createLogger(({ fields }) => void said.push(String(fields['message'])), 'info')
})

afterEach(() => rm(directory, { recursive: true, force: true }))

function opened(at = directory, compactLength?: number): Promise<Journal<string>> {
  return Journal.open({ directory: at, name: 'words', codec: texts, log, compactLength })
}

function held(journal: Journal<string>): Record<string, string> {
  return Object.fromEntries([...journal.entries].map(([key, { value }]) => [key, value]))
}

/** What a process that is killed at this moment leaves. */
function killed(): AbsolutePath {
  const copy = mkdtempSync(join(directory, 'killed-')) as AbsolutePath
  for (const name of readdirSync(directory).filter((one) => one.startsWith('words.'))) {
    try {
      copyFileSync(join(directory, name), join(copy, name))
    } catch {
      // It was just given another name.
    }
  }
  return copy
}

async function journals(at = directory): Promise<string[]> {
  return (await readdir(at).catch(() => [])).filter((name) => name.startsWith('words.'))
}

describe('a journal', () => {
  test('has what was added and did not end, in order and with what was noted last, after the process ended', async () => {
    const first = await opened()
    await Promise.all([first.add('a', '1'), first.add('b', '2'), first.add('c', '3')])
    first.note('c', { attempts: 1 })
    first.note('c', { attempts: 2 })
    first.end('a')
    await first[Symbol.asyncDispose]()
    await using second = await opened()
    expect([...second.entries]).toEqual([
      ['b', { value: '2', note: undefined }],
      ['c', { value: '3', note: { attempts: 2 } }],
    ])
  })

  test('leaves no file and no folder when nothing is alive in it', async () => {
    const state = join(directory, 'lambda') as AbsolutePath
    const journal = await opened(state)
    expect(await readdir(directory)).toEqual([])
    await journal.add('a', '1')
    expect(await journals(state)).toHaveLength(1)
    journal.end('a')
    await journal[Symbol.asyncDispose]()
    expect(await readdir(directory)).toEqual([])
  })

  test('gets what another process left once, and not what belongs to one that runs', async () => {
    await using first = await opened()
    await first.add('a', '1')
    await using second = await opened()
    expect(held(second)).toEqual({})
    const copy = killed()
    const [third, fourth] = await Promise.all([opened(copy), opened(copy)])
    expect([...third.entries.keys(), ...fourth.entries.keys()]).toEqual(['a'])
    await third[Symbol.asyncDispose]()
    await fourth[Symbol.asyncDispose]()
  })

  test('takes a file of a process whose number is used again, because that process started at another time', async () => {
    const running = `words.${process.ppid}-1.aaaaaaaa.journal`
    await writeFile(join(directory, running), HEADER + addLine('a', '1'))
    await using journal = await opened()
    expect(held(journal)).toEqual(process.platform === 'linux' ? { a: '1' } : {})
  })

  test.skipIf(process.platform !== 'linux')(
    'takes a file of a process that has ended though its parent did not look (Linux only)',
    async () => {
      const parent = spawn('sh', ['-c', 'sleep 0.1 & echo $!; exec sleep 60'])
      const [line] = (await once(parent.stdout, 'data')) as [Buffer]
      const pid = Number(line.toString())
      const status = () => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
      await expect.poll(() => status()[0]).toBe('Z')
      await writeFile(
        join(directory, `words.${pid}-${status()[19]}.aaaaaaaa.journal`),
        HEADER + addLine('a', '1'),
      )
      await using journal = await opened()
      parent.kill()
      expect(held(journal)).toEqual({ a: '1' })
    },
  )

  test('is written anew when most of it is over, and keeps what is alive', async () => {
    const journal = await opened(directory, 2_000)
    await journal.add('keep', 'é'.repeat(100))
    journal.note('keep', 7)
    for (let index = 0; index < 200; index += 1) {
      await journal.add(`key-${index}`, 'x'.repeat(50))
      journal.end(`key-${index}`)
    }
    const [file = ''] = await journals()
    expect((await readFile(join(directory, file))).length).toBeLessThan(4_000)
    await using copy = await opened(killed())
    expect(copy.entries.get('keep')).toEqual({ value: 'é'.repeat(100), note: 7 })
    await journal[Symbol.asyncDispose]()
  })

  test('writes what comes at once in a few writes, and tells each when it is there', async () => {
    const journal = await opened()
    const keys = Array.from({ length: 5_000 }, (_, index) => `k${index}`)
    await Promise.all(keys.map((key) => journal.add(key, key)))
    await using copy = await opened(killed())
    expect([...copy.entries.keys()]).toEqual(keys)
    await journal[Symbol.asyncDispose]()
  })
})

describe('a file that is not as it should be', () => {
  const left = (text: string | Buffer): Promise<void> =>
    writeFile(join(directory, 'words.0-0.aaaaaaaa.journal'), text)

  test('ends within a line: the others count, and it is said', async () => {
    await left(HEADER + addLine('a', '1') + addLine('b', '2').slice(0, -3))
    await using journal = await opened()
    expect(held(journal)).toEqual({ a: '1' })
    expect(said).toEqual([expect.stringContaining('ends within a line')])
  })

  test('is no journal: it is set aside, untouched', async () => {
    const foreign = Buffer.from([0, 255, 10, 7, 200])
    await left(foreign)
    await using journal = await opened()
    expect(held(journal)).toEqual({})
    expect(said).toEqual([expect.stringContaining('is no journal')])
    const [aside = ''] = await journals()
    expect(aside).toMatch(/\.broken$/)
    expect(await readFile(join(directory, aside))).toEqual(foreign)
  })

  test('has lines that say nothing: the others count, and the file is set aside', async () => {
    await left(`${HEADER}${addLine('a', '1')}{"add":"b","value":5}\nnonsense\n\n${addLine('c', '3')}`)
    await using journal = await opened()
    expect(held(journal)).toEqual({ a: '1', c: '3' })
    expect(said).toEqual([expect.stringContaining('2 broken lines among its words; 2 were read')])
  })

  test('cannot be read: it is set aside, and what is in it is still there', async () => {
    await mkdir(join(directory, 'words.0-0.aaaaaaaa.journal', 'something'), { recursive: true })
    await using journal = await opened()
    await journal.add('a', '1')
    const [aside = ''] = (await readdir(directory)).filter((name) => name.endsWith('.broken'))
    expect(await readdir(join(directory, aside))).toEqual(['something'])
    expect(said).toEqual([expect.stringContaining('cannot be read')])
  })

  test.each(['', HEADER.slice(0, 9)])('was never used: %j is removed', async (text) => {
    await left(text)
    await using journal = await opened()
    expect(held(journal)).toEqual({})
    expect(await journals()).toEqual([])
  })

  test('cannot be written where nothing can: values live as long as the process, and it is said once', async () => {
    // Root may write everywhere, but not below a file.
    const file = join(directory, 'file')
    await writeFile(file, '')
    await chmod(file, 0o444)
    await using journal = await opened(join(file, 'lambda') as AbsolutePath)
    await journal.add('a', '1')
    await journal.add('b', '1')
    expect(held(journal)).toEqual({ a: '1', b: '1' })
    expect(said).toEqual([expect.stringContaining('not kept over a restart')])
  })

  test('is gone, because somebody removed the folder: what is alive is written when the journal is closed', async () => {
    const state = join(directory, 'lambda') as AbsolutePath
    const journal = await opened(state)
    await journal.add('a', '1')
    await rm(state, { recursive: true })
    await journal.add('b', '2')
    await journal[Symbol.asyncDispose]()
    await using next = await opened(state)
    expect(held(next)).toEqual({ a: '1', b: '2' })
    await rm(state, { recursive: true })
    next.end('a')
    next.end('b')
  })

  test('is there again with the next value, because what is acknowledged outlives a kill also where somebody removed the folder', async () => {
    const state = join(directory, 'lambda') as AbsolutePath
    await using journal = await opened(state)
    await journal.add('a', '1')
    await rm(state, { recursive: true })
    await journal.add('b', '2')
    const [name = ''] = await journals(state)
    const text = await readFile(join(state, name), 'utf8')
    expect(
      Object.fromEntries([...replay(text, texts).entries].map(([key, { value }]) => [key, value])),
    ).toEqual({ a: '1', b: '2' })
  })

  test('an unfinished copy of one that is whole is removed with it', async () => {
    await left(HEADER + addLine('a', '1'))
    await appendFile(join(directory, 'words.0-0.aaaaaaaa.journal.new'), HEADER + addLine('old', '1'))
    const journal = await opened()
    expect(held(journal)).toEqual({ a: '1' })
    expect((await journals()).filter((name) => name.endsWith('.new'))).toEqual([])
    journal.end('a')
    await journal[Symbol.asyncDispose]()
    expect(await journals()).toEqual([])
  })
})

/** Adds until the disk takes no more, says what was taken, and is killed. */
const FILLS = `
const { Journal } = await import(process.argv[1])
const log = { debug() {}, info() {}, warn() {}, error() {} }
const codec = { write: (value) => value, read: (json) => json }
const journal = await Journal.open({ directory: process.argv[2], name: 'words', codec, log })
for (let index = 0; index < 20; index += 1) {
  const answer = await journal.add('k' + index, 'x'.repeat(700)).then(() => 'taken', ({ code }) => code)
  console.log('k' + index, answer)
}
process.kill(process.pid, 'SIGKILL')
`

test.skipIf(process.platform === 'win32')(
  'a full disk takes no more, and has what it took (not on Windows, which has no ulimit)',
  async () => {
    const module = join(import.meta.dirname, '../../../dist/emulators/lambda/async/journal.js')
    const command = 'ulimit -f 8; trap "" XFSZ; exec "$@"'
    const node = [process.execPath, '--input-type=module', '-e', FILLS, module, directory]
    const child = spawn('bash', ['-c', command, 'bash', ...node], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await once(child, 'close')
    const answers = text.trim().split('\n')
    const taken = answers.flatMap((line) => (line.endsWith(' taken') ? (line.split(' ')[0] ?? '') : []))
    expect(taken.length).toBeGreaterThan(0)
    expect(answers.slice(taken.length)).toContain(`k${taken.length} FLEXI_QUEUE_FULL`)
    await using journal = await opened()
    expect([...journal.entries.keys()]).toEqual(taken)
  },
)

type Step =
  | { readonly kind: 'add'; readonly key: string; readonly value: string }
  | { readonly kind: 'note'; readonly key: string; readonly value: string }
  | { readonly kind: 'end'; readonly key: string; readonly value: string }
  | { readonly kind: 'settle' }
  | { readonly kind: 'restart' }

const key = fc.constantFrom('a', 'b', 'c', 'd', '__proto__')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constantFrom('add', 'note', 'end'), key, value: fc.string() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('settle', 'restart') }) },
)

describe('whatever happened before', () => {
  test('a text that is cut anywhere comes to what its whole lines say', () => {
    fc.assert(
      fc.property(fc.array(step), fc.nat(), (steps, at) => {
        const lines = [HEADER, ...steps.map(lineOf)]
        const text = lines.join('')
        const cut = text.slice(0, at % (text.length + 1))
        let whole = 0
        for (let length = 0; length + (lines[whole]?.length ?? Infinity) <= cut.length; whole += 1)
          length += lines[whole]?.length ?? 0
        const { entries, kind, broken } = replay(cut, texts)
        expect(broken).toBe(0)
        expect(kind).toBe(whole === 0 ? 'unused' : 'journal')
        expect([...entries.keys()].sort()).toEqual(
          [...modelOf(steps.slice(0, Math.max(0, whole - 1))).keys()].sort(),
        )
        for (const [name, value] of modelOf(steps.slice(0, Math.max(0, whole - 1))))
          expect(entries.get(name)?.value).toBe(value)
      }),
    )
  })

  test('what was acknowledged and did not end is there after a kill, and nothing that never was', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(400), async (steps, compactLength) => {
        for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true })
        let journal = await opened(directory, compactLength)
        const acknowledged = new Map<string, string>()
        const ever = new Set<string>()
        const pending: Promise<unknown>[] = []
        for (const one of steps) {
          if (one.kind === 'settle') await Promise.all(pending)
          else if (one.kind === 'restart') {
            await journal[Symbol.asyncDispose]()
            mkdirSync(directory, { recursive: true })
            journal = await opened(directory, compactLength)
          } else if (one.kind === 'add') {
            ever.add(`${one.key} ${one.value}`)
            acknowledged.delete(one.key)
            pending.push(
              journal.add(one.key, one.value).then(() => {
                if (journal.entries.get(one.key)?.value === one.value) acknowledged.set(one.key, one.value)
              }),
            )
          } else if (one.kind === 'end') {
            journal.end(one.key)
            acknowledged.delete(one.key)
          } else journal.note(one.key, one.value)
        }
        const wanted = new Map(acknowledged)
        await using survivor = await opened(killed(), compactLength)
        for (const [name, value] of wanted) expect(survivor.entries.get(name)?.value).toBe(value)
        for (const [name, { value }] of survivor.entries) expect(ever).toContain(`${name} ${value}`)
        await Promise.all(pending)
        await journal[Symbol.asyncDispose]()
      }),
      { numRuns: 100 },
    )
    expect(said).toEqual(said.filter((line) => line.includes('ends within a line')))
  })
})

function lineOf(one: Step): string {
  if (one.kind === 'settle' || one.kind === 'restart') return '\n'
  if (one.kind === 'add') return addLine(one.key, one.value)
  return one.kind === 'note' ? noteLine(one.key, one.value) : endLine(one.key)
}

function modelOf(steps: readonly Step[]): Map<string, string> {
  const model = new Map<string, string>()
  for (const one of steps) {
    if (one.kind === 'add') model.set(one.key, one.value)
    if (one.kind === 'end') model.delete(one.key)
  }
  return model
}
