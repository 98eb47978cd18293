/**
 * What is said between flexi and its guest: a small process of ours inside of what confines a function, where the function's programs see a
 * network of their own. Frames of the channel; `id` is the number of a program or of a request, payloads are JSON unless said otherwise.
 */
export const TO_GUEST = {
  /** `GuestProgram`: start it, with this number. */
  start: 1,
  /** The program of this number gets a signal: its name, as plain text. */
  signal: 2,
  /** `Way`: a port inside that leads to a Unix socket outside; answered by `port`. */
  lead: 3,
  /** `Way & { port }`: a Unix socket that leads to a port inside, once something listens there; answered by `opened`. */
  open: 4,
  /** Bytes for the descriptor 3 of a program that has a channel. */
  data: 5,
} as const

export const FROM_GUEST = {
  /** A program runs: its number inside, as plain text. */
  started: 1,
  /** Bytes that it wrote. */
  stdout: 2,
  stderr: 3,
  /** `GuestExit` */
  exited: 4,
  /** A port, as plain text. */
  port: 5,
  opened: 6,
  /** Bytes that a program wrote to its channel. */
  data: 7,
} as const

export interface GuestProgram {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string | undefined
  readonly environment: Readonly<Record<string, string>>
  /** Its descriptor 3 is a channel. */
  readonly isChannelled: boolean
}

export interface Way {
  readonly socketPath: string
}

export interface GuestExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Set when it could not be started. */
  readonly error?: { readonly message: string; readonly code: string | undefined } | undefined
}
