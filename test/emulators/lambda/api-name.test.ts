import fc from 'fast-check'
import { expect, test } from 'vitest'

import { ApiError } from '../../../src/emulators/lambda/api/api-error.ts'
import { parseFunctionName } from '../../../src/emulators/lambda/api/function-name.ts'
import { matchOperation } from '../../../src/emulators/lambda/api/operations.ts'

const word = (max: number) => fc.stringMatching(new RegExp(`^[a-zA-Z0-9_-]{1,${max}}$`))
const name = word(64).filter((text) => text !== 'function')
const qualifier = fc.option(fc.oneof(fc.constant('$LATEST'), word(32)), { nil: undefined })
const region = fc.constantFrom('us-east-1', 'eu-central-1', 'us-gov-west-1', 'us-iso-east-1')
const account = fc.stringMatching(/^\d{12}$/)
const prefix = fc.oneof(
  fc.constant(''),
  fc.constant('function:'),
  account.map((id) => `${id}:function:`),
  fc.tuple(region, account).map(([at, id]) => `arn:aws:lambda:${at}:${id}:function:`),
)

test('every form of a name says which function and which version are meant', () => {
  fc.assert(
    fc.property(prefix, name, qualifier, (before, own, version) => {
      const text = `${before}${own}${version === undefined ? '' : `:${version}`}`
      expect(parseFunctionName(text)).toEqual({ name: own, qualifier: version })
      expect(parseFunctionName(text, version)).toEqual({ name: own, qualifier: version })
    }),
  )
})

test('whatever is asked for, a name is found or refused as a client’s fault', () => {
  const pieces = fc.constantFrom(
    'arn',
    'aws',
    'lambda',
    ':',
    'function',
    '$LATEST',
    'us-east-1',
    '123456789012',
    'a b',
    '',
  )
  const noise = fc.oneof(
    fc.string(),
    fc.array(pieces).map((parts) => parts.join('')),
  )
  fc.assert(
    fc.property(noise, fc.option(fc.string(), { nil: undefined }), (text, version) => {
      try {
        expect(parseFunctionName(text, version).name).toMatch(/^[a-zA-Z0-9_-]+$/)
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        expect(error.status).toBe(400)
      }
    }),
  )
})

test('a path is read as it was written, whatever is percent-encoded in it', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'binary' }), (text) => {
      const path = `/2015-03-31/functions/${encodeURIComponent(text)}/invocations`
      expect(matchOperation('POST', path)).toEqual({ name: 'Invoke', parameters: [text] })
      expect(matchOperation('GET', path)).toBeUndefined()
    }),
  )
})

test('a percent sign that encodes nothing is kept', () => {
  expect(matchOperation('GET', '/2015-03-31/functions/a%zz/')).toEqual({
    name: 'GetFunction',
    parameters: ['a%zz'],
  })
})
