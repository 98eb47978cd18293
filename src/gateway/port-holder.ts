import { readdir, readFile, readlink } from 'node:fs/promises'

/** The process that listens on a port. */
export interface PortHolder {
  readonly pid: number
  /** Its command line, cut to a readable length. */
  readonly command: string
}

const COMMAND_LENGTH_MAX = 80

/**
 * Who listens on the TCP port, as far as this user may see; undefined on other systems than Linux and for other users' processes.
 * Reads `/proc`: the listening socket's inode, then the process that has it open.
 */
export async function findPortHolder(port: number): Promise<PortHolder | undefined> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readOr(file, '')))
  const sockets = new Set(
    tables.flatMap((table) => listeningInodes(table, port)).map((inode) => `socket:[${inode}]`),
  )
  if (sockets.size === 0) return undefined
  const entries = await readdir('/proc').catch(() => [])
  for (const pid of entries.filter((entry) => /^\d+$/.test(entry))) {
    if (await hasOpen(pid, sockets)) return { pid: Number(pid), command: await commandOf(pid) }
  }
  return undefined
}

const LISTEN = '0A'

/** `sl local_address rem_address st … inode`: addresses are hexadecimal, `0100007F:1F85`. */
function listeningInodes(table: string, port: number): readonly string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(suffix) === true && columns[3] === LISTEN)
    .map((columns) => columns[9] ?? '')
}

async function hasOpen(pid: string, sockets: ReadonlySet<string>): Promise<boolean> {
  const folder = `/proc/${pid}/fd`
  const handles = await readdir(folder).catch(() => [])
  const links = await Promise.all(handles.map((handle) => readlink(`${folder}/${handle}`).catch(() => '')))
  return links.some((link) => sockets.has(link))
}

async function commandOf(pid: string): Promise<string> {
  const line = await readOr(`/proc/${pid}/cmdline`, '')
  const text = line.replaceAll('\0', ' ').trim()
  return text.length > COMMAND_LENGTH_MAX ? `${text.slice(0, COMMAND_LENGTH_MAX - 1)}…` : text
}

/** Processes and files of `/proc` come and go, and not all are ours to read. */
function readOr(file: string, fallback: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => fallback)
}
