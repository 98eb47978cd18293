import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { configurationDirectory } from '../../core/user-directories.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** One daemon that its user logged in to. */
interface Login {
  readonly token: string
  readonly user: string
}

/** The daemons a user knows. Written as a whole; never printed. */
export interface Credentials {
  /** The daemon that is meant where none is named: the last one that was logged in to. */
  readonly current?: string | undefined
  /** By the name of their address. */
  readonly daemons: Readonly<Record<string, Login>>
}

/** FLEXI_CONFIG_DIR names another folder. */
export function credentialsFile(
  environment: Environment,
  platform: NodeJS.Platform = process.platform,
): AbsolutePath {
  const own = environment['FLEXI_CONFIG_DIR']
  const folder =
    own === undefined || own === '' ? join(configurationDirectory(environment, platform), 'flexi') : own
  return resolve(folder, 'credentials.json') as AbsolutePath
}

/**
 * What is written there; nothing where there is no file. A file that others can read is closed to them first, and `onOpen` is told.
 * @throws FlexiError FLEXI_CONFIG when it cannot be read or understood.
 */
export async function readCredentials(file: AbsolutePath, onOpen: () => void): Promise<Credentials> {
  const found = await stat(file).catch(() => undefined)
  if (found === undefined) return { daemons: {} }
  if (process.platform !== 'win32' && (found.mode & 0o077) !== 0) {
    await chmod(file, 0o600).catch(() => undefined)
    onOpen()
  }
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new FlexiError('FLEXI_CONFIG', `${file} cannot be read`, { cause })
  })
  const credentials = parseCredentials(text)
  if (credentials !== undefined) return credentials
  throw new FlexiError('FLEXI_CONFIG', `${file} is no file of flexi's`, {
    hint: 'Remove it, and log in again.',
  })
}

/** Undefined for what is not a file that `writeCredentials` wrote; single logins that are none are left out. */
export function parseCredentials(text: string): Credentials | undefined {
  const value = parsed(text)
  if (!isRecord(value) || !isRecord(value['daemons'])) return undefined
  const daemons = Object.entries(value['daemons']).flatMap(([name, login]): [string, Login][] => {
    if (!isRecord(login)) return []
    const { token, user } = login
    return typeof token === 'string' && typeof user === 'string' ? [[name, { token, user }]] : []
  })
  const current = value['current']
  return { current: typeof current === 'string' ? current : undefined, daemons: Object.fromEntries(daemons) }
}

/** At once and for its user alone: another command never sees half of it. @throws FlexiError FLEXI_CONFIG when it cannot be written. */
export async function writeCredentials(file: AbsolutePath, credentials: Credentials): Promise<void> {
  const draft = `${file}.${process.pid}`
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await rm(draft, { force: true })
    const handle = await open(draft, 'wx', 0o600)
    try {
      await handle.writeFile(`${JSON.stringify(credentials, null, 2)}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(draft, file)
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => undefined)
    throw new FlexiError('FLEXI_CONFIG', `${file} cannot be written`, {
      hint: 'Name another folder in FLEXI_CONFIG_DIR, or use FLEXI_TOKEN and FLEXI_DAEMON instead of a login.',
      cause,
    })
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
