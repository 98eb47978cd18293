/** Lambda's own bounds, in its own units. */
export const SIX_MIB = 6 * 1024 * 1024

/** Payload of a response that is not streamed: 6 MiB and a little for its frame, as Lambda has it. */
export const RESPONSE_BYTES_MAX = 6_291_556

export const DEFAULT_TIMEOUT_MS = 3_000
export const TIMEOUT_MS_MAX = 900_000
export const DEFAULT_MEMORY_MB = 128
export const MEMORY_MB_MAX = 10_240

/** A function's code, or one of its layers, unpacked. Lambda itself counts bytes only. */
export const UNPACKED_MAX = { bytesMax: 262_144_000, entriesMax: 200_000 } as const
