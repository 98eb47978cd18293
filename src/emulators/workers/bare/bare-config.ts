import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { platform } from 'node:process'

import { bindingName, CONTROL_ENTRYPOINT, CONTROL_NAME } from '../control/control.ts'
import { LOADED_BINDING, LOADER_BINDING, NETWORK_BINDING } from '../control/loader-source.ts'
import { CONTROL_COMPATIBILITY, controlModule } from '../control/module.ts'
import type { MiniflareWorker } from '../miniflare.ts'
import { bareModules, type BareModule } from './bare-modules.ts'
import { certificates } from './certificates.ts'

/** The sockets of a bare runtime. */
export const SOCKETS = {
  /** The program that the process was started with. */
  direct: 'direct',
  /** The one that was loaded last. */
  loaded: 'loaded',
  control: 'control',
} as const

/** Unix sockets beside those that serve requests. */
export interface SocketPaths {
  readonly direct: string
  readonly loaded: string
  readonly control: string
}

/** Longer ones fit into no address: 107 bytes on Linux, 103 elsewhere. */
const PATH_BYTES_MAX = platform === 'linux' ? 107 : 103

/** Where a runtime's Unix sockets are, in a folder of its own; undefined where the system knows none. */
export function socketPaths(folder: string): SocketPaths | undefined {
  const at = (name: keyof typeof SOCKETS): string => join(folder, `${name}.sock`)
  const paths = { direct: at('direct'), loaded: at('loaded'), control: at('control') }
  return platform === 'win32' || Buffer.byteLength(paths.control) > PATH_BYTES_MAX ? undefined : paths
}

export interface BareConfigOptions {
  readonly worker: MiniflareWorker
  /** A folder of this runtime's own. */
  readonly folder: string
  readonly token: string
  readonly paths: SocketPaths | undefined
  /** False where nobody outside would find a port; there have to be paths then. */
  readonly hasPorts: boolean
}

/** Writes workerd's configuration, and all that it embeds, into the folder; resolves with its path. */
export async function writeBareConfig({
  worker,
  folder,
  token,
  paths,
  hasPorts,
}: BareConfigOptions): Promise<string> {
  await mkdir(folder, { recursive: true })
  const files = new Map<string, string | Uint8Array>()
  const embed = ({ type, name, contents }: BareModule): string => {
    const file = `module-${files.size}`
    files.set(file, contents)
    return `(name = ${text(name)}, ${FIELDS[type]} = embed "${file}")`
  }
  const control = { type: 'ESModule', name: 'control.mjs', contents: controlModule(token) } as const
  const program = bareModules(worker).map(embed)
  const sockets = socketsText(`core:user:${worker.name}`, { paths, hasPorts })
  const config = configText(worker, { program: list(program), control: list([embed(control)]), sockets })
  const path = join(folder, 'workerd.capnp')
  files.set('workerd.capnp', config)
  await Promise.all([...files].map(([name, contents]) => writeFile(join(folder, name), contents)))
  return path
}

const FIELDS = {
  ESModule: 'esModule',
  CommonJS: 'commonJsModule',
  Text: 'text',
  Data: 'data',
  CompiledWasm: 'wasm',
} as const satisfies Record<BareModule['type'], string>

/**
 * What miniflare writes for such a worker, without what it does not use: requests go out through a service that tells the worker's zone
 * in place of the client's address, and reach private addresses too.
 */
function configText(
  worker: MiniflareWorker,
  modules: { readonly program: string; readonly control: string; readonly sockets: string },
): string {
  const { name, compatibilityDate = '', compatibilityFlags = [], bindings = {} } = worker
  const service = `core:user:${name}`
  const flags = [...CONTROL_COMPATIBILITY.flags, 'experimental']
  const controlBindings = [
    `(name = "${LOADER_BINDING}", workerLoader = (id = "flexi"))`,
    `(name = "${NETWORK_BINDING}", service = "outbound")`,
    `(name = "${LOADED_BINDING}", text = ${text(bindingName.worker(name))})`,
    `(name = ${text(bindingName.worker(name))}, service = ${text(service)})`,
  ]
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = ${text(service)}, worker = (modules = ${modules.program}, compatibilityDate = ${text(compatibilityDate)},
      compatibilityFlags = ${list(compatibilityFlags.map(text))}, bindings = ${list(Object.entries(bindings).map(binding))},
      globalOutbound = "outbound")),
    (name = "${CONTROL_NAME}", worker = (modules = ${modules.control}, compatibilityDate = "${CONTROL_COMPATIBILITY.date}",
      compatibilityFlags = ${list(flags.map(text))}, bindings = ${list(controlBindings)})),
    (name = "outbound", worker = (modules = [(name = "outbound.mjs", esModule = ${text(OUTBOUND)})],
      compatibilityDate = "2025-01-01", compatibilityFlags = ["connect_pass_through", "experimental"],
      bindings = [(name = "ZONE", text = ${text(`${name}.example.com`)})])),
    (name = "internet", network = (allow = ["public", "private", "240.0.0.0/4"], deny = [],
      tlsOptions = (trustBrowserCas = true, trustedCertificates = ${list(certificates().map(text))}))),
  ],
  sockets = [${modules.sockets}
  ],
  structuredLogging = true,
);
`
}

type SocketOptions = Pick<BareConfigOptions, 'paths' | 'hasPorts'>

/** Paths come first: who waits for all ports finds them listening. */
function socketsText(service: string, { paths, hasPorts }: SocketOptions): string {
  const served = '(cfBlobHeader = "MF-CF-Blob")'
  const leads = {
    direct: { http: served, to: text(service) },
    loaded: { http: served, to: text(CONTROL_NAME) },
    control: { http: '()', to: `(name = "${CONTROL_NAME}", entrypoint = "${CONTROL_ENTRYPOINT}")` },
  } as const satisfies Record<keyof typeof SOCKETS, object>
  const socket = (kind: keyof typeof SOCKETS, name: string, address: string): string =>
    `\n    (name = "${name}", address = ${text(address)}, http = ${leads[kind].http}, service = ${leads[kind].to}),`
  const kinds = Object.values(SOCKETS)
  if (!hasPorts) return kinds.map((kind) => socket(kind, kind, `unix:${paths?.[kind] ?? ''}`)).join('')
  const beside = paths === undefined ? [] : kinds.filter((kind) => kind !== SOCKETS.control)
  return [
    ...beside.map((kind) => socket(kind, `${kind}-path`, `unix:${paths?.[kind] ?? ''}`)),
    ...kinds.map((kind) => socket(kind, kind, '127.0.0.1:0')),
  ].join('')
}

const OUTBOUND = `export default {
  fetch(request, env) {
    const headers = new Headers(request.headers)
    headers.delete('CF-Connecting-IP')
    headers.set('CF-Worker', env.ZONE)
    return fetch(request, { headers })
  },
}
`

function binding([name, value]: readonly [string, unknown]): string {
  const field = typeof value === 'string' ? 'text' : 'json'
  const content = typeof value === 'string' ? value : JSON.stringify(value)
  return `(name = ${text(name)}, ${field} = ${text(content)})`
}

function list(items: readonly string[]): string {
  return `[${items.join(', ')}]`
}

/** A literal of Cap'n Proto's language: UTF-8, with C's escapes. */
function text(value: string): string {
  const escaped = value.replace(/["\\]|\p{Cc}/gu, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`
    const bytes = [...Buffer.from(character)]
    return bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
  })
  return `"${escaped}"`
}
