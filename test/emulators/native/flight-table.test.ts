import fc from 'fast-check'
import { expect, test } from 'vitest'

import type { Flight } from '../../../src/emulators/native/dispatcher.ts'
import { FlightTable } from '../../../src/emulators/native/flight-table.ts'
import { prepareCall } from '../../../src/emulators/native/wire.ts'

const flight = (): Flight => ({
  id: 0,
  requestId: 'r',
  subject: 'GET /',
  gone: false,
  since: 0,
  endsSeen: 0,
  call: prepareCall({ method: 'GET', target: '/', fields: [] }, []),
  deadline: 0,
  settle: () => undefined,
})

test('requests have numbers of their own as long as they are under way, however many and in whatever order they end', () => {
  const step = fc.oneof(fc.constant('add' as const), fc.nat())
  fc.assert(
    fc.property(fc.array(step, { minLength: 200, maxLength: 1500 }), (steps) => {
      const table = new FlightTable()
      const held: Flight[] = []
      for (const action of steps) {
        if (action === 'add') {
          const one = flight()
          table.add(one)
          expect(one.id).toBeGreaterThan(0)
          held.push(one)
        } else if (held.length > 0) {
          const [one] = held.splice(action % held.length, 1)
          expect(table.take(one?.id ?? 0)).toBe(one)
          expect(table.take(one?.id ?? 0)).toBeUndefined()
        }
      }
      expect(table.size).toBe(held.length)
      expect(new Set(table.values())).toEqual(new Set(held))
      expect(new Set(held.map(({ id }) => id)).size).toBe(held.length)
    }),
    { numRuns: 30 },
  )
})

test('more are held than the table had room for, because a slow library may have many old processes', () => {
  const table = new FlightTable()
  const flights = Array.from({ length: 3000 }, flight)
  for (const one of flights) table.add(one)
  expect(flights.every((one) => table.take(one.id) === one)).toBe(true)
  expect(table.size).toBe(0)
})

test('a number that comes round again is not given to a second request, because the first may still run', () => {
  const table = new FlightTable()
  const slow = flight()
  table.add(slow)
  for (let turn = 0; turn < 5000; turn += 1) {
    const fast = flight()
    table.add(fast)
    expect(fast.id).not.toBe(slow.id)
    table.take(fast.id)
  }
  expect(table.take(slow.id)).toBe(slow)
})
