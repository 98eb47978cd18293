import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import fc from 'fast-check'
import { expect, test } from 'vitest'

import type { Outcome } from '../../../src/emulators/lambda/async/async-event.ts'
import { deadLetter, invocationRecord } from '../../../src/emulators/lambda/async/record.ts'

const ARN = 'arn:aws:lambda:us-east-1:123456789012:function:hello:$LATEST'

function outcome(payload: string, response: string): Outcome {
  return {
    event: { id: 'a', function: 'hello', payload: Buffer.from(payload) },
    condition: 'RetriesExhausted',
    attempts: 3,
    invoked: { payload: Buffer.from(response), functionError: 'Unhandled', executedVersion: '$LATEST' },
  }
}

const RECORDED = join(import.meta.dirname, '../../../../shared/fixtures/lambda/recordings/test_lambda.json')
const isThere = existsSync(RECORDED)

/** Names at every level; what a test calls by a placeholder is no name. */
function shapeOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return typeof value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shapeOf(inner)]))
}

function recordIn(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  if ('requestContext' in value && 'requestPayload' in value) return value
  for (const inner of Object.values(value)) {
    const found = recordIn(inner)
    if (found !== undefined) return found
  }
  return undefined
}

test.skipIf(!isThere)(
  isThere
    ? 'a record of what never ran has what the cloud was recorded to send'
    : 'a record of what never ran has what the cloud was recorded to send (no recordings in ../shared/fixtures)',
  () => {
    const recorded = recordIn(JSON.parse(readFileSync(RECORDED, 'utf8')))
    const { event } = outcome('', '')
    const ours = invocationRecord(
      { event, condition: 'ZeroReservedConcurrency', attempts: 0, invoked: undefined },
      { functionArn: ARN, time: 0 },
    )
    expect(shapeOf(JSON.parse(ours))).toEqual(shapeOf(recorded))
    expect(recorded).toMatchObject({
      requestContext: { condition: 'ZeroReservedConcurrency', approximateInvokeCount: 0 },
      requestPayload: {},
    })
  },
)

test('a record is JSON and has both payloads, whatever they are', () => {
  const text = fc.oneof(
    fc.json(),
    fc.string({ unit: 'binary' }).filter((one) => one !== ''),
  )
  fc.assert(
    fc.property(text, text, (payload, response) => {
      const record: unknown = JSON.parse(
        invocationRecord(outcome(payload, response), { functionArn: ARN, time: 0 }),
      )
      expect(record).toMatchObject({
        requestPayload: jsonOrText(payload),
        responsePayload: jsonOrText(response),
      })
    }),
  )
})

test('an error’s message is a text of 1 to 1,024 bytes that begins it, whatever the function returned', () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string({ unit: 'grapheme', maxLength: 800 })), (message) => {
      const response = JSON.stringify({ errorMessage: message })
      const value = deadLetter(outcome('{}', response)).attributes?.['ErrorMessage']?.value ?? ''
      expect(Buffer.byteLength(value)).toBeGreaterThan(0)
      expect(Buffer.byteLength(value)).toBeLessThanOrEqual(1024)
      if (message !== '') expect(message.startsWith(value)).toBe(true)
      expect(value).not.toContain('\ufffd')
    }),
  )
})

/** As UTF-8 has it: half a pair of surrogates is no character. */
function jsonOrText(text: string): unknown {
  const sent = Buffer.from(text).toString()
  try {
    return JSON.parse(sent)
  } catch {
    return sent
  }
}
