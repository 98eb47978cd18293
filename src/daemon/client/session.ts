import { FlexiError } from '../../core/errors.ts'
import { defaultDirectory, placeOf } from '../place.ts'
import { readNote } from '../note.ts'
import { type DaemonAddress, parseDaemonAddress } from './address.ts'
import { type DaemonClient, openClient } from './client.ts'
import { type Credentials, credentialsFile, readCredentials } from './credentials.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Which daemon is meant, and as whom: what flags and environment say, then the login, then the daemon of this machine. */
export interface SessionOptions {
  /** `--daemon` */
  readonly daemon?: string | undefined
  /** `--token` */
  readonly token?: string | undefined
  readonly environment: Environment
  readonly signal?: AbortSignal | undefined
  /** Something a person should know that does not stop anything. */
  readonly onWarning: (message: string) => void
}

/** @throws FlexiError FLEXI_USAGE when no daemon is known, FLEXI_UNAUTHENTICATED when there is no token for it. */
export async function openSession(options: SessionOptions): Promise<DaemonClient> {
  const { environment, signal, onWarning } = options
  const credentials = await knownCredentials(environment, onWarning)
  const address = await addressOf(options, credentials)
  const token = tokenOf(options, credentials, address)
  if (token === undefined && address.socketPath === undefined)
    throw new FlexiError('FLEXI_UNAUTHENTICATED', `you are not logged in to ${address.name}`, {
      hint: `Run "flexi login ${address.name}", or set FLEXI_TOKEN.`,
    })
  return openClient({ address, token, signal })
}

export async function knownCredentials(
  environment: Environment,
  onWarning: (message: string) => void,
): Promise<Credentials> {
  const file = credentialsFile(environment)
  return await readCredentials(file, () =>
    onWarning(`${file} could be read by other users of this machine; now it is yours alone`),
  )
}

async function addressOf(
  { daemon, environment }: SessionOptions,
  { current }: Credentials,
): Promise<DaemonAddress> {
  const named = daemon ?? said(environment['FLEXI_DAEMON']) ?? current ?? (await localDaemon(environment))
  if (named !== undefined) return parseDaemonAddress(named)
  throw new FlexiError('FLEXI_USAGE', 'no daemon is named', {
    hint: 'Run "flexi login URL", name one with --daemon or FLEXI_DAEMON, or start one here with "flexi daemon start".',
  })
}

/** The operator's socket of the daemon that runs on this machine. */
async function localDaemon(environment: Environment): Promise<string | undefined> {
  const note = await readNote(placeOf(defaultDirectory(environment)).note)
  return note === undefined ? undefined : `unix:${note.socket}`
}

/** A token that was kept is for the daemon that it came from, and for no other. */
function tokenOf(
  { token, environment }: SessionOptions,
  { daemons }: Credentials,
  { name }: DaemonAddress,
): string | undefined {
  const given = token ?? said(environment['FLEXI_TOKEN'])
  const kept = Object.hasOwn(daemons, name) ? daemons[name]?.token : undefined
  return given === undefined ? kept : requireToken(given)
}

/**
 * A token as it may be sent.
 * @throws FlexiError FLEXI_USAGE for a text that cannot be one; the text itself is not shown.
 */
export function requireToken(text: string): string {
  const token = text.trim()
  if (/^[\x21-\x7e]{8,512}$/.test(token)) return token
  throw new FlexiError('FLEXI_USAGE', 'that is no token', {
    hint: 'A token is one word, such as the daemon prints it.',
  })
}

function said(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
