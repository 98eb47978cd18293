import { request } from 'node:http'

import type { Reached } from './reach.ts'

/** A program that is at work on something else answers within that. */
const ALIVE_MS = 700

/**
 * Whether a program answers anything at all: `OPTIONS *` asks for nothing (RFC 9110 section 9.3.7). One that does not is stuck, and what it
 * was asked is lost anyway.
 */
export function isAlive({ socketPath, host, port }: Reached): Promise<boolean> {
  const to = socketPath === undefined ? { host, port } : { socketPath }
  return new Promise((resolve) => {
    const asked = request({
      ...to,
      method: 'OPTIONS',
      path: '*',
      agent: false,
      headers: { host: 'localhost' },
    })
    const timer = setTimeout(() => {
      resolve(false)
      asked.destroy()
    }, ALIVE_MS)
    const answered = (): void => {
      clearTimeout(timer)
      resolve(true)
      asked.destroy()
    }
    // One that refuses to talk of itself is not stuck.
    asked.once('response', answered).on('error', answered).end()
  })
}
