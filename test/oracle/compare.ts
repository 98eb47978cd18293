import type { Pair, Peer } from './peers.ts'
import { ask, type RawAnswer, type RawRequest } from './raw-http.ts'

/** Plain data: what one peer did. */
type Observation = unknown

/**
 * Where the two may differ, and why. The key is a place in the observation (`fields.content-type`, `body.headers.host`)
 * and stands for what lies in it; a place of the list that does not differ fails a test as much as a difference that is not in it.
 */
export type Differences = Readonly<Record<string, string>>

/**
 * Differences that are not known, and known ones that are gone, a line each: empty when the two are alike.
 * Place and values of both are in the line.
 */
export async function unexpected(
  pair: Pair,
  observe: (peer: Peer) => Promise<Observation>,
  known: Differences = {},
): Promise<string[]> {
  const [wrangler, flexi] = await Promise.all([observe(pair.wrangler), observe(pair.flexi)])
  const found = differences(wrangler, flexi)
  const places = Object.keys(known)
  const unknown = found.filter(({ at }) => !places.some((place) => isWithin(at, place)))
  const gone = places.filter((place) => !found.some(({ at }) => isWithin(at, place)))
  return [...unknown.map(line), ...gone.map((at) => `${at}: no longer differs`)]
}

function isWithin(at: string, place: string): boolean {
  return at === place || place === '' || at.startsWith(`${place}.`)
}

function line({ at, wrangler, flexi }: Difference): string {
  return `${at}: wrangler ${JSON.stringify(wrangler)}, flexi ${JSON.stringify(flexi)}`
}

interface Difference {
  readonly at: string
  readonly wrangler: unknown
  readonly flexi: unknown
}

/** Places in which two plain values differ; a list whose lengths differ is one place. */
function differences(wrangler: unknown, flexi: unknown, at = ''): Difference[] {
  if (Object.is(wrangler, flexi)) return []
  const [left, right] = [membersOf(wrangler), membersOf(flexi)]
  if (left === undefined || right === undefined || Array.isArray(wrangler) !== Array.isArray(flexi))
    return [{ at, wrangler, flexi }]
  if (Array.isArray(wrangler) && left.size !== right.size) return [{ at, wrangler, flexi }]
  const names = new Set([...left.keys(), ...right.keys()])
  return [...names].flatMap((name) =>
    differences(left.get(name), right.get(name), at === '' ? name : `${at}.${name}`),
  )
}

function membersOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : undefined
}

/** Response fields that are compared nowhere, and why. */
const IGNORED_FIELDS: Differences = {
  date: 'it is the time',
  connection:
    'of the connection and not of the answer; flexi says it as RFC 9112 asks of a server that closes',
  'keep-alive': 'of the connection: how long flexi keeps it',
  'transfer-encoding': 'of the connection; flexi streams what wrangler streams',
}

/** An answer as plain data. Names are lowercase (they mean the same), values in order; content is parsed where it is JSON. */
export function told(answer: RawAnswer, origin: string): Observation {
  const fields: Record<string, string[]> = {}
  for (const [name, value] of answer.fields)
    if (!(name.toLowerCase() in IGNORED_FIELDS)) (fields[name.toLowerCase()] ??= []).push(value)
  // A right length says what the content says.
  if (fields['content-length']?.join() === String(answer.body.length)) delete fields['content-length']
  return anonymous(
    {
      status: answer.status,
      reason: answer.reason,
      fields,
      body: content(answer.body, fields),
      ...(answer.cut && { cut: true }),
    },
    origin,
  )
}

/** Ports differ by nature, and so do the ETags of assets: they are made of a file's path and time. */
function anonymous(value: unknown, origin: string): unknown {
  const { host } = new URL(origin)
  return JSON.parse(
    JSON.stringify(value)
      .replaceAll(host, 'HOST')
      .replaceAll(/"etag":\["(W\/)?\\"[0-9a-f]{32}\\""\]/g, '"etag":["$1HASH"]'),
  )
}

function content(body: Buffer, fields: Readonly<Record<string, string[]>>): unknown {
  const text = body.toString('utf8')
  if (!Buffer.from(text).equals(body)) return { base64: body.toString('base64') }
  if (fields['content-type']?.[0]?.includes('json') !== true) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Asks both peers the same and compares all of the answers. */
export function unexpectedAnswers(
  pair: Pair,
  request: RawRequest,
  known: Differences = {},
): Promise<string[]> {
  return unexpected(pair, (peer) => askPeer(peer, request), known)
}

const TRIES = 5

/** Shortly after its start wrangler may start its runtime again, and then asks clients to repeat what is no GET. */
async function askPeer({ origin }: Peer, request: RawRequest): Promise<Observation> {
  for (let tries = 1; ; tries++) {
    const answer = await ask(origin, request)
    const isRestart = answer.status === 503 && answer.body.includes('restarted mid-request')
    if (!isRestart || tries === TRIES) return told(answer, origin)
  }
}
