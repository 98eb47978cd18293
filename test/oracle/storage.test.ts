import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { unexpected, type Differences, told } from './compare.ts'
import { describeWithOracle, type Pair, type Peer, startPair } from './peers.ts'
import { ask } from './raw-http.ts'

let pair: Pair
/** A database, as far as Hyperdrive is concerned. */
let peer: Server

/** Paths of the fixture: one a subject. */
const SUBJECTS: Readonly<Record<string, readonly string[]>> = {
  kv: ['values', 'list', 'bulk', 'expiry', 'refusals', 'remove'],
  r2: ['objects', 'ranges', 'conditions', 'list', 'multipart', 'refusals', 'remove'],
  d1: ['statements', 'types', 'batch', 'errors', 'sessions', 'dump'],
  others: [
    'names',
    'limit',
    'analytics',
    'version',
    'mail',
    'mail-builder',
    'mail-refused',
    'pipeline',
    'secret',
    'hyperdrive',
    'peer',
    'images',
  ],
}

const KNOWN: Readonly<Record<string, Differences>> = {}

describeWithOracle('storage and the smaller bindings are as in wrangler dev', () => {
  beforeAll(async () => {
    peer = createServer((socket) => socket.on('data', (bytes) => socket.end(`answer to ${bytes.toString()}`)))
    peer.listen(0, '127.0.0.1')
    await once(peer, 'listening')
    const { port } = peer.address() as AddressInfo
    const CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_PEER = `postgres://user:pass@127.0.0.1:${port}/db`
    pair = await startPair('oracle-storage', {
      environment: { CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_PEER },
    })
  }, 40_000)
  afterAll(async () => {
    await pair?.[Symbol.asyncDispose]()
    peer?.close()
  })

  for (const [topic, names] of Object.entries(SUBJECTS))
    test.each(names)(`${topic}: %s`, async (name) => {
      expect(
        await unexpected(pair, (one) => outcome(one, `/${topic}/${name}`), KNOWN[`${topic}/${name}`]),
      ).toEqual([])
    })
})

/** Two that fail alike would agree: under wrangler the fixture itself must not throw. */
async function outcome({ name, origin }: Peer, path: string): Promise<unknown> {
  const answer = await ask(origin, { path })
  if (name === 'wrangler') expect(JSON.parse(answer.body.toString())).not.toHaveProperty('threw')
  return told(answer, origin)
}
