import { Duplex } from 'node:stream'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { createFrameReader, openChannel, type Frame } from '../../src/instances/channel.ts'

/** Two ends of a socket pair, in memory. */
function pair(): [Duplex, Duplex] {
  const ends: Duplex[] = []
  const make = (other: number): Duplex =>
    new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        ends[other]?.push(chunk)
        done()
      },
      final(done) {
        ends[other]?.push(null)
        done()
      },
    })
  ends.push(make(1), make(0))
  return [ends[0] as Duplex, ends[1] as Duplex]
}

const anyFrame = fc.record({
  kind: fc.nat(255),
  id: fc.nat(0xffffffff),
  payload: fc.uint8Array({ maxLength: 60_000 }),
})

describe('frames', () => {
  test('any frames in any split of the byte stream come out whole and in order', () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 8 }),
        (frames, sizes) => {
          const written: Buffer[] = []
          const sink = new Duplex({
            read: () => undefined,
            write: (chunk: Buffer, _e, done) => (written.push(chunk), done()),
          })
          const channel = openChannel(sink, () => undefined)
          for (const { kind, id, payload } of frames) channel.send(kind, id, payload)
          const bytes = Buffer.concat(written)
          const seen: Frame[] = []
          const read = createFrameReader((frame) => seen.push(frame))
          for (let offset = 0, turn = 0; offset < bytes.length; turn += 1) {
            const size = sizes[turn % sizes.length] ?? 1
            read(bytes.subarray(offset, offset + size))
            offset += size
          }
          expect(seen.map(({ kind, id, payload }) => [kind, id, payload.toString('hex')])).toEqual(
            frames.map(({ kind, id, payload }) => [kind, id, Buffer.from(payload).toString('hex')]),
          )
        },
      ),
      { numRuns: 60 },
    )
  })

  test('several parts of text and bytes arrive as one payload', async () => {
    const [a, b] = pair()
    const frames: Frame[] = []
    openChannel(b, (frame) => frames.push(frame))
    const channel = openChannel(a, () => undefined)
    const large = Buffer.alloc(100_000, 7)
    channel.send(1, 2, ['é', Buffer.from([0, 255]), 'z'])
    channel.send(3, 4, ['head', large])
    channel.send(5, 6)
    await expect.poll(() => frames.length).toBe(3)
    expect(frames[0]?.payload.toString('latin1')).toBe(Buffer.from('é').toString('latin1') + '\x00\xffz')
    expect(frames[1]?.payload.equals(Buffer.concat([Buffer.from('head'), large]))).toBe(true)
    expect(frames[2]).toMatchObject({ kind: 5, id: 6 })
    expect(frames[2]?.payload.length).toBe(0)
  })

  test('a length no frame can have ends the channel instead of the memory', async () => {
    const [a, b] = pair()
    const channel = openChannel(b, () => undefined)
    a.write(Buffer.from('ffffffff0000000000000000', 'hex'))
    await expect(channel.closed).resolves.toBeUndefined()
  })
})
