import type { Readable } from 'node:stream'

import type { AbsolutePath } from '../core/place.ts'
import type { Digest } from './model.ts'

/** Content by its digest, on disk; and what was unpacked of it. */
export interface Artifacts {
  has(digest: Digest): Promise<boolean>
  /** Whether a user has uploaded it. */
  isOf(user: string, digest: Digest): Promise<boolean>
  /**
   * Takes a whole archive in, hashing while it streams; durable when it resolves. Equal content is kept once.
   * @throws FlexiError FLEXI_UPLOAD when it is not what `expected` says or breaks off; FLEXI_QUOTA (413) when it is too large, or its user's,
   * or the disk's, room is used up. Nothing is kept then.
   */
  receive(
    content: Readable,
    options: ReceiveOptions,
  ): Promise<{ readonly digest: Digest; readonly bytes: number }>
  open(digest: Digest): Promise<Readable>
  /**
   * The folder that holds what is in it: unpacked at the first call, the same folder ever after, read-only. tar or tar.gz, told by their
   * first bytes.
   * @throws FlexiError FLEXI_UPLOAD with what is wrong: a path that leads out, a link out, a device, too many entries or bytes or too
   * high a ratio, an entry twice or differing by case alone, no archive at all. Nothing is left behind.
   */
  unpack(digest: Digest): Promise<AbsolutePath>
  /** Removes what nobody names any more; never what was received in the last hour. */
  collect(named: ReadonlySet<Digest>): Promise<void>
}

export interface ReceiveOptions {
  readonly expected?: Digest | undefined
  /** Whose room it takes. */
  readonly user: string
}
