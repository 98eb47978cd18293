import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  appendFile,
  chmod,
  link as hardLink,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { gunzipSync, gzipSync } from 'node:zlib'

import fc from 'fast-check'
import { Header, type HeaderData } from 'tar'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { Artifacts } from '../../src/daemon/artifacts.ts'
import type { Digest } from '../../src/daemon/model.ts'
import { openArtifacts, type ArtifactsOptions } from '../../src/daemon/artifacts/open-artifacts.ts'
import { packDirectory } from '../../src/daemon/artifacts/pack-directory.ts'

const run = promisify(execFile)
const user = 'ada'
let directory: string
let store: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flexi-artifacts-'))
  store = join(directory, 'artifacts')
})

afterEach(async () => {
  await run('chmod', ['-R', 'u+w', directory])
  await rm(directory, { recursive: true })
})

async function opened(options: Partial<ArtifactsOptions> = {}): Promise<Artifacts> {
  return await openArtifacts({ directory: store, freeFloorBytes: 0, ...options })
}

function digestOf(content: Buffer): Digest {
  return createHash('sha256').update(content).digest('hex') as Digest
}

async function put(artifacts: Artifacts, content: Buffer): Promise<Digest> {
  return (await artifacts.receive(Readable.from([content]), { user })).digest
}

interface Entry extends HeaderData {
  readonly content?: string | Buffer
}

/** Any tar, also one that no tool would write. */
function tar(...entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ content = '', ...data }) => {
    const body = Buffer.from(content)
    const header = new Header({ type: 'File', mode: 0o644, size: body.length, mtime: new Date(0), ...data })
    const head = Buffer.alloc(512)
    header.encode(head)
    return [head, body, Buffer.alloc((512 - (body.length % 512)) % 512)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

/** Everything that is on the disk under a name. */
async function names(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true })
  return found.map(String).toSorted()
}

async function nothingIsLeft(): Promise<void> {
  const found = await readdir(store, { recursive: true, withFileTypes: true })
  const files = found.filter((entry) => !entry.isDirectory() && !entry.parentPath.includes('sha256'))
  expect(files.filter(({ parentPath }) => !parentPath.includes('owners')).map(({ name }) => name)).toEqual([])
  expect(await readdir(join(store, 'incoming'))).toEqual([])
  expect(await readdir(join(store, 'unpacked/new'))).toEqual([])
}

