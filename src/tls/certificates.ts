import { isIP } from 'node:net'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'

import { errorMessage, FlexiError } from '../core/errors.ts'
import type { HttpsSettings } from '../core/project.ts'
import { openAuthority, type Authority } from './authority.ts'
import { coversHost, isLocalName, namesOfServer } from './names.ts'
import { readCertificates, type Served } from './own-certificates.ts'
import { authorityDirectory } from './place.ts'

export interface CertificatesOptions {
  /** What the server listens on: `127.0.0.1`, `0.0.0.0`. */
  readonly host: string
  /** FLEXI_CA_DIR and XDG_DATA_HOME are read from it. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What becomes true while it serves, such as a certificate that ends soon. What is so at the start is said by who reads the configuration. */
  onWarning(message: string): void
}

/** The certificates of one server, which may be replaced while it serves. Looked after once a day: those of the authority are renewed. */
export interface Certificates extends Disposable {
  /** For clients that name no server, or one that none of them stands for. */
  readonly fallback: SecureContextOptions
  /** Undefined while all certificates are the user's own. */
  readonly authority: Authority | undefined
  /** The one for a name that a client asks for; undefined means the fallback. */
  contextFor(serverName: string): Promise<SecureContext | undefined>
  /** True when the certificate shown for `serverName` does not stand for this host, and another one does. */
  isMisdirected(serverName: string, hostName: string): boolean
  /** Calls back when the fallback has changed. */
  onChange(listener: () => void): void
  /**
   * New connections get what is read now; those that are open keep theirs.
   * @throws FlexiError FLEXI_CONFIG; the old ones stay then.
   */
  replace(settings: HttpsSettings): Promise<void>
}

/** Where contexts come from. Swapped as a whole. */
interface Source {
  readonly fallback: Served
  readonly authority: Authority | undefined
  readonly warnings: readonly string[]
  contextFor(serverName: string): Promise<SecureContext | undefined>
  isMisdirected(serverName: string, hostName: string): boolean
}

/**
 * Reads the user's certificates; without any, the user's own authority makes one for each local name that is asked for.
 * @throws FlexiError FLEXI_CONFIG naming the files and what is wrong with them.
 */
export async function openCertificates(
  settings: HttpsSettings,
  options: CertificatesOptions,
): Promise<Certificates> {
  let current = settings
  let source = await openSource(settings, options)
  const listeners: (() => void)[] = []
  const warn = (): void => source.warnings.forEach((warning) => options.onWarning(warning))
  const replace = async (next: HttpsSettings): Promise<void> => {
    source = await openSource(next, options)
    current = next
    for (const listener of listeners) listener()
  }
  const daily = setInterval(() => {
    replace(current).then(warn, (error: unknown) => options.onWarning(errorMessage(error)))
  }, DAY_MS)
  daily.unref()
  return {
    get fallback() {
      return { cert: source.fallback.cert, key: source.fallback.key }
    },
    get authority() {
      return source.authority
    },
    contextFor: (serverName) => source.contextFor(serverName.toLowerCase()),
    isMisdirected: (serverName, hostName) => source.isMisdirected(serverName.toLowerCase(), hostName),
    onChange: (listener) => void listeners.push(listener),
    replace,
    [Symbol.dispose]: () => clearInterval(daily),
  }
}

const DAY_MS = 86_400_000

function openSource(settings: HttpsSettings, options: CertificatesOptions): Promise<Source> {
  return settings.certificates.length === 0 ? ownAuthority(options) : ownFiles(settings)
}

async function ownFiles({ certificates }: HttpsSettings): Promise<Source> {
  const { served, warnings } = await readCertificates(certificates)
  const [first] = served
  if (first === undefined) throw new FlexiError('FLEXI_BUG', 'no certificate was read')
  const find = (name: string): Served | undefined =>
    served.find(({ names }) => names.includes(name)) ?? served.find((one) => stands(one.names, name))
  return {
    fallback: first,
    authority: undefined,
    warnings,
    contextFor: (serverName) => Promise.resolve(find(serverName)?.context),
    isMisdirected: (serverName, hostName) => {
      const shown = find(serverName) ?? first
      return !stands(shown.names, hostName) && find(hostName) !== undefined
    },
  }
}

function stands(names: readonly string[], host: string): boolean {
  return names.some((name) => coversHost(name, host))
}

/** Names that strangers may make us issue certificates for. */
const ISSUED_MAX = 500

async function ownAuthority({ host, environment }: CertificatesOptions): Promise<Source> {
  const authority = await openAuthority(authorityDirectory(environment))
  const names = namesOfServer(host)
  const fallback = await serve(authority, names)
  const issued = new Map<string, Promise<SecureContext>>()
  const isOwn = (name: string): boolean => isIP(name) === 0 && isLocalName(name)
  const contextFor = (serverName: string): Promise<SecureContext | undefined> => {
    // By its own name, since browsers take no star right below localhost.
    if (names.includes(serverName) || !isOwn(serverName)) return NO_CONTEXT
    const known = issued.get(serverName)
    if (known !== undefined || issued.size >= ISSUED_MAX) return known ?? NO_CONTEXT
    const issuing = serve(authority, [serverName]).then(({ context }) => context)
    issued.set(serverName, issuing)
    issuing.catch(() => issued.delete(serverName))
    return issuing
  }
  return {
    fallback,
    authority,
    warnings: [],
    contextFor,
    isMisdirected: (serverName, hostName) => {
      const shown = isOwn(serverName) && !names.includes(serverName) ? [serverName] : names
      return !stands(shown, hostName) && (isOwn(hostName) || names.includes(hostName))
    },
  }
}

const NO_CONTEXT: Promise<undefined> = Promise.resolve(undefined)

async function serve(authority: Authority, names: readonly string[]): Promise<Served> {
  const { cert, key } = await authority.issue(names)
  return { cert, key, names, context: createSecureContext({ cert, key }) }
}
