import type { AbsolutePath } from '../../../core/place.ts'

/** Characters up to which each word has its place; a megabyte of words takes 130 ms. */
const WORDS_MAX = 64 * 1024

/**
 * The source map of a file that is run as it is, so that whoever reads stacks has one case: each word is where it is, and in a big file
 * each line.
 */
export function identityMap(file: AbsolutePath, text: string): string {
  const lines = text.split('\n')
  return JSON.stringify({
    version: 3,
    sources: [file],
    sourcesContent: [text],
    names: [],
    mappings: text.length > WORDS_MAX ? lineMappings(lines.length) : wordMappings(lines),
  })
}

/** Line by line one segment: the first column of the same file, one line further. */
function lineMappings(count: number): string {
  return `AAAA${';AACA'.repeat(count - 1)}`
}

function wordMappings(lines: readonly string[]): string {
  let column = 0
  let lineBefore = 0
  return lines
    .map((line, index) => {
      let generated = 0
      return [...line.matchAll(/[\p{L}\p{N}_$]+|[^\s\p{L}\p{N}_$]/gu)]
        .map(({ index: at }) => {
          const segment = [at - generated, 0, index - lineBefore, at - column].map(digits).join('')
          generated = at
          column = at
          lineBefore = index
          return segment
        })
        .join(',')
    })
    .join(';')
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Base 64 VLQ: five bits a digit, the least significant first, the sign in the lowest. Source: ECMA-426. */
function digits(value: number): string {
  let rest = value < 0 ? (-value << 1) | 1 : value << 1
  let text = ''
  do {
    const digit = rest & 31
    rest >>>= 5
    text += DIGITS[rest > 0 ? digit | 32 : digit] ?? ''
  } while (rest > 0)
  return text
}
