import { request, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

import type { Control, ControlAnswer, ControlRequest } from '../emulators/workers/state/index.ts'

/** Asks for stored data of a function where another process runs it; `control` is its `RunningServer.control`. */
export function remoteControl(control: string, name: string): Control {
  const base = new URL(`${control}/workers/${encodeURIComponent(name)}`)
  return { ask: (asked) => ask(base, asked) }
}

/** `path` begins below `RunningServer.control`. @throws Error when nobody answers, `signal.reason` when it has aborted. */
export async function askServer(control: string, path: string, signal: AbortSignal): Promise<ControlAnswer> {
  try {
    return await ask(new URL(control), { method: 'GET', target: path }, signal)
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  }
}

async function ask(
  base: URL,
  { method, target, fields, body }: ControlRequest,
  signal?: AbortSignal,
): Promise<ControlAnswer> {
  const secure = base.protocol === 'https:'
  // A certificate of flexi's own, for the machine that both run on.
  const open = secure ? (await import('node:https')).request : request
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = open({
      host: base.hostname,
      port: base.port,
      method,
      path: `${base.pathname}${target}`,
      ...(signal === undefined ? {} : { signal }),
      headers: { ...fields, ...(body instanceof Uint8Array ? { 'content-length': body.byteLength } : {}) },
      ...(secure ? { rejectUnauthorized: false } : {}),
    })
    outgoing.once('response', resolve)
    outgoing.once('error', reject)
    if (!(body instanceof Readable)) {
      outgoing.end(body)
      return
    }
    body.once('error', (error) => outgoing.destroy(error))
    body.pipe(outgoing)
  })
  const named = Object.entries(response.headers).filter(([, value]) => typeof value === 'string')
  return {
    status: response.statusCode ?? 0,
    fields: Object.fromEntries(named) as Record<string, string>,
    body: response,
  }
}
