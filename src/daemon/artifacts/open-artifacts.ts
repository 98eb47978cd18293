import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, chmod, mkdir, readdir, rename, rm, stat, unlink, utimes } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Readable } from 'node:stream'

import { FlexiError } from '../../core/errors.ts'
import { isAlive, startedAt } from '../../core/processes.ts'
import type { AbsolutePath } from '../../core/place.ts'
import type { Artifacts, ReceiveOptions } from '../artifacts.ts'
import type { Digest } from '../model.ts'
import { refused } from './archive-index.ts'
import { removeTree, syncFolder } from './durable.ts'
import { ARCHIVE_LIMITS, type ArchiveLimits } from './limits.ts'
import { receiveInto, type Received } from './receive.ts'
import { Room } from './room.ts'
import { unpackArchive } from './unpack-archive.ts'

export interface ArtifactsOptions {
  readonly directory: string
  readonly limits?: Partial<ArchiveLimits> | undefined
  /** Of archives, as they were uploaded. Default 5 GB. */
  readonly userQuotaBytes?: number | undefined
  /** What is left free of the disk. Default 512 MB. */
  readonly freeFloorBytes?: number | undefined
}

const MEGABYTE = 1024 * 1024
/** An upload whose deployment has not come yet is left alone. */
const KEPT_MS = 3_600_000

/**
 *     sha256/ab/abcd…       archives, as they came
 *     unpacked/ab/abcd…/    what is in them
 *     owners/ada/abcd…      whose room they take: empty files
 *     incoming/             uploads under way, named by process; unpacked/new/: the same for folders
 *
 * What is in its place is whole: it was written elsewhere, brought to the disk and then renamed.
 */
export async function openArtifacts(options: ArtifactsOptions): Promise<Artifacts> {
  const places = placesOf(resolve(options.directory))
  await prepare(places)
  const room = new Room({
    directory: places.owners,
    archiveOf: places.archive,
    userQuotaBytes: options.userQuotaBytes ?? 5 * 1024 * MEGABYTE,
    freeFloorBytes: options.freeFloorBytes ?? 512 * MEGABYTE,
  })
  const stock: Stock = {
    places,
    room,
    limits: { ...ARCHIVE_LIMITS, ...options.limits },
    unpacking: new Map(),
  }
  return {
    has: (digest) => touch(places.archive(digest)),
    async isOf(user, digest) {
      return (await isThere(places.archive(digest))) && room.isOf(user, digest)
    },
    receive: (content, given) => receive(stock, content, given),
    async open(digest) {
      await demand(stock, digest)
      return createReadStream(places.archive(digest))
    },
    unpack: (digest) => unpackOnce(stock, digest),
    collect: (named) => collect(stock, named),
  }
}

interface Places {
  readonly incoming: string
  readonly unpacking: string
  readonly owners: string
  readonly archives: string
  readonly folders: string
  readonly archive: (digest: string) => string
  readonly folder: (digest: string) => AbsolutePath
}

interface Stock {
  readonly places: Places
  readonly room: Room
  readonly limits: ArchiveLimits
  readonly unpacking: Map<Digest, Promise<AbsolutePath>>
}

function placesOf(root: string): Places {
  const archives = join(root, 'sha256')
  const folders = join(root, 'unpacked')
  return {
    incoming: join(root, 'incoming'),
    unpacking: join(folders, 'new'),
    owners: join(root, 'owners'),
    archives,
    folders,
    archive: (digest) => join(archives, shelfOf(digest), digest),
    folder: (digest) => join(folders, shelfOf(digest), digest) as AbsolutePath,
  }
}

/** @throws FlexiError FLEXI_BAD_REQUEST for what is no digest: it would be another path. */
function shelfOf(digest: string): string {
  if (/^[0-9a-f]{64}$/.test(digest)) return digest.slice(0, 2)
  throw new FlexiError('FLEXI_BAD_REQUEST', `${JSON.stringify(digest.slice(0, 80))} is no digest`, {
    hint: 'Write the SHA-256 of the archive as 64 lower-case hexadecimal digits.',
  })
}

async function prepare(places: Places): Promise<void> {
  const { incoming, unpacking, owners, archives, folders } = places
  // Functions run as other users: they pass through here to their own folder, and see no other name.
  for (const folder of [dirname(folders), folders]) await makeFolder(folder, 0o711)
  for (const folder of [incoming, unpacking, owners, archives]) await makeFolder(folder, 0o700)
  for (const folder of [incoming, unpacking]) await removeAbandoned(folder)
}

