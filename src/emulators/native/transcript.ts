/** What a build has printed, within bounds: its beginning, where the first error is, and its end. */
export interface Transcript {
  push(line: string): void
  /** Lines and bytes printed so far, kept or not. */
  readonly lines: number
  readonly bytes: number
  /** The first lines, up to `HEAD_CHARACTERS_MAX`. */
  readonly head: readonly string[]
  /** The last lines. */
  readonly tail: readonly string[]
}

const HEAD_CHARACTERS_MAX = 1024 * 1024
const TAIL_LINES = 12
/** Whoever reads the end of an output wants no wall of it. */
const TAIL_LINE_CHARACTERS = 1_000

export function openTranscript(): Transcript {
  const head: string[] = []
  const tail: string[] = []
  let lines = 0
  let bytes = 0
  return {
    push(line) {
      lines += 1
      bytes += line.length + 1
      if (bytes <= HEAD_CHARACTERS_MAX) head.push(line)
      tail.push(line.length > TAIL_LINE_CHARACTERS ? `${line.slice(0, TAIL_LINE_CHARACTERS)}…` : line)
      if (tail.length > TAIL_LINES) tail.shift()
    },
    get lines() {
      return lines
    },
    get bytes() {
      return bytes
    },
    head,
    tail,
  }
}
