import { patternFault } from './pattern-fault.ts'

/**
 * `*` stands for any text, also for none; `\*` and `\\` for themselves.
 * Looks for one part after the other, so that no pattern takes more than the text's length times its own.
 * @throws FlexiError FLEXI_CONFIG.
 */
export function wildcardMatcher(pattern: string): (text: string) => boolean {
  const parts = partsOf(pattern)
  const [first = '', ...rest] = parts
  const last = rest.pop()
  if (last === undefined) return (text) => text === first
  const short = first.length + last.length
  return (text) => {
    if (text.length < short || !text.startsWith(first) || !text.endsWith(last)) return false
    const end = text.length - last.length
    let at = first.length
    for (const part of rest) {
      const found = text.indexOf(part, at)
      if (found === -1 || found + part.length > end) return false
      at = found + part.length
    }
    return at <= end
  }
}

/** What stands between the stars. */
function partsOf(pattern: string): string[] {
  const parts: string[] = []
  let part = ''
  for (let index = 0; index < pattern.length; index++) {
    const character = pattern[index] ?? ''
    if (character === '*') {
      if (pattern[index + 1] === '*') {
        throw patternFault(`Consecutive wildcard characters at pos ${index}`)
      }
      parts.push(part)
      part = ''
    } else if (character === '\\') {
      const escaped = pattern[++index]
      if (escaped !== '*' && escaped !== '\\')
        throw patternFault(`Invalid escape character at pos ${index - 1}`)
      part += escaped
    } else part += character
  }
  return [...parts, part]
}
