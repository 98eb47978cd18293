import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import fc from 'fast-check'
import { expect, test } from 'vitest'

import { configError, FlexiError } from '../../src/core/errors.ts'
import type { FunctionFault } from '../../src/core/function.ts'
import { errorPage, faultPage } from '../../src/gateway/error-page.ts'

const base: FunctionFault = { function: 'hello', kind: 'throw', name: 'Error', message: 'no' }

test('shows the line among its neighbours when the file is still the one that failed', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'flexi-page-'))
  await writeFile(join(directory, 'a.ts'), Array.from({ length: 20 }, (_, i) => `line ${i + 1}`).join('\n'))
  const frame = { place: { file: 'a.ts', line: 10, column: 1 }, message: 'no', text: 'line 10' }
  const { html } = faultPage({ ...base, frame }, { requestId: 'r', directory })
  expect(html.match(/line \d+/g)).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14].map((n) => `line ${n}`))
  expect(html).toContain('<mark><i>   10</i> line 10</mark>')
  const changed = faultPage({ ...base, frame: { ...frame, text: 'was this' } }, { requestId: 'r', directory })
  expect(changed.html).toContain('<mark><i>   10</i> was this</mark>')
  expect(changed.html).not.toContain('line 9')
  await rm(directory, { recursive: true })
})

test('lists every fault of a configuration once, with its place and hint', () => {
  const error = configError([
    {
      place: { file: 'proxy.ini', line: 3, column: 1 },
      message: 'no value',
      text: '[x]',
      hint: 'Write "a = b".',
    },
    { place: { file: 'wrangler.jsonc', line: 1, column: 2 }, message: 'unknown key' },
  ])
  const { html, status } = errorPage(error, { requestId: 'r' })
  expect(status).toBe(500)
  expect(html).toContain('<h1>2 faults in the configuration</h1>')
  expect(html.match(/no value/g)).toHaveLength(1)
  expect(html).toContain('wrangler.jsonc:1:2')
  expect(html).toContain('Write &quot;a = b&quot;.')
})

test.each([
  ['throw', 502],
  ['timeout', 504],
  ['build', 500],
] as const)('a %s is a %i', (kind, status) => {
  expect(faultPage({ ...base, kind }, { requestId: 'r' }).status).toBe(status)
})

test('nothing of what user code says becomes markup, and terminal colours are gone', () => {
  const own =
    errorPage(new FlexiError('FLEXI_BUG', ''), { requestId: '' }).html.match(/<[a-z]+/g)?.length ?? 0
  fc.assert(
    fc.property(fc.string(), fc.string(), (message, hint) => {
      const { html } = errorPage(
        new FlexiError('FLEXI_BUG', `<b>${message}\u001b[31m`, { hint: `'"><img ${hint}` }),
        {
          requestId: '"><script>',
        },
      )
      // One more element: the hint’s own paragraph.
      expect(html.match(/<[a-z]+/g)).toHaveLength(own + 1)
      expect(html).not.toContain('\u001b')
    }),
  )
})
