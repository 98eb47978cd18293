import { resolve } from 'node:path'

import type { AbsolutePath, Fault } from '../core/place.ts'
import type {
  BalancePolicy,
  HealthCheckSettings,
  RequestKey,
  UpstreamSettings,
  UpstreamTimeouts,
  UpstreamTls,
} from '../core/upstream.ts'
import { isWritten, locate, type FlexiSource, type Path } from './flexi-faults.ts'
import type { RouteDocument } from './flexi-schema.ts'
import type { NamedFiles } from './named-files.ts'

type UpstreamDocument = NonNullable<RouteDocument['upstream']>

/** What reads a section notes on the way. */
export interface SectionReader {
  readonly source: FlexiSource
  /** Where relative paths start. */
  readonly directory: AbsolutePath
  readonly faults: Fault[]
  /** Files that are named, which are watched. */
  readonly files: AbsolutePath[]
  /** What those held. */
  readonly named: NamedFiles
}

/** Reads the `upstream` of a route, which is at `path`. */
export function readUpstream(
  document: UpstreamDocument,
  path: Path,
  reader: SectionReader,
): UpstreamSettings {
  const { host, http2, retries, timeouts, tls, health, eject } = document
  return {
    balance: readBalance(document, path, reader),
    host,
    http2,
    retries,
    retryStatus: document.retry_status,
    timeouts: timeouts === undefined ? undefined : readTimeouts(timeouts),
    tls: tls === undefined ? undefined : readTls(tls, [...path, 'tls'], reader),
    health: health === undefined ? undefined : readHealth(health, [...path, 'health'], reader),
    eject: eject === undefined ? undefined : readEject(eject),
    requestFields: readFields(document.request_headers, [...path, 'request_headers'], reader),
    responseFields: readFields(document.response_headers, [...path, 'response_headers'], reader),
  }
}

function readBalance(
  { balance, hash }: UpstreamDocument,
  path: Path,
  { source, faults }: SectionReader,
): BalancePolicy | undefined {
  if (hash !== undefined) {
    if (balance === undefined || balance === 'hash') return { kind: 'hash', key: readKey(hash) }
    const message = `"hash" needs "balance": "hash", not "${balance}"`
    faults.push({ ...locate(source, [...path, 'hash']), message, hint: 'Remove one of the two.' })
    return undefined
  }
  if (balance !== 'hash') return balance === undefined ? undefined : { kind: balance }
  // What is there and left out is a fault already.
  if (isWritten(source, [...path, 'hash'])) return undefined
  const message = '"balance" is "hash", and nothing says of what'
  const hint = 'Add "hash": "address", "path", "header NAME" or "cookie NAME".'
  faults.push({ ...locate(source, [...path, 'balance']), message, hint })
  return undefined
}

/** `header X-User` → { kind: 'field', name: 'x-user' } */
export function readKey(text: string): RequestKey {
  const [kind, name = ''] = text.split(' ')
  if (kind === 'header') return { kind: 'field', name: name.toLowerCase() }
  if (kind === 'cookie') return { kind: 'cookie', name }
  return { kind: kind === 'path' ? 'path' : 'address' }
}

function readTimeouts(document: NonNullable<UpstreamDocument['timeouts']>): UpstreamTimeouts {
  return {
    connectMs: milliseconds(document.connect),
    tryMs: milliseconds(document.try),
    totalMs: milliseconds(document.total),
    idleMs: milliseconds(document.idle),
  }
}

function readTls(
  document: NonNullable<UpstreamDocument['tls']>,
  path: Path,
  reader: SectionReader,
): UpstreamTls {
  const { verify, cert, key } = document
  const [there, missing] = cert === undefined ? ['key', 'cert'] : ['cert', 'key']
  if ((cert === undefined) !== (key === undefined) && !isWritten(reader.source, [...path, missing])) {
    const at = locate(reader.source, [...path, there])
    reader.faults.push({ ...at, message: `"${there}" needs "${missing}"`, hint: `Add "${missing}".` })
  }
  const files = {
    ca: readFileName(document.ca, [...path, 'ca'], reader),
    cert: readFileName(cert, [...path, 'cert'], reader),
    key: readFileName(key, [...path, 'key'], reader),
  }
  const hashes = Object.values(files).flatMap((file) =>
    file === undefined ? [] : (reader.named.get(file)?.hash ?? ''),
  )
  const revision = hashes.length === 0 ? undefined : hashes.join(' ')
  return { verify, ...files, serverName: document.server_name, revision }
}

/** Sees that the file is there, and that it is watched. */
export function readFileName(
  name: string | undefined,
  path: Path,
  { source, directory, files, named, faults }: SectionReader,
): AbsolutePath | undefined {
  if (name === undefined) return undefined
  const file = resolve(directory, name) as AbsolutePath
  files.push(file)
  const found = named.get(file)
  if (found !== undefined && found !== null) return file
  const message = found === null ? `"${name}" cannot be read as a file` : `there is no file "${name}"`
  faults.push({ ...locate(source, path), message, hint: 'Name a file in PEM format.' })
  return file
}

function readHealth(
  document: NonNullable<UpstreamDocument['health']>,
  path: Path,
  { source, faults }: SectionReader,
): HealthCheckSettings | undefined {
  if (document === false) return undefined
  if (document === true) return { path: '/' }
  if (typeof document === 'string') return { path: document }
  return {
    path: document.path ?? '/',
    intervalMs: milliseconds(document.interval),
    timeoutMs: milliseconds(document.timeout),
    passes: document.passes,
    fails: document.fails,
    status: readStatuses(document.status, [...path, 'status'], { source, faults }),
  }
}

function readStatuses(
  statuses: readonly number[] | undefined,
  path: Path,
  { source, faults }: Pick<SectionReader, 'source' | 'faults'>,
): readonly [number, number] | undefined {
  const [first, last] = statuses ?? []
  if (first === undefined || last === undefined) return undefined
  if (first <= last) return [first, last]
  const message = `"status" begins at ${first} and ends at ${last}`
  faults.push({ ...locate(source, path), message, hint: `Write [${last}, ${first}].` })
  return undefined
}

/** Never is after infinitely many failures. */
function readEject(document: NonNullable<UpstreamDocument['eject']>): UpstreamSettings['eject'] {
  if (document === false) return { fails: Infinity, forMs: 0 }
  return { fails: document.fails ?? EJECT_FAILS, forMs: milliseconds(document.seconds) ?? EJECT_MS }
}

const EJECT_FAILS = 3
const EJECT_MS = 10_000

type Fields = Readonly<Record<string, string | null>>

function readFields(
  fields: Fields | undefined,
  path: Path,
  { source, faults }: SectionReader,
): Fields | undefined {
  const names = new Set<string>()
  for (const name of Object.keys(fields ?? {})) {
    const lower = name.toLowerCase()
    const at = locate(source, [...path, name], 'key')
    if (names.has(lower))
      faults.push({
        ...at,
        message: `"${name}" is set twice`,
        hint: 'Remove one of the two; case does not count.',
      })
    names.add(lower)
    if (OWN_FIELDS.has(lower))
      faults.push({
        ...at,
        message: `"${name}" belongs to the connection`,
        hint: 'Remove it: flexi sets it.',
      })
    if (lower === 'host' && path.at(-1) === 'request_headers')
      faults.push({
        ...at,
        message: '"Host" is set elsewhere',
        hint: 'Write "host" in "upstream" in its place.',
      })
  }
  return fields
}

/** RFC 9110 section 7.6.1, and what frames the content. */
const OWN_FIELDS = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.max(1, Math.round(seconds * 1000))
}