describe('receiving', () => {
  test('keeps what came under its digest, and gives it back byte for byte', async () => {
    const artifacts = await opened()
    const content = randomBytes(300_000)
    const digest = digestOf(content)
    expect(await artifacts.has(digest)).toBe(false)
    expect(await artifacts.receive(Readable.from([content]), { user, expected: digest })).toEqual({
      digest,
      bytes: 300_000,
    })
    expect(await artifacts.has(digest)).toBe(true)
    const back = await Readable.from(await artifacts.open(digest)).toArray()
    expect(Buffer.concat(back).equals(content)).toBe(true)
    expect(await (await opened()).has(digest)).toBe(true)
  })

  test('keeps equal content once, whoever sends it', async () => {
    const artifacts = await opened()
    const content = Buffer.from('the same')
    const digests = await Promise.all(
      ['ada', 'bob', 'ada'].map((name) => artifacts.receive(Readable.from([content]), { user: name })),
    )
    expect(new Set(digests.map(({ digest }) => digest)).size).toBe(1)
    expect(await readdir(join(store, 'sha256', digestOf(content).slice(0, 2)))).toEqual([digestOf(content)])
  })

  test('keeps nothing of what is not what it was said to be', async () => {
    const artifacts = await opened()
    const expected = digestOf(Buffer.from('other'))
    await expect(
      artifacts.receive(Readable.from([Buffer.from('one')]), { user, expected }),
    ).rejects.toMatchObject({
      code: 'FLEXI_UPLOAD',
      message: expect.stringContaining(`was said to be ${expected}`),
    })
    expect(await artifacts.has(digestOf(Buffer.from('one')))).toBe(false)
    await nothingIsLeft()
  })

  test('keeps nothing of what breaks off', async () => {
    const artifacts = await opened()
    const broken = new Readable({ read() {} })
    broken.push(randomBytes(1000))
    setImmediate(() => broken.destroy(new Error('aborted')))
    await expect(artifacts.receive(broken, { user })).rejects.toMatchObject({
      code: 'FLEXI_UPLOAD',
      message: 'the upload broke off: aborted',
    })
    await nothingIsLeft()
  })

  test('gives up an upload that sends nothing', async () => {
    const artifacts = await opened({ limits: { idleMs: 20 } })
    await expect(artifacts.receive(new Readable({ read() {} }), { user })).rejects.toMatchObject({
      code: 'FLEXI_UPLOAD',
      message: 'the upload sent nothing for 0.02 s',
    })
  })

  test('refuses what is too large, and leaves the connection so that the sender can be told', async () => {
    const artifacts = await opened({ limits: { uploadBytesMax: 1000 } })
    const content = new Readable({ read() {} })
    content.push(randomBytes(1001))
    await expect(artifacts.receive(content, { user })).rejects.toMatchObject({
      code: 'FLEXI_QUOTA',
      status: 413,
    })
    expect(content.destroyed).toBe(false)
    await nothingIsLeft()
  })

  test('gives each user so much room, counted anew after a restart, with what is under way', async () => {
    const options = { userQuotaBytes: 1000 }
    await put(await opened(options), randomBytes(600))
    const artifacts = await opened(options)
    const under = new Readable({ read() {} })
    under.push(randomBytes(300))
    const waiting = artifacts.receive(under, { user })
    await expect.poll(() => readdir(join(store, 'incoming'))).toHaveLength(1)
    await expect(put(artifacts, randomBytes(401))).rejects.toMatchObject({
      code: 'FLEXI_QUOTA',
      message: 'ada has used up the 1000 bytes a user has',
    })
    under.push(null)
    await waiting
    await expect(
      artifacts.receive(Readable.from([randomBytes(999)]), { user: 'bob' }),
    ).resolves.toMatchObject({ bytes: 999 })
  })

  test('counts content that a user sends again once', async () => {
    const artifacts = await opened({ userQuotaBytes: 1000 })
    const content = randomBytes(400)
    await put(artifacts, content)
    await put(artifacts, content)
    await expect(put(artifacts, randomBytes(600))).resolves.toHaveLength(64)
  })

  test('a user without a name of a file has room of their own, and none elsewhere', async () => {
    const artifacts = await opened()
    for (const odd of ['..', '.', '../../x', 'a/b'])
      await artifacts.receive(Readable.from([Buffer.from(odd)]), { user: odd })
    expect((await readdir(join(store, 'owners'))).toSorted()).toEqual([
      '%2E',
      '%2E%2E',
      '%2E%2E%2F%2E%2E%2Fx',
      'a%2Fb',
    ])
  })

  test('stops where the disk is nearly full', async () => {
    const artifacts = await opened({ freeFloorBytes: 2 ** 60 })
    await expect(put(artifacts, Buffer.from('x'))).rejects.toMatchObject({
      code: 'FLEXI_QUOTA',
      message: expect.stringContaining('the disk has less than'),
    })
  })

  test.each(['../../../etc/passwd', 'A'.repeat(64), '', 'abc'])('%j is no digest', async (text) => {
    const artifacts = await opened()
    await expect(artifacts.open(text as Digest)).rejects.toMatchObject({ code: 'FLEXI_BAD_REQUEST' })
    await expect(artifacts.unpack(text as Digest)).rejects.toMatchObject({ code: 'FLEXI_BAD_REQUEST' })
  })

  test('what was never here is told as missing', async () => {
    const artifacts = await opened()
    const digest = digestOf(Buffer.from('never'))
    await expect(artifacts.open(digest)).rejects.toMatchObject({ code: 'FLEXI_NO_INPUT' })
    await expect(artifacts.unpack(digest)).rejects.toMatchObject({ code: 'FLEXI_NO_INPUT' })
  })

  test('drafts of a process that was killed are gone after the next start; those of a living one stay', async () => {
    await opened()
    await writeFile(join(store, 'incoming', '999999999.1.left'), 'half')
    await mkdir(join(store, 'unpacked/new/999999999.1.left/a'), { recursive: true })
    const start = (await readFile('/proc/self/stat', 'utf8')).split(') ')[1]?.split(' ')[19]
    await writeFile(join(store, 'incoming', `${process.pid}.${start}.mine`), 'half')
    await writeFile(join(store, 'incoming', `${process.pid}.1.of-another-with-my-number`), 'half')
    await opened()
    expect(await readdir(join(store, 'incoming'))).toEqual([`${process.pid}.${start}.mine`])
    expect(await readdir(join(store, 'unpacked/new'))).toEqual([])
  })
})

