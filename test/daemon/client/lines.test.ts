import { Readable } from 'node:stream'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { jsonLines } from '../../../src/daemon/client/lines.ts'

async function read(chunks: readonly Buffer[]): Promise<unknown[]> {
  const values: unknown[] = []
  for await (const value of jsonLines(Readable.from(chunks, { objectMode: false }))) values.push(value)
  return values
}

describe('a stream of JSON lines', () => {
  test('gives the same values wherever the network cuts it', async () => {
    const cuts = fc.array(fc.nat(400), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.jsonValue(), { maxLength: 6 }), cuts, async (values, at) => {
        const text = values.map((value) => JSON.stringify(value)).join('\n')
        const whole = Buffer.from(at.length % 2 === 0 ? text : `${text}\n`)
        const edges = [
          0,
          ...at.map((edge) => Math.min(edge, whole.length)).toSorted((a, b) => a - b),
          whole.length,
        ]
        const chunks = edges.slice(1).map((edge, index) => whole.subarray(edges[index], edge))
        expect(await read(chunks)).toEqual(JSON.parse(JSON.stringify(values)))
      }),
    )
  })

  test('leaves out the empty lines that keep a connection alive', async () => {
    expect(await read([Buffer.from('\n\n{"a":1}\n'), Buffer.from('\n\r\n{"a":2}\n')])).toEqual([
      { a: 1 },
      { a: 2 },
    ])
  })

  test('gives a line as soon as it is whole', async () => {
    const source = new Readable({ read: () => undefined })
    const lines = jsonLines(source)
    source.push('{"a":1}\n{"b"')
    expect((await lines.next()).value).toEqual({ a: 1 })
    source.push(':2}\n')
    source.push(null)
    expect((await lines.next()).value).toEqual({ b: 2 })
    expect((await lines.next()).done).toBe(true)
  })

  test('what is no JSON is no daemon', async () => {
    await expect(read([Buffer.from('<html>\n')])).rejects.toMatchObject({ code: 'FLEXI_DAEMON' })
    await expect(read([Buffer.alloc(5 * 1024 * 1024, 'x')])).rejects.toMatchObject({ code: 'FLEXI_DAEMON' })
  })
})
