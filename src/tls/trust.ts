import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

import type { AbsolutePath } from '../core/place.ts'

/** One place that decides whom programs trust, and what puts the authority there. */
export interface TrustStore {
  /** `this system`, `Chrome`, `Firefox` */
  readonly name: string
  /** Programs and their arguments, in order. */
  readonly install: readonly Command[]
  readonly uninstall: readonly Command[]
}

export type Command = readonly [program: string, ...words: string[]]

/** Programs that are told for themselves, each time. */
export interface TrustHint {
  readonly name: string
  /** For a shell. */
  readonly line: string
}

/** The machine as the stores see it; tests have one of their own. */
export interface System {
  readonly platform: NodeJS.Platform
  readonly home: string
  readonly isRoot: boolean
  /** Put before the machine's own paths. */
  readonly root: string
}

function thisSystem(): System {
  return { platform: process.platform, home: homedir(), isRoot: process.getuid?.() === 0, root: '/' }
}

export interface TrustedFile {
  readonly file: AbsolutePath
  /** SHA-256, `AB:CD:…` */
  readonly fingerprint: string
}

/** The stores of this machine that a browser or a program may look into. */
export function trustStores(authority: TrustedFile, system: System = thisSystem()): readonly TrustStore[] {
  const { platform } = system
  if (platform === 'darwin') return [keychain(authority, system), ...firefox(authority, system)]
  if (platform === 'win32') return [windows(authority), ...firefox(authority, system)]
  return [...linux(authority, system), ...chrome(authority, system), ...firefox(authority, system)]
}

export function trustHints(file: AbsolutePath, url = 'https://localhost:8069'): readonly TrustHint[] {
  return [
    { name: 'Node', line: `export NODE_EXTRA_CA_CERTS=${quoted(file)}` },
    { name: 'curl', line: `curl --cacert ${quoted(file)} ${url}/` },
  ]
}

/** As it is typed into a shell. */
export function commandLine(command: Command): string {
  return command.map(quoted).join(' ')
}

function quoted(word: string): string {
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/** Tells ours from those of other users. */
function storeName({ fingerprint }: TrustedFile): string {
  return `flexi-${fingerprint.replaceAll(':', '').slice(0, 16).toLowerCase()}`
}

/** Where distributions keep what they trust, and what reads it: Debian, Fedora, SUSE; Arch's `trust` keeps it itself. */
const LINUX_STORES = [
  { folder: 'usr/local/share/ca-certificates', suffix: '.crt', refresh: ['update-ca-certificates'] },
  { folder: 'etc/pki/ca-trust/source/anchors', suffix: '.pem', refresh: ['update-ca-trust', 'extract'] },
  { folder: 'etc/pki/trust/anchors', suffix: '.pem', refresh: ['update-ca-certificates'] },
  {
    folder: 'etc/ca-certificates/trust-source/anchors',
    suffix: '.crt',
    refresh: ['trust', 'extract-compat'],
  },
] as const satisfies readonly { folder: string; suffix: string; refresh: Command }[]

function linux(authority: TrustedFile, system: System): readonly TrustStore[] {
  const found = LINUX_STORES.find(({ folder }) => existsSync(join(system.root, folder)))
  if (found === undefined) return []
  const target = join(system.root, found.folder, `${storeName(authority)}${found.suffix}`)
  const refresh = asRoot(found.refresh, system)
  return [
    {
      name: 'this system',
      install: [asRoot(['cp', authority.file, target], system), refresh],
      uninstall: [asRoot(['rm', '-f', target], system), refresh],
    },
  ]
}

function asRoot(command: Command, { isRoot }: System): Command {
  return isRoot ? command : ['sudo', ...command]
}

function keychain({ file }: TrustedFile, { home }: System): TrustStore {
  const keychainFile = join(home, 'Library/Keychains/login.keychain-db')
  return {
    name: 'this system',
    install: [['security', 'add-trusted-cert', '-r', 'trustRoot', '-k', keychainFile, file]],
    uninstall: [['security', 'remove-trusted-cert', file]],
  }
}

function windows({ file }: TrustedFile): TrustStore {
  return {
    name: 'this system',
    install: [['certutil', '-user', '-addstore', 'Root', file]],
    uninstall: [['certutil', '-user', '-delstore', 'Root', AUTHORITY_NAME]],
  }
}

/** In the subject: Windows finds a certificate by it. */
const AUTHORITY_NAME = 'flexi development authority'

/** Chrome and Chromium on Linux look into a database of their own. */
function chrome(authority: TrustedFile, { home }: System): readonly TrustStore[] {
  return databaseStores('Chrome', [join(home, '.pki/nssdb')], authority)
}

const FIREFOX_FOLDERS = [
  '.mozilla/firefox',
  'snap/firefox/common/.mozilla/firefox',
  '.var/app/org.mozilla.firefox/.mozilla/firefox',
  'Library/Application Support/Firefox/Profiles',
  'AppData/Roaming/Mozilla/Firefox/Profiles',
]

function firefox(authority: TrustedFile, { home }: System): readonly TrustStore[] {
  const profiles = FIREFOX_FOLDERS.map((folder) => join(home, folder)).flatMap((folder) =>
    foldersIn(folder).map((name) => join(folder, name)),
  )
  return databaseStores('Firefox', profiles, authority)
}

function foldersIn(folder: string): readonly string[] {
  if (!existsSync(folder)) return []
  const entries = readdirSync(folder, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

/** NSS databases; its `certutil` is in libnss3-tools, nss-tools or nss. */
function databaseStores(
  name: string,
  folders: readonly string[],
  authority: TrustedFile,
): readonly TrustStore[] {
  const databases = folders.filter((folder) => existsSync(join(folder, 'cert9.db')))
  if (databases.length === 0) return []
  const label = storeName(authority)
  const on = (folder: string, ...words: string[]): Command => ['certutil', '-d', `sql:${folder}`, ...words]
  return [
    {
      name,
      install: databases.map((folder) => on(folder, '-A', '-t', 'C,,', '-n', label, '-i', authority.file)),
      uninstall: databases.map((folder) => on(folder, '-D', '-n', label)),
    },
  ]
}