/** What a process left behind when it was killed; one that is being replaced may still be at it. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) if (!isUnderWay(name)) await removeTree(join(folder, name))
}

/** With when the process started: in a container every daemon has the same number. */
function draftName(): string {
  return `${process.pid}.${startedAt(process.pid) ?? ''}.${randomUUID()}`
}

function isUnderWay(name: string): boolean {
  const [pid, start] = name.split('.')
  return isAlive(Number(pid)) && (startedAt(Number(pid)) ?? '') === start
}

/** The mode is what it says, whatever the umask. */
async function makeFolder(folder: string, mode: number): Promise<void> {
  await mkdir(folder, { recursive: true })
  await chmod(folder, mode)
}

/** Whether it is there; and if so, it was asked for just now. */
async function touch(file: string): Promise<boolean> {
  const now = new Date()
  return await utimes(file, now, now).then(
    () => true,
    () => false,
  )
}

async function demand({ places }: Stock, digest: Digest): Promise<void> {
  if (await touch(places.archive(digest))) return
  throw new FlexiError('FLEXI_NO_INPUT', `the artifact ${digest} is not here`, { hint: 'Upload it first.' })
}

async function receive(
  { places, room, limits }: Stock,
  content: Readable,
  { expected, user }: ReceiveOptions,
): Promise<Received> {
  // It may break off while the disk is looked at; reading it then says so.
  content.on('error', () => undefined)
  const draft = join(places.incoming, draftName())
  const reservation = await room.reserve(user)
  try {
    const received = await receiveInto(draft, content, { limits, room: reservation })
    if (expected !== undefined && expected !== received.digest)
      throw refused(`the upload is ${received.digest}, and was said to be ${expected}`)
    const archive = places.archive(received.digest)
    await reservation.keep(received.digest)
    await makeFolder(dirname(archive), 0o700)
    await rename(draft, archive)
    await syncFolder(dirname(archive))
    await syncFolder(places.archives)
    return received
  } finally {
    reservation.release()
    await rm(draft, { force: true })
  }
}

async function unpackOnce(stock: Stock, digest: Digest): Promise<AbsolutePath> {
  const underWay = stock.unpacking.get(digest)
  if (underWay !== undefined) return await underWay
  const unpacked = unpack(stock, digest).finally(() => stock.unpacking.delete(digest))
  stock.unpacking.set(digest, unpacked)
  return await unpacked
}

async function unpack(stock: Stock, digest: Digest): Promise<AbsolutePath> {
  const { places, room, limits } = stock
  const folder = places.folder(digest)
  if (await isThere(folder)) return folder
  await demand(stock, digest)
  await room.checkDisk()
  const draft = join(places.unpacking, draftName())
  await mkdir(draft, 0o700)
  try {
    const archive = createReadStream(places.archive(digest), { highWaterMark: 256 * 1024 })
    await unpackArchive(archive, draft, { digest, limits, checkRoom: () => room.checkDisk() })
    await makeFolder(dirname(folder), 0o711)
    await putInPlace(draft, folder)
    return folder
  } finally {
    await removeTree(draft)
  }
}

async function putInPlace(draft: string, folder: string): Promise<void> {
  const failure: unknown = await rename(draft, folder).catch((error: unknown) => error)
  // A process that is being replaced may have been faster, with the same content.
  if (failure !== undefined && !(await isThere(folder))) throw failure
  await chmod(folder, 0o555)
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}

async function collect({ places, room, unpacking }: Stock, named: ReadonlySet<Digest>): Promise<void> {
  const isNamed = (digest: Digest): boolean => named.has(digest) || unpacking.has(digest)
  const gone: Digest[] = []
  for (const digest of await digestsIn(places.archives)) {
    if (isNamed(digest) || (await isRecent(places.archive(digest)))) continue
    await unlink(places.archive(digest))
    gone.push(digest)
  }
  for (const digest of await digestsIn(places.folders))
    if (!isNamed(digest) && !(await isThere(places.archive(digest)))) await removeTree(places.folder(digest))
  if (gone.length > 0) await room.forget(gone)
}

async function digestsIn(folder: string): Promise<readonly Digest[]> {
  const shelves = (await readdir(folder)).filter((name) => name.length === 2)
  const names = await Promise.all(shelves.map((shelf) => readdir(join(folder, shelf))))
  return names.flat().map((name) => name as Digest)
}

async function isRecent(file: string): Promise<boolean> {
  const { mtimeMs } = await stat(file)
  return Date.now() - mtimeMs < KEPT_MS
}
