import {
  type ClientRequest,
  type IncomingMessage,
  request as httpRequest,
  type RequestOptions,
} from 'node:http'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

import { FlexiError } from '../../core/errors.ts'
import { authorityDirectory } from '../../tls/place.ts'
import type { DaemonAddress } from './address.ts'
import { connectionError } from './failures.ts'

export interface Exchange {
  readonly method: string
  /** As it is sent: `/api/functions?project=shop`. */
  readonly target: string
  readonly fields: Readonly<Record<string, string | number>>
  readonly content?: Uint8Array | Upload | undefined
  readonly signal?: AbortSignal | undefined
}

/** Content that is too big to hold, and may be refused before it is sent. */
export interface Upload {
  readonly stream: Readable
  readonly bytes: number
  /** How much is on its way; the last time with all of it. */
  readonly onProgress?: ((sentBytes: number) => void) | undefined
}

/** A machine that does not answer a connection in this time is not there. */
const CONNECT_MS = 10_000

/** The first byte of an answer: starting a function may take its time, and the daemon has limits of its own below this one. */
const ANSWER_MS = 5 * 60_000

/** For servers that never say `100 Continue`; curl waits as long. */
const CONTINUE_MS = 1000

/**
 * Sends one request and resolves with the head of its answer, whatever its status. Redirects are not followed: the token is for one daemon.
 * @throws FlexiError FLEXI_DAEMON when there is no answer; `signal.reason` when it has aborted.
 */
export async function exchange(address: DaemonAddress, asked: Exchange): Promise<IncomingMessage> {
  asked.signal?.throwIfAborted()
  const open = address.secure ? (await import('node:https')).request : httpRequest
  const outgoing = open(await requestOptions(address, asked))
  try {
    const answer = answerOf(outgoing, address)
    send(outgoing, asked.content)
    const incoming = await answer
    if (isUpload(asked.content)) endUpload(asked.content, outgoing)
    return incoming
  } catch (error) {
    if (isUpload(asked.content)) asked.content.stream.destroy()
    asked.signal?.throwIfAborted()
    throw connectionError(address, error)
  }
}

async function requestOptions(address: DaemonAddress, asked: Exchange): Promise<RequestOptions> {
  const { method, target, fields, content, signal } = asked
  return {
    method,
    path: target,
    ...(address.socketPath === undefined ? placeOf(address) : { socketPath: address.socketPath }),
    ...(address.secure ? await ownTrust() : {}),
    ...(signal === undefined ? {} : { signal }),
    headers: {
      host: hostField(address),
      ...fields,
      ...(content === undefined ? {} : contentFields(content)),
    },
  }
}

/** Names below localhost are this machine (RFC 6761 section 6.3), but not every resolver knows. */
function placeOf({ host, port }: DaemonAddress): RequestOptions & { servername?: string } {
  return host.endsWith('.localhost') ? { host: 'localhost', port, servername: host } : { host, port }
}

function hostField({ name, socketPath }: DaemonAddress): string {
  return socketPath === undefined ? new URL(name).host : 'localhost'
}

/** The authority that `flexi` makes certificates with on this machine is trusted beside the public ones. */
async function ownTrust(): Promise<{ ca?: string[] }> {
  const [files, { rootCertificates }] = await Promise.all([import('node:fs/promises'), import('node:tls')])
  const read = (file: string): Promise<string | undefined> =>
    files.readFile(file, 'utf8').catch(() => undefined)
  const own = await read(join(authorityDirectory(process.env), 'ca.pem'))
  if (own === undefined) return {}
  const named = process.env['NODE_EXTRA_CA_CERTS']
  const extra = named === undefined ? undefined : await read(named)
  return { ca: [...rootCertificates, own, ...(extra === undefined ? [] : [extra])] }
}

function contentFields(content: Uint8Array | Upload): Record<string, string | number> {
  if (isUpload(content)) return { 'content-length': content.bytes, expect: '100-continue' }
  return { 'content-length': content.byteLength }
}

function isUpload(content: Uint8Array | Upload | undefined): content is Upload {
  return content !== undefined && !(content instanceof Uint8Array)
}

function answerOf(outgoing: ClientRequest, address: DaemonAddress): Promise<IncomingMessage> {
  const late = (message: string) => () => outgoing.destroy(new FlexiError('FLEXI_DAEMON', message))
  const connect = setTimeout(late(`${address.name} does not answer`), CONNECT_MS)
  let answer: NodeJS.Timeout | undefined
  const connected = (): void => clearTimeout(connect)
  outgoing.once('socket', (socket) => {
    if (!socket.connecting) return connected()
    return void socket.once(address.secure ? 'secureConnect' : 'connect', connected)
  })
  outgoing.once('finish', () => {
    answer = setTimeout(late(`${address.name} took the request and does not answer`), ANSWER_MS)
  })
  return new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve)
    // Stays: what happens after the answer is told by its content, and an error nobody listens to ends the process.
    outgoing.on('error', reject)
  }).finally(() => {
    clearTimeout(connect)
    clearTimeout(answer)
  })
}

function send(outgoing: ClientRequest, content: Exchange['content']): void {
  if (!isUpload(content)) {
    outgoing.end(content)
    return
  }
  let begun = false
  const begin = (): void => {
    clearTimeout(timer)
    if (begun || outgoing.destroyed) return
    begun = true
    upload(content, outgoing)
  }
  const timer = setTimeout(begin, CONTINUE_MS)
  outgoing.once('continue', begin).once('close', () => clearTimeout(timer))
  // An answer instead of the permission: what was refused is not sent.
  outgoing.once('response', () => {
    begun = true
    clearTimeout(timer)
  })
  outgoing.flushHeaders()
}

function upload({ stream, onProgress }: Upload, outgoing: ClientRequest): void {
  let sentBytes = 0
  stream.on('data', (chunk: Buffer) => {
    sentBytes += chunk.length
    onProgress?.(sentBytes)
  })
  stream.once('error', (error) => outgoing.destroy(error))
  stream.pipe(outgoing)
}

/** The answer came, perhaps before all was sent: nothing more is. */
function endUpload({ stream }: Upload, outgoing: ClientRequest): void {
  if (outgoing.writableEnded) return
  stream.unpipe(outgoing)
  stream.destroy()
}
