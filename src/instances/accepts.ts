import { connect } from 'node:net'

/** Where a port of this machine may be listened on. */
export const LOOPBACKS = ['127.0.0.1', '::1'] as const

/** Whether somebody takes connections there. */
export function accepts(
  place: { readonly path: string } | { readonly host: string; readonly port: number },
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(place)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