const mayMount = await run('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).then(
  () => '',
  () => ' (needs the right to mount)',
)

describe('unpacking', () => {
  const hello: Entry = { path: 'src/index.js', content: 'export default 1\n' }

  test.each([
    ['tar', (content: Buffer) => content],
    ['tar.gz', gzipSync],
  ])(
    '%s is told by its first bytes; the folder is the same ever after, also after a restart',
    async (_, pack) => {
      const artifacts = await opened()
      const digest = await put(
        artifacts,
        pack(tar(hello, { path: 'run', mode: 0o755, content: '#!/bin/sh\n' })),
      )
      const folder = await artifacts.unpack(digest)
      expect(await names(folder)).toEqual(['run', 'src', 'src/index.js'])
      expect(await readFile(join(folder, 'src/index.js'), 'utf8')).toBe('export default 1\n')
      const { ino } = await stat(folder)
      expect(await artifacts.unpack(digest)).toBe(folder)
      expect(await (await opened()).unpack(digest)).toBe(folder)
      expect((await stat(folder)).ino).toBe(ino)
    },
  )

  test('at the same time is once', async () => {
    const artifacts = await opened()
    const digest = await put(artifacts, tar(hello))
    const folders = await Promise.all(Array.from({ length: 5 }, () => artifacts.unpack(digest)))
    expect(new Set(folders).size).toBe(1)
    expect(await readdir(join(store, 'unpacked/new'))).toEqual([])
  })

  test('in two processes at the same time, while one takes over from the other, is no failure', async () => {
    const [before, after] = [await opened(), await opened()]
    const digest = await put(before, tar(hello))
    const folders = await Promise.all([before.unpack(digest), after.unpack(digest)])
    expect(folders[0]).toBe(folders[1])
    expect(await readdir(join(store, 'unpacked/new'))).toEqual([])
  })

  test('everybody may read, nobody may write; special bits and owners of the archive are nothing', async () => {
    const before = process.umask(0o077)
    try {
      const artifacts = await opened()
      const odd = { uid: 1234, gid: 1234, uname: 'games' }
      const digest = await put(
        artifacts,
        tar(
          { path: 'setuid', mode: 0o6755, ...odd },
          { path: 'secret', mode: 0o600, ...odd },
          { path: 'd', type: 'Directory', mode: 0o700, ...odd },
          { path: 'd/x', mode: 0 },
        ),
      )
      const folder = await artifacts.unpack(digest)
      const modes = await Promise.all(
        ['.', 'setuid', 'secret', 'd', 'd/x'].map(async (name) => {
          const found = await lstat(join(folder, name))
          return [name, (found.mode & 0o7777).toString(8), found.uid === process.getuid?.()]
        }),
      )
      expect(modes).toEqual([
        ['.', '555', true],
        ['setuid', '555', true],
        ['secret', '444', true],
        ['d', '555', true],
        ['d/x', '444', true],
      ])
      const ways = ['.', 'unpacked', `unpacked/${digest.slice(0, 2)}`, 'sha256', 'owners', 'incoming']
      const passable = await Promise.all(
        ways.map(async (name) => (await stat(join(store, name))).mode & 0o777),
      )
      expect(passable).toEqual([0o711, 0o711, 0o711, 0o700, 0o700, 0o700])
    } finally {
      process.umask(before)
    }
  })

  test('links inside are kept, and files that are there twice', async () => {
    const artifacts = await opened()
    const digest = await put(
      artifacts,
      tar(
        { path: 'bin/tool', type: 'SymbolicLink', linkpath: '../lib/tool.js' },
        { path: 'lib/tool.js', content: 'tool' },
        { path: 'up', type: 'SymbolicLink', linkpath: 'lib/../lib/./tool.js' },
        { path: 'copy.js', type: 'Link', linkpath: './lib/tool.js' },
        { path: 'missing', type: 'SymbolicLink', linkpath: 'lib/not-there' },
      ),
    )
    const folder = await artifacts.unpack(digest)
    expect(await readlink(join(folder, 'bin/tool'))).toBe('../lib/tool.js')
    for (const name of ['bin/tool', 'up', 'copy.js'])
      expect(await readFile(join(folder, name), 'utf8')).toBe('tool')
  })

  const link: Entry = { type: 'SymbolicLink' }
  test.each<[string, readonly Entry[], string]>([
    ['a path that leads out', [{ path: '../evil' }], '../evil leads out of the archive'],
    ['a path that leads out in the middle', [{ path: 'a/../../evil' }], 'leads out of the archive'],
    ['a path that goes up and comes back', [{ path: 'a/../b' }], 'leads out of the archive'],
    ['an absolute path', [{ path: '/etc/evil' }], '/etc/evil leads out of the archive'],
    ['a path with a drive', [{ path: 'C:/evil' }], 'leads out of the archive'],
    ['backslashes', [{ path: 'a\\..\\..\\evil' }], 'is no name that every system can have'],
    ['control characters', [{ path: 'a\u001b[2Jb' }], 'is no name that every system can have'],
    [
      'a link to an absolute path',
      [{ ...link, path: 'l', linkpath: '/etc/shadow' }],
      'the link l leads out of the archive, to /etc/shadow',
    ],
    ['a link out', [{ ...link, path: 'a/l', linkpath: '../../x' }], 'the link a/l leads out of the archive'],
    [
      'a link out over another link, that names alone do not show',
      [
        hello,
        { ...link, path: 'd/e/root', linkpath: '../..' },
        { ...link, path: 'd/e/out', linkpath: 'root/../x' },
      ],
      'the link d/e/out leads out of the archive, to root/../x',
    ],
    [
      'links in a circle',
      [
        { ...link, path: 'a', linkpath: 'b' },
        { ...link, path: 'b', linkpath: 'a' },
      ],
      'leads out of the archive',
    ],
    [
      'writing through a link',
      [
        { ...link, path: 'd', linkpath: 'src' },
        { path: 'd/evil', content: 'x' },
      ],
      'd is no folder, and there are entries below it',
    ],
    [
      'a link in the place of a folder that has been written to',
      [{ path: 'd/x' }, { ...link, path: 'd', linkpath: '.' }],
      'd is in the archive twice',
    ],
    [
      'a hard link to a file of the machine',
      [{ path: 'h', type: 'Link', linkpath: '/etc/shadow' }],
      'leads out',
    ],
    ['a hard link out', [{ path: 'h', type: 'Link', linkpath: '../../key' }], 'leads out of the archive'],
    ['a hard link to what is not there', [{ path: 'h', type: 'Link', linkpath: 'x' }], 'no file before it'],
    [
      'a hard link to a link',
      [
        { ...link, path: 'l', linkpath: 'src' },
        { path: 'h', type: 'Link', linkpath: 'l' },
      ],
      'no file before it in the archive',
    ],
    [
      'a device',
      [{ path: 'null', type: 'CharacterDevice' }],
      'neither a file, a folder nor a link (CharacterDevice)',
    ],
    ['a block device', [{ path: 'sda', type: 'BlockDevice' }], '(BlockDevice)'],
    ['a pipe', [{ path: 'pipe', type: 'FIFO' }], '(FIFO)'],
    ['the same file twice', [hello, hello], 'src/index.js is in the archive twice'],
    ['the same file in two spellings', [{ path: './a' }, { path: 'a' }], 'a is in the archive twice'],
    [
      'names that differ by case alone',
      [{ path: 'Readme' }, { path: 'README' }],
      'Readme and README differ by case alone',
    ],
    ['folders that differ by case alone', [{ path: 'A/x' }, { path: 'a/y' }], 'A and a differ by case alone'],
    [
      'names that differ by their Unicode form alone',
      [{ path: 'é' }, { path: 'e\u0301' }],
      'differ by case alone',
    ],
    ['a file that is a folder too', [{ path: 'a' }, { path: 'a/b' }], 'a is no folder'],
  ])('refuses %s, and leaves nothing behind', async (_, entries, message) => {
    const artifacts = await opened()
    for (const pack of [(content: Buffer) => content, gzipSync]) {
      const digest = await put(artifacts, pack(tar(...entries)))
      await expect(artifacts.unpack(digest)).rejects.toMatchObject({
        code: 'FLEXI_UPLOAD',
        message: expect.stringContaining(message),
      })
    }
    await nothingIsLeft()
  })

  test.each<[string, Buffer, string]>([
    ['no archive at all', Buffer.from('hello, I am a text'), 'this is no tar or tar.gz that can be read'],
    ['a long text', Buffer.from('hello, I am a text\n'.repeat(1000)), 'this is no tar or tar.gz'],
    ['nothing', Buffer.alloc(0), 'this is no tar or tar.gz'],
    [
      'a tar that breaks off',
      tar({ path: 'a', content: 'x'.repeat(5000) }).subarray(0, 2000),
      'Truncated input',
    ],
    ['a tar.gz that breaks off', gzipSync(tar(hello)).subarray(0, -20), 'unexpected end of file'],
    ['a damaged tar.gz', damaged(gzipSync(tar(hello)), 40), 'this is no tar or tar.gz'],
    ['a damaged head', damaged(tar(hello), 3), 'checksum failure'],
    ['a tar.gz in a tar.gz', gzipSync(gzipSync(tar(hello))), 'the archive is compressed twice'],
    ['zstd in a tar.gz', gzipSync(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0])), 'compressed twice'],
    [
      'a name in a head of two megabytes',
      tar({ path: 'x', type: 'ExtendedHeader', content: 'a'.repeat(2 * 1024 * 1024) }, hello),
      'ExtendedHeader of 2097152 bytes',
    ],
    [
      'a path out in an extended head',
      tar(pax('path', '../../evil'), hello),
      '../../evil leads out of the archive',
    ],
    [
      'a link out in an extended head',
      tar(pax('linkpath', '/etc'), { ...link, path: 'l', linkpath: 'x' }),
      'the link l leads out',
    ],
    [
      'a long path out, as GNU writes it',
      tar({ path: '././@LongLink', type: 'NextFileHasLongPath', content: '../evil\0' }, hello),
      '../evil leads out',
    ],
  ])('refuses %s', async (_, content, message) => {
    const artifacts = await opened()
    const digest = await put(artifacts, content)
    await expect(artifacts.unpack(digest)).rejects.toMatchObject({
      code: 'FLEXI_UPLOAD',
      message: expect.stringContaining(message),
    })
    await nothingIsLeft()
  })

  test('an archive of an empty folder is an empty folder; what follows an archive is nobody’s', async () => {
    const artifacts = await opened()
    for (const content of [Buffer.alloc(1024), gzipSync(Buffer.alloc(10_240))])
      expect(await names(await artifacts.unpack(await put(artifacts, content)))).toEqual([])
    const trailed = Buffer.concat([tar(hello), tar({ path: '../evil' }), randomBytes(100_000)])
    expect(await names(await artifacts.unpack(await put(artifacts, trailed)))).toEqual([
      'src',
      'src/index.js',
    ])
  })

  test.each<[string, ArtifactsOptions['limits'], readonly Entry[], string]>([
    ['entries', { entriesMax: 2 }, [{ path: 'a' }, { path: 'b' }, { path: 'c' }], 'more than 2 entries'],
    [
      'bytes',
      { unpackedBytesMax: 999 },
      [
        { path: 'a', content: 'x'.repeat(500) },
        { path: 'b', content: 'y'.repeat(500) },
      ],
      'holds more than 999 bytes',
    ],
    [
      'bytes that are announced and do not come',
      { unpackedBytesMax: 10_000 },
      [{ path: 'a', size: 8_000_000_000 }],
      'holds more than 10000 bytes',
    ],
    ['folders in folders', { depthMax: 3 }, [{ path: 'a/b/c/d' }], 'more than 3 folders deep'],
    ['long paths', { pathBytesMax: 10 }, [{ path: 'abcdefghij/k' }], 'a path is longer than 10 bytes'],
    [
      'long links',
      { pathBytesMax: 10 },
      [{ ...link, path: 'l', linkpath: 'abcdefghij/k' }],
      'the link l is longer than 10 bytes',
    ],
  ])('has a limit of %s', async (_, limits, entries, message) => {
    const artifacts = await opened({ limits })
    await expect(artifacts.unpack(await put(artifacts, tar(...entries)))).rejects.toMatchObject({
      code: 'FLEXI_UPLOAD',
      message: expect.stringContaining(message),
    })
    await nothingIsLeft()
  })

  test('a bomb is refused before it is on the disk', async () => {
    const artifacts = await opened()
    const bomb = gzipSync(tar({ path: 'zeros', content: Buffer.alloc(64 * 1024 * 1024) }))
    expect(bomb.length).toBeLessThan(80_000)
    await expect(artifacts.unpack(await put(artifacts, bomb))).rejects.toMatchObject({
      code: 'FLEXI_UPLOAD',
      message: 'the archive grows by more than 200 times when it is unpacked',
    })
    await nothingIsLeft()
  })

  test('stops where the disk is nearly full', async () => {
    const digest = await put(await opened(), tar(hello))
    const artifacts = await opened({ freeFloorBytes: 2 ** 60 })
    await expect(artifacts.unpack(digest)).rejects.toMatchObject({ code: 'FLEXI_QUOTA' })
  })

  test.skipIf(mayMount !== '')(
    `a full disk is told as one, and leaves nothing behind${mayMount}`,
    async () => {
      const zeros = tar({ path: 'large', content: Buffer.alloc(9_000_000) }, hello)
      await writeFile(join(directory, 'bomb.tar.gz'), gzipSync(zeros))
      await mkdir(join(directory, 'small'))
      const script = `
      import { createReadStream } from 'node:fs'
      import { readdir } from 'node:fs/promises'
      import { openArtifacts } from '${join(import.meta.dirname, '../../dist/daemon/artifacts/open-artifacts.js')}'
      const artifacts = await openArtifacts({ directory: 'small', freeFloorBytes: 0, limits: { ratioMax: 1e6 } })
      const told = (promise) => promise.then(() => 'done', ({ code, message }) => code + ' ' + message)
      const endless = async function* () { for (;;) yield Buffer.alloc(100_000) }
      const { Readable } = await import('node:stream')
      console.log(await told(artifacts.receive(Readable.from(endless()), { user: 'ada' })))
      const { digest } = await artifacts.receive(createReadStream('bomb.tar.gz'), { user: 'ada' })
      console.log(await told(artifacts.unpack(digest)))
      console.log((await readdir('small/incoming')).length, (await readdir('small/unpacked/new')).length)`
      await writeFile(join(directory, 'full.mjs'), script)
      const command = `mount -t tmpfs -o size=4m none small && ${process.execPath} full.mjs`
      const { stdout } = await run('unshare', ['-m', 'sh', '-c', command], { cwd: directory })
      expect(stdout).toBe('FLEXI_QUOTA the disk is full\nFLEXI_QUOTA the disk is full\n0 0\n')
    },
  )

  test('an archive that was changed on the disk is not run', async () => {
    const artifacts = await opened()
    const content = tar(hello)
    const digest = await put(artifacts, content)
    await writeFile(join(store, 'sha256', digest.slice(0, 2), digest), tar({ path: 'evil' }))
    await expect(artifacts.unpack(digest)).rejects.toMatchObject({
      message: 'the archive was changed on the disk',
    })
    await nothingIsLeft()
    // It can be mended.
    await put(artifacts, content)
    expect(await names(await artifacts.unpack(digest))).toEqual(['src', 'src/index.js'])
  })

  test('large files come whole, between small ones, and nothing piles up meanwhile', async () => {
    const warnings: Error[] = []
    const warn = (warning: Error): number => warnings.push(warning)
    process.on('warning', warn)
    const artifacts = await opened()
    const large = randomBytes(12_345_678)
    const entries: Entry[] = []
    for (let n = 0; n < 300; n++) entries.push({ path: `d${n % 7}/f${n}`, content: String(n).repeat(n) })
    entries.splice(100, 0, { path: 'large', content: large })
    const folder = await artifacts.unpack(await put(artifacts, gzipSync(tar(...entries), { level: 1 })))
    expect((await readFile(join(folder, 'large'))).equals(large)).toBe(true)
    for (let n = 0; n < 300; n += 13)
      expect(await readFile(join(folder, `d${n % 7}/f${n}`), 'utf8')).toBe(String(n).repeat(n))
    process.off('warning', warn)
    expect(warnings).toEqual([])
  })

  test('what the system’s tar writes is read', async () => {
    const source = join(directory, 'source')
    const long = `${'folder-with-a-long-name/'.repeat(6)}file-with-a-long-name`
    await mkdir(join(source, long, '..'), { recursive: true })
    await writeFile(join(source, long), 'long')
    await writeFile(join(source, 'grüße.txt'), 'ü')
    await symlink('grüße.txt', join(source, 'l'))
    await writeFile(join(source, 'one'), 'one')
    await hardLink(join(source, 'one'), join(source, 'two'))
    const artifacts = await opened()
    for (const format of ['gnu', 'posix', 'ustar']) {
      const file = join(directory, `${format}.tar.gz`)
      await run('tar', ['czf', file, `--format=${format}`, '-C', source, '.'])
      const folder = await artifacts.unpack(await put(artifacts, await readFile(file)))
      expect(await names(folder)).toEqual(await names(source))
      expect(await readFile(join(folder, long), 'utf8')).toBe('long')
      expect(await readFile(join(folder, 'l'), 'utf8')).toBe('ü')
      expect(await readFile(join(folder, 'two'), 'utf8')).toBe('one')
    }
  })

  test('whatever the bytes are, nothing outside is touched, and what fails leaves nothing', async () => {
    const artifacts = await opened()
    const valid = tar(
      hello,
      { path: 'a/b', content: 'x'.repeat(600) },
      { ...link, path: 'l', linkpath: 'a/b' },
    )
    const outside = await names(directory)
    const before = outside.filter((name) => !name.startsWith('artifacts'))
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(valid.length),
        async (changes, length) => {
          const content = Buffer.from(valid.subarray(0, length))
          for (const [at, value] of changes) if (at < length) content[at] = value
          repairChecksums(content)
          const digest = await put(artifacts, content)
          await artifacts
            .unpack(digest)
            .catch((error: unknown) => expect(error).toMatchObject({ code: 'FLEXI_UPLOAD' }))
        },
      ),
      { numRuns: 150 },
    )
    expect((await names(directory)).filter((name) => !name.startsWith('artifacts'))).toEqual(before)
    expect(await readdir(join(store, 'unpacked/new'))).toEqual([])
  })
})

