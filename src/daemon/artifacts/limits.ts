/** What an archive may be. Reaching one refuses the archive; nothing of it is kept. */
export interface ArchiveLimits {
  /** As it is uploaded. */
  readonly uploadBytesMax: number
  readonly entriesMax: number
  /** All its files together, unpacked. */
  readonly unpackedBytesMax: number
  /** Unpacked bytes for each packed one, once more than `ratioFromBytes` were unpacked. Source code is at 5, zeros are at 1000. */
  readonly ratioMax: number
  readonly ratioFromBytes: number
  /** Folders in folders. */
  readonly depthMax: number
  /** Of a path in the archive, and of the target of a link. */
  readonly pathBytesMax: number
  /** An upload that sends nothing for so long has broken off. */
  readonly idleMs: number
}

const MEGABYTE = 1024 * 1024

export const ARCHIVE_LIMITS: ArchiveLimits = {
  uploadBytesMax: 512 * MEGABYTE,
  entriesMax: 50_000,
  unpackedBytesMax: 2048 * MEGABYTE,
  ratioMax: 200,
  ratioFromBytes: 16 * MEGABYTE,
  depthMax: 64,
  pathBytesMax: 1024,
  idleMs: 60_000,
}

/** `1536 KB`, `512 MB`: whole numbers, for messages about limits. */
export function bytesText(bytes: number): string {
  if (bytes < 10 * 1024) return `${bytes} bytes`
  return bytes < 10 * MEGABYTE ? `${Math.round(bytes / 1024)} KB` : `${Math.round(bytes / MEGABYTE)} MB`
}
