import { afterAll, beforeAll, expect, test } from 'vitest'

import { unexpected, type Differences, told } from './compare.ts'
import { describeWithOracle, type Pair, type Peer, startPair } from './peers.ts'
import { ask } from './raw-http.ts'
import { converse } from './web-socket.ts'

let pair: Pair

const KNOWN: Readonly<Record<string, Differences>> = {}

describeWithOracle('Durable Objects, queues and workflows are as in wrangler dev', () => {
  beforeAll(async () => {
    pair = await startPair('oracle-objects')
  }, 40_000)
  afterAll(async () => pair?.[Symbol.asyncDispose]())

  test.each(['ids', 'fetch', 'rpc', 'sql', 'sqlErrors', 'storage', 'abort', 'plain'])(
    'objects: %s',
    async (name) => {
      expect(await outcomes(`/objects/${name}`)).toEqual([])
    },
  )

  test('an alarm rings, and again when it failed', async () => {
    expect(await outcomes('/objects/ring')).toEqual([])
    await both('/objects/heard', ({ rang, pending }) => rang?.length === 2 && pending === null)
    expect(await outcomes('/objects/heard')).toEqual([])
  })

  test('WebSockets of an object: greeting, broadcast, tags, auto response, binary, both ways of closing', async () => {
    expect(
      await unexpected(pair, async ({ origin }) => [
        await converse(`${origin}/room/r?tag=one`, {
          send: ['hi', 'ping', 'who', Buffer.from([0, 255])],
          answers: 5,
          close: [4100, 'mine'],
        }),
        await converse(`${origin}/room/s?tag=two`, { send: ['bye'], answers: 1 }),
      ]),
    ).toEqual([])
    await both('/objects/closed', (value) => value !== null)
    expect(await outcomes('/objects/closed')).toEqual([])
  })

  test.each(['refusals', 'metrics'])('queues: %s', async (name) => {
    expect(await outcomes(`/queues/${name}`)).toEqual([])
  })

  test('a queue delivers batches, waits, tries again and gives up into the dead letter queue', async () => {
    for (const name of ['send', 'batch', 'again', 'later', 'slow'])
      expect(await outcomes(`/queues/${name}`)).toEqual([])
    await expect.poll(deliveries).toEqual([DELIVERED, DELIVERED])
  })

  test.each(['plain', 'retries', 'fails', 'impatient'])('a workflow: %s', async (kind) => {
    expect(await outcomes(`/workflows/create?kind=${kind}`)).toEqual([])
    await both(
      `/workflows/status?kind=${kind}`,
      ({ status }) => status === 'complete' || status === 'errored',
    )
    expect(await outcomes(`/workflows/status?kind=${kind}`)).toEqual([])
  })

  test('a workflow waits for an event', async () => {
    expect(await outcomes('/workflows/create?kind=waits')).toEqual([])
    await both('/workflows/status?kind=waits', ({ status }) => status === 'waiting' || status === 'running')
    expect(await outcomes('/workflows/send')).toEqual([])
    await both('/workflows/status?kind=waits', ({ status }) => status === 'complete')
    expect(await outcomes('/workflows/status?kind=waits')).toEqual([])
  })

  test('a workflow is paused, resumed and terminated', async () => {
    expect(await outcomes('/workflows/create?kind=sleeps')).toEqual([])
    for (const name of ['pause', 'resume', 'terminate'])
      expect(await outcomes(`/workflows/${name}`)).toEqual([])
    await both('/workflows/status?kind=sleeps', ({ status }) => status === 'terminated')
    expect(await outcomes('/workflows/status?kind=sleeps')).toEqual([])
  })

  test.each(['errors', 'batch'])('workflows: %s', async (name) => {
    expect(await outcomes(`/workflows/${name}`)).toEqual([])
  })
})

/** What differs between the two in what a path tells. */
function outcomes(path: string): Promise<string[]> {
  return unexpected(pair, (peer) => outcome(peer, path), KNOWN[path])
}

/** Waits until both have come to what is expected: time is theirs. */
async function both(
  path: string,
  fits: (value: { status?: string; rang?: unknown[]; pending?: unknown }) => boolean,
): Promise<void> {
  for (const { name, origin } of [pair.wrangler, pair.flexi])
    await expect
      .poll(async () => {
        const { body } = await ask(origin, { path })
        const { value } = JSON.parse(body.toString()) as { value: never }
        return fits(value) ? 'as expected' : `${name}: ${body.toString()}`
      })
      .toBe('as expected')
}

/** body and attempt of each message: which come together, and which first, is a matter of milliseconds. */
const DELIVERED = {
  jobs: [
    '"again" 1',
    '"again" 2',
    '"later" 1',
    '"later" 2',
    '"slow" 1',
    '"text" 1',
    '1 1',
    '{"j":1} 1',
    '{"job":1,"at":"1970-01-01T00:00:00.000Z"} 1',
  ],
  dead: ['"again" 1'],
}

interface Message {
  readonly body: unknown
  readonly attempts: number
}

function deliveries(): Promise<unknown[]> {
  return Promise.all(
    [pair.wrangler, pair.flexi].map(async ({ origin }) => {
      const { body } = await ask(origin, { path: '/arrived' })
      const batches = JSON.parse(body.toString()) as Record<string, Message[][]>
      return Object.fromEntries(
        Object.entries(batches).map(([queue, lists]) => [queue, lists.flat().map(line).toSorted()]),
      )
    }),
  )
}

function line({ body, attempts }: Message): string {
  return `${JSON.stringify(body)} ${attempts}`
}

/** Two that fail alike would agree: under wrangler the fixture itself must not throw. */
async function outcome({ name, origin }: Peer, path: string): Promise<unknown> {
  const answer = await ask(origin, { path })
  if (name === 'wrangler') expect(JSON.parse(answer.body.toString())).not.toHaveProperty('threw')
  return told(answer, origin)
}