/** One byte is another. */
function damaged(content: Buffer, at: number): Buffer {
  const other = Buffer.from(content)
  other[at] = (other[at] ?? 0) ^ 0xff
  return other
}

/** A record of an extended head, which counts its own length. Source: POSIX pax, extended header. */
function pax(name: string, value: string): Entry {
  const rest = ` ${name}=${value}\n`
  const length = String(rest.length + 2).length + rest.length
  return { path: 'x', type: 'ExtendedHeader', content: `${length}${rest}` }
}

/** So that a change gets further than to the checksum. */
function repairChecksums(content: Buffer): void {
  for (let at = 0; at + 512 <= content.length; at += 512) {
    if (content.toString('latin1', at + 257, at + 262) !== 'ustar') continue
    content.fill(' ', at + 148, at + 156)
    const sum = content.subarray(at, at + 512).reduce((total, byte) => total + byte, 0)
    content.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1')
  }
}

describe('collecting', () => {
  const old = new Date(Date.now() - 2 * 3_600_000)

  async function age(digest: Digest): Promise<void> {
    await utimes(join(store, 'sha256', digest.slice(0, 2), digest), old, old)
  }

  test('removes what nobody names, with its folder and the room it takes; never what came within the hour', async () => {
    const artifacts = await opened({ userQuotaBytes: 5000 })
    const [named, unnamed, recent] = await Promise.all(
      ['a', 'b', 'c'].map((path) => put(artifacts, tar({ path }))),
    )
    if (named === undefined || unnamed === undefined || recent === undefined) throw new Error('not three')
    for (const digest of [named, unnamed, recent]) await artifacts.unpack(digest)
    for (const digest of [named, unnamed]) await age(digest)
    await artifacts.collect(new Set([named]))
    expect(await Promise.all([named, unnamed, recent].map((digest) => artifacts.has(digest)))).toEqual([
      true,
      false,
      true,
    ])
    await expect(artifacts.unpack(unnamed)).rejects.toMatchObject({ code: 'FLEXI_NO_INPUT' })
    expect(await names(await artifacts.unpack(recent))).toEqual(['c'])
    // 3 × 1536 bytes were taken; now there is room for one more.
    await put(artifacts, tar({ path: 'd' }))
  })

  test('what was asked for just now is not removed, because its deployment is on its way', async () => {
    const artifacts = await opened()
    const digest = await put(artifacts, tar({ path: 'a' }))
    await age(digest)
    expect(await artifacts.has(digest)).toBe(true)
    await artifacts.collect(new Set())
    expect(await artifacts.has(digest)).toBe(true)
  })
})

