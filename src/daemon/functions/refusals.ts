import type { Duplex } from 'node:stream'

import { FlexiError } from '../../core/errors.ts'

export function openedTooLong(name: string, limitMs: number): FlexiError {
  return new FlexiError('FLEXI_DEPLOY', `${name} could not be opened within ${limitMs / 1000} s`)
}

export function stopped(name: string): FlexiError {
  return new FlexiError('FLEXI_SHUTTING_DOWN', `${name} is stopped`, {
    hint: 'Start it with "flexi functions start".',
  })
}

/** For one that asked for another protocol before anybody could know whether there is one. */
export function refuseUpgrade(socket: Duplex, status: string): void {
  if (!socket.destroyed) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}
