import { request } from 'node:http'

import { FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import type { DaemonNote } from './note.ts'
import { placeOf } from './place.ts'

/**
 * For the operator: makes the root token anew, through the daemon that runs or, where none does, in its store.
 * @throws FlexiError FLEXI_DAEMON when the daemon cannot be asked; FLEXI_NO_INPUT when there is no data directory.
 */
export async function renewRootToken(directory: AbsolutePath, note: DaemonNote | undefined): Promise<string> {
  return note === undefined ? renewInStore(directory) : askDaemon(note.socket)
}

async function renewInStore(directory: AbsolutePath): Promise<string> {
  const [{ openStore }, { openAccounts }, { readKeyFile }, { stat }] = await Promise.all([
    import('./store/open-store.ts'),
    import('./accounts/open-accounts.ts'),
    import('./signing/key-file.ts'),
    import('node:fs/promises'),
  ])
  const { database, key } = placeOf(directory)
  if ((await stat(database).catch(() => undefined)) === undefined)
    throw new FlexiError('FLEXI_NO_INPUT', `${directory} is not a daemon's folder`, {
      hint: 'The first "flexi daemon start" makes it, and prints the token.',
    })
  const bytes = await readKeyFile(key)
  using store = await openStore({ file: database, key: bytes })
  return openAccounts({ store, key: bytes }).renewRootToken()
}

function askDaemon(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (message: string): void =>
      reject(
        new FlexiError('FLEXI_DAEMON', `the daemon gives no token: ${message}`, {
          hint: 'Run this as the user that the daemon runs as.',
        }),
      )
    const outgoing = request({ socketPath, method: 'POST', path: '/api/operator/root-token' }, (incoming) => {
      let text = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (chunk: string) => (text += chunk))
      incoming.on('end', () => {
        if (incoming.statusCode === 200) resolve((JSON.parse(text) as { token: string }).token)
        else fail(`${incoming.statusCode} ${text}`)
      })
    })
    outgoing.on('error', (error) => fail(error.message))
    outgoing.end()
  })
}
