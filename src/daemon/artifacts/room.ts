import { access, mkdir, open, readdir, stat, statfs, unlink } from 'node:fs/promises'
import { join } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import type { Digest } from '../model.ts'
import { bytesText } from './limits.ts'

export interface RoomOptions {
  /** A folder a user, in it an empty file for each digest of theirs. */
  readonly directory: string
  readonly archiveOf: (digest: string) => string
  readonly userQuotaBytes: number
  readonly freeFloorBytes: number
}

const DISK_CHECKED_BYTES = 16 * 1024 * 1024

/** Whose archives take how much of the disk, and how much of it is left. */
export class Room {
  readonly #options: RoomOptions
  /** What each user has on the disk; counted when somebody uploads for the first time. */
  readonly #kept = new Map<string, number>()
  readonly #underWay = new Map<string, number>()

  constructor(options: RoomOptions) {
    this.#options = options
  }

  /** @throws FlexiError FLEXI_QUOTA when the disk is too full for anything. */
  async checkDisk(): Promise<void> {
    const { directory, freeFloorBytes } = this.#options
    const { bavail, bsize } = await statfs(directory)
    if (bavail * bsize >= freeFloorBytes) return
    throw new FlexiError('FLEXI_QUOTA', `the disk has less than ${bytesText(freeFloorBytes)} left`, {
      hint: 'Remove versions that nobody needs any more, or give the daemon a larger disk.',
    })
  }

  async reserve(user: string): Promise<Reservation> {
    await this.checkDisk()
    await this.#countKept(user)
    let bytes = 0
    let checked = 0
    const add = (more: number): void => {
      bytes += more
      this.#underWay.set(user, (this.#underWay.get(user) ?? 0) + more)
    }
    return {
      take: async (more) => {
        add(more)
        this.#checkQuota(user)
        if (bytes - checked < DISK_CHECKED_BYTES) return
        checked = bytes
        await this.checkDisk()
      },
      keep: async (digest) => {
        if (await this.#mark(user, digest)) this.#kept.set(user, (this.#kept.get(user) ?? 0) + bytes)
      },
      release: () => add(-bytes),
    }
  }

  /** These archives are gone. */
  async forget(digests: readonly Digest[]): Promise<void> {
    const { directory } = this.#options
    for (const user of await readdir(directory))
      for (const digest of digests) await unlink(join(directory, user, digest)).catch(() => undefined)
    this.#kept.clear()
  }

  #checkQuota(user: string): void {
    const { userQuotaBytes } = this.#options
    if ((this.#kept.get(user) ?? 0) + (this.#underWay.get(user) ?? 0) <= userQuotaBytes) return
    throw new FlexiError('FLEXI_QUOTA', `${user} has used up the ${bytesText(userQuotaBytes)} a user has`, {
      hint: 'Remove versions that nobody needs any more; their room is free an hour or two later.',
    })
  }

  isOf(user: string, digest: Digest): Promise<boolean> {
    return access(join(this.#folder(user), digest)).then(
      () => true,
      () => false,
    )
  }

  async #countKept(user: string): Promise<void> {
    if (this.#kept.has(user)) return
    const digests = await readdir(this.#folder(user)).catch(() => [])
    const sizes = await Promise.all(
      digests.map((digest) =>
        stat(this.#options.archiveOf(digest)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    )
    // Somebody else's upload of theirs may have been counted meanwhile.
    if (!this.#kept.has(user))
      this.#kept.set(
        user,
        sizes.reduce((sum, size) => sum + size, 0),
      )
  }

  /** False when it was theirs already. */
  async #mark(user: string, digest: Digest): Promise<boolean> {
    const folder = this.#folder(user)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const handle = await open(join(folder, digest), 'wx', 0o600).catch(() => undefined)
    await handle?.close()
    return handle !== undefined
  }

  /** Users have names that are names of files; whatever else comes is made one. */
  #folder(user: string): string {
    return join(this.#options.directory, encodeURIComponent(user).replaceAll('.', '%2E'))
  }
}

export interface Reservation {
  /** @throws FlexiError FLEXI_QUOTA. */
  take(bytes: number): Promise<void>
  /** What was taken is an archive of this user now. */
  keep(digest: Digest): Promise<void>
  /** The upload is over, one way or the other. */
  release(): void
}
