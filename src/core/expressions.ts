import { createContext, Script } from 'node:vm'

/** Tells whether a text is what a pattern says, as a RegExp does. */
export interface Pattern {
  test(text: string): boolean
}

/** For one text; most take some microseconds. */
const TEST_MS = 50

const TEST = new Script('expression.test(text)')

/**
 * A regular expression of somebody else's. There are those that take years for a text of forty letters, and nothing else would be done
 * meanwhile: one that takes too long is given up, and matches nothing from then on.
 */
export function bounded(expression: RegExp): Pattern {
  const scope: { expression: RegExp; text?: string } = { expression }
  let context: object | undefined
  let isGivenUp = false
  return {
    test(text) {
      if (isGivenUp) return false
      context ??= createContext(scope)
      scope.text = text
      try {
        return TEST.runInContext(context, { timeout: TEST_MS }) === true
      } catch {
        isGivenUp = true
        return false
      }
    },
  }
}

export interface WildcardOptions {
  readonly ignoreCase?: boolean | undefined
  /** Whether `?` is one character, and not itself; default true. */
  readonly single?: boolean | undefined
}

/** `*` is any text, and `?` one character. Takes no longer than both are long, however many stars there are. */
export function wildcard(
  pattern: string,
  { ignoreCase = false, single = true }: WildcardOptions = {},
): Pattern {
  const folded = (text: string): string => (ignoreCase ? text.toLowerCase() : text)
  const wanted = folded(pattern).replace(/\*+/g, '*')
  return { test: (text) => isLike(folded(text), wanted, single) }
}

function isLike(text: string, pattern: string, single: boolean): boolean {
  let at = 0
  let star = -1
  let resume = 0
  for (let i = 0; i < text.length;) {
    const wanted = pattern[at]
    if (wanted === '*') {
      star = at++
      resume = i
    } else if (wanted === text[i] || (single && wanted === '?')) {
      at++
      i++
    } else if (star >= 0) {
      // The last star takes one more: what an earlier one would take is of no use.
      at = star + 1
      i = ++resume
    } else return false
  }
  return at === pattern.length || (at === pattern.length - 1 && pattern[at] === '*')
}
