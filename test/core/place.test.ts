import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { formatFault, partAround } from '../../src/core/place.ts'

describe('a line that is shown', () => {
  test('is whole up to 240 characters', () => {
    const line = 'x'.repeat(240)
    expect(partAround(line, 200)).toEqual({ text: line, column: 200 })
  })

  test('is what is around the place where it is longer, because bundles have lines of megabytes', () => {
    const text = `${'a'.repeat(300_000)}THROW${'b'.repeat(300_000)}`
    const shown = formatFault({ place: { file: 'f', line: 1, column: 300_001 }, message: 'm', text })
    const [, line = '', caret = ''] = shown.split('\n')
    expect(line.length).toBeLessThan(260)
    expect(line.slice(caret.indexOf('^')).startsWith('THROWbbb')).toBe(true)
    expect([line.at(6), line.at(-1)]).toEqual(['…', '…'])
  })

  test('has the character of its column wherever that is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1, max: 2_000 }), (length, at) => {
        const column = Math.min(at, length)
        const text = Array.from({ length }, (_, index) => String.fromCharCode(0x4e00 + index)).join('')
        const shown = partAround(text, column)
        expect(shown.text[shown.column - 1]).toBe(text[column - 1])
        expect(shown.text.length).toBeLessThanOrEqual(242)
      }),
    )
  })
})