describe('packing', () => {
  let source: string

  beforeEach(async () => {
    source = join(directory, 'source')
    await mkdir(source)
  })

  async function packed(name = 'a.tar.gz'): Promise<{ digest: Digest; bytes: number; content: Buffer }> {
    const file = join(directory, name)
    const result = await packDirectory(source, file)
    return { ...result, content: await readFile(file) }
  }

  test('gives the same bytes for the same content, whatever times, umask and order of the files', async () => {
    const made: string[] = []
    for (const [umask, order] of [
      [0o022, ['a', 'b.js', 'z']],
      [0o077, ['z', 'b.js', 'a']],
    ] as const) {
      await rm(source, { recursive: true })
      const before = process.umask(umask)
      await mkdir(join(source, 'b'), { recursive: true })
      for (const name of order) await writeFile(join(source, name), name)
      await writeFile(join(source, 'b/x'), 'run', { mode: 0o777 })
      await symlink('../a', join(source, 'b/l'))
      await utimes(join(source, 'a'), made.length, made.length)
      process.umask(before)
      const { digest, bytes, content } = await packed()
      expect([digest, bytes]).toEqual([digestOf(content), content.length])
      made.push(digest)
    }
    expect(made[0]).toBe(made[1])
    const listed = await run('tar', ['tvzf', join(directory, 'a.tar.gz'), '--numeric-owner', '--utc'])
    expect(listed.stdout.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
      '-rw-r--r-- 0/0 1 1970-01-01 00:00 a',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 b/',
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 b/l -> ../a',
      '-rwxr-xr-x 0/0 3 1970-01-01 00:00 b/x',
      '-rw-r--r-- 0/0 4 1970-01-01 00:00 b.js',
      '-rw-r--r-- 0/0 1 1970-01-01 00:00 z',
      '',
    ])
  })

  test('names no system and no time in gzip’s own head', async () => {
    const { content } = await packed()
    expect([...content.subarray(0, 10)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
    expect(gunzipSync(content).length).toBe(1024)
  })

  test('what is packed is unpacked the same, whatever the names', async () => {
    const artifacts = await opened()
    const label = fc.stringMatching(/^[a-z0-9äßλ漢 .()[\]@+-]{1,60}$/u).filter((name) => !/^\.*$/.test(name))
    const path = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join('/'))
    const files = fc.uniqueArray(fc.tuple(path, fc.uint8Array({ maxLength: 2000 }), fc.boolean()), {
      selector: ([name]) => name.normalize('NFC').toLowerCase(),
      maxLength: 12,
    })
    await fc.assert(
      fc.asyncProperty(files, async (entries) => {
        await rm(source, { recursive: true, force: true })
        await mkdir(source)
        for (const [name, content, executable] of entries) {
          await mkdir(join(source, name, '..'), { recursive: true }).catch(() => undefined)
          await writeFile(join(source, name), content, { mode: executable ? 0o755 : 0o644 }).catch(
            () => undefined,
          )
        }
        const folder = await artifacts.unpack(await put(artifacts, (await packed()).content))
        const there = await names(source)
        expect(await names(folder)).toEqual(there)
        for (const name of there) {
          const [from, to] = await Promise.all([stat(join(source, name)), stat(join(folder, name))])
          if (!from.isFile()) continue
          expect((await readFile(join(folder, name))).equals(await readFile(join(source, name)))).toBe(true)
          expect((to.mode & 0o111) !== 0).toBe((from.mode & 0o111) !== 0)
        }
      }),
      { numRuns: 25 },
    )
  })

  test('refuses here what a daemon would refuse: links out, sockets, names that differ by case', async () => {
    await symlink('/etc/passwd', join(source, 'l'))
    await expect(packed()).rejects.toMatchObject({
      code: 'FLEXI_UPLOAD',
      message: expect.stringContaining('the link l leads out'),
    })
    await rm(join(source, 'l'))
    const server = createServer().listen(join(source, 's'))
    await new Promise((resolve) => server.once('listening', resolve))
    await expect(packed()).rejects.toThrow('is neither a file, a folder nor a link')
    server.close()
    await rm(join(source, 's'), { force: true })
    await writeFile(join(source, 'A'), '')
    await writeFile(join(source, 'a'), '')
    await expect(packed()).rejects.toThrow('A and a differ by case alone')
  })

  test('a file that grows meanwhile is told, because half of it would be packed', async () => {
    const content = randomBytes(8 * 1024 * 1024)
    await writeFile(join(source, 'a'), content)
    await writeFile(join(source, 'log'), 'x'.repeat(10))
    const packing = packed()
    packing.catch(() => undefined)
    // By then it has looked at all files.
    await expect.poll(() => readdir(directory), { interval: 1 }).toContain('a.tar.gz')
    await appendFile(join(source, 'log'), 'more')
    await expect(packing).rejects.toThrow('log changed while it was packed')
  })

  test('is no folder: told with its path', async () => {
    await chmod(source, 0o700)
    await expect(packDirectory(join(directory, 'none'), join(directory, 'x'))).rejects.toThrow('none')
  })
})
