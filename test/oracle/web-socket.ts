import { once } from 'node:events'

import { type RawData, WebSocket } from 'ws'

export interface Conversation {
  readonly protocols?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  readonly send: readonly (string | Buffer)[]
  /** Messages to wait for, whoever began. */
  readonly answers: number
  /** Sent after the last answer; else the server closes. */
  readonly close?: readonly [code: number, reason: string]
}

/** What a client hears over one WebSocket, in order, and how it ended. */
export async function converse(
  url: string,
  { protocols = [], headers, send, answers, close }: Conversation,
): Promise<unknown> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), [...protocols], { headers: { ...headers } })
  const heard: string[] = []
  const upgrade: Record<string, unknown> = {}
  socket.on('upgrade', ({ statusCode, headers: fields }) => {
    const kept = Object.entries(fields).filter(([name]) => name !== 'date' && name !== 'sec-websocket-accept')
    Object.assign(upgrade, { statusCode, ...Object.fromEntries(kept) })
  })
  const all = new Promise<void>((resolve) => {
    socket.on('message', (data: RawData, isBinary: boolean) => {
      heard.push(isBinary ? `binary ${(data as Buffer).toString('hex')}` : (data as Buffer).toString())
      if (heard.length === answers) resolve()
    })
  })
  const ended = once(socket, 'close') as Promise<[number, Buffer]>
  try {
    await once(socket, 'open')
    for (const message of send) socket.send(message)
    if (close !== undefined) {
      await Promise.race([all, ended])
      socket.close(...close)
    }
    const [code, reason] = await ended
    return { upgrade, protocol: socket.protocol, heard, code, reason: reason.toString() }
  } finally {
    socket.terminate()
  }
}
